"""What the boards report of faults and refusals, as lines for people: each with its joint, and not too many of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from bedside.cell import Cell
from bedside.link import causes
from bedside.link.messages import PROOF_REFUSALS, Event
from bedside.surgeon.budget import Budget

# A board refuses each command of a stream that it cannot follow, and nobody reads hundreds of lines a second; telling
# them to every console would take the loop's time. Faults are few, because they latch, and all are told.
_REFUSALS_PER_S, _REFUSALS_BURST = 2, 10
# Tokens: as many as are under way to an arm of some boards by satellite.
_REFUSED_PROOFS, _REFUSED_NS = 100, 3_000_000_000


class Reports:
    """Of the boards of a cell; ``tell`` gets the lines."""

    def __init__(self, cell: Cell, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._joints = [[joint.name for _, joint in cell.joints_of(slot.name)] for slot in cell.board]
        self._refusals = [Budget(_REFUSALS_PER_S, _REFUSALS_BURST) for _ in cell.board]
        self._untold = [0] * len(cell.board)
        self._refused_ns: deque[int] = deque(maxlen=_REFUSED_PROOFS)

    def take(self, board: int, label: str, event: Event, now_ns: int) -> str:
        """Tell of what ``board`` reports, unless it is one of too many; return the line."""
        joints = self._joints[board]
        joint = f", joint '{joints[event.channel]}'" if 0 <= event.channel < len(joints) else ""
        text = causes.explain(event, label + joint)
        if event.code in PROOF_REFUSALS and not self._is_often(now_ns):
            return text
        if not event.is_fault and not self._refusals[board].take(now_ns):
            self._untold[board] += 1
            return text
        untold, self._untold[board] = self._untold[board], 0
        self._tell(f"{text} ({untold} more refusals of this board were not told)" if untold else text)
        return text

    def _is_often(self, now_ns: int) -> bool:
        """Return whether so many tokens were refused lately that it is worth telling, and count one more.

        A few are refused each time a board has gone off: they were under way when it forgot what they were made for.
        """
        self._refused_ns.append(now_ns)
        return len(self._refused_ns) == _REFUSED_PROOFS and now_ns - self._refused_ns[0] < _REFUSED_NS
