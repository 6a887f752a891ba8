from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from bedside.errors import SurgeonError
from bedside.surgeon import protocol
from bedside.surgeon.server import Server, parse_address

S = 1_000_000_000
Message = protocol.ServoJp | protocol.StateCommand


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), [])
    server.socket.settimeout(5)
    yield server
    server.close()


@pytest.fixture
def consoles(server: Server) -> Iterator[list[socket.socket]]:
    ends = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for end in ends:
        end.connect(server.address)
        end.settimeout(5)
    yield ends
    for end in ends:
        end.close()


def told(console: socket.socket) -> str:
    message = protocol.to_console(console.recv(4096))
    assert isinstance(message, protocol.Notice)
    return message.text


@pytest.mark.parametrize("address", ["0.0.0.0:36010", "192.0.2.1:36010", "[::1]:36010"])
def test_any_address_but_loopback_is_refused_with_the_reason(address: str) -> None:
    with pytest.raises(SurgeonError, match=r"not authenticated|expected HOST:PORT"):
        parse_address(address)


@pytest.mark.parametrize("address", ["here", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(SurgeonError, match="address"):
        parse_address(address)


def test_a_port_in_use_is_named(server: Server) -> None:
    with pytest.raises(SurgeonError, match="is another bridge running"):
        Server(server.address, [])


def test_one_console_has_the_arm_and_others_are_told(server: Server, consoles: list[socket.socket]) -> None:
    first, second = consoles
    first.send(protocol.encode(protocol.StateCommand(1, 1, "enable", 200.0)))
    assert server.receive(0, True) is not None
    for message in (protocol.StateCommand(2, 1, "enable", 200.0), protocol.ServoJp(2, 5, [0.0], [0.0])):
        second.send(protocol.encode(message))
        with pytest.raises(SurgeonError):
            server.receive(S // 10, False)
        told(second)
    first.send(protocol.encode(protocol.ServoJp(1, 2, [0.0], [0.0])))
    assert server.receive(S // 5, False) == protocol.ServoJp(1, 2, [0.0], [0.0])


def test_anyone_may_stop_the_arm(server: Server, consoles: list[socket.socket]) -> None:
    first, second = consoles
    first.send(protocol.encode(protocol.StateCommand(1, 1, "enable", 200.0)))
    server.receive(0, True)
    second.send(protocol.encode(protocol.StateCommand(2, 1, "disable", 0.0)))
    assert server.receive(S // 10, False) == protocol.StateCommand(2, 1, "disable", 0.0)
    assert server.session == 1, "the arm stays with the first console"


def test_a_console_that_left_an_arm_at_rest_makes_way(server: Server, consoles: list[socket.socket]) -> None:
    first, second = consoles
    first.send(protocol.encode(protocol.StateCommand(1, 1, "attach", 0.0)))
    server.receive(0, True)
    second.send(protocol.encode(protocol.StateCommand(2, 1, "attach", 0.0)))
    assert server.receive(3 * S, True) is not None
    assert server.session == 2


def test_a_flood_of_junk_gets_few_answers(server: Server, consoles: list[socket.socket]) -> None:
    for _ in range(200):
        consoles[0].send(b"junk")
        with pytest.raises(SurgeonError):
            server.receive(time.monotonic_ns(), True)
    consoles[0].setblocking(False)
    answers = 0
    with contextlib.suppress(BlockingIOError):
        while consoles[0].recv(4096):
            answers += 1
    assert answers <= 20
    assert server.refused == 200


def test_what_was_sent_once_does_not_enable_again(server: Server, consoles: list[socket.socket]) -> None:
    first, second = consoles
    enable = protocol.encode(protocol.StateCommand(1, 5, "enable", 200.0))
    first.send(enable)
    assert server.receive(0, True) is not None
    first.send(enable)
    with pytest.raises(SurgeonError, match="enable 5 is not newer than 5"):
        server.receive(1, True)
    second.send(protocol.encode(protocol.StateCommand(2, 1, "attach", 0.0)))
    assert server.receive(3 * S, True) is not None
    first.send(enable)
    with pytest.raises(SurgeonError, match="this session has ended"):
        server.receive(6 * S, True)


def test_a_console_that_detaches_from_an_arm_at_rest_makes_way_at_once(
    server: Server, consoles: list[socket.socket]
) -> None:
    first, second = consoles
    first.send(protocol.encode(protocol.StateCommand(1, 1, "attach", 0.0)))
    server.receive(0, True)
    for arm_is_off in (False, True):
        first.send(protocol.encode(protocol.StateCommand(1, 2, "detach", 0.0)))
        server.receive(1, arm_is_off)
        second.send(protocol.encode(protocol.StateCommand(2, 1, "attach", 0.0)))
        if arm_is_off:
            assert server.receive(2, arm_is_off) is not None
        else:
            with pytest.raises(SurgeonError, match="another console has the arm"):
                server.receive(2, arm_is_off)
