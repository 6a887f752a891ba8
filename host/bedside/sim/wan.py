"""``bedside wan``: a bad network between consoles and a bridge, in a process of its own.

It is accurate to well under a millisecond where the computer lets it; how late it was itself, it counts and says.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate, count

from bedside.clock import Alarm, be_on_time
from bedside.errors import SurgeonError
from bedside.sim.figures import Figures
from bedside.sim.impairment import Impairment
from bedside.surgeon.address import Endpoint

Deliver = Callable[[bytes], object]

# What IPv4 and UDP put before each datagram; a bottleneck carries it too.
_HEADERS = 28
_DATAGRAM_MAX = 65_535
# Taken at once, so that a flood cannot keep the loop from what is due.
_AT_ONCE = 16
# Each has a socket of its own, and a process mostly has 1024 files.
_CONSOLES = 256
# What a console and a bridge send in about a second waits in a socket while this process does not get the CPU.
_SOCKET_BYTES = 1 << 20
_SHOWN_EVERY_S = 0.25
# The resolution of the delays that are counted, so that they need little memory however long it runs.
_STEP_NS = 10_000


class Way:
    """One direction: its impairment, and what has become of what was offered to it. ``is_open``: something passes."""

    def __init__(self, name: str, impairment: Impairment, is_open: bool = True) -> None:
        self.name = name
        self.impairment = impairment
        self.is_open = is_open
        self.sent = self.lost = self.duplicated = 0
        self.delays: Counter[int] = Counter()
        self.late: Counter[int] = Counter()

    def __str__(self) -> str:
        share = 100 * self.lost / max(1, self.sent)
        p50, p99 = (_percentile(self.delays, percent) for percent in (50, 99))
        return (
            f"{self.name}: {self.sent} sent, {self.lost} lost ({share:.2f} %), {self.duplicated} duplicated, "
            f"delayed p50 {p50:.2f} ms, p99 {p99:.2f} ms (late itself p99 {_percentile(self.late, 99):.2f} ms)"
        )


class Wan:
    """The loop: takes what comes on descriptors, keeps it as long as the impairment says, and delivers it.

    Within its context SIGUSR1 begins and ends an outage, SIGINT and SIGTERM end ``run``. Use it in the main thread.
    """

    def __init__(self, up: Way, down: Way) -> None:
        self.up, self.down = up, down
        self._takers: dict[int, Callable[[], None]] = {}
        self._due: list[tuple[int, int, int, bytes, Deliver, Way]] = []
        self._number = count()
        self._begun_ns = time.monotonic_ns()
        self._is_cut = False
        self._is_over = False

    def __enter__(self) -> Wan:
        self._poller = select.epoll()
        self._alarm = Alarm()
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._poller.register(self._alarm.fd, select.EPOLLIN)
        self.watch(self._wake_in, self._signals)
        # Handlers that do nothing: what counts is the number that the interpreter writes to the pipe.
        numbers = (signal.SIGUSR1, signal.SIGINT, signal.SIGTERM)
        self._handlers = {number: signal.signal(number, lambda *_: None) for number in numbers}
        self._wakeup = signal.set_wakeup_fd(self._wake_out)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._alarm.close()
        self._poller.close()
        os.close(self._wake_in)
        os.close(self._wake_out)

    def watch(self, fd: int, take: Callable[[], None]) -> None:
        """Call ``take`` whenever ``fd`` has something; it takes a little of that, not all that may come."""
        self._takers[fd] = take
        self._poller.register(fd, select.EPOLLIN)

    def forget(self, fd: int) -> None:
        """Watch ``fd`` no longer."""
        del self._takers[fd]
        self._poller.unregister(fd)

    def pass_on(self, way: Way, data: bytes, size: int, deliver: Deliver) -> None:
        """Send ``data``, which takes ``size`` bytes on the path, that ``way``."""
        now_ns = time.monotonic_ns()
        way.sent += 1
        # An impairment sees every datagram, so that a cut does not change what comes after it.
        times = way.impairment.offer(size, now_ns - self._begun_ns)
        if self._is_cut or not way.is_open or not times:
            way.lost += 1
            return
        way.duplicated += len(times) - 1
        for at_ns in times:
            due = (self._begun_ns + at_ns, next(self._number), now_ns, data, deliver, way)
            heapq.heappush(self._due, due)

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        be_on_time()
        with contextlib.closing(Figures()) as figures:
            shown_ns = 0
            while not self._is_over:
                self._deliver()
                self._alarm.set(self._due[0][0] if self._due else None)
                for fd, _ in self._poller.poll(_SHOWN_EVERY_S if figures.are_seen else None):
                    # One that was forgotten in this round may still have been ready.
                    if take := self._takers.get(fd):
                        take()
                if figures.are_seen and time.monotonic_ns() - shown_ns > _SHOWN_EVERY_S * 1e9:
                    shown_ns = time.monotonic_ns()
                    figures.show(f"{self.up}\n{self.down}{chr(10) + 'cut (SIGUSR1)' if self._is_cut else ''}")

    def _deliver(self) -> None:
        while self._due and self._due[0][0] <= time.monotonic_ns():
            due_ns, _, taken_ns, data, deliver, way = heapq.heappop(self._due)
            # Nobody there, or gone meanwhile: on a network too, nobody would say so.
            with contextlib.suppress(OSError):
                deliver(data)
            now_ns = time.monotonic_ns()
            way.delays[(now_ns - taken_ns) // _STEP_NS] += 1
            way.late[(now_ns - due_ns) // _STEP_NS] += 1

    def _signals(self) -> None:
        for number in os.read(self._wake_in, 64):
            if number == signal.SIGUSR1:
                self._is_cut = not self._is_cut
            else:
                self._is_over = True


class Consoles:
    """The sockets: one for all consoles, and towards the bridge one for each, so that it can tell them apart."""

    def __init__(self, wan: Wan, near: Endpoint, bridge: Endpoint) -> None:
        self._wan = wan
        self._bridge = bridge
        self._near = _socket()
        self._towards_bridge: dict[Endpoint, socket.socket] = {}
        self._heard: dict[Endpoint, int] = {}
        try:
            self._near.bind(near)
        except OSError as error:
            self._near.close()
            raise SurgeonError(
                f"address {near[0]}:{near[1]}: {error.strerror}; give --listen an address of this computer that is free"
            ) from None
        self.address: Endpoint = self._near.getsockname()
        wan.watch(self._near.fileno(), self._from_consoles)

    def close(self) -> None:
        """Give the sockets back."""
        for end in (self._near, *self._towards_bridge.values()):
            end.close()

    def _from_consoles(self) -> None:
        for data, console in _received(self._near):
            far = self._towards_bridge.get(console) or self._admit(console)
            self._heard[console] = time.monotonic_ns()
            self._wan.pass_on(self._wan.up, data, len(data) + _HEADERS, far.send)

    def _admit(self, console: Endpoint) -> socket.socket:
        if len(self._towards_bridge) >= _CONSOLES:
            silent = min(self._heard, key=lambda one: self._heard[one])
            del self._heard[silent]
            old = self._towards_bridge.pop(silent)
            self._wan.forget(old.fileno())
            old.close()
        far = _socket()
        far.connect(self._bridge)
        self._towards_bridge[console] = far
        self._wan.watch(far.fileno(), lambda: self._from_bridge(far, console))
        return far

    def _from_bridge(self, far: socket.socket, console: Endpoint) -> None:
        for data, _ in _received(far):
            self._wan.pass_on(self._wan.down, data, len(data) + _HEADERS, lambda data: self._near.sendto(data, console))


def _socket() -> socket.socket:
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setblocking(False)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BYTES)
    return end


def _received(end: socket.socket) -> Iterator[tuple[bytes, Endpoint]]:
    """Yield some of what waits at ``end``."""
    for _ in range(_AT_ONCE):
        try:
            yield end.recvfrom(_DATAGRAM_MAX)
        except BlockingIOError:
            return
        except ConnectionError:
            continue  # nobody listened to an earlier one


def _percentile(counts: Counter[int], percent: float) -> float:
    """Return a percentile in ms of delays that were counted, 0 if there are none."""
    steps = sorted(counts)
    rank = percent / 100 * counts.total()
    reached = accumulate(counts[step] for step in steps)
    return next((step for step, so_far in zip(steps, reached, strict=True) if so_far >= rank), 0) * _STEP_NS / 1e6


def run_relay(up: Way, down: Way, near: Endpoint, bridge: Endpoint, title: str) -> None:
    """Be the network between ``near``, where consoles send to, and ``bridge``, until SIGINT or SIGTERM.

    Raises SurgeonError.
    """
    if near == bridge:
        raise SurgeonError(
            f"address {near[0]}:{near[1]}: --listen and --to are the same; consoles need one of their own"
        )
    with Wan(up, down) as wan, contextlib.closing(Consoles(wan, near, bridge)) as consoles:
        host, port = consoles.address
        sys.stdout.write(f"{host}:{port} -> {bridge[0]}:{bridge[1]}: {title}\n")
        sys.stdout.flush()
        wan.run()
    sys.stdout.write(f"{up}; {down}\n")
