"""The tick's rate is a setting: the same cell, at the slowest and the fastest."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedside import boardfile
from bedside.cell import Cell
from bedside.hil.lockstep import PSM, BoardBench
from bedside.link import causes
from bedside.link.messages import PAUSED, RUN
from bedside.places import BOARDS
from bedside.sim.world import World

pytestmark = pytest.mark.requirement("tick")


@pytest.mark.parametrize("tick_hz", [500, 4000])
def test_a_board_follows_and_stops_in_time_at_any_rate(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tick_hz: int
) -> None:
    text = (BOARDS / "sim.toml").read_text().replace("tick_hz = 1000", f"tick_hz = {tick_hz}")
    (tmp_path / "sim.toml").write_text(text)
    monkeypatch.setattr(boardfile, "BOARDS", tmp_path)
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    assert boardfile.load_board_type("sim").tick_hz == tick_hz
    with World(cell, PSM, tmp_path) as world:
        world.advance(3)
        bench = BoardBench(world, cell, "psm1-base")
        bench.configure()
        bench.enable()
        feedback = bench.sweep(80, [0.8, -0.6])
        assert feedback.phase == RUN
        assert [plant.velocity for plant in bench.plants] == pytest.approx([0.8, -0.6], abs=0.05)
        assert max(abs(error) for error in feedback.errors) < 3000
        last = bench.tick(0).tick
        while bench.tick().state != PAUSED:
            pass
        timeout = cell.arm.operator_timeout_ms * tick_hz / 1000
        assert causes.name_of(bench.events[-1].code) == "operator-timeout"
        assert bench.events[-1].tick - last <= timeout + 1
        assert bench.until_off(6000).phase == 0
        bench.link.port.close()
