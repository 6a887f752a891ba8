"""One direction of a bad network: a seeded model in virtual time. It knows no sockets and no clock."""

from __future__ import annotations

import math
import random
from typing import Annotated

from msgspec import Meta, Struct

_MS = 1_000_000
_S = 1_000_000_000
# The 99th percentile of a normal distribution, in standard deviations.
_Z99 = 2.326
# After a silence of this length, what others sent before it has long left the queue or filled it to what it is now.
_FORGOTTEN_NS = 10 * _S

Milliseconds = Annotated[float, Meta(ge=0, le=60_000)]
Seconds = Annotated[float, Meta(ge=0, le=1e6)]
# Half of all datagrams at most: what loses more is cut, and for that there are outages.
Share = Annotated[float, Meta(ge=0, le=0.5)]
Kilobits = Annotated[float, Meta(ge=8, le=1e7)]


class Direction(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a path does to datagrams in one direction. Shares are of 1; a key that is left out does nothing.

    ``delay_ms`` is fixed. Jitter comes on top of it, lognormal, with ``jitter_ms`` its median and ``jitter_p99_ms`` its
    99th percentile; it wanders with the time constant ``jitter_memory_ms`` (0: each datagram draws anew). A late
    datagram holds up those behind it while ``keeps_order``, else they overtake it. Apart from that, a share ``reorder``
    is held back by ``reorder_ms`` and overtaken. ``loss`` is independent; ``burst_loss`` comes in bursts of
    ``burst_length`` datagrams in the mean. A share ``duplicate`` comes twice.

    ``rate_kbit_s`` is the bottleneck's, before which up to ``queue_bytes`` wait; what does not fit is lost. There
    others send ``others_kbit_s`` in the mean, in bursts of ``others_burst_bytes`` in the mean, at random times.

    ``outages`` are pairs of a beginning and a length in seconds; random ones begin ``outage_every_s`` after the last
    one's end and last ``outage_s``, both in the mean, both exponentially distributed.
    """

    delay_ms: Milliseconds = 0.0
    jitter_ms: Milliseconds = 0.0
    jitter_p99_ms: Milliseconds = 0.0
    jitter_memory_ms: Milliseconds = 0.0
    keeps_order: bool = True
    reorder: Share = 0.0
    reorder_ms: Milliseconds = 0.0
    loss: Share = 0.0
    burst_loss: Share = 0.0
    burst_length: Annotated[float, Meta(ge=1, le=10_000)] = 1.0
    duplicate: Share = 0.0
    rate_kbit_s: Kilobits | None = None
    # Room for a datagram of the largest size that passes an Ethernet; less would lose it on an idle path.
    queue_bytes: Annotated[int, Meta(ge=1500, le=100_000_000)] = 64_000
    others_kbit_s: Annotated[float, Meta(ge=0, le=1e7)] = 0.0
    others_burst_bytes: Annotated[float, Meta(ge=64, le=1e8)] = 30_000.0
    outages: list[tuple[Seconds, Seconds]] = []
    outage_every_s: Seconds = 0.0
    outage_s: Seconds = 0.0


class Impairment:
    """The network in one direction. The same seed and the same offers give the same deliveries.

    Directions of one ``seed`` that differ in ``way`` have their random outages at the same times, because a path
    that is cut is mostly cut both ways, and share nothing else.
    """

    def __init__(self, direction: Direction, seed: int, way: str = "") -> None:
        self._direction = direction
        self._random = random.Random(f"{seed} {way}")
        self._outages = _Outages(direction, random.Random(f"{seed} outages"))
        self._jitter = _Jitter(direction, self._random)
        self._queue = _Queue(direction, random.Random(f"{seed} {way} others")) if direction.rate_kbit_s else None
        self._in_burst = False
        self._newest_ns = 0

    def offer(self, size: int, now_ns: int) -> list[int]:
        """Send ``size`` bytes at ``now_ns``, which never goes back; return when its copies arrive, in ns; none: lost.

        ``size`` counts all that a bottleneck carries, headers included. Time begins at 0.
        """
        direction = self._direction
        if self._outages.at(now_ns) or self._is_lost():
            return []
        copies = 2 if self._random.random() < direction.duplicate else 1
        arrivals = [self._through(size, now_ns) for _ in range(copies)]
        return sorted(arrival for arrival in arrivals if arrival is not None)

    def _is_lost(self) -> bool:
        """Step the Gilbert-Elliott chain by one datagram, in whose bad state all is lost; add independent loss."""
        direction = self._direction
        if direction.burst_loss:
            leave = 1 / direction.burst_length
            enter = leave * direction.burst_loss / (1 - direction.burst_loss)
            self._in_burst = self._random.random() < (1 - leave if self._in_burst else enter)
        return self._in_burst or self._random.random() < direction.loss

    def _through(self, size: int, now_ns: int) -> int | None:
        """Return when one copy arrives, None if the queue is full."""
        direction = self._direction
        sent_ns = self._queue.offer(size, now_ns) if self._queue else now_ns
        if sent_ns is None:
            return None
        arrival_ns = sent_ns + round(direction.delay_ms * _MS) + self._jitter.at(now_ns)
        if direction.keeps_order:
            arrival_ns = max(arrival_ns, self._newest_ns)
        if self._random.random() < direction.reorder:
            return arrival_ns + round(direction.reorder_ms * _MS)
        self._newest_ns = max(arrival_ns, self._newest_ns)
        return arrival_ns


class _Jitter:
    """A lognormal delay whose logarithm is an Ornstein-Uhlenbeck process: its quantiles hold at any datagram rate."""

    def __init__(self, direction: Direction, source: random.Random) -> None:
        self._median_ns = direction.jitter_ms * _MS
        self._sigma = math.log(direction.jitter_p99_ms / direction.jitter_ms) / _Z99 if direction.jitter_ms else 0.0
        self._memory_ns = direction.jitter_memory_ms * _MS
        self._random = source
        self._deviation = source.gauss()
        self._then_ns = 0

    def at(self, now_ns: int) -> int:
        if not self._median_ns:
            return 0
        kept = math.exp((self._then_ns - now_ns) / self._memory_ns) if self._memory_ns else 0.0
        self._then_ns = now_ns
        self._deviation = kept * self._deviation + math.sqrt(1 - kept * kept) * self._random.gauss()
        return round(self._median_ns * math.exp(self._sigma * self._deviation))


class _Queue:
    """A bottleneck with a tail-drop queue, which others fill too."""

    def __init__(self, direction: Direction, source: random.Random) -> None:
        assert direction.rate_kbit_s
        self._ns_per_byte = 8 * 1e6 / direction.rate_kbit_s
        self._room = direction.queue_bytes
        self._free_ns = 0.0
        self._random = source
        self._burst = direction.others_burst_bytes
        bursts_per_s = direction.others_kbit_s * 1000 / 8 / self._burst
        self._interval_ns = _S / bursts_per_s if bursts_per_s else math.inf
        self._next_ns = self._after(0.0)

    def offer(self, size: int, now_ns: int) -> int | None:
        """Return when the last of ``size`` bytes has left the bottleneck, None if the queue has no room for it."""
        if self._next_ns < now_ns - _FORGOTTEN_NS:
            self._next_ns = self._after(now_ns - _FORGOTTEN_NS)
        while self._next_ns <= now_ns:
            self._add(min(self._random.expovariate(1 / self._burst), self._left(self._next_ns)), self._next_ns)
            self._next_ns = self._after(self._next_ns)
        if size > self._left(now_ns):
            return None
        return math.ceil(self._add(size, now_ns))

    def _left(self, now_ns: float) -> float:
        return self._room - max(0.0, self._free_ns - now_ns) / self._ns_per_byte

    def _add(self, size: float, now_ns: float) -> float:
        self._free_ns = max(self._free_ns, now_ns) + size * self._ns_per_byte
        return self._free_ns

    def _after(self, now_ns: float) -> float:
        return now_ns + self._random.expovariate(1.0) * self._interval_ns


class _Outages:
    """When nothing passes: at given times, and at random ones."""

    def __init__(self, direction: Direction, source: random.Random) -> None:
        self._given = [(round(at * _S), round((at + length) * _S)) for at, length in direction.outages]
        self._every_ns = direction.outage_every_s * _S
        self._length_ns = direction.outage_s * _S
        self._random = source
        self._end_ns = 0.0
        self._begin_next()

    def at(self, now_ns: int) -> bool:
        while self._end_ns <= now_ns:
            self._begin_next()
        return self._begin_ns <= now_ns or any(begin <= now_ns < end for begin, end in self._given)

    def _begin_next(self) -> None:
        if not self._every_ns:
            self._begin_ns = self._end_ns = math.inf
            return
        self._begin_ns = self._end_ns + self._random.expovariate(1.0) * self._every_ns
        self._end_ns = self._begin_ns + self._random.expovariate(1.0) * self._length_ns
