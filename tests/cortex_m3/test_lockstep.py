"""A whole board on the emulated Cortex-M3, with motors behind it, in virtual time."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedside.cell import Cell
from bedside.hil.lockstep import PSM, BoardBench, alone
from bedside.link import causes
from bedside.link.messages import FAULT, RUN
from bedside.sim.board import Chip, unix_port
from bedside.sim.world import World
from cortex_m3 import board

pytestmark = pytest.mark.usefixtures("emulator")

NAME = "psm1-wrist"
SPEEDS = [0.5, -0.4, 0.3]


def history(chip: Chip, cell: Cell, folder: Path) -> list[object]:
    """Follow a motion, then get no more commands: everything that the board and its motors told."""
    with World(cell, PSM, folder, chip=chip) as world:
        world.advance(3)
        bench = BoardBench(world, cell, NAME)
        bench.configure()
        bench.enable()
        moving = bench.sweep(30, SPEEDS)
        assert moving.phase == RUN
        assert moving.velocities == pytest.approx([1e6 * speed for speed in SPEEDS], rel=0.1)
        stopped = bench.until_off()
        bench.link.port.close()
        return [moving, stopped, bench.events, [(p.position, p.velocity, p.brake_closed) for p in bench.plants]]


def test_a_board_follows_and_stops_as_on_the_unix_port_to_the_last_bit(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    wrist = alone(cell, NAME)
    told = history(board.simulated, wrist, tmp_path)
    stopped, plants = told[1], told[3]
    assert (stopped.state, causes.name_of(stopped.cause)) == (FAULT, "operator-timeout")  # type: ignore[attr-defined]
    assert all(closed and velocity == 0 for _, velocity, closed in plants)  # type: ignore[attr-defined]
    assert str(told) == str(history(unix_port, wrist, tmp_path))
