"""The sessions of consoles: who they are, what of theirs counts, and what the network does to it.

Newest wins: what is late, repeated, reordered or replayed is counted and never acted on. Knows neither sockets nor the
arm; messages and the time come in.
"""

from __future__ import annotations

import secrets
from collections import deque

from bedside.errors import SurgeonError
from bedside.surgeon import protocol
from bedside.surgeon.authority import LOCAL
from bedside.surgeon.parts import Joiner
from bedside.surgeon.playout import Playout
from bedside.surgeon.quality import Limits, Quality
from bedside.surgeon.timebase import Timebase

# How often a console is asked the time, and told the figures.
PING_US = 100_000
# A console that has sent nothing for this long has left: it answers ten pings a second.
GONE_US = 2_000_000
# The quickest of so many pings says what the network needs now: half a second of them.
_PINGS = 5
# As many pings as are under way on the longest path that is allowed, and some that were lost.
_ASKED = 30
# At most so many refusals a second are told: whoever sends junk needs no more. Those of a stream of commands are fewer,
# so that they do not crowd out the answer to what a person asks for.
_NOTICES_PER_S = 10
_STREAM_NOTICES_US = 200_000
_S_US = 1_000_000


class Session:
    """One console's, from its Hello on. ``name`` and ``role`` are those of its certificate."""

    def __init__(self, name: str, role: str, feedback_hz: float, limits: Limits, playout_max_us: int) -> None:
        # Not to be guessed, so that what was said in another session is not taken for this one's.
        self.number = 1 + secrets.randbelow(0x7FFFFFFE)
        self.name = name
        self.role = role
        self.newest_seq = 0
        self.timebase = Timebase()
        self.quality = Quality(limits)
        self.playout = Playout(playout_max_us)
        self.joiner = Joiner()
        # Whether it has taken the arm up by a deliberate act since it has it.
        self.has_engaged = False
        self._period_us = round(_S_US / feedback_hz)
        self._fed_us = 0
        self._pinged_us = 0
        # Pings that are not answered yet.
        self._asked_us: deque[int] = deque(maxlen=_ASKED)
        self._heard_us = 0
        self._answered_us = 0
        self._round_trips_us: deque[int] = deque(maxlen=_PINGS)
        self._notices = 0
        self._notices_since_us = 0
        self._stream_notice_us = 0

    @property
    def is_local(self) -> bool:
        """Whether it is the local operator's."""
        return self.role == LOCAL

    @property
    def round_trip_us(self) -> int:
        """The quickest of the latest pings."""
        return min(self._round_trips_us, default=0)

    def begin(self, now_us: int) -> None:
        """Let time run from here."""
        self._heard_us = self._answered_us = now_us

    def takes(self, message: protocol.ServoJp | protocol.StateCommand | protocol.Ask, now_us: int) -> bool:
        """Return whether ``message`` counts: of this session, newer than all before, and not late.

        Raises SurgeonError for one of another session, or before the clocks are known.
        """
        if message.session != self.number:
            raise SurgeonError("this is another session's; sessions end when their console is gone, begin a new one")
        if isinstance(message, protocol.Ask):
            # Late or not, it is what a person asked for.
            return self._is_newest(message.seq)
        if not self.timebase.is_known:
            raise SurgeonError("how old commands are is not known yet; answer a ping first")
        age_us = self.timebase.age_us(message.stamp_us, now_us)
        young = self.quality.arrived(message.seq, message.stamp_us, age_us, now_us)
        if isinstance(message, protocol.StateCommand) and message.command in ("disable", "pause"):
            # What stops is taken however late it is.
            self._is_newest(message.seq)
            return True
        return self._is_newest(message.seq) and young

    def answered(self, pong: protocol.Pong, now_us: int) -> None:
        """Take the answer to a ping. Raises SurgeonError if the console's clock was set meanwhile."""
        if pong.session != self.number or pong.sent_us not in self._asked_us:
            return
        self._asked_us.remove(pong.sent_us)
        self._answered_us = now_us
        self._round_trips_us.append(now_us - pong.sent_us)
        if not self.timebase.sample(pong.sent_us, pong.stamp_us, now_us):
            raise SurgeonError("the console's clock has been set, so nobody knows how old its commands are")

    def heard(self, now_us: int) -> None:
        """Note that something of the console's has come."""
        self._heard_us = now_us

    def is_gone(self, now_us: int) -> bool:
        """Return whether the console has left without a word."""
        return now_us - self._heard_us > GONE_US

    def trip(self, now_us: int) -> str:
        """Return why an arm that this console moves must pause, "" if it need not."""
        return self.quality.trip(self.round_trip_us, now_us - self._answered_us)

    def wants_ping(self, now_us: int) -> bool:
        """Return whether a ping is due, and count it as sent."""
        if now_us - self._pinged_us < PING_US:
            return False
        self._pinged_us = now_us
        self._asked_us.append(now_us)
        return True

    def wants_feedback(self, now_us: int, cycle_us: int) -> bool:
        """Return whether feedback is due, if the next chance may be ``cycle_us`` later; count it as sent."""
        if now_us - self._fed_us + cycle_us // 2 < self._period_us:
            return False
        self._fed_us = now_us
        return True

    def may_tell(self, now_us: int, is_streamed: bool) -> bool:
        """Return whether it is to be told of a refusal, or has been told often enough."""
        if is_streamed:
            if now_us - self._stream_notice_us < _STREAM_NOTICES_US:
                return False
            self._stream_notice_us = now_us
            return True
        if now_us - self._notices_since_us > _S_US:
            self._notices_since_us = now_us
            self._notices = 0
        self._notices += 1
        return self._notices <= _NOTICES_PER_S

    def figures(self) -> protocol.Figures:
        """Return what the network does, for the console's screen."""
        quality = self.quality
        return protocol.Figures(
            self.round_trip_us / 1000,
            quality.age_us / 1000,
            quality.jitter_us / 1000,
            quality.loss,
            self.playout.delay_us / 1000,
            quality.late,
            quality.stale,
        )

    def _is_newest(self, seq: int) -> bool:
        if seq <= self.newest_seq:
            self.quality.stale += 1
            return False
        self.newest_seq = seq
        return True
