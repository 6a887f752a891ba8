"""The black box: what a board keeps of the second around a fault, and of its faults over a reset."""

from __future__ import annotations

import csv
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedside.bridge.connect import close, connect
from bedside.cli import main
from bedside.errors import LinkError
from bedside.hil.failures import BOARD, SABOTAGE_NOW, failure
from bedside.hil.lockstep import BoardBench
from bedside.hil.rig import rig
from bedside.link import causes, schema
from bedside.link.blackbox import BlackBox, fetch, kept, release
from bedside.link.board import BoardLink
from bedside.link.messages import DISABLED, HOLDING, RUN, BoxHead
from bedside.sim.board import DRIVE_FAULT, E_STOP, WATCHDOG_RESET, SimBoard
from bedside.sim.world import World

pytestmark = pytest.mark.requirement("black-box")

SPEEDS = [1.0, -0.8, 0.6]


@pytest.fixture
def moving(wrist: BoardBench) -> BoardBench:
    wrist.enable()
    # Longer than the box holds before a fault.
    wrist.sweep(100, SPEEDS)
    return wrist


@pytest.fixture
def board(world: World) -> SimBoard:
    return next(board for board in world.boards if board.name == BOARD)


def read(bench: BoardBench) -> BlackBox:
    return fetch(bench.link, wait=lambda _: bench.world.advance(50))


def e_stop(bench: BoardBench, board: SimBoard) -> None:
    """Press it, wait until the arm is off, and release it."""
    board.switches = E_STOP
    bench.tick()
    bench.until_off()
    board.switches = 0


def clear(bench: BoardBench) -> None:
    bench.state_command(schema.DISABLE)
    assert bench.tick().state == DISABLED


def test_a_second_is_kept_a_quarter_of_it_before_the_fault(moving: BoardBench, board: SimBoard) -> None:
    e_stop(moving, board)
    box = read(moving)
    times = [box.time_ms(line.tick) for line in box.lines]
    assert causes.name_of(box.cause) == "e-stop"
    assert times[-1] - times[0] >= 1000
    assert -times[0] == pytest.approx(256, abs=3)
    assert [b - a for a, b in itertools.pairwise(times)] == [1.0] * (len(times) - 1)


def test_its_lines_are_what_happened(moving: BoardBench, board: SimBoard) -> None:
    seen = {}
    board.switches = E_STOP
    for _ in range(400):
        feedback = moving.tick()
        seen[feedback.tick] = feedback
    box = read(moving)
    lines = {line.tick: line for line in box.lines}
    for tick, feedback in seen.items():
        line = lines[tick]
        assert (line.state, line.phase, line.cause) == (feedback.state, feedback.phase, feedback.cause)
        assert line.positions == feedback.positions
        assert line.setpoints == [p + e for p, e in zip(feedback.positions, feedback.errors, strict=True)]
        assert (line.outputs, line.flags) == (feedback.outputs, feedback.flags)
        assert line.operator_age == feedback.operator_age
    assert min(line.outputs[1] for line in box.lines) < 0, "negative numbers arrive as such"


def test_fault_ramp_standstill_brakes_and_torque_off_are_marked(moving: BoardBench, board: SimBoard) -> None:
    e_stop(moving, board)
    marks = read(moving).marks()
    assert list(marks) == ["fault", "ramp", "standstill", "brakes close", "torque off"]
    assert list(marks.values()) == sorted(marks.values())
    assert marks["torque off"] - marks["brakes close"] == pytest.approx(233, abs=1)


def test_it_is_kept_until_it_has_been_read_and_then_goes_on(moving: BoardBench, board: SimBoard) -> None:
    e_stop(moving, board)
    first = read(moving)
    clear(moving)
    moving.enable()
    board.switches = DRIVE_FAULT
    moving.tick()
    moving.until_off()
    board.switches = 0
    second = read(moving)
    assert (second.cause, second.fault_tick, second.lines) == (first.cause, first.fault_tick, first.lines)
    assert [causes.name_of(event.code) for event in second.events] == ["drive-fault", "e-stop"]
    release(moving.link)
    clear(moving)
    moving.enable()
    board.switches = DRIVE_FAULT
    moving.tick()
    moving.until_off()
    again = read(moving)
    assert causes.name_of(again.cause) == "drive-fault"
    assert again.lines[0].tick > first.lines[-1].tick


def test_without_a_fault_it_shows_the_last_second(moving: BoardBench) -> None:
    moving.state_command(schema.DISABLE)
    off = moving.until_off()
    moving.world.advance(300)
    box = read(moving)
    assert (box.cause, box.marks()) == (0, {})
    assert box.lines[-1].tick == off.tick + 300
    assert box.time_ms(box.lines[-1].tick) == 0
    moving.world.advance(50)
    assert read(moving).lines == box.lines, "it holds still while it is read"
    release(moving.link)
    moving.world.advance(50)
    assert read(moving).lines[-1].tick == off.tick + 400


def test_a_pause_that_ends_well_is_forgotten(moving: BoardBench, board: SimBoard) -> None:
    while moving.tick().phase != HOLDING:
        pass
    moving.tick(40)
    moving.operator_seq += 1
    moving.state_command(schema.RESUME)
    moving.tick()
    moving.engage()
    moving.sweep(60, SPEEDS)
    e_stop(moving, board)
    assert causes.name_of(read(moving).cause) == "e-stop"


