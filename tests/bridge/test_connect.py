from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bedside.bridge.connect import close, connect
from bedside.cell import Cell
from bedside.errors import LinkError
from bedside.link import board as board_module
from bedside.sim.board import WATCHDOG_RESET
from bedside.sim.world import World


def changed(cell: Cell, **boards: dict[str, str]) -> Cell:
    """The cell with fields of its boards replaced, by the board's last name part."""
    copy = msgspec.convert(msgspec.to_builtins(cell), Cell)
    for slot in copy.board:
        for field, value in boards.get(slot.name.rpartition("-")[2], {}).items():
            setattr(slot, field, value)
    return copy


def refusal(cell: Cell) -> str:
    with pytest.raises(LinkError) as refused:
        close(connect(cell))
    return str(refused.value)


def test_all_boards_present_and_right_connect(world: World, cell: Cell) -> None:
    links = connect(cell)
    assert [link.identify().name for link in links] == [slot.name for slot in cell.board]
    close(links)


def test_a_board_that_did_not_start_by_being_switched_on_is_told_of(world: World, cell: Cell) -> None:
    world.boards[1].kill()
    world.boards[1].reset_cause = WATCHDOG_RESET
    world.boards[1].start()
    world.advance(3)
    told: list[str] = []
    close(connect(cell, told.append))
    why = "board 'psm1-slide' has started by itself (watchdog); find out why before you enable the arm"
    assert told == [why]


def test_a_missing_port_is_named_with_a_remedy(world: World, cell: Cell) -> None:
    why = refusal(changed(cell, wrist={"port": "/dev/ttyACM77"}))
    assert why == "port /dev/ttyACM77: there is no such port; check the cable and the name"
    assert "start it with 'bedside sim" in refusal(changed(cell, wrist={"port": "sim:nobody"}))


def test_a_port_that_another_program_has_is_refused(world: World, cell: Cell) -> None:
    links = connect(cell)
    assert "in use by another program" in refusal(cell)
    close(links)


def test_swapped_cables_are_noticed(world: World, cell: Cell) -> None:
    why = refusal(changed(cell, base={"port": "sim:psm1-wrist"}, wrist={"port": "sim:psm1-base"}))
    assert "this is board 'psm1-wrist', the cell file expects 'psm1-base'" in why


def test_one_board_behind_two_ports_is_noticed(world: World, cell: Cell, tmp_path: Path) -> None:
    twin = tmp_path / "twin"
    twin.symlink_to((tmp_path / "psm1-base").resolve())
    why = refusal(changed(cell, slide={"port": "sim:twin"}))
    assert "in use by another program" in why or "the same board" in why


def test_a_board_with_other_joints_is_refused(world: World, cell: Cell) -> None:
    copy = changed(cell)
    copy.joint[5].name = "elbow"
    why = refusal(copy)
    assert "it drives wrist_pitch, wrist_yaw, jaw, the cell file expects wrist_pitch, elbow, jaw" in why


def test_a_board_of_another_schema_is_refused(world: World, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "SCHEMA", 12345)
    assert "with another protocol (schema" in refusal(cell)
    assert "flash the firmware" in refusal(cell)


def test_a_port_where_nothing_answers_is_refused(world: World, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_module, "ANSWER_S", 0.05)
    world.boards[0].kill()
    assert "nothing there answers as a Bedside board" in refusal(cell)
