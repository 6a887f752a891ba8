"""``bedside doctor`` on boards: what is wrong with which, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bedside.cell import Cell, load_cell
from bedside.doctor import boards as board_checks
from bedside.hil.lockstep import PSM
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.link.port import SerialPort
from bedside.link.scale import board_message, joint_messages
from command import Bedside
from impostor import answer, impostor

pytestmark = pytest.mark.real_time


def lines_of(lines: list[str], what: str) -> str:
    return "\n".join(line for line in lines if f" {what}: " in line)


@pytest.fixture
def stopped(boards: Path, cell: Cell) -> Iterator[str]:
    """The port of a board that was enabled and then left alone, until its link clock stopped it."""
    link = BoardLink(SerialPort("sim:psm1-slide", 1_000_000), "board 'psm1-slide'")
    identity = link.identify()
    for _, joint in cell.joints_of("psm1-slide"):
        for message in joint_messages(joint, identity.tick_hz):
            link.ask(message)
    link.ask(board_message(cell, "psm1-slide", 200))
    link.ask([schema.STATE_COMMAND, 0, 1, schema.ENABLE])
    link.port.close()
    yield link.port.name
    link = BoardLink(SerialPort("sim:psm1-slide", 1_000_000), "board 'psm1-slide'")
    link.identify()
    link.ask([schema.STATE_COMMAND, 0, 0, schema.DISABLE])
    link.request([schema.HOLD_BOX, 0, 0], board_checks.Feedback)
    link.port.close()


def test_an_arm_that_is_well_fails_nothing(bedside: Bedside, boards: Path) -> None:
    lines = bedside("doctor", PSM)
    assert not [line for line in lines if line.startswith("FAIL")]
    assert "ok    cell file: psm1, 3 boards, 7 joints" in lines
    for name in ("base", "slide", "wrist"):
        assert f"ok    psm1-{name}: state: DISABLED (off)" in lines
        assert "0 of 200 lost" in lines_of(lines, f"psm1-{name}: round trips")
    joints = "with wrist_pitch, wrist_yaw, jaw, 1000 Hz"
    assert f"ok    psm1-wrist: identity: 'psm1-wrist' (sim-psm1-wrist) {joints}" in lines


def test_a_stopped_board_fails_with_its_fault_and_where_its_black_box_is(bedside: Bedside, stopped: str) -> None:
    lines = bedside("doctor", "--port", stopped, "--deep", status=1)
    label = "sim:psm1-slide"
    assert f"FAIL  {label}: state: FAULT (" in lines_of(lines, f"{label}: state")
    assert "link-timeout; see below; 'bedside local CELL.toml clear' clears it" in lines_of(lines, f"{label}: state")
    assert "'bedside blackbox sim:psm1-slide' fetches it" in lines_of(lines, f"{label}: black box")
    assert any("no valid frame from the bridge" in line for line in lines), "the fault is explained"
    assert "refused: the board is not DISABLED and off but FAULT" in lines_of(lines, f"{label}: deep")
    assert "2 of " in bedside.error
    assert "checks FAIL" in bedside.error


def test_boards_in_each_others_place_are_named(bedside: Bedside, boards: Path, tmp_path: Path) -> None:
    text = PSM.read_text().replace('"sim:psm1-base"', '"sim:swap"').replace('"sim:psm1-slide"', '"sim:psm1-base"')
    text = text.replace('"sim:swap"', '"sim:psm1-slide"').replace('plants = "../plants/psm.toml"', "")
    (tmp_path / "cell.toml").write_text(text)
    lines = bedside("doctor", tmp_path / "cell.toml", "--port", "sim:psm1-slide", status=1)
    assert "this is board 'psm1-slide', the cell file expects 'psm1-base' here" in lines_of(
        lines, "psm1-base: identity"
    )


def test_a_cell_file_with_a_mistake_fails_and_the_computer_is_checked_all_the_same(
    bedside: Bedside, ports: Path
) -> None:
    (ports / "cell.toml").write_text(PSM.read_text().replace('unit = "rad"', 'unit = "degrees"', 1))
    lines = bedside("doctor", ports / "cell.toml", status=1)
    assert "degrees" in lines_of(lines, "cell file")
    assert lines_of(lines, "disk")


def test_one_board_behind_two_ports_is_noticed(bedside: Bedside, ports: Path) -> None:
    def twin(message: list[Any] | None) -> bytes:
        return answer(message)

    with impostor(ports, "psm1-base", twin), impostor(ports, "psm1-slide", twin):
        lines = bedside("doctor", PSM, status=1)
    assert "lead to the same board 'psm1-base'" in lines_of(lines, "psm1-slide: identity")
    assert "there is no such port; start it" in lines_of(lines, "psm1-wrist: port")


def test_firmware_of_another_version_is_to_be_flashed(bedside: Bedside, ports: Path) -> None:
    with impostor(ports, "old", lambda message: answer(message, firmware="0.0.9")):
        lines = bedside("doctor", "--port", "sim:old", status=1)
    found = "FAIL  sim:old: firmware: 0.0.9, this host is 0.1.0; flash the firmware that came with this host"
    assert found in lines


def test_a_board_of_another_build_is_to_be_flashed_from_this_cell_file(bedside: Bedside, ports: Path) -> None:
    build, joints = "0123456789abcdef", ("outer_yaw", "outer_pitch")
    with impostor(ports, "psm1-base", lambda message: answer(message, build=build, joints=joints)):
        lines = bedside("doctor", PSM, "--port", "sim:psm1-base", status=1)
    assert lines_of(lines, "psm1-base: identity").startswith("ok    ")
    found = lines_of(lines, "psm1-base: build")
    assert found.startswith(
        f"FAIL  psm1-base: build: it runs build {build} (firmware 0.1.0), this computer and its cell"
    )
    assert found.endswith(f"run 'bedside flash {PSM} psm1-base'")


def test_a_board_of_another_arm_is_named_as_that(bedside: Bedside, ports: Path) -> None:
    with impostor(ports, "psm1-base", lambda message: answer(message, arm="psm9", joints=("outer_yaw", "outer_pitch"))):
        lines = bedside("doctor", PSM, "--port", "sim:psm1-base", status=1)
    found = lines_of(lines, "psm1-base: identity")
    assert "this is psm9/psm1-base, the cell file expects psm1/psm1-base here; swap the" in found


def test_a_board_in_the_wrong_place_is_not_to_be_flashed(bedside: Bedside, ports: Path) -> None:
    with impostor(ports, "psm1-base", lambda message: answer(message, build="0123456789abcdef")):
        lines = bedside("doctor", PSM, "--port", "sim:psm1-base", status=1)
    assert lines_of(lines, "psm1-base: identity").startswith("FAIL  ")
    assert not lines_of(lines, "psm1-base: build")


def test_one_board_is_not_called_boards() -> None:
    cell = load_cell(PSM.with_name("trainer.toml"))
    first = next(board_checks.cell_findings(cell))
    assert first.line == "ok    cell file: trainer, 1 board, 3 joints"


def test_a_line_that_loses_answers_is_counted(bedside: Bedside, ports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_checks, "_LOST_S", 0.03)
    came = 0

    def lossy(message: list[Any] | None) -> bytes:
        nonlocal came
        # A lost answer to another question would end the check.
        came += bool(message) and message[0] == schema.KEEP_ALIVE
        return b"" if came > 10 and came % 20 == 0 else answer(message)

    with impostor(ports, "bad", lossy):
        lines = bedside("doctor", "--port", "sim:bad")
    found = re.search(r"(\d+) of 200 lost; check cable, shield", lines_of(lines, "sim:bad: round trips"))
    # On a busy computer others are too late besides.
    assert found
    assert int(found[1]) >= 10


def test_a_port_that_vanishes_in_the_middle_ends_that_boards_checks_only(bedside: Bedside, ports: Path) -> None:
    came = 0

    def vanishing(message: list[Any] | None) -> bytes | None:
        nonlocal came
        came += bool(message)
        return None if came > 4 else answer(message)

    with impostor(ports, "psm1-base", vanishing):
        lines = bedside("doctor", PSM, status=1)
    assert "disappeared" in lines_of(lines, "psm1-base: link")
    assert lines_of(lines, "psm1-wrist: port"), "the next boards are checked all the same"


def test_a_board_file_is_explained_or_refused_with_its_mistake(bedside: Bedside, tmp_path: Path) -> None:
    pico = PSM.parents[1] / "pico.toml"
    lines = bedside("doctor", "--board-file", pico)
    assert lines[0] == "pico: Raspberry Pi Pico, two joints, link on a UART"
    assert not lines_of(lines, "disk"), "nothing else is checked"
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(pico.read_text().replace("encoder = { a = 4, b = 5", "encoder = { a = 4, b = 7"))
    bedside("doctor", "--board-file", wrong, status=1)
    assert "channel[0].encoder" in bedside.error
    assert "Traceback" not in bedside.error


def test_turning_and_brakes_need_a_cell_file(bedside: Bedside, ports: Path) -> None:
    bedside("doctor", "--turn", status=1)
    assert "--turn needs a cell file" in bedside.error
    bedside("doctor", PSM, "--brakes", "--port", "sim:nobody", status=1)
    assert "--port sim:nobody: no board of the cell file has it; there are sim:psm1-base" in bedside.error


def test_a_cell_of_real_boards_tells_how_full_its_links_are() -> None:
    cell = load_cell(PSM)
    cell.board[0].type, cell.board[0].port = "pico", "/dev/ttyUSB0"
    found = [finding.line for finding in board_checks.cell_findings(cell)]
    # The largest feedback of two joints, 250 times a second, at 1 Mbit/s.
    assert found[1] == "ok    psm1-base: link budget: 20% full at 250 Hz"
    assert found[2] == "ok    psm1-slide: link budget: no wire to fill"
