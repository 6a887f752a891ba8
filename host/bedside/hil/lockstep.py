"""A simulated board in virtual time: nothing passes but what a test lets pass, so that each run is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bedside.cell import Cell
from bedside.hil.bench import Bench
from bedside.link.board import BoardLink
from bedside.link.port import SerialPort
from bedside.places import BOARDS
from bedside.sim.plant import Plant
from bedside.sim.world import World

if TYPE_CHECKING:
    import pytest

PSM = BOARDS / "cells" / "psm.toml"


def alone(cell: Cell, name: str) -> Cell:
    """Return the cell of which only board ``name`` is left."""
    boards = [slot for slot in cell.board if slot.name == name]
    return replace(cell, board=boards, joint=[joint for joint in cell.joint if joint.board == name])


class BoardBench(Bench):
    """One board of a ``world``; ``plants`` are its joints' motors and loads."""

    def __init__(self, world: World, cell: Cell, name: str) -> None:
        link = BoardLink(SerialPort(f"sim:{name}", 1_000_000), f"board '{name}'")
        link.identify()
        super().__init__(cell, name, link, world.tick_hz)
        self.world = world
        self.plants: list[Plant] = [world.plants[joint.name] for joint in self.joints]

    def now_s(self) -> float:
        """Return the world's time, seconds."""
        return self.world.ticks / self.tick_hz

    def pass_ticks(self, ticks: int) -> None:
        """Let ``ticks`` pass without a word."""
        self.world.advance(ticks)


def bend_encoder(monkeypatch: pytest.MonkeyPatch, plant: Plant, reading: Callable[[int], int]) -> None:
    """Let the encoder of ``plant`` read ``reading`` of its true count."""
    true = Plant.count.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Plant, "count", property(lambda self: reading(true(self)) if self is plant else true(self)))
