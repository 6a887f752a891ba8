"""Consoles and bridges that find each other at a relay: who may, how much, and for how long."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from bedside import cli
from bedside.errors import SurgeonError
from bedside.surgeon.relay import Relay
from bedside.surgeon.relayed import Answer, join, register, rendezvous, unwrap, wrap

S = 1_000_000_000
Address = tuple[str, int]
BRIDGE, CONSOLE, OTHER, STRANGER = (("192.0.2.1", 1), ("198.51.100.1", 2), ("198.51.100.1", 3), ("203.0.113.1", 4))
KEY = bytes(range(16))
ARM, ARM2 = rendezvous(KEY, "psm1"), rendezvous(KEY, "psm2")
RECORD = b"\x17\xfe\xfd and ciphertext"


class Site:
    """A relay, and what happens there at ``now`` seconds."""

    def __init__(self) -> None:
        self.relay = Relay()
        self.now = 100.0

    def send(self, data: bytes, sender: Address) -> list[tuple[bytes, Address]]:
        return self.relay.receive(data, sender, round(self.now * S))

    def register(self, sender: Address = BRIDGE, arm: bytes = ARM) -> bool:
        """Whether the relay takes the registration."""
        answers = self.send(register(arm), sender)
        assert answers in ([], [(b"\xb5\x81", sender)])
        return bool(answers)

    def join(self, sender: Address = CONSOLE, arm: bytes = ARM) -> bool:
        """Whether the relay has a bridge for the console."""
        ((answer, target),) = self.send(join(arm), sender)
        assert target == sender
        assert answer in (b"\xb5\x82", b"\xb5\x83")
        return answer == b"\xb5\x82"

    def flow(self, sender: Address = CONSOLE, bridge: Address = BRIDGE) -> int:
        """The number under which the bridge gets what ``sender`` sends."""
        ((data, target),) = self.send(RECORD, sender)
        assert target == bridge
        frame = unwrap(data)
        assert not isinstance(frame, Answer)
        assert frame[1] == RECORD
        return frame[0]

    def joined(self) -> int:
        """Let bridge and console meet; return the number of their flow, in which the bridge has answered."""
        assert self.register()
        assert self.join()
        number = self.flow()
        assert self.send(wrap(number, RECORD), BRIDGE) == [(RECORD, CONSOLE)]
        return number


@pytest.fixture
def site() -> Site:
    return Site()


def test_the_frames_are_those_of_the_protocol() -> None:
    assert register(ARM) == b"\xb5\x01" + ARM
    assert join(ARM) == b"\xb5\x02" + ARM
    assert wrap(0x01020304, RECORD) == b"\xb5\x03\x01\x02\x03\x04" + RECORD
    assert unwrap(b"\xb5\x83") is Answer.NO_BRIDGE
    # openssl dgst -sha256 -mac HMAC -macopt hexkey:000102030405060708090a0b0c0d0e0f, of "bedside relay psm1"
    assert ARM.hex() == "9675f1206737d8e034b384d874bc8e60"


@pytest.mark.parametrize("data", [b"", b"\xb5", b"\xb5\x84", b"\xb5\x03\0\0\0\0", b"\xb5\x81\0", RECORD, register(ARM)])
def test_what_no_relay_sends_is_refused(data: bytes) -> None:
    with pytest.raises(SurgeonError, match="that is no relay's"):
        unwrap(data)


def test_what_a_console_sends_reaches_its_bridge_and_the_answer_reaches_it(site: Site) -> None:
    number = site.joined()
    assert site.flow() == number, "the flow of a console has always the same number"


def test_consoles_of_one_bridge_are_told_apart(site: Site) -> None:
    number = site.joined()
    assert site.join(OTHER)
    other = site.flow(OTHER)
    assert other != number
    assert site.send(wrap(other, RECORD), BRIDGE) == [(RECORD, OTHER)]


def test_a_console_whose_bridge_is_not_there_is_told(site: Site) -> None:
    site.register()
    assert not site.join(arm=ARM2)
    assert site.send(RECORD, CONSOLE) == []


def test_strangers_reach_nobody(site: Site) -> None:
    number = site.joined()
    assert site.send(RECORD, STRANGER) == []
    assert site.send(wrap(number, RECORD), STRANGER) == []
    assert site.register(STRANGER, ARM2)
    assert site.send(wrap(number, RECORD), STRANGER) == [], "a bridge reached another's console"


def test_only_dtls_passes(site: Site) -> None:
    number = site.joined()
    for first in range(256):
        datagram = bytes((first,)) + b"anything"
        passes = 20 <= first <= 25
        assert bool(site.send(wrap(number, datagram), BRIDGE)) == passes
        if first != 0xB5:
            assert bool(site.send(datagram, CONSOLE)) == passes


def test_what_is_longer_than_any_dtls_of_ours_does_not_pass(site: Site) -> None:
    number = site.joined()
    for length, passes in ((1232, True), (1233, False)):
        datagram = RECORD.ljust(length)
        assert bool(site.send(datagram, CONSOLE)) == passes
        assert bool(site.send(wrap(number, datagram), BRIDGE)) == passes


@pytest.mark.parametrize("way", ["up", "down"])
def test_a_flow_passes_two_thousand_a_second_and_no_more(site: Site, way: str) -> None:
    number = site.joined()
    site.now += 5
    begun = site.now
    passed = 0
    for n in range(30_000):
        site.now = begun + n / 10_000
        passed += bool(site.send(RECORD, CONSOLE) if way == "up" else site.send(wrap(number, RECORD), BRIDGE))
    assert 2000 + 3 * 2000 - 10 <= passed <= 2000 + 3 * 2000 + 1


def test_a_flow_that_floods_takes_nothing_from_another(site: Site) -> None:
    site.joined()
    site.join(OTHER)
    for _ in range(10_000):
        site.send(RECORD, CONSOLE)
    assert site.send(RECORD, OTHER)


def test_an_address_that_never_showed_that_it_receives_is_not_flooded(site: Site) -> None:
    """Someone may have registered with the address of a third."""
    site.register()
    for n in range(16):
        assert site.join(("198.51.100.2", n))
    passed = sum(len(site.send(RECORD, ("198.51.100.2", n % 16))) for n in range(1000))
    assert passed == 20
    # Whoever cannot receive does not know the number.
    site.send(wrap(12345, RECORD), BRIDGE)
    assert sum(len(site.send(RECORD, ("198.51.100.2", n % 16))) for n in range(1000)) == 0


def test_a_bridge_that_streams_is_not_displaced(site: Site) -> None:
    number = site.joined()
    for _ in range(10):
        site.now += 1.5
        site.send(wrap(number, RECORD), BRIDGE)
        assert not site.register(STRANGER)
    assert site.flow() == number


def test_a_bridge_whose_address_changed_goes_on_with_its_consoles(site: Site) -> None:
    number = site.joined()
    moved = ("192.0.2.9", 9)
    site.now += 1.9
    assert not site.register(moved)
    site.now += 0.2
    assert site.register(moved)
    assert site.flow(bridge=moved) == number
    assert site.send(wrap(number, RECORD), moved) == [(RECORD, CONSOLE)]
    assert site.send(wrap(number, RECORD), BRIDGE) == [], "its old address still speaks for it"


def test_a_bridge_that_is_silent_for_ten_seconds_is_gone_and_so_are_its_consoles(site: Site) -> None:
    site.joined()
    site.now += 9.9
    assert site.join()
    site.now += 1.2
    assert not site.join()
    assert site.send(RECORD, CONSOLE) == []
    assert site.register()
    assert site.join()


def test_a_console_that_is_silent_for_half_a_minute_is_sent_nothing_more(site: Site) -> None:
    number = site.joined()
    for second in range(40):
        site.now += 1
        passed = site.send(wrap(number, RECORD), BRIDGE)
        assert bool(passed) == (second < 30), second


def test_an_address_has_one_bridge_and_a_console_one_arm(site: Site) -> None:
    number = site.joined()
    assert site.register(STRANGER, ARM2)
    assert site.join(CONSOLE, ARM2)
    assert site.send(RECORD, CONSOLE)[0][1] == STRANGER
    assert site.send(wrap(number, RECORD), BRIDGE) == []
    assert site.register(BRIDGE, ARM2) is False
    assert site.register(BRIDGE, rendezvous(KEY, "psm3"))
    assert not site.join(OTHER, ARM)


def test_a_bridge_takes_sixteen_consoles(site: Site) -> None:
    site.register()
    assert [site.join(("198.51.100.1", port)) for port in range(17)] == [True] * 16 + [False]
    assert site.join(("198.51.100.1", 0)), "one that has joined may join again"


def test_one_host_registers_thirty_two_bridges_and_all_hosts_together_512(site: Site) -> None:
    taken = [
        site.register((f"192.0.2.{host}", port), rendezvous(KEY, f"{host} {port}"))
        for host in range(20)
        for port in range(40)
    ]
    assert taken[:40] == [True] * 32 + [False] * 8
    assert sum(taken) == 512
    assert site.register(("192.0.2.0", 0), rendezvous(KEY, "0 0"))


def test_the_summary_counts_what_passed_and_what_did_not(site: Site) -> None:
    site.joined()
    site.send(RECORD, STRANGER)
    site.send(b"junk", STRANGER)
    assert str(site.relay) == (
        f"1 bridges, 1 consoles; forwarded 1 up, 1 down, {2 * len(RECORD) + 6} bytes; "
        "dropped: 1 from a stranger, 1 not understood"
    )


def context() -> SSL.Context:
    """Return a DTLS end with a certificate of its own, which nobody checks."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anyone")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    context = SSL.Context(SSL.DTLS_METHOD)
    context.use_certificate(builder.sign(key, hashes.SHA256()))
    context.use_privatekey(key)
    context.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    context.set_cookie_generate_callback(lambda _: b"cookie")
    context.set_cookie_verify_callback(lambda _, cookie: cookie == b"cookie")
    return context


