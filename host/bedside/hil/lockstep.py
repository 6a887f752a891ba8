"""A simulated board in virtual time: nothing passes but what a test lets pass, so that each run is the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bedside.cell import Cell
from bedside.hil.bench import Bench
from bedside.hil.fixture import Jumper, Power
from bedside.link.board import BoardLink
from bedside.link.port import SerialPort
from bedside.places import BOARDS
from bedside.sim.board import BRAKES_OPEN, LOCAL_OFF, RUN_CONTACT
from bedside.sim.plant import Plant
from bedside.sim.world import World

if TYPE_CHECKING:
    import pytest

_DISCHARGED_TICKS = 100
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
        self._board = next(board for board in world.boards if board.name == name)
        self._jumpers: list[Jumper] = []
        self.plants: list[Plant] = [world.plants[joint.name] for joint in self.joints]

    def now_s(self) -> float:
        """Return the world's time, seconds."""
        return self.world.ticks / self.tick_hz

    def pass_ticks(self, ticks: int) -> None:
        """Let ``ticks`` pass without a word."""
        if not self._jumpers:
            self.world.advance(ticks)
            return
        for _ in range(ticks):
            for jumper in self._jumpers:
                if jumper.input == "local":
                    self._board.switches = LOCAL_OFF if self._board.outputs[BRAKES_OPEN] & 1 else 0
                else:
                    self._board.loop_alive = bool(self._board.outputs[RUN_CONTACT])
            self.world.advance(1)

    @property
    def unplugs(self) -> bool:
        """Whether ``plug`` can take a wire away by itself."""
        return True

    def plug(self, jumpers: Sequence[Jumper]) -> None:
        """Let these jumpers, and no others, be there."""
        self._jumpers = list(jumpers)
        self._board.switches, self._board.loop_alive = 0, False

    def power(self, power: Power, is_on: bool) -> None:
        """Switch the board's supply; when it comes on, it answers."""
        if not is_on:
            self._board.kill()
            self.world.advance(_DISCHARGED_TICKS)
            return
        self._board.start()
        self.world.advance(3)
        self.link.identify()


def bend_encoder(monkeypatch: pytest.MonkeyPatch, plant: Plant, reading: Callable[[int], int]) -> None:
    """Let the encoder of ``plant`` read ``reading`` of its true count."""
    true = Plant.count.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Plant, "count", property(lambda self: reading(true(self)) if self is plant else true(self)))
