"""The bridge's end of consoles' links: real sockets, real DTLS, and what is handed on of what comes."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedside.cell import load_cell
from bedside.errors import SurgeonError
from bedside.hil.lockstep import PSM
from bedside.surgeon import protocol
from bedside.surgeon.authority import BRIDGE, MENTOR, OBSERVER, SURGEON
from bedside.surgeon.credentials import load_credentials
from bedside.surgeon.find import issue_for_once
from bedside.surgeon.link import Link
from bedside.surgeon.local import LocalListener, call
from bedside.surgeon.quality import Limits
from bedside.surgeon.remote import Remote, Route
from bedside.surgeon.server import Request, Server, Site
from bedside.surgeon.sessions import Session
from bedside.surgeon.welcome import welcome

ROLES = {"bridge": BRIDGE, "alice": SURGEON, "mia": MENTOR, "olga": OBSERVER}
HERE = [0.0, 0.0, 0.12, 0.0, 0.0, 0.0, 0.0]
STILL = [0.0] * 7
Feedback = protocol.Feedback


class Hall:
    """A server that is served in a thread, and what it handed on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log: list[str] = []
        self.got: list[tuple[Session, Request]] = []
        facts = welcome(load_cell(PSM), [0, 0, 0])
        limits = Limits(400_000, 1_000_000, 0.3)
        site = Site(("127.0.0.1", 0), facts, limits, 40_000)
        self.server = Server(site, load_credentials(folder / "bridge"), self.log.append)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        seq = 0
        while not self._over.is_set():
            now_us = time.monotonic_ns() // 1000
            for session, message in self.server.receive(now_us):
                self.got.append((session, message))
                if isinstance(message, protocol.Ask):
                    with contextlib.suppress(SurgeonError):
                        getattr(self.server.authority, message.act)(session.name)
                    self.server.tell_authority()
            self.server.tick(now_us)
            seq += 1
            self.server.publish(lambda seq=seq: Feedback(seq, 0, 0, 0, 0, b"", b""), now_us, 4000)
            time.sleep(0.001)

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self.server.close()

    def line(self, name: str) -> Remote:
        host, port = self.server.address
        return Remote(load_credentials(self.folder / name), Route(bridge=f"{host}:{port}"))

    def console(self, name: str) -> Link:
        link = Link(self.line(name), 200.0)
        link.begin()
        self.until(link, lambda: link.feedback is not None)
        return link

    def commands(self) -> list[int]:
        return [message.seq for _, message in self.got if isinstance(message, protocol.ServoJp)]

    @staticmethod
    def until(link: Link, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not done():
            assert time.monotonic() < deadline, [notice.text for notice in link.notices]
            link.wait(0.02)
            link.receive()


@pytest.fixture
def hall(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hall]:
    monkeypatch.setenv("BEDSIDE_RUN", str(tmp_path / "run"))
    issue_for_once(tmp_path / "keys", ROLES)
    hall = Hall(tmp_path / "keys")
    yield hall
    hall.close()


@pytest.fixture
def alice(hall: Hall) -> Iterator[Link]:
    """A surgeon who has the arm."""
    with contextlib.closing(Link(call("psm1"), 10.0)) as nurse:
        nurse.begin()
        nurse.ask("arm")
        hall.until(nurse, lambda: nurse.authority.armed)
        with contextlib.closing(hall.console("alice")) as alice:
            alice.ask("request")
            hall.until(alice, lambda: alice.authority.holder == "alice")
            yield alice


def test_a_console_of_the_site_is_welcomed_with_the_facts_of_the_arm(hall: Hall) -> None:
    with contextlib.closing(hall.console("olga")) as olga:
        assert olga.welcome
        assert (olga.welcome.arm, olga.welcome.name, olga.welcome.role) == ("psm1", "olga", OBSERVER)
        assert [joint.name for joint in olga.welcome.joints][:2] == ["outer_yaw", "outer_pitch"]
        assert [board.joints for board in olga.welcome.boards] == [[0, 1], [2, 3], [4, 5, 6]]


def test_commands_of_who_has_the_arm_are_handed_on_once_and_in_order(hall: Hall, alice: Link) -> None:
    sent = [alice.servo_jp(HERE, STILL) for _ in range(20)]
    hall.until(alice, lambda: len(hall.commands()) == 20)
    assert hall.commands() == sent


def test_what_is_not_newer_is_counted_and_dropped(hall: Hall, alice: Link) -> None:
    alice.seq = 100
    first = alice.servo_jp(HERE, STILL)
    hall.until(alice, lambda: bool(hall.commands()))
    alice.seq -= 1
    alice.servo_jp(HERE, STILL)
    alice.seq -= 5
    alice.servo_jp(HERE, STILL)
    alice.seq += 10
    last = alice.servo_jp(HERE, STILL)
    hall.until(alice, lambda: last in hall.commands())
    assert hall.commands() == [first, last]
    assert hall.server.holder
    assert hall.server.holder.quality.stale == 2


def test_a_command_that_was_kept_back_is_dropped_for_its_age(
    hall: Hall, alice: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_us = time.monotonic_ns() // 1000
    monkeypatch.setattr("bedside.surgeon.link.now_us", lambda: now_us - 500_000)
    alice.servo_jp(HERE, STILL)
    monkeypatch.undo()
    last = alice.servo_jp(HERE, STILL)
    hall.until(alice, lambda: last in hall.commands())
    assert hall.commands() == [last]
    assert hall.server.holder
    assert hall.server.holder.quality.late == 1


def test_commands_of_another_session_are_refused(hall: Hall, alice: Link) -> None:
    assert alice.welcome
    alice.welcome.session ^= 1
    seq = alice.servo_jp(HERE, STILL)
    hall.until(alice, lambda: bool(alice.refusal_of(seq)))
    assert "another session's" in alice.refusal_of(seq)
    assert hall.commands() == []


@pytest.mark.parametrize(("name", "why"), [("mia", "alice has the arm"), ("olga", "an observer")])
def test_who_does_not_have_the_arm_does_not_move_it(hall: Hall, alice: Link, name: str, why: str) -> None:
    with contextlib.closing(hall.console(name)) as other:
        seq = other.servo_jp(HERE, STILL)
        hall.until(other, lambda: bool(other.refusal_of(seq)))
        assert why in other.refusal_of(seq)
    assert hall.commands() == []


def test_a_flood_of_refused_commands_does_not_crowd_out_an_answer(hall: Hall, alice: Link) -> None:
    with contextlib.closing(hall.console("olga")) as olga:
        for _ in range(200):
            olga.servo_jp(HERE, STILL)
        seq = olga.state_command("enable", 200.0)
        hall.until(olga, lambda: bool(olga.refusal_of(seq)))
        assert len(olga.notices) < 20


def test_a_console_that_comes_back_from_another_address_has_what_it_had(hall: Hall, alice: Link) -> None:
    with contextlib.closing(hall.console("alice")) as again:
        hall.until(again, lambda: again.authority.holder == "alice")
        seq = again.servo_jp(HERE, STILL)
        hall.until(again, lambda: seq in hall.commands())
    assert sum("is connected" in line and "alice" in line for line in hall.log) == 1


def test_a_console_that_ends_its_session_leaves_the_arm_to_others(hall: Hall, alice: Link) -> None:
    with contextlib.closing(hall.console("mia")) as mia:
        alice.close()
        hall.until(mia, lambda: mia.authority.holder == "")
        assert "alice is gone: it has ended its session" in hall.log


def test_a_console_that_falls_silent_is_taken_for_gone(hall: Hall, alice: Link) -> None:
    with contextlib.closing(hall.console("mia")) as mia:
        hall.until(mia, lambda: mia.authority.holder == "")
    assert any("alice is gone: nothing has come" in line for line in hall.log)


def test_another_version_of_the_protocol_is_told(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(hall.line("alice")) as line:
        line.send(protocol.encode(protocol.Hello(protocol.VERSION + 1, 200.0)))
        link = Link(line, 200.0)
        hall.until(link, lambda: bool(link.notices))
        assert "install matching versions" in link.notices[0].text


@pytest.mark.parametrize("junk", [b"junk", b"\x82\x01\x02", b"\xff" * 1000])
def test_junk_from_a_console_is_refused_and_the_session_goes_on(hall: Hall, alice: Link, junk: bytes) -> None:
    alice._line.send(junk)
    hall.until(alice, lambda: bool(alice.notices))
    assert "message" in alice.notices[0].text
    seq = alice.servo_jp(HERE, STILL)
    hall.until(alice, lambda: seq in hall.commands())


def test_plain_datagrams_are_nothing_to_it(hall: Hall, alice: Link) -> None:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stranger:
        stranger.connect(hall.server.address)
        for _ in range(100):
            stranger.send(protocol.encode(protocol.ServoJp(1, 10**6, 0, True, HERE, STILL)))
        seq = alice.servo_jp(HERE, STILL)
        hall.until(alice, lambda: seq in hall.commands())
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.recv(100)
    assert hall.commands() == [seq]


def test_a_port_in_use_is_named(hall: Hall, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BEDSIDE_RUN", str(tmp_path / "other"))
    site = Site(hall.server.address, welcome(load_cell(PSM), [0, 0, 0]), Limits(1, 1, 1.0), 0)
    with pytest.raises(SurgeonError, match="is another bridge running"):
        Server(site, load_credentials(hall.folder / "bridge"), hall.log.append)


def test_a_bridge_of_the_same_arm_is_named(hall: Hall) -> None:
    site = Site(("127.0.0.1", 0), welcome(load_cell(PSM), [0, 0, 0]), Limits(1, 1, 1.0), 0)
    with pytest.raises(SurgeonError, match="is another bridge of this arm running"):
        Server(site, load_credentials(hall.folder / "bridge"), hall.log.append)


def test_the_socket_of_a_bridge_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    dead = LocalListener(tmp_path / "a.socket")
    dead.socket.close()
    assert dead.path.exists()
    LocalListener(tmp_path / "a.socket").close()
    assert not dead.path.exists()


def test_a_bridge_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDSIDE_RUN", str(tmp_path))
    with pytest.raises(SurgeonError, match="no bridge of arm 'psm1' answers"):
        call("psm1")