def test_a_real_handshake_goes_through_and_so_does_what_follows(site: Site) -> None:
    site.register()
    site.join()
    bridge, console = SSL.Connection(context(), None), SSL.Connection(context(), None)
    for end in (bridge, console):
        end.set_ciphertext_mtu(1200)
    bridge.set_accept_state()
    console.set_connect_state()
    numbers: set[int] = set()

    def carry() -> None:
        """Bring what both ends have to send to the other one."""
        for end, other in ((console, bridge), (bridge, console)):
            with contextlib.suppress(SSL.WantReadError):
                while datagram := end.bio_read(2000):
                    if end is console:
                        ((framed, _),) = site.send(datagram, CONSOLE)
                        number, out = unwrap(framed)  # type: ignore[misc]
                        numbers.add(number)
                    else:
                        ((out, _),) = site.send(wrap(*numbers, datagram), BRIDGE)
                    other.bio_write(out)

    def step(action: Callable[[], object]) -> bool:
        try:
            action()
        except SSL.WantReadError:
            carry()
            return False
        carry()
        return True

    step(console.do_handshake)
    while not step(bridge.DTLSv1_listen):
        step(console.do_handshake)
    done = [False, False]
    for _ in range(10):
        done = [step(console.do_handshake), step(bridge.do_handshake)]
    assert done == [True, True]
    assert len(numbers) == 1
    console.send(b"enable")
    carry()
    assert bridge.recv(100) == b"enable"
    bridge.send(b"enabled")
    carry()
    assert console.recv(100) == b"enabled"


