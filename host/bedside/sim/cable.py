"""The network between a console and a bridge: a UDP relay in a process of its own, whose cable SIGUSR1 pulls."""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import sys

from bedside.clock import be_on_time
from bedside.surgeon.protocol import DATAGRAM_MAX
from bedside.surgeon.server import Address, parse_address


def relay(near: Address, bridge: Address, copy_to: Address) -> None:
    """Forward between the console that sends to ``near`` and ``bridge`` until SIGUSR1; copy the console's part."""
    console_side, bridge_side = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    console_side.bind(near)
    console: Address | None = None
    pulled = []
    signal.signal(signal.SIGUSR1, lambda *_: pulled.append(True))
    be_on_time()
    with contextlib.closing(console_side), contextlib.closing(bridge_side):
        while True:
            for end in select.select([console_side, bridge_side], [], [])[0]:
                with contextlib.suppress(ConnectionError):
                    data, sender = end.recvfrom(DATAGRAM_MAX)
                    if pulled:
                        continue
                    if end is console_side:
                        console = sender
                        bridge_side.sendto(data, bridge)
                        bridge_side.sendto(data, copy_to)
                    elif console and sender == bridge:
                        console_side.sendto(data, console)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        relay(*(parse_address(text) for text in sys.argv[1:]))
