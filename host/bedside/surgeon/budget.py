"""How often something may happen: token buckets, on whatever clock the caller has."""

from __future__ import annotations

_S = 1_000_000_000
# Of senders; a flood from more than these is held by the budget for all.
_TABLE = 256


class Budget:
    """``per_s`` times a second on average, ``burst`` times at once."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_ns = per_s / _S
        self._burst = burst
        self._left: float = burst
        self._at_ns: int | None = None

    def take(self, now_ns: int) -> bool:
        """Return whether it may happen now; then it counts as done."""
        since_ns = now_ns - (now_ns if self._at_ns is None else self._at_ns)
        self._at_ns = now_ns
        self._left = min(self._burst, self._left + since_ns * self._per_ns)
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Budgets:
    """A budget for each of the newest 256 senders."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._of: dict[object, Budget] = {}

    def take(self, sender: object, now_ns: int) -> bool:
        """Return whether it may happen to ``sender`` now."""
        # Taken out and put back, so that who has been silent longest comes first.
        budget = self._of.pop(sender, None) or Budget(self._per_s, self._burst)
        if len(self._of) >= _TABLE:
            del self._of[next(iter(self._of))]
        self._of[sender] = budget
        return budget.take(now_ns)
