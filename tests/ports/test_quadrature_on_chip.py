"""The viper reader as machine code of the RP2040's processor, beside the PIO that it reads."""

from __future__ import annotations

import pytest

from rp2040.chip import Chip
from rp2040.repl import RawRepl

JUMP = 1 << 24

SETUP = """
encoders = Encoders([(4, 5), (6, 7), (8, 9), (10, 11)])
inputs = array("i", [0] * 6)

def read(times):
    micropython.heap_lock()
    for _ in range(times):
        encoders.read(inputs, 1)
    one = encoders.read_one(1)
    micropython.heap_unlock()
    print(list(inputs), one, list(encoders.lost))
"""


@pytest.fixture
def board(chip: Chip, repl: RawRepl) -> RawRepl:
    """A board whose pins 4 to 11 are four encoders."""
    repl.run(SETUP)
    return repl


def test_counts_of_four_encoders_that_turn_while_they_are_read(chip: Chip, board: RawRepl) -> None:
    turned: list[int] = []
    for channel, way in enumerate((1, -1, 1, -1)):
        chip.turn(4 + 2 * channel, [way] * (300 + channel), 5, lambda: turned.append(1))
    board.run("read(60)")
    assert len(turned) == 4
    assert board.run("read(1)") == "[0, 300, -301, 302, -303, 0] -301 [0, 0, 0, 0]\n"


def test_an_illegal_step_and_counts_beyond_what_small_integers_hold(chip: Chip, board: RawRepl) -> None:
    chip.drive(6, True)
    chip.drive(7, True)
    machines = chip.rp2040.pio[0].machines
    machines[0].y = 0x7FFFFFFF
    machines[2].y = 0x80000000
    chip.run(0.0001)
    assert board.run("read(2)") == f"[0, {0x7FFFFFFF}, {JUMP}, {-0x80000000}, 0, 0] {JUMP} [0, 1, 0, 0]\n"


def test_state_machines_that_stand_hang_nothing(chip: Chip, board: RawRepl) -> None:
    board.run("poke(0x5020, 0, 0b1101)")
    chip.run(0.0001)
    assert board.run("read(3)") == f"[0, 0, {3 * JUMP}, 0, 0, 0] {4 * JUMP} [0, 4, 0, 0]\n"


def test_reading_four_encoders_takes_a_small_part_of_a_tick(board: RawRepl) -> None:
    # The chip's timer counts microseconds.
    told = board.run(
        "def cost():\n"
        "    before = peek(0x4005, 0x4028)\n"
        "    for _ in range(20):\n"
        "        encoders.read(inputs, 1)\n"
        "    return (peek(0x4005, 0x4028) - before) // 20\n"
        "print(cost())\n"
        "poke(0x5020, 0, 0)\n"
        "print(cost())"
    )
    running, standing = (int(line) for line in told.split())
    assert 5 < running < 60, told
    assert running < standing < 150, told
