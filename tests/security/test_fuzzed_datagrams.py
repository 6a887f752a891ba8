"""Fuzzed datagrams at the bridge's sockets, before and after the handshake."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from OpenSSL import SSL

from bedside.cell import load_cell
from bedside.errors import SurgeonError
from bedside.hil.lockstep import PSM
from bedside.surgeon import protocol
from bedside.surgeon.credentials import load_credentials
from bedside.surgeon.dtls import drain
from bedside.surgeon.find import issue_for_once
from bedside.surgeon.link import Link
from bedside.surgeon.quality import Limits
from bedside.surgeon.remote import Remote, Route
from bedside.surgeon.server import Request, Server, Site
from bedside.surgeon.sessions import Session
from bedside.surgeon.welcome import welcome
from fuzzing import mutated

pytestmark = pytest.mark.requirement("authentic")

# `make attacks` sends a million.
DATAGRAMS = int(os.environ.get("FUZZED_DATAGRAMS", "20000"))
SEED = 20_261_123
# A bridge takes as many at once.
_AT_ONCE = 16
_TELL_EVERY = 500
_PATIENCE_S = 1.0
_GROWTH_MAX = 8 << 20
_PAGE = resource.getpagesize()


class Served:
    """A server with its real sockets, and alice, who has the arm."""

    def __init__(self, folder: Path) -> None:
        cell = load_cell(PSM)
        issue_for_once(folder, {"bridge": "bridge", "alice": "surgeon", "trainee": "trainee"})
        self.folder = folder
        site = Site(("127.0.0.1", 0), welcome(cell, [1, 1, 1]), Limits(400_000, 1_000_000, 0.3), 40_000)
        self.server = Server(site, load_credentials(folder / "bridge"), lambda _: None)
        self.alice: Link | None = None
        self.alice = self.call("alice")
        self.server.authority.armed = True
        self.alice.ask("request")
        ((session, _),) = self.serve_once()
        self.server.authority.request(session.name)

    def serve_once(self) -> list[tuple[Session, Request]]:
        now_us = time.monotonic_ns() // 1000
        came = self.server.receive(now_us)
        self.server.tick(now_us)
        return came

    def call(self, name: str) -> Link:
        """Let a console in; its handshake needs the server at the same time."""
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                self.serve_once()
                if self.alice:
                    self.alice.receive()  # who is silent for two seconds is gone
                time.sleep(0.0005)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            host, port = self.server.address
            link = Link(Remote(load_credentials(self.folder / name), Route(bridge=f"{host}:{port}")), 50.0)
            link.begin()
        finally:
            over.set()
            thread.join()
        return link

    def is_alice_served(self) -> bool:
        """Whether what alice asks for comes through, behind what waits already."""
        assert self.alice
        self.alice.receive()
        seq = self.alice.ask("request")
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            for session, asked in self.serve_once():
                check(self, [(session, asked)])
                if session.name == "alice" and getattr(asked, "seq", 0) == seq:
                    return True
        return False


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setenv("BEDSIDE_RUN", str(tmp_path))
    served = Served(tmp_path / "keys")
    yield served
    assert served.alice
    served.alice.close()
    served.server.close()


def resident() -> int:
    """How much memory this process has, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def hello() -> bytes:
    connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD), None)
    connection.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    return drain(connection)


def check(served: Served, came: list[tuple[Session, Request]]) -> None:
    for session, asked in came:
        assert session.name in ("alice", "trainee")
        assert not isinstance(asked, protocol.ServoJp | protocol.StateCommand), "nobody but alice moves the arm"
    assert served.server.authority.holder == "alice"


@pytest.mark.timeout(1800)
def test_fuzzed_before_the_handshake(served: Served) -> None:
    """fuzzed datagrams of strangers, half a million -> no crash, no command, memory flat, the console still served"""
    rng = random.Random(SEED)
    first = hello()
    shapes = [first, b"\x17\xfe\xfd\0\1" + bytes(6) + b"\0\x40" + rng.randbytes(64), b"\x15\xfe\xfd" + bytes(10)]
    strangers = []
    for number in range(64):
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        stranger.bind((f"127.0.3.{number + 1}", 0))
        stranger.connect(served.server.address)
        stranger.setblocking(False)
        strangers.append(stranger)
    before = 0
    try:
        for sent in range(DATAGRAMS // 2):
            data = mutated(rng, rng.choice(shapes)) if sent % 4 else rng.randbytes(rng.randrange(1600))
            with contextlib.suppress(OSError):
                strangers[sent % 64].send(data)
            if sent % _AT_ONCE == 0:
                check(served, served.serve_once())
            if sent % _TELL_EVERY == 0:
                assert served.is_alice_served()
            if sent == DATAGRAMS // 10:
                before = resident()
    finally:
        for stranger in strangers:
            stranger.close()
    assert resident() - before < _GROWTH_MAX


@pytest.mark.timeout(1800)
def test_fuzzed_after_the_handshake(served: Served) -> None:
    """fuzzed messages, sealed by a valid trainee, half a million -> the same; nothing in them moves the arm"""
    rng = random.Random(SEED)
    q = [0.1] * 7
    trainee = served.call("trainee")
    number = trainee.welcome.session if trainee.welcome else 0
    shapes = [
        protocol.encode(message)
        for message in (
            protocol.ServoJp(number, 9, 9, True, q, q),
            protocol.StateCommand(number, 9, 9, "enable", 200.0),
            protocol.Hello(protocol.VERSION, 50.0),
            protocol.Pong(number, 9, 9),
            protocol.Ask(number, 9, "take_back", "trainee"),
            protocol.Proof(number, [[9, 9, 9, 9, 9, 9, 9]]),
            protocol.Part(9, 0, 2, bytes(100)),
        )
    ]
    before = 0
    try:
        for sent in range(DATAGRAMS // 2):
            data = (mutated(rng, rng.choice(shapes)) if sent % 4 else rng.randbytes(rng.randrange(1100))) or b"\0"
            try:
                trainee._line.send(data)
                if sent % _AT_ONCE == 0:
                    check(served, served.serve_once())
                    trainee._line.receive()
            except SurgeonError:
                trainee.close()
                trainee = served.call("trainee")  # what it said was Bye
            if sent % _TELL_EVERY == 0:
                assert served.is_alice_served()
            if sent == DATAGRAMS // 10:
                before = resident()
    finally:
        trainee.close()
    assert resident() - before < _GROWTH_MAX
