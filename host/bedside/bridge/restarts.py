"""Boards that have restarted: what they were told is forgotten, and without it they take no proof of a console.

So they are configured anew as soon as the arm is off, and not only when somebody enables it, who waits for the proof.
"""

from __future__ import annotations

from collections.abc import Callable

from bedside.bridge.connect import configure
from bedside.cell import Cell
from bedside.errors import BedsideError
from bedside.link.board import BoardLink
from bedside.link.messages import Feedback

# One that cannot be configured says why, and holds the bridge up meanwhile: not more often than this.
_AGAIN_NS = 2_000_000_000


class Restarts:
    """Of the boards behind ``links``. ``tell`` gets a line for one that cannot be configured."""

    def __init__(self, cell: Cell, links: list[BoardLink], tell: Callable[[str], None]) -> None:
        self._cell = cell
        self._links = links
        self._tell = tell
        # Which have restarted, and are not configured yet.
        self._boards: set[int] = set()
        self._again_ns = 0

    def saw(self, board: int, before: Feedback | None, now: Feedback) -> None:
        """Note what a board says after what it said ``before``: where ticks begin anew it has restarted.

        Or its counter has wrapped, after twelve days; then it is configured once more, which changes nothing.
        """
        if before and now.tick < before.tick:
            self._boards.add(board)

    def configure(self, command_hz: float, now_ns: int) -> None:
        """Configure who has restarted; the arm must be off."""
        if not self._boards or now_ns < self._again_ns:
            return
        try:
            configure(self._cell, self._links, command_hz, self._boards)
        except BedsideError as error:
            self._tell(str(error))
            self._again_ns = now_ns + _AGAIN_NS
        else:
            self._boards.clear()
