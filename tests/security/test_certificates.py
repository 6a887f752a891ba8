"""Somebody with a certificate: of another site, of the past, of another role, or of a console without the arm."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bedside.errors import SurgeonError
from bedside.surgeon import protocol
from bedside.surgeon.address import Endpoint
from bedside.surgeon.authority import BRIDGE
from bedside.surgeon.credentials import Credentials
from bedside.surgeon.find import issue_for_once
from bedside.surgeon.link import Link
from bedside.surgeon.listener import Listener
from bedside.surgeon.remote import Remote, Route
from bedside.surgeon.site import Site
from callers import Caller, unchecked
from theatre import Theatre

pytestmark = [pytest.mark.real_time, pytest.mark.requirement("authentic")]

SEQ_MAX = 0x7FFFFFFF
CENTRE, STILL = [0.0] * 7, [0.0] * 7


def refused_at_the_door(theatre: Theatre, who: Credentials, host: str) -> None:
    said = len(theatre.log)
    with pytest.raises(SurgeonError, match="alert"):
        Caller(who, theatre.bridge_address, host)
    assert "is connected" not in theatre.log[said:]


def test_certificate_of_another_site(theatre: Theatre, tmp_path: Path) -> None:
    """certificate of another site's CA, with the surgeon's name -> refused in the handshake; the arm goes on"""
    issue_for_once(tmp_path, {"alice": "surgeon"})
    who = unchecked(tmp_path / "alice", theatre.keys / "alice")
    theatre.goes_on(lambda: refused_at_the_door(theatre, who, "127.0.0.10"))


def test_expired(theatre: Theatre) -> None:
    """certificate of the site that has expired -> refused in the handshake; the arm goes on"""
    past = Site(theatre.keys / "site", datetime.now(UTC) - timedelta(days=9))
    past.issue("former", "surgeon", 1, theatre.keys / "former")
    who = unchecked(theatre.keys / "former", theatre.keys / "alice")
    theatre.goes_on(lambda: refused_at_the_door(theatre, who, "127.0.0.11"))


def test_revoked_before(theatre: Theatre) -> None:
    """certificate that was revoked before -> refused in the handshake; the arm goes on"""
    who = unchecked(theatre.keys / "sacked", theatre.keys / "alice")
    theatre.revoke("sacked")
    time.sleep(1.2)
    theatre.goes_on(lambda: refused_at_the_door(theatre, who, "127.0.0.12"))


def test_revoked_during(theatre: Theatre) -> None:
    """certificate revoked while its console is connected -> out within 2 s of the list's coming; the arm goes on"""
    theatre.moving()
    with contextlib.closing(theatre.call("leaver", "127.0.0.13")) as caller:

        def attack() -> None:
            theatre.revoke("leaver")
            assert "closed" in caller.until_ended(2.0)

        theatre.goes_on(attack)
    assert "leaver is gone" in theatre.log


def test_bridge_certificate_as_a_console(theatre: Theatre) -> None:
    """the bridge's own certificate, used as a console's -> refused in the handshake; the arm goes on"""
    who = unchecked(theatre.keys / "bridge", theatre.keys / "alice")
    theatre.goes_on(lambda: refused_at_the_door(theatre, who, "127.0.0.14"))


@contextlib.contextmanager
def pretending(who: Credentials) -> Iterator[Endpoint]:
    """A bridge's end that shows ``who``, whatever that is."""
    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.bind(("127.0.0.1", 0))
        port.settimeout(0.05)
        listener = Listener(replace(who, role=BRIDGE))

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    data, sender = port.recvfrom(4096)
                    listener.feed(data, sender, time.monotonic_ns())
                listener.tick(time.monotonic_ns())
                for datagram, to in listener.outgoing():
                    port.sendto(datagram, to)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield port.getsockname()
        finally:
            over.set()
            thread.join()


def test_console_certificate_as_a_bridge(theatre: Theatre) -> None:
    """a console's certificate, used to pose as the bridge -> consoles refuse it, and say why"""
    with (
        pretending(theatre.credentials("mallory")) as (host, port),
        pytest.raises(SurgeonError, match="for the other part"),
    ):
        Remote(theatre.credentials("alice"), Route(bridge=f"{host}:{port}"))


@pytest.mark.parametrize(
    ("who", "why"), [("observer", "observer"), ("trainee", "alice has the arm"), ("mallory", "alice has the arm")]
)
def test_role_misuse(theatre: Theatre, who: str, why: str) -> None:
    """commands of an observer, a trainee or a surgeon who does not have the arm -> refused with the reason"""
    with contextlib.closing(theatre.call(who, "127.0.0.15")) as caller:

        def attack() -> None:
            for _ in range(100):
                caller.say(lambda link: link.servo_jp(CENTRE, STILL))
            for command in ("enable", "resume", "pause", "disable"):
                assert why in caller.refusal(lambda link, command=command: link.state_command(command, 200.0)), command
            for act in ("request", "take_back", "hand_over"):
                assert caller.refusal(lambda link, act=act: link.ask(act, who)), act

        theatre.goes_on(attack)
        assert caller.link.authority.holder != who


