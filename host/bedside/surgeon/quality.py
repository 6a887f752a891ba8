"""How the network treats a session's commands: loss, jitter, age; and when that is too bad to go on.

A trip pauses the arm before the boards' own clocks would, while everything that says why still gets through.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

# Of commands; less says little about a share.
_WINDOW = 100
_JUDGED_FROM = 20
# After more than this the console has counted on from another's sequence, or nothing came for longer than arms go on.
_LEAP = 500
# One command that is late may have been overtaken; three in a row are the network.
_LATE_IN_A_ROW = 3
# How much the jitter changes with each command, as RFC 3550, section 6.4.1.
_JITTER_SHARE = 16


@dataclass
class Limits:
    """What is borne: ages and round trips in microseconds, loss a share."""

    age_us: int
    round_trip_us: int
    loss: float


class Quality:
    """Figures of one session, from what has come. ``late`` and ``stale`` count what was dropped for it."""

    def __init__(self, limits: Limits) -> None:
        self.late = 0
        self.stale = 0
        self.jitter_us = 0.0
        self.age_us = 0
        self._limits = limits
        self._late_in_a_row = 0
        self._transit_us: int | None = None
        self._arrived: deque[int] = deque(maxlen=_WINDOW)

    @property
    def loss(self) -> float:
        """Return the share of the latest operator sequences that never came."""
        if len(self._arrived) < _JUDGED_FROM:
            return 0.0
        span = max(self._arrived) - min(self._arrived) + 1
        return max(0.0, 1 - len(self._arrived) / span)

    def arrived(self, seq: int, stamp_us: int, age_us: int, now_us: int) -> bool:
        """Note something that the console sent; return whether it is young enough to be acted on."""
        if self._arrived and abs(seq - self._arrived[-1]) > _LEAP:
            self._arrived.clear()
        self._arrived.append(seq)
        self.age_us = age_us
        transit_us = now_us - stamp_us
        if self._transit_us is not None:
            self.jitter_us += (abs(transit_us - self._transit_us) - self.jitter_us) / _JITTER_SHARE
        self._transit_us = transit_us
        if age_us <= self._limits.age_us:
            self._late_in_a_row = 0
            return True
        self.late += 1
        self._late_in_a_row += 1
        return False

    def trip(self, round_trip_us: int, unheard_us: int) -> str:
        """Return why the arm must pause, "" if it need not.

        ``round_trip_us`` is the quickest of the latest pings', ``unheard_us`` how long the console has answered none.
        """
        limits = self._limits
        if self._late_in_a_row >= _LATE_IN_A_ROW:
            return f"commands come {self.age_us / 1000:.0f} ms late; {limits.age_us / 1000:g} are allowed"
        if unheard_us > limits.round_trip_us:
            return f"the console has heard nothing for {unheard_us / 1000:.0f} ms: its commands may be blind"
        if round_trip_us > limits.round_trip_us:
            return f"the round trip takes {round_trip_us / 1000:.0f} ms; {limits.round_trip_us / 1000:g} are allowed"
        if self.loss > limits.loss:
            return f"{self.loss:.0%} of the commands are lost; {limits.loss:.0%} are allowed"
        return ""

    def forget(self) -> None:
        """Begin to judge anew, as after a pause; the counts go on."""
        self._late_in_a_row = 0
        self._arrived.clear()
        self._transit_us = None
