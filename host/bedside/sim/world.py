"""Simulated boards on a common clock: real time for people, virtual time in lockstep for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bedside.boardfile import load_board_type
from bedside.cell import Cell
from bedside.clock import PeriodicTimer
from bedside.errors import BedsideError, CellError
from bedside.places import sim_directory
from bedside.sim.board import Chip, SimBoard, unix_port
from bedside.sim.plant import Plant, load_plants
from bedside.sim.run_loop import SimRunLoop

# A board whose program ended comes back after this long, as one does that its hardware watchdog resets.
_REBOOT_S = 0.5
# Ten ticks are two commands at 200 Hz, after which a setpoint begins to slow down.
_CATCH_UP_TICKS = 10


class World:
    """The simulated boards of a cell. Use as a context manager; boards are started on entry.

    ``directory`` gets their ports; ``main`` is another program for them than the firmware's, ``chip`` what runs it.
    ``run_loop`` is None if the arm has none.
    """

    def __init__(
        self,
        cell: Cell,
        cell_path: Path,
        directory: Path | None = None,
        main: Path | None = None,
        chip: Chip = unix_port,
    ) -> None:
        if not any(slot.port.startswith("sim:") for slot in cell.board):
            raise CellError(f"{cell_path}: no board has a port 'sim:NAME', so there is nothing to simulate")
        if cell.arm.plants is None:
            raise CellError(
                f"{cell_path}: arm.plants is missing: a simulated arm needs a file that describes its motors"
            )
        where = directory or sim_directory()
        self.boards: list[SimBoard] = []
        self.plants: dict[str, Plant] = {}
        self.ticks = 0
        rates = {load_board_type(board.type).tick_hz for board in cell.board}
        if len(rates) != 1:
            raise CellError(f"{cell_path}: simulated boards must share one tick_hz, these have {sorted(rates)}")
        self.tick_hz = rates.pop()
        loop = cell.arm.run_loop
        self.run_loop = SimRunLoop(round(loop.relay_off_ms * self.tick_hz / 1000)) if loop else None
        plants = load_plants(cell_path.parent / cell.arm.plants, [joint.name for joint in cell.joint], 1 / self.tick_hz)
        for slot in cell.board:
            if not slot.port.startswith("sim:"):
                continue
            joints = [joint.name for _, joint in cell.joints_of(slot.name)]
            mine = [plants[name] for name in joints]
            name = slot.port.removeprefix("sim:")
            try:
                self.boards.append(SimBoard(where, name, joints, mine, self.tick_hz, main, chip))
            except BedsideError:
                self.__exit__()
                raise
            self.plants.update(zip(joints, mine, strict=True))

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
            self.step(self.ticks * 1_000_000 // self.tick_hz)

    def step(self, time_us: int) -> None:
        """Virtual time: let one tick pass, at ``time_us`` by the boards' clocks."""
        self._tick(time_us)
        for board in self.boards:
            board.collect()

    def _tick(self, time_us: int) -> None:
        """One tick of every board, once each has finished its last one."""
        for board in self.boards:
            board.collect()
        if self.run_loop:
            self.run_loop.step(self.boards)
        for board in self.boards:
            board.step(time_us)
        self.ticks += 1

    def run(self, stop: Callable[[], bool]) -> None:
        """Real time: one tick a period until ``stop()`` is true. Boards whose program ended are started again.

        When the machine wakes this process late, the ticks owed are made up for at once, but not more of them than
        an arm bears without slowing: after a longer pause simulated time has slipped, as if the world had stood still.
        """
        timer = PeriodicTimer(1_000_000_000 // self.tick_hz)
        reboot_at: dict[str, float] = {}
        try:
            while not stop():
                late = timer.due_ns - time.monotonic_ns()
                if late > 0:
                    time.sleep(late / 1e9)
                for _ in range(min(timer.expirations(), _CATCH_UP_TICKS)):
                    self._tick(self.ticks * 1_000_000 // self.tick_hz)
                for board in self.boards:
                    down = not board.alive and not board.in_maintenance
                    due = reboot_at.setdefault(board.name, time.monotonic() + _REBOOT_S) if down else 0
                    if due and time.monotonic() >= due:
                        del reboot_at[board.name]
                        board.start()
        finally:
            timer.close()
