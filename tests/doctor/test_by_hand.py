"""Joints that are turned, and brake releases that are pressed, while ``bedside doctor`` looks."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedside.cell import Cell, load_cell
from bedside.doctor import hands
from bedside.doctor.findings import Grade
from bedside.errors import LinkError
from bedside.hil.lockstep import PSM, alone
from bedside.link import schema
from bedside.sim.board import BRAKE_RELEASE, DRIVE_FAULT, SimBoard
from bedside.sim.world import World

pytestmark = pytest.mark.real_time

SLIDE = "sim:psm1-slide"


@pytest.fixture
def slide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Cell, SimBoard]]:
    """A cell of one board, and that board, in real time."""
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    cell = alone(load_cell(PSM), "psm1-slide")
    over = threading.Event()
    with World(cell, PSM, tmp_path) as world:
        clock = threading.Thread(target=world.run, args=(over.is_set,))
        clock.start()
        try:
            yield cell, world.boards[0]
        finally:
            over.set()
            clock.join()


def test_a_joint_that_was_turned_is_told_with_its_direction_and_the_other_named(
    slide: tuple[Cell, SimBoard],
) -> None:
    cell, board = slide
    insertion = board.plants[0]

    def turn() -> None:
        time.sleep(0.5)
        board.switches = BRAKE_RELEASE
        time.sleep(0.5)
        board.switches = 0
        time.sleep(0.3)
        _thread.interrupt_main()

    with hands.of(cell, SLIDE, print) as boards:
        start = insertion.position
        person = threading.Thread(target=turn)
        person.start()
        first, second = hands.turn(boards, lambda _: None)
        person.join()
    moved = insertion.position - start
    assert abs(moved) > 0.001, "with its brake open it slides down by its weight"
    assert first.grade is Grade.OK
    assert first.found.endswith(f"is at {moved:+.4f}")
    assert (second.what, second.grade) == ("psm1-slide: outer_roll", Grade.WARN)
    assert second.found == "did not move"


def presses(board: SimBoard, said: list[str]):
    """Return a person who presses the switch when asked to, and lets it go when asked to."""

    def say(text: str) -> None:
        said.append(text)
        board.switches = BRAKE_RELEASE if "press and hold" in text else 0

    return say


def test_a_brake_release_that_works_is_seen_to_open_and_close(slide: tuple[Cell, SimBoard]) -> None:
    cell, board = slide
    said: list[str] = []
    say = presses(board, said)
    with hands.of(cell, None, say) as boards:
        (found,) = hands.brakes(boards, say)
    assert found.line == "ok    psm1-slide: brake release: seen; the board opened its brakes and closed them again"
    assert "insertion, outer_roll will click" in said[0]


def test_a_brake_release_that_is_not_wired_fails(slide: tuple[Cell, SimBoard], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "_PATIENCE_S", 0.3)
    cell, _ = slide
    with hands.of(cell, None, print) as boards:
        (found,) = hands.brakes(boards, lambda _: None)
    assert found.line.startswith("FAIL  psm1-slide: brake release: not seen for 0.3 s; check the switch")


def test_a_board_without_the_pin_is_told_how_its_brakes_open(slide: tuple[Cell, SimBoard]) -> None:
    cell, _ = slide
    with hands.of(cell, None, print) as boards:
        boards[0].has_switch = False
        (found,) = hands.brakes(boards, lambda _: None)
    assert "no pins.brake_release" in found.line


def test_a_board_that_is_not_disabled_is_not_touched(slide: tuple[Cell, SimBoard]) -> None:
    cell, board = slide
    with hands.of(cell, None, print) as boards:
        link = boards[0].link
        link.ask([schema.STATE_COMMAND, 0, 1, schema.ENABLE])
        board.switches = DRIVE_FAULT
        time.sleep(0.5)
    with pytest.raises(LinkError, match=r"is FAULT .*, not DISABLED; disable it first"), hands.of(cell, None, print):
        pass
