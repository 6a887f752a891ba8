"""The run loop of a simulated arm: a wire through a contact on every board, and a relay that feeds the drives."""

from __future__ import annotations

from collections.abc import Sequence

from bedside.sim.board import RUN_CONTACT, SimBoard


class SimRunLoop:
    """The wire and its relay, which lets go ``off_ticks`` after the wire died.

    ``cut`` (the wire is) and ``welded`` (boards whose contact never opens, by name) are its surroundings' to set.
    """

    def __init__(self, off_ticks: int) -> None:
        self.cut = False
        self.welded: set[str] = set()
        self._off_ticks = off_ticks
        self._ticks_left = 0

    def step(self, boards: Sequence[SimBoard]) -> None:
        """Let one period pass: the boards see the wire as it is now, and their drives are fed or not."""
        alive = not self.cut and all(board.outputs[RUN_CONTACT] or board.name in self.welded for board in boards)
        self._ticks_left = self._off_ticks if alive else max(0, self._ticks_left - 1)
        for board in boards:
            board.loop_alive = alive
            board.drives_fed = self._ticks_left > 0
