from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator

import pytest

from bedside.errors import LinkError
from bedside.link.port import SerialPort


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def url(server: socket.socket) -> str:
    return f"socket://127.0.0.1:{server.getsockname()[1]}"


def test_a_socket_is_a_port_that_never_waits(server: socket.socket) -> None:
    port = SerialPort(url(server), 115200)
    far, _ = server.accept()
    assert port.read() == b""
    far.sendall(b"\x03\x00 answer")
    assert select.select([port.fd], [], [], 5)[0]
    assert port.read() == b"\x03\x00 answer"
    port.write(b"command")
    assert far.recv(100) == b"command"
    # What the other side does not take is dropped; a write that waits would never return here.
    begun = time.monotonic()
    for _ in range(1000):
        port.write(b"x" * 65536)
    assert time.monotonic() - begun < 5
    port.close()
    far.close()


def test_frames_do_not_wait_for_acknowledgements(server: socket.socket) -> None:
    port = SerialPort(url(server), 115200)
    with socket.socket(fileno=os.dup(port.fd)) as same:
        assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
    port.close()


def test_a_socket_that_closes_has_disappeared(server: socket.socket) -> None:
    port = SerialPort(url(server), 115200)
    far, _ = server.accept()
    far.close()
    assert select.select([port.fd], [], [], 5)[0]
    with pytest.raises(LinkError, match=rf"port {url(server)}: disappeared .* check cable and power"):
        port.read()
    # The first one is lost on the way and brings the refusal back.
    port.write(b"late")
    time.sleep(0.1)
    with pytest.raises(LinkError, match="disappeared"):
        port.write(b"late")
    port.close()


def test_a_socket_that_nobody_serves_is_named_with_a_remedy(server: socket.socket) -> None:
    name = url(server)
    server.close()
    with pytest.raises(
        LinkError, match=rf"port {name}: cannot be reached \(Connection refused\); check that its server"
    ):
        SerialPort(name, 115200)


@pytest.mark.parametrize(
    "name", ["socket://", "socket://host", "socket://host:port", "socket://host:70000", "socket://:9"]
)
def test_an_address_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(LinkError, match=r"not an address; write socket://HOST:PORT"):
        SerialPort(name, 115200)
