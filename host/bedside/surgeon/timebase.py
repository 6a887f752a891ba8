"""Another computer's clock, by bounds that no delay can move.

A ping that left at ``sent``, was answered at ``theirs`` (their clock) and came back at ``received`` proves that their
clock minus ours was between ``theirs - received`` and ``theirs - sent``, whatever the network did. Bounds of several
pings hold together, each widened by what clocks may drift apart meanwhile (the minimum-round-trip filter of NTP, RFC
5905 section 10, as intervals: Marzullo and Owicki 1983). A delay that grows, however slowly, only makes new bounds
wider, so it is not learnt as drift: it shows in full in the age of what is delayed.
"""

from __future__ import annotations

# Quartz is within 100 parts in a million; two of them may drift apart.
DRIFT_PPM = 200
_UNKNOWN_US = 1 << 62


class Timebase:
    """Bounds of another clock minus ours, in microseconds."""

    def __init__(self) -> None:
        self.round_trip_us = 0
        self.samples = 0
        self._low_us = -_UNKNOWN_US
        self._high_us = _UNKNOWN_US
        self._at_us = 0

    def sample(self, sent_us: int, theirs_us: int, received_us: int) -> bool:
        """Take an answered ping; return False if it contradicts what held before: one of the clocks has been set.

        After that nothing is known, and a new session must begin.
        """
        low_us, high_us = self._bounds_us(received_us)
        self.round_trip_us = received_us - sent_us
        self.samples += 1
        low_us, high_us = max(low_us, theirs_us - received_us), min(high_us, theirs_us - sent_us)
        self._low_us, self._high_us, self._at_us = low_us, high_us, received_us
        return low_us <= high_us

    @property
    def is_known(self) -> bool:
        """Whether there was a ping at all."""
        return self.samples > 0

    def age_us(self, stamp_us: int, now_us: int) -> int:
        """Return how long ago ``stamp_us`` was by their clock, at best knowledge: at most ``error_us`` off."""
        low_us, high_us = self._bounds_us(now_us)
        return now_us - stamp_us + (low_us + high_us) // 2

    def error_us(self, now_us: int) -> int:
        """Return how far off ages may be."""
        low_us, high_us = self._bounds_us(now_us)
        return (high_us - low_us + 1) // 2

    def _bounds_us(self, now_us: int) -> tuple[int, int]:
        if not self.samples:
            return -_UNKNOWN_US, _UNKNOWN_US
        drift_us = (now_us - self._at_us) * DRIFT_PPM // 1_000_000 + 1
        return self._low_us - drift_us, self._high_us + drift_us