ADDRESSES = [("192.0.2.1", port) for port in range(4)]
FRAMES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([ARM, ARM2]).map(register),
    st.sampled_from([ARM, ARM2]).map(join),
    st.binary(max_size=40).map(lambda rest: b"\xb5" + rest),
    st.just(RECORD),
    st.just("answer"),
)


@given(st.lists(st.tuples(FRAMES, st.sampled_from(ADDRESSES), st.floats(0, 6)), max_size=60))
@settings(deadline=None)
def test_whatever_comes_an_answer_is_never_longer_and_goes_only_to_those_who_have_sent(
    sent: list[tuple[bytes | str, Address, float]],
) -> None:
    site = Site()
    have_sent = set()
    numbers: dict[Address, int] = {}
    for frame, sender, pause in sent:
        site.now += pause
        have_sent.add(sender)
        data = frame if isinstance(frame, bytes) else wrap(numbers.get(sender, 0), RECORD)
        for out, target in site.send(data, sender):
            assert target in have_sent
            if out[:2] == b"\xb5\x03":
                assert len(out) == len(data) + 6, "what a bridge gets is what was sent to it, and its number"
                number, _ = unwrap(out)  # type: ignore[misc]
                numbers[target] = number
            else:
                assert len(out) < len(data)
        relay = site.relay
        assert {number: flow.console for number, flow in relay._flows.items()} == {
            number: console for console, number in relay._flow_at.items()
        }
        assert {number for bridge in relay._bridges.values() for number in bridge.flows} == set(relay._flows)
        assert {bridge_id: bridge.address for bridge_id, bridge in relay._bridges.items()} == {
            bridge_id: address for address, bridge_id in relay._id_at.items()
        }


@pytest.mark.parametrize(
    ("listen", "said"),
    [
        ("relay.example:36020", "expected HOST:PORT"),
        ("127.0.0.1:99999", "the port 0 to 65535"),
        ("192.0.2.1:36020", "Cannot assign requested address; give --listen an address of this computer"),
    ],
)
def test_an_address_that_cannot_be_listened_at_is_refused_with_the_reason(
    listen: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["relay", "--listen", listen]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.real_time
def test_the_process_relays_and_says_at_its_end_what_passed() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}
    command = [sys.executable, "-m", "bedside.cli", "relay", "--listen", "127.0.0.1:0"]
    with (
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bridge,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as console,
    ):
        assert process.stdout
        host, port = process.stdout.readline().removeprefix("relaying at ").split(":")
        for end in (bridge, console):
            end.connect((host, int(port)))
            end.settimeout(5)
        console.send(join(ARM))
        assert unwrap(console.recv(100)) is Answer.NO_BRIDGE
        bridge.send(register(ARM))
        assert unwrap(bridge.recv(100)) is Answer.REGISTERED
        console.send(join(ARM))
        assert unwrap(console.recv(100)) is Answer.JOINED
        console.send(RECORD)
        number, datagram = unwrap(bridge.recv(100))  # type: ignore[misc]
        assert datagram == RECORD
        bridge.send(wrap(number, datagram + b"!"))
        assert console.recv(100) == RECORD + b"!"
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=10)[0]
    assert process.returncode == 0
    assert said.startswith("1 bridges, 1 consoles; forwarded 1 up, 1 down")
    assert "dropped: 1 join without a bridge" in said
