from __future__ import annotations

import random
from array import array
from collections.abc import Callable
from types import SimpleNamespace

import pio_assembler
import pytest
from rp2_emulated import Chip, load
from rp2040py.utils import pio_assembler as theirs

CLOCK_HZ = 125_000_000
MILLION_A_SECOND = CLOCK_HZ // 1_000_000
JUMP = 1 << 24
# More than any loop of the program.
LOOP = 12

Start = Callable[..., SimpleNamespace]


@pytest.fixture
def chip() -> Chip:
    return Chip()


@pytest.fixture
def start(chip: Chip, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start encoders at the given A pins, None for a channel without; return them, what they fill, and the PIOs."""
    loaded = load(chip, monkeypatch)

    def begin(*a: int | None) -> SimpleNamespace:
        encoders = loaded.module.Encoders([None if pin is None else (pin, pin + 1) for pin in a])
        chip.run(3 * LOOP)
        return SimpleNamespace(
            encoders=encoders, inputs=array("i", [0] * 12), registers=loaded.registers, module=loaded.module
        )

    return begin


def ahead(steps: int, way: int = 1) -> list[int]:
    return [way] * steps


def test_the_program_is_a_table_at_address_0_that_fits_nowhere_else(start: Start) -> None:
    program = start(4).module.count_edges
    assert len(program.words) == 32
    assert program.offsets == {0: 0}
    assert all(word >> 13 == 0 for word in program.words[:16])
    # The table ends where the program begins.
    assert program.words[16:19] == [
        theirs.pio_irq(True, False, 0x10),
        theirs.pio_set(theirs.PIO_DEST_Y, 0),
        theirs.pio_mov(theirs.PIO_MOV_DEST_OSR, theirs.PIO_SRC_PINS),
    ]


def test_the_assembler_encodes_as_another_one_does() -> None:
    @pio_assembler.asm_pio()
    def program() -> None:
        jmp(x_dec, "end")[3]  # noqa: F821
        in_(pins, 2)  # noqa: F821
        out(isr, 32)  # noqa: F821
        mov(pc, isr)  # noqa: F821
        mov(y, invert(y))  # noqa: F821
        irq(rel(1))  # noqa: F821
        set(y, 5)  # noqa: F821
        label("end")  # noqa: F821
        nop()[31]  # noqa: F821

    assert program.words == [
        theirs.pio_jmp(7, theirs.PIO_COND_XDEC, 3),
        theirs.pio_in(theirs.PIO_SRC_PINS, 2),
        theirs.pio_out(theirs.PIO_DEST_ISR, 0),
        theirs.pio_mov(theirs.PIO_MOV_DEST_PC, theirs.PIO_SRC_ISR),
        theirs.pio_mov(theirs.PIO_MOV_DEST_Y, theirs.PIO_SRC_Y, theirs.PIO_OP_INVERT),
        theirs.pio_irq(False, False, 0x11),
        theirs.pio_set(theirs.PIO_DEST_Y, 5),
        theirs.pio_mov(theirs.PIO_MOV_DEST_Y, theirs.PIO_SRC_Y, delay=31),
    ]
    # RP2040 datasheet, table 370: "push" with bit 5 waits, bit 6 is "if full".
    assert pio_assembler.asm_pio()(_pushes).words == [0x8000, 0x8020, 0x8060]


def _pushes() -> None:
    push(noblock)  # type: ignore[name-defined]  # noqa: F821
    push()  # type: ignore[name-defined]  # noqa: F821
    push(iffull, block)  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize("way", [1, -1])
def test_a_million_steps_a_second_are_counted_both_ways(chip: Chip, start: Start, way: int) -> None:
    start(4)
    chip.turn(4, ahead(1000, way), MILLION_A_SECOND)
    assert chip.count(0) == 1000 * way
    assert chip.flags() == 0


@pytest.mark.parametrize("way", [1, -1])
def test_a_step_every_ten_cycles_is_the_fastest_that_is_counted(chip: Chip, start: Start, way: int) -> None:
    start(4)
    chip.turn(4, ahead(1000, way), 10)
    chip.run(LOOP)
    assert (chip.count(0), chip.flags()) == (1000 * way, 0)


def test_channels_without_an_encoder_are_left_alone_and_the_others_keep_their_places(chip: Chip, start: Start) -> None:
    begun = start(None, 4, 6, None, 8)
    for pin, steps in ((4, 100), (6, 200), (8, 300)):
        chip.turn(pin, ahead(steps), 13)
    begun.inputs[1] = begun.inputs[4] = 7
    begun.encoders.read(begun.inputs, 1)
    assert list(begun.inputs[1:6]) == [7, 100, 200, 7, 300]
    assert [begun.encoders.read_one(channel) for channel in (1, 2, 4)] == [100, 200, 300]
    assert list(begun.encoders.lost) == [0] * 5


def test_steps_faster_than_that_are_flagged_not_miscounted_in_silence(chip: Chip, start: Start) -> None:
    start(4)
    chip.turn(4, ahead(1000), 9)
    assert chip.flags() == 1


def test_a_random_walk_ends_where_it_should(chip: Chip, start: Start) -> None:
    start(4)
    dice = random.Random(1)
    steps = [dice.choice((1, -1)) for _ in range(3000)]
    chip.turn(4, steps, 13)
    assert (chip.count(0), chip.flags()) == (sum(steps), 0)


@pytest.mark.parametrize("state", [0, 1, 2, 3])
def test_no_state_of_the_lines_at_the_start_is_a_step(chip: Chip, start: Start, state: int) -> None:
    chip.lines(4, state)
    start(4)
    assert (chip.count(0), chip.flags()) == (0, 0)
    chip.turn(4, ahead(5), 20)
    assert (chip.count(0), chip.flags()) == (5, 0)


def test_lines_that_nothing_drives_are_pulled_up(chip: Chip, start: Start) -> None:
    start(4)
    assert chip.rp2040.gpio[4].input_value
    assert chip.rp2040.gpio[5].input_value
    assert not chip.rp2040.gpio[6].input_value


def test_counts_go_below_0_and_over_the_end_of_32_bits(chip: Chip, start: Start) -> None:
    board = start(4)
    chip.turn(4, ahead(3, -1), 20)
    board.encoders.read(board.inputs, 0)
    assert board.inputs[0] == -3
    chip.machine(0).y = 0x7FFFFFFE
    chip.turn(4, ahead(4), 20)
    board.encoders.read(board.inputs, 0)
    assert board.inputs[0] == -(1 << 31) + 2
    chip.turn(4, ahead(4, -1), 20)
    board.encoders.read(board.inputs, 0)
    assert board.inputs[0] == 0x7FFFFFFE
    assert chip.flags() == 0


@pytest.mark.parametrize("state", [0, 1, 2, 3])
def test_both_lines_at_once_are_flagged_and_not_counted(chip: Chip, start: Start, state: int) -> None:
    chip.lines(4, state)
    start(4)
    chip.lines(4, state ^ 3)
    chip.run(2 * LOOP)
    assert (chip.count(0), chip.flags()) == (0, 1)
    # It counts on from the new state.
    chip.turn(4, ahead(7), 20)
    assert chip.count(0) == 7


def test_eight_encoders_on_two_pios_count_for_themselves(chip: Chip, start: Start) -> None:
    board = start(*range(0, 16, 2))
    assert board.module.count_edges.offsets == {0: 0, 1: 0}
    for channel in range(8):
        chip.turn(2 * channel, ahead(10 + channel, 1 - channel % 2 * 2), 11)
    chip.lines(10, 3 ^ (chip.rp2040.gpio[10].input_value | chip.rp2040.gpio[11].input_value << 1))
    chip.run(LOOP)
    board.encoders.read(board.inputs, 4)
    counts = [(10 + channel) * (1 - channel % 2 * 2) for channel in range(8)]
    counts[5] += JUMP
    assert list(board.inputs) == [0, 0, 0, 0, *counts]
    assert list(board.encoders.lost) == [0, 0, 0, 0, 0, 1, 0, 0]


def test_four_encoders_move_at_once_on_one_pio(chip: Chip, start: Start) -> None:
    start(0, 2, 4, 6)
    # From where the pull-ups hold the lines, both high.
    ring = [3, 2, 0, 1]
    for step in range(1, 501):
        for channel, way in enumerate((1, -1, 1, -1)):
            chip.lines(2 * channel, ring[way * step % 4])
        chip.run(10)
    chip.run(LOOP)
    assert [chip.count(channel) for channel in range(4)] == [500, -500, 500, -500]
    assert chip.flags() == 0


def test_a_reading_is_the_count_now_not_one_that_waited_in_the_queue(chip: Chip, start: Start) -> None:
    board = start(4)
    for expected in (1, 2, 3):
        chip.turn(4, [1], 1000)
        board.encoders.read(board.inputs, 0)
        assert board.inputs[0] == expected
    assert board.encoders.read_one(0) == 3


def test_an_illegal_step_makes_the_reported_count_jump_for_good(chip: Chip, start: Start) -> None:
    board = start(2, 4)
    chip.lines(4, 0)
    chip.run(LOOP)
    board.encoders.read(board.inputs, 0)
    assert list(board.inputs[:2]) == [0, JUMP]
    assert list(board.encoders.lost) == [0, 1]
    chip.turn(4, ahead(3), 20)
    board.encoders.read(board.inputs, 0)
    assert list(board.inputs[:2]) == [0, JUMP + 3]
    assert list(board.encoders.lost) == [0, 1]
    chip.lines(4, 3 ^ (chip.rp2040.gpio[4].input_value | chip.rp2040.gpio[5].input_value << 1))
    chip.run(LOOP)
    assert board.encoders.read_one(1) == 2 * JUMP + 3
    assert list(board.encoders.lost) == [0, 2]


def test_each_of_many_lost_counts_is_a_jump_and_the_count_stays_small(chip: Chip, start: Start) -> None:
    board = start(4)
    before = 0
    for state in [0, 3] * 20:
        chip.lines(4, state)
        chip.run(LOOP)
        board.encoders.read(board.inputs, 0)
        assert abs(board.inputs[0] - before) >= JUMP
        before = board.inputs[0]
        assert abs(before) < 1 << 29
    assert board.encoders.lost[0] == 40


def test_a_state_machine_that_stands_hangs_nothing_and_jumps_with_each_look(chip: Chip, start: Start) -> None:
    board = start(2, 4)
    chip.turn(4, ahead(9), 20)
    board.encoders.read(board.inputs, 0)
    chip.rp2040.pio[0].write_uint32(0, 0b01)
    chip.turn(2, ahead(5), 20)
    for look in (1, 2, 3):
        before = board.registers[0].reads
        board.encoders.read(board.inputs, 0)
        assert board.registers[0].reads - before < 60
        assert list(board.inputs[:2]) == [5, 9 + look * JUMP]
    assert list(board.encoders.lost) == [0, 3]


def test_no_interrupt_reaches_the_cpu(chip: Chip, start: Start) -> None:
    start(4)
    chip.lines(4, 0)
    chip.run(LOOP)
    assert chip.flags() == 1
    assert chip.rp2040.core.pending_interrupts == 0


def test_a_second_start_finds_no_old_count_and_no_old_flag(chip: Chip, start: Start) -> None:
    start(4)
    chip.turn(4, ahead(9), 20)
    chip.lines(4, 3 ^ (chip.rp2040.gpio[4].input_value | chip.rp2040.gpio[5].input_value << 1))
    chip.run(LOOP)
    assert (chip.count(0), chip.flags()) == (9, 1)
    board = start(4)
    board.encoders.read(board.inputs, 0)
    assert (board.inputs[0], board.encoders.lost[0], chip.flags()) == (0, 0, 0)


def test_pins_that_are_no_neighbours_are_refused(start: Start) -> None:
    module = start(4).module
    with pytest.raises(ValueError, match="encoder pins 4 and 6: connect B to the pin behind A's, 5"):
        module.Encoders([(2, 3), (4, 6)])
    with pytest.raises(ValueError, match="8 encoders, not 9"):
        module.Encoders([(0, 1)] * 9)
