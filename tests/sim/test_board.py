from __future__ import annotations

import time
from pathlib import Path

import pytest

from bedside.cell import Cell
from bedside.errors import BedsideError
from bedside.hil.lockstep import PSM, BoardBench
from bedside.link import schema
from bedside.link.messages import DISABLED, OFF
from bedside.sim.board import interpreter
from bedside.sim.world import World


def test_the_same_history_gives_the_same_future(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> list[object]:
        monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
        with World(cell, PSM, tmp_path) as world:
            world.advance(3)
            bench = BoardBench(world, cell, "psm1-wrist")
            bench.configure()
            bench.enable()
            bench.sweep(40, [0.5, -0.4, 0.3])
            last = bench.tick(50)
            bench.link.port.close()
            return [last.tick, last.positions, last.errors, last.velocities, last.outputs, last.flags]

    assert run() == run()


def test_when_the_interpreter_dies_the_drive_goes_off_and_the_brakes_close(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, [1.0, 1.0, 0.5])
    plant = wrist.plants[0]
    assert plant.velocity > 0.5
    wrist.world.boards[2].kill()
    wrist.world.advance(1)
    assert plant.current == 0.0
    assert not plant.brake_closed
    wrist.world.advance(30)
    assert plant.brake_closed
    wrist.world.advance(300)
    assert all(plant.velocity == 0.0 for plant in wrist.plants)


def test_a_board_that_restarts_is_disabled_and_does_not_move(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, [1.0, 1.0, 0.5])
    board = wrist.world.boards[2]
    board.kill()
    wrist.world.advance(400)
    places = [plant.position for plant in wrist.plants]
    board.start()
    wrist.world.advance(200)
    wrist.link.identify()
    wrist.operator_seq += 1
    feedback = wrist.talk([schema.COMMAND, 0, wrist.operator_seq, *(100_000, 500_000) * 3])
    assert (feedback.state, feedback.phase) == (DISABLED, OFF)
    wrist.world.advance(200)
    assert [plant.position for plant in wrist.plants] == places


def test_a_crashing_program_leaves_the_outputs_safe_and_says_why(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "broken.py"
    program.write_text("raise SystemExit('broken on purpose')\n")
    with World(cell, PSM, tmp_path / "ports", program) as world:
        world.advance(5)
        assert not any(board.alive for board in world.boards)
        assert all(plant.brake_closed for plant in world.plants.values())


def test_real_time_runs_at_the_tick_rate(cell: Cell, tmp_path: Path) -> None:
    with World(cell, PSM, tmp_path) as world:
        end = time.monotonic() + 0.5
        world.run(lambda: time.monotonic() >= end)
        # A busy machine may lose ticks, but none may be made up.
        assert 50 < world.ticks <= 501


def test_a_missing_interpreter_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROPYTHON", "/nowhere/micropython")
    with pytest.raises(BedsideError, match=r"MICROPYTHON=/nowhere/micropython: no such program"):
        interpreter()
