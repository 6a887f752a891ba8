"""An attacker on the path: every datagram between consoles and a bridge passes through its hands."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from bedside.surgeon.address import Endpoint

# What becomes of a datagram: after how many seconds which bytes arrive, none if it is lost.
Policy = Callable[[bytes], Iterable[tuple[float, bytes]]]


def pass_on(data: bytes) -> list[tuple[float, bytes]]:
    """Let a datagram through."""
    return [(0.0, data)]


def drop(_: bytes) -> list[tuple[float, bytes]]:
    """Let nothing through."""
    return []


@dataclass
class Heard:
    """A datagram that has passed, ``up`` towards the bridge."""

    up: bool
    data: bytes


class OnPath:
    """Stands between; ``up`` and ``down`` say what happens to datagrams."""

    def __init__(self, bridge: Endpoint) -> None:
        self.up: Policy = pass_on
        self.down: Policy = pass_on
        self._heard: list[Heard] | None = None
        self._bridge = bridge
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self.address: Endpoint = self._front.getsockname()
        # Of each console its own socket, so that the bridge can tell them apart, the newest last.
        self._backs: dict[Endpoint, socket.socket] = {}
        self._due: list[tuple[float, int, bool, bytes, Endpoint]] = []
        self._number = itertools.count()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def straight(self) -> None:
        """Do nothing to anybody."""
        self.up = self.down = pass_on

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[Heard]]:
        """Record what passes, as it was sent."""
        self._heard = heard = []
        try:
            yield heard
        finally:
            self._heard = None

    def inject(self, data: bytes, up: bool = True) -> None:
        """Send ``data`` as if the newest console had, or to it as if its bridge had."""
        console, back = next(reversed(self._backs.items()))
        with contextlib.suppress(OSError):
            back.send(data) if up else self._front.sendto(data, console)

    def close(self) -> None:
        """Leave the path."""
        self._over.set()
        self._thread.join()
        for each in (self._front, *self._backs.values()):
            each.close()

    def _run(self) -> None:
        while not self._over.is_set():
            wait = min(0.05, max(0.0, self._due[0][0] - time.monotonic())) if self._due else 0.05
            backs = {back: console for console, back in self._backs.items()}
            ready, _, _ = select.select([self._front, *backs], [], [], wait)
            for each in ready:
                with contextlib.suppress(OSError):
                    data, sender = each.recvfrom(1 << 16)
                    self._take(each is self._front, data, sender if each is self._front else backs[each])
            while self._due and self._due[0][0] <= time.monotonic():
                _, _, up, data, console = heapq.heappop(self._due)
                with contextlib.suppress(OSError):
                    self._backs[console].send(data) if up else self._front.sendto(data, console)

    def _take(self, up: bool, data: bytes, console: Endpoint) -> None:
        if console not in self._backs:
            self._backs[console] = back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.connect(self._bridge)
        if (heard := self._heard) is not None:
            heard.append(Heard(up, data))
        for delay_s, sent in (self.up if up else self.down)(data):
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._number), up, sent, console))