def test_what_is_done_beside_the_arm(theatre: Theatre) -> None:
    """remote clear, home, unhome, brake release, arming, local stop -> refused with the reason, also to the holder"""
    with contextlib.closing(theatre.call("mallory", "127.0.0.16")) as caller:

        def attack() -> None:
            for command in ("clear", "home", "unhome", "release_brakes"):
                why = caller.refusal(lambda link, command=command: link.state_command(command))
                assert "beside the arm" in why or "switch on the arm" in why, command
            for act in ("arm", "stop"):
                assert "beside the arm" in caller.refusal(lambda link, act=act: link.ask(act)), act
            time.sleep(1.0)  # as many refusals as are told in a second

        theatre.goes_on(attack)
        theatre.end_drive()
        theatre.until(lambda: not caller.link.authority.holder, "alice is gone")
        assert not caller.refusal(lambda link: link.ask("request"), 0.3)
        assert caller.link.authority.holder == "mallory"
        theatre.rests(attack)


def test_enable_that_nobody_beside_the_arm_allows(theatre: Theatre) -> None:
    """remote enable of an arm that the local operator has not armed -> refused with the reason; nothing moves"""
    theatre.end_drive()
    with contextlib.closing(theatre.call("mallory", "127.0.0.23")) as caller, theatre.beside() as operator:
        operator.stop()

        def attack() -> None:
            assert "not armed" in caller.refusal(lambda link: link.ask("request"))
            assert "nobody has the arm" in caller.refusal(lambda link: link.state_command("enable", 200.0))

        theatre.rests(attack)


def test_sequence_leading_by_another(theatre: Theatre) -> None:
    """sequence leading: the highest there is, by one without the arm -> refused; the holder is not locked out"""
    with contextlib.closing(theatre.call("mallory", "127.0.0.17")) as caller:

        def attack() -> None:
            caller.link.seq = SEQ_MAX - 60
            for _ in range(50):
                caller.say(lambda link: link.servo_jp(CENTRE, STILL))
            assert "alice has the arm" in caller.refusal(lambda link: link.state_command("enable", 200.0))

        theatre.goes_on(attack)


def test_sequence_leading_by_an_earlier_session(theatre: Theatre) -> None:
    """sequence leading from the holder's own earlier session, which is still open -> that session is over; unheard"""
    theatre.end_drive()
    with contextlib.closing(theatre.call("alice", "127.0.0.18")) as earlier:
        session = earlier.link._session
        theatre.moving()

        def attack() -> None:
            now = time.monotonic_ns() // 1000
            with contextlib.suppress(SurgeonError):
                for _ in range(50):
                    earlier.send(protocol.ServoJp(session, SEQ_MAX, now, True, CENTRE, STILL))

        theatre.goes_on(attack)


def test_hijack_with_another_name(theatre: Theatre) -> None:
    """hijack by session numbers, from another address with another's certificate -> refused; the arm goes on"""
    with contextlib.closing(theatre.call("mallory", "127.0.0.19")) as caller:

        def pause_another(link: Link) -> int:
            seq = link.next_seq()
            caller.send(protocol.StateCommand(1, seq, time.monotonic_ns() // 1000, "pause", 0.0))
            return seq

        def attack() -> None:
            now = time.monotonic_ns() // 1000
            # Even if it knew the number: a session is its association's, so all numbers are alike.
            for number in range(1, 300):
                caller.send(protocol.ServoJp(number, number, now, True, CENTRE, STILL))
                caller.send(protocol.Pong(number, number, now))
            assert "another session" in caller.refusal(pause_another)

        theatre.goes_on(attack)


def test_hijack_with_the_same_name(theatre: Theatre) -> None:
    """hijack with the holder's own, stolen certificate -> the arm comes to rest; only a deliberate act takes it up"""
    thieves: list[Caller] = []
    try:
        theatre.stops(
            lambda: thieves.append(theatre.call("alice", "127.0.0.20")), 150 + theatre.cell.arm.operator_timeout_ms
        )
        (thief,) = thieves

        def attack() -> None:
            assert "enable or resume it first" in thief.refusal(lambda link: link.servo_jp(CENTRE, STILL))
            for _ in range(50):
                thief.say(lambda link: link.servo_jp(CENTRE, STILL))

        theatre.rests(attack)
    finally:
        for each in thieves:
            each.close()


def test_stop_requests_again_and_again(theatre: Theatre) -> None:
    """stop requests again and again by one who does not have the arm -> refused; the robot is not kept down"""
    with contextlib.closing(theatre.call("mallory", "127.0.0.21")) as caller:

        def attack() -> None:
            for _ in range(100):
                for command in ("disable", "pause"):
                    caller.say(lambda link, command=command: link.state_command(command))
                caller.say(lambda link: link.ask("stop"))
                time.sleep(0.005)

        theatre.goes_on(attack)
