"""A stranger who has no certificate and reaches the bridge's port from another address."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from OpenSSL import SSL

from bedside.surgeon import protocol
from bedside.surgeon.dtls import drain
from theatre import Theatre

pytestmark = [pytest.mark.real_time, pytest.mark.requirement("authentic")]

CENTRE, FAST = [0.0] * 7, [1.0] * 7
# Less than a second of them makes a row; as fast as one thread sends.
FLOOD_S = 0.8


@pytest.fixture
def stranger(theatre: Theatre) -> Iterator[socket.socket]:
    with theatre.stranger("127.0.0.66") as stranger:
        yield stranger


def hello() -> bytes:
    """A ClientHello as a DTLS client begins with."""
    connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD), None)
    connection.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    return drain(connection)


def itp(sequence: int) -> bytes:
    """A packet as RAVEN's console sends it: 124 bytes, pedal down, 10 mm in each axis, its checksum right."""
    fields = [sequence, 0, 0, *[10_000] * 6, *[1.0] * 8, 0, 0, 0, 0, 1]
    return struct.pack("<3I6i8d6i", *fields, 1 + 6 * 10_000 + sequence)


def test_forge(theatre: Theatre, stranger: socket.socket) -> None:
    """forge commands in the clear, as CBOR and as RAVEN's packets -> not DTLS, so not read; the arm goes on"""

    def attack() -> None:
        for seq in range(1, 200):
            now = time.monotonic_ns() // 1000
            stranger.send(protocol.encode(protocol.Hello(protocol.VERSION, 200.0)))
            stranger.send(protocol.encode(protocol.ServoJp(1, seq << 20, now, True, CENTRE, FAST)))
            stranger.send(protocol.encode(protocol.StateCommand(1, seq << 20, now, "disable", 0.0)))
            stranger.send(protocol.encode(protocol.Ask(1, seq << 20, "stop", "")))
            stranger.send(itp(seq))
            time.sleep(0.002)

    theatre.goes_on(attack)
    with pytest.raises(BlockingIOError):
        stranger.recv(1, socket.MSG_DONTWAIT)


def test_one_packet_that_stops(theatre: Theatre, stranger: socket.socket) -> None:
    """one packet that asks for a stop, by a stranger, again and again -> the robot is not kept down; it goes on"""

    def attack() -> None:
        stop = protocol.encode(protocol.StateCommand(0, 1, 0, "disable", 0.0))
        alert = b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x00"
        for _ in range(300):
            stranger.send(stop)
            stranger.send(alert)
            time.sleep(0.001)

    theatre.goes_on(attack)


def test_oversized_and_garbage(theatre: Theatre, stranger: socket.socket) -> None:
    """oversized and garbage datagrams, 0 to 65 kB, some that begin like DTLS -> dropped; the arm goes on"""

    def attack() -> None:
        rng = random.Random(2)
        end = time.monotonic() + FLOOD_S
        while time.monotonic() < end:
            head = rng.choice([b"", b"\x16\xfe\xfd", b"\x17\xfe\xfd\0\1", b"\x16\xfe\xff" + bytes(8)])
            size = rng.choice([0, 1, 13, 14, 100, 1200, 1500, 4096, 4353, 65_400])
            stranger.send(head + rng.randbytes(size))
            time.sleep(0.0003)

    theatre.goes_on(attack)


def test_handshake_flood(theatre: Theatre) -> None:
    """flood of ClientHellos from 200 addresses -> answered by a cookie at most; the arm goes on, and others get in"""
    flood = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(200)]
    try:
        for number, each in enumerate(flood):
            each.bind((f"127.0.1.{number + 1}", 0))
            each.connect(theatre.bridge_address)
        first = hello()

        def attack() -> None:
            end = time.monotonic() + FLOOD_S
            number = 0
            while time.monotonic() < end:
                flood[number % len(flood)].send(first)
                number += 1
                time.sleep(0.0002)

        theatre.goes_on(attack)
        theatre.call("observer").close()
    finally:
        for each in flood:
            each.close()


def test_handshakes_left_open(theatre: Theatre) -> None:
    """handshakes begun with a cookie and left open -> few are kept, and not for long; the arm goes on, others get in"""
    opened = []
    try:

        def attack() -> None:
            for number in range(20):
                each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                each.bind((f"127.0.2.{number + 1}", 0))
                each.connect(theatre.bridge_address)
                each.settimeout(0.05)
                opened.append(each)
                connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD), None)
                connection.set_connect_state()
                for _ in range(2):
                    with pytest.raises(SSL.WantReadError):
                        connection.do_handshake()
                    each.send(drain(connection))
                    try:
                        connection.bio_write(each.recv(2000))
                    except TimeoutError:
                        break

        theatre.goes_on(attack)
        time.sleep(0.5)
        theatre.call("observer").close()
    finally:
        for each in opened:
            each.close()
