"""The same stream of commands over other transports: plain UDP, and TLS over TCP.

    python -m wan.reference take udp|tls HOST:PORT CREDENTIALS LOG
    python -m wan.reference send udp|tls HOST:PORT CREDENTIALS HZ BYTES

Each message carries when it was sent, of the monotonic clock that all processes of a computer share. ``take`` writes
LOG when it is ended: pairs of int64, when a message came and when it was sent.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import ssl
import struct
import sys
import time
from array import array
from pathlib import Path

from bedside.clock import PeriodicTimer, be_on_time
from bedside.surgeon.address import Endpoint, parse_address
from bedside.surgeon.credentials import CERTIFICATE, KEY, SITE

_STAMP = struct.Struct(">q")
_CONNECT_S = 20.0


def _context(purpose: ssl.Purpose, folder: Path) -> ssl.SSLContext:
    """Return what both ends of TLS ask: a certificate of the site."""
    context = ssl.create_default_context(purpose, cafile=str(folder / SITE))
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    return context


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _take_udp(near: Endpoint, came: array[int]) -> None:
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(near)
    _ready()
    while True:
        data = end.recv(2048)
        came.extend((time.monotonic_ns(), *_STAMP.unpack_from(data)))


def _take_tls(near: Endpoint, folder: Path, came: array[int]) -> None:
    listener = socket.create_server(near)
    _ready()
    line = _context(ssl.Purpose.CLIENT_AUTH, folder).wrap_socket(listener.accept()[0], server_side=True)
    # TCP knows no messages: the length of each stands before it.
    buffer = b""
    while data := line.recv(1 << 16):
        now_ns = time.monotonic_ns()
        buffer += data
        while len(buffer) >= 2 and len(buffer) >= 2 + int.from_bytes(buffer[:2]):
            came.extend((now_ns, *_STAMP.unpack_from(buffer, 2)))
            buffer = buffer[2 + int.from_bytes(buffer[:2]) :]


def take(kind: str, near: Endpoint, folder: Path, log: Path) -> None:
    """Receive until SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    came = array("q")
    be_on_time()
    with contextlib.suppress(KeyboardInterrupt):
        if kind == "udp":
            _take_udp(near, came)
        else:
            _take_tls(near, folder, came)
            signal.pause()
    log.write_bytes(came.tobytes())


def send(kind: str, far: Endpoint, folder: Path, hz: float, size: int) -> None:
    """Send until SIGTERM; a sender that TCP has held up goes on with what is newest then."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    line: socket.socket
    if kind == "udp":
        line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        line.connect(far)
    else:
        raw = socket.create_connection(far, _CONNECT_S)
        # Without it a message waits until the one before is acknowledged.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = _context(ssl.Purpose.SERVER_AUTH, folder).wrap_socket(raw)
    length = b"" if kind == "udp" else size.to_bytes(2)
    timer = PeriodicTimer(round(1e9 / hz))
    be_on_time()
    with contextlib.suppress(KeyboardInterrupt, OSError):
        while True:
            select.select([timer.fd], [], [])
            if timer.expirations():
                line.sendall(length + _STAMP.pack(time.monotonic_ns()) + bytes(size - _STAMP.size))


def read_log(path: Path) -> list[tuple[int, int]]:
    """Return (came, sent) of each message, in ns."""
    numbers = array("q")
    numbers.frombytes(path.read_bytes())
    return list(zip(numbers[::2], numbers[1::2], strict=True))


if __name__ == "__main__":
    _, act, kind, address, folder, *rest = sys.argv
    if act == "take":
        take(kind, parse_address(address), Path(folder), Path(rest[0]))
    else:
        send(kind, parse_address(address), Path(folder), float(rest[0]), int(rest[1]))