@pytest.mark.parametrize("pause", [40, 1000])
def test_a_fault_that_comes_of_a_pause_takes_its_place(
    wrist: BoardBench, board: SimBoard, monkeypatch: pytest.MonkeyPatch, pause: int
) -> None:
    monkeypatch.setattr(wrist.cell.arm, "hold_ms", 2000)
    wrist.configure()
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    while wrist.tick().phase != HOLDING:
        pass
    wrist.tick(pause)
    e_stop(wrist, board)
    box = read(wrist)
    assert causes.name_of(box.cause) == "e-stop"
    assert box.time_ms(box.lines[-1].tick) == pytest.approx(768, abs=3)


def test_it_is_not_read_while_the_arm_is_on(moving: BoardBench) -> None:
    with pytest.raises(LinkError, match="not-disabled"):
        moving.link.request([schema.HOLD_BOX, 0, 1], BoxHead)
    assert moving.tick().phase == RUN


def test_a_part_that_is_not_there_is_refused(wrist: BoardBench) -> None:
    with pytest.raises(LinkError, match="configuration"):
        wrist.link.ask([schema.READ_BOX, 0, 16384])


def test_frames_that_are_lost_while_it_is_read_are_asked_for_again(
    moving: BoardBench, board: SimBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    e_stop(moving, board)
    whole = read(moving)
    write, sent = moving.link.port.write, []

    def lossy(data: bytes) -> None:
        sent.append(data)
        write(data if len(sent) % 100 else data[1:])

    monkeypatch.setattr("bedside.link.board.ANSWER_S", 0.1)
    monkeypatch.setattr(moving.link.port, "write", lossy)
    assert read(moving).lines == whole.lines
    assert len(sent) > 300


@pytest.fixture
def off_with_a_fault(moving: BoardBench, board: SimBoard) -> Iterator[BoardBench]:
    """A board that keeps a fault, and whose port is free."""
    e_stop(moving, board)
    moving.world.advance(800)
    moving.link.port.close()
    yield moving
    # The fixture of the board closes it once more.
    moving.link = BoardLink(type(moving.link.port)(f"sim:{BOARD}", 1_000_000), BOARD)


@pytest.mark.usefixtures("off_with_a_fault")
def test_the_command_writes_numbers_and_a_picture_and_lets_it_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["blackbox", f"sim:{BOARD}", "--output", str(tmp_path / "new")]) == 0
    told = capsys.readouterr().out
    assert "e-stop" in told
    assert "release it, then disable and enable" in told
    with (tmp_path / "new" / f"{BOARD}-blackbox.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    fault = next(row for row in rows if row["time_ms"] == "0")
    assert (fault["state"], fault["cause"]) == ("FAULT", "e-stop")
    assert int(rows[0]["wrist_pitch_setpoint"]) != int(fault["wrist_pitch_setpoint"])
    assert (tmp_path / "new" / f"{BOARD}-blackbox.png").read_bytes()[1:4] == b"PNG"
    assert main(["blackbox", f"sim:{BOARD}", "--output", str(tmp_path)]) == 0
    assert "no fault is kept" in capsys.readouterr().out


@pytest.mark.usefixtures("off_with_a_fault")
def test_what_cannot_be_written_stays_on_the_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_the_way = tmp_path / f"{BOARD}-blackbox.csv"
    in_the_way.mkdir()
    assert main(["blackbox", f"sim:{BOARD}", "--output", str(tmp_path)]) == 1
    assert "the board still keeps its black box" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["blackbox", f"sim:{BOARD}", "--output", str(tmp_path / "file" / "folder")]) == 1
    assert main(["blackbox", f"sim:{BOARD}", "--output", str(tmp_path / "elsewhere"), "--keep"]) == 0
    assert main(["blackbox", f"sim:{BOARD}", "--output", str(tmp_path / "elsewhere")]) == 0
    assert capsys.readouterr().out.count("e-stop: the emergency stop") >= 2


@pytest.mark.parametrize("power_cut", [False, True])
def test_the_last_faults_survive_a_reset_but_not_a_power_cut(tmp_path: Path, power_cut: bool) -> None:
    with rig(tmp_path, "hang") as arm:
        board = arm.boards[BOARD]
        arm.move(30)
        board.switches = E_STOP
        arm.finish()
        board.switches = SABOTAGE_NOW
        arm.commanding, arm.lossy = False, True
        arm.tick(80)
        assert board.reset_cause == WATCHDOG_RESET
        board.switches = 0
        board.start()
        if power_cut:
            board.start()
        arm.world.advance(3)
        arm.disconnect()
        told: list[str] = []
        arm.told = told
        arm.connect()
        _, events = kept(arm.arm.links[2])
        assert [causes.name_of(event.code) for event in events] == ([] if power_cut else ["e-stop"])


def test_the_bridge_tells_what_a_restarted_board_has_been_through(tmp_path: Path) -> None:
    with rig(tmp_path) as arm:
        what = failure("encoder stuck")
        arm.move(30)
        what.inject(arm)
        arm.finish()
        what.mend(arm)
        arm.disconnect()
        os.environ["BEDSIDE_SIM"] = str(tmp_path)
        told: list[str] = []
        close(connect(arm.cell, told.append))
        arm.connect()
    assert len(told) == 1
    assert f"board '{BOARD}' keeps the black box of 'encoder-stuck'" in told[0]
