"""Simulated boards on a common clock: real time for people, virtual time in lockstep for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bedside.cell import Cell, load_board_type
from bedside.clock import PeriodicTimer
from bedside.errors import CellError
from bedside.places import sim_directory
from bedside.sim.board import SimBoard
from bedside.sim.plant import Plant, load_plants

# A board whose program ended comes back after this long, as one does that its hardware watchdog resets.
_REBOOT_S = 0.5


class World:
    """The simulated boards of a cell. Use as a context manager; boards are started on entry."""

    def __init__(self, cell: Cell, cell_path: Path, directory: Path | None = None) -> None:
        if cell.arm.plants is None:
            raise CellError(f"{cell_path}: arm.plants is missing: a simulated arm needs a file that describes its motors")
        where = directory or sim_directory()
        self.boards: list[SimBoard] = []
        self.plants: dict[str, Plant] = {}
        self.ticks = 0
        rates = {load_board_type(board.type).tick_hz for board in cell.board}
        if len(rates) != 1:
            raise CellError(f"{cell_path}: simulated boards must share one tick_hz, these have {sorted(rates)}")
        self.tick_hz = rates.pop()
        plants = load_plants(cell_path.parent / cell.arm.plants, [joint.name for joint in cell.joint], 1 / self.tick_hz)
        for slot in cell.board:
            if not slot.port.startswith("sim:"):
                continue
            joints = [joint.name for _, joint in cell.joints_of(slot.name)]
            mine = [plants[name] for name in joints]
            self.boards.append(SimBoard(where, slot.port.removeprefix("sim:"), joints, mine, self.tick_hz))
            self.plants.update(zip(joints, mine))
        if not self.boards:
            raise CellError(f"{cell_path}: no board has a port 'sim:NAME', so there is nothing to simulate")

    def __enter__(self) -> World:
        for board in self.boards:
            board.start()
        return self

    def __exit__(self, *_: object) -> None:
        for board in self.boards:
            board.close()

    def advance(self, ticks: int = 1) -> None:
        """Virtual time: let ``ticks`` ticks pass, each complete on every board before the next one begins."""
        for _ in range(ticks):
            for board in self.boards:
                board.collect(block=True)
            for board in self.boards:
                board.step(self.ticks * 1_000_000 // self.tick_hz)
            for board in self.boards:
                board.collect(block=True)
            self.ticks += 1

    def run(self, stop: Callable[[], bool]) -> None:
        """Real time: one tick a period until ``stop()`` is true. Boards whose program ended are started again.

        A board that has not finished its tick when the next is due gets that one later, and its world stands still
        meanwhile: on a busy machine simulated time slips, it does not tear.
        """
        timer = PeriodicTimer(1_000_000_000 // self.tick_hz)
        reboot_at: dict[str, float] = {}
        try:
            while not stop():
                late = timer.due_ns - time.monotonic_ns()
                if late > 0:
                    time.sleep(late / 1e9)
                if not timer.expirations():
                    continue
                now_us = time.monotonic_ns() // 1000
                for board in self.boards:
                    if board.collect(block=False):
                        board.step(now_us)
                    else:
                        board.slipped += 1
                    if not board.alive and time.monotonic() >= reboot_at.setdefault(
                        board.name, time.monotonic() + _REBOOT_S
                    ):
                        del reboot_at[board.name]
                        board.start()
                self.ticks += 1
        finally:
            timer.close()
