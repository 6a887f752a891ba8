from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bedside.errors import SurgeonError
from bedside.surgeon import certificates
from bedside.surgeon import listener as listening
from bedside.surgeon.credentials import Credentials, load_certificate, load_credentials, load_private_key
from bedside.surgeon.dtls import DATAGRAM_MAX, MESSAGE_MAX, Association, connect
from bedside.surgeon.listener import Address, Listener
from bedside.surgeon.site import Site, make_site

Issue = Callable[[str, str], Credentials]
S = 1_000_000_000
HOME: Address = ("192.0.2.7", 5000)
AWAY: Address = ("198.51.100.9", 6000)


class Network:
    """A listener, the associations that call it, and datagrams that reach the other end at once, or not at all."""

    def __init__(self, bridge: Credentials) -> None:
        self.listener = Listener(bridge)
        self.consoles: dict[Address, Association] = {}
        self.now_ns = 0
        self.carried: list[tuple[str, bytes]] = []
        self.lose: Callable[[int], bool] = lambda number: False
        self.received: list[tuple[Address, bytes]] = []
        self.listener.tick(0)

    def call(self, credentials: Credentials, address: Address = HOME, expected: str | None = None) -> Association:
        """Begin a handshake from ``address``, and let it go as far as it goes."""
        self.consoles[address] = connect(credentials, expected)
        self.pump()
        return self.consoles[address]

    def pump(self) -> None:
        """Carry datagrams until there are none."""
        moved = True
        while moved:
            moved = False
            for address, console in list(self.consoles.items()):
                for datagram in console.outgoing():
                    moved = True
                    if self._passes("up", datagram):
                        _, messages = self.listener.feed(datagram, address, self.now_ns)
                        self.received += [(address, message) for message in messages]
            for datagram, address in self.listener.outgoing():
                moved = True
                if self._passes("down", datagram) and address in self.consoles:
                    give(self.consoles[address], datagram)

    def advance(self, seconds: float) -> None:
        """Let the listener's time go on."""
        self.now_ns += int(seconds * S)
        self.listener.tick(self.now_ns)

    def _passes(self, way: str, datagram: bytes) -> bool:
        self.carried.append((way, datagram))
        return not self.lose(len(self.carried) - 1)


def give(console: Association, datagram: bytes) -> list[bytes]:
    """Give ``console`` a datagram, whatever it says of it."""
    try:
        return console.feed(datagram)
    except SurgeonError:
        return []


def why(console: Association) -> str:
    """Return why ``console`` is over."""
    assert console.peer is None
    with pytest.raises(SurgeonError) as caught:
        console.feed(b"\x16" * 20)
    return str(caught.value)


@pytest.fixture
def bridge(issue: Issue) -> Credentials:
    return issue("theatre1", "bridge")


@pytest.fixture
def alice(issue: Issue) -> Credentials:
    return issue("alice", "surgeon")


@pytest.fixture
def network(bridge: Credentials) -> Network:
    return Network(bridge)


def says(network: Network, console: Association, message: bytes) -> bool:
    """Whether the listener gets what ``console`` sends."""
    console.send(message)
    network.received.clear()
    network.pump()
    return [text for _, text in network.received] == [message]


def test_both_ends_know_each_other_and_talk(network: Network, alice: Credentials) -> None:
    console = network.call(alice, expected="theatre1")
    association = network.listener.associations[HOME]
    assert association.peer == alice.peer(alice.certificate)
    assert console.peer
    assert (console.peer.name, console.peer.role) == ("theatre1", "bridge")
    assert says(network, console, b"servo_jp")
    association.send(b"measured_js")
    ((datagram, address),) = network.listener.outgoing()
    assert address == HOME
    assert b"measured_js" not in datagram
    assert console.feed(datagram) == [b"measured_js"]
    assert network.listener.counters.established == 1
    assert network.listener.counters.without_cookie == 1


def test_a_handshake_is_announced_by_the_datagram_that_ends_it(network: Network, alice: Credentials) -> None:
    console = connect(alice, None)
    found = []
    for _ in range(4):
        found += [network.listener.feed(datagram, HOME, 0) for datagram in console.outgoing()]
        for datagram, _ in network.listener.outgoing():
            console.feed(datagram)
    assert found[-1] == (network.listener.associations[HOME], [])
    assert all(one == (None, []) for one in found[:-1])


def test_every_datagram_fits_every_network(network: Network, alice: Credentials) -> None:
    console = network.call(alice)
    assert says(network, console, b"x" * MESSAGE_MAX)
    sizes = [len(datagram) for _, datagram in network.carried]
    assert max(sizes) == DATAGRAM_MAX
    for size in (0, MESSAGE_MAX + 1):
        with pytest.raises(SurgeonError, match=f"a message of {size} bytes; allowed are 1 to {MESSAGE_MAX}"):
            console.send(b"x" * size)
    # Messages that wait together go together, as far as they fit.
    for _ in range(5):
        console.send(b"y" * 400)
    assert [len(datagram) for datagram in console.outgoing()] == [874, 874, 437]


def test_nothing_is_sent_before_the_handshake_is_done(alice: Credentials) -> None:
    with pytest.raises(SurgeonError, match="the handshake is not done yet"):
        connect(alice, None).send(b"enable")


def test_the_suite_is_forward_secret_and_authenticated(network: Network, alice: Credentials) -> None:
    console = network.call(alice)
    cipher = console._connection.get_cipher_name()
    assert cipher
    assert cipher.startswith("ECDHE-ECDSA-")
    assert "GCM" in cipher or "POLY1305" in cipher
    assert console._connection.get_protocol_version_name() == "DTLSv1.2"
    # After the cookie, the first of which is empty: their length, then GCM with 128 and 256 bits, and ChaCha20.
    assert network.carried[0][1][61:69].hex() == "0006c02bc02ccca9"
    assert console._connection.get_session() is not None
    # Nothing to resume: neither a ticket nor an identity of the session. A ServerHello's identity is at byte 59.
    hello = next(datagram for way, datagram in network.carried if way == "down" and datagram[13] == 2)
    assert hello[59] == 0
    # A ticket would come before the change of the cipher.
    assert [datagram[0] for way, datagram in network.carried if way == "down"] == [22, 22, 20]


def with_certificate(site: Site, credentials: Credentials, when: datetime, role: str = "surgeon") -> Credentials:
    """Return ``credentials`` with a certificate that was issued ``when``, for ten days."""
    folder = Site(site.folder, when).issue(f"{credentials.name}-{role}", role, 10).folder
    return replace(
        credentials,
        certificate=load_certificate(folder / "certificate.pem"),
        private_key=load_private_key(folder / "private.key"),
    )


@pytest.mark.parametrize(
    ("days", "wrong", "alert"), [(-20, "expired on", "expired"), (2, "is not valid before", "bad certificate")]
)
def test_a_console_out_of_date_is_refused_and_both_clocks_are_told(
    network: Network, site: Site, alice: Credentials, days: int, wrong: str, alert: str
) -> None:
    console = network.call(with_certificate(site, alice, datetime.now(UTC) + timedelta(days=days)))
    (ended,) = network.listener.take_ended()
    assert ended.peer is None
    assert wrong in ended.why
    assert "this computer's clock says" in ended.why
    assert not network.listener.associations
    assert alert in why(console)


def test_a_bridge_out_of_date_is_refused(site: Site, bridge: Credentials, alice: Credentials) -> None:
    old = with_certificate(site, bridge, datetime.now(UTC) - timedelta(days=20), "bridge")
    network = Network(old)
    assert "expired on" in why(network.call(alice))
    assert "expired" in network.listener.take_ended()[0].why


def test_another_site_of_the_same_name_is_refused_at_both_ends(
    network: Network, tmp_path: Path, alice: Credentials, config: Path
) -> None:
    now = datetime.now(UTC)
    make_site(tmp_path / "other", "lab", now)
    folder = Site(tmp_path / "other", now).issue("mallory", "surgeon", 10).folder
    mallory = replace(
        alice,
        certificate=load_certificate(folder / "certificate.pem"),
        private_key=load_private_key(folder / "private.key"),
    )
    # Who accepts the bridge is refused by it.
    console = network.call(mallory)
    assert not network.listener.associations
    (ended,) = network.listener.take_ended()
    assert "not of this site" in ended.why
    assert "the other side refused this one" in why(console)
    assert network.listener.half_open == 0
    # Who does not believe the bridge says so.
    stranger = replace(alice, site=load_certificate(tmp_path / "other" / "site.pem"))
    assert "not of this site" in why(network.call(stranger))


def test_a_revoked_console_is_refused(bridge: Credentials, site: Site, alice: Credentials) -> None:
    site.revoke("alice")
    network = Network(load_credentials(bridge.folder))
    console = network.call(alice)
    assert not network.listener.associations
    assert "has revoked the certificate of 'alice'" in network.listener.take_ended()[0].why
    assert "refused" in why(console)


def test_a_console_that_is_revoked_meanwhile_is_closed(
    network: Network, site: Site, alice: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = network.call(alice)
    site.revoke("alice")
    later = time.monotonic() + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    network.advance(0.01)
    assert not network.listener.associations
    (ended,) = network.listener.take_ended()
    assert ended.why == "the site has revoked the certificate of 'alice'"
    assert ended.peer
    ((datagram, _),) = network.listener.outgoing()
    with pytest.raises(SurgeonError, match="the other side has closed it"):
        console.feed(datagram)


def test_a_consoles_certificate_does_not_make_a_bridge(network: Network, alice: Credentials, issue: Issue) -> None:
    eve = issue("eve", "surgeon")
    with pytest.raises(SurgeonError, match="credentials of a surgeon; a bridge needs its own"):
        Listener(eve)
    # Whoever changes the program is still found out.
    impostor = Network(replace(eve, role="bridge"))
    assert "is for the other part" in why(impostor.call(alice))
    assert not impostor.listener.associations


def test_a_bridges_certificate_does_not_make_a_console(network: Network, issue: Issue) -> None:
    other = issue("theatre2", "bridge")
    with pytest.raises(SurgeonError, match="credentials of a bridge; a console needs a console's own"):
        connect(other, None)
    console = network.call(replace(other, role="surgeon"))
    assert "is for the other part" in network.listener.take_ended()[0].why
    assert "refused" in why(console)


def test_a_role_counts_whatever_the_certificate_is_for(
    alice: Credentials, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As no site issues them: a surgeon's, with a bridge's use.
    monkeypatch.setattr(certificates, "BRIDGE", "surgeon")
    impostor = Network(replace(issue("eve", "surgeon"), role="bridge"))
    assert why(impostor.call(alice)) == "'eve' is a surgeon, but a certificate of a bridge is needed here"


def test_another_bridge_than_the_expected_one_is_refused(network: Network, alice: Credentials) -> None:
    assert "this is bridge 'theatre1', not 'theatre2'" in why(network.call(alice, expected="theatre2"))
    assert not network.listener.associations


def test_what_is_tampered_with_replayed_or_old_is_dropped_in_silence(network: Network, alice: Credentials) -> None:
    console = network.call(alice)
    listener = network.listener
    console.send(b"first")
    (first,) = console.outgoing()
    console.send(b"second")
    (second,) = console.outgoing()
    for at in (0, 3, 8, 12, 20, len(first) - 1):
        tampered = bytearray(first)
        tampered[at] ^= 1
        assert listener.feed(bytes(tampered), HOME, 0)[1] == []
    # Reordered ones are read, and sorted out by whoever numbers them.
    assert listener.feed(second, HOME, 0)[1] == [b"second"]
    assert listener.feed(first, HOME, 0)[1] == [b"first"]
    for _ in range(3):
        assert listener.feed(first, HOME, 0) == (listener.associations[HOME], [])
    assert listener.feed(first, AWAY, 0) == (None, [])
    assert listener.counters.unsealed == 9
    assert listener.counters.stray == 1
    # Sealed as numbers 3 to 72, the first 28 of them in a datagram; 73 leaves room for 10 and later.
    for _ in range(70):
        console.send(b"newer")
    kept = console.outgoing()
    console.send(b"newest")
    assert listener.feed(console.outgoing()[0], HOME, 0)[1] == [b"newest"]
    assert listener.feed(kept[0], HOME, 0)[1] == [b"newer"] * 21
    assert not listener.outgoing()


def test_a_lost_datagram_of_a_handshake_is_sent_again(bridge: Credentials, alice: Credentials) -> None:
    whole = Network(bridge)
    whole.call(alice)
    count = len(whole.carried)
    assert count >= 6
    networks = [Network(bridge) for _ in range(count)]
    for lost, network in enumerate(networks):
        network.lose = lambda number, lost=lost: number == lost  # type: ignore[misc]
        network.call(alice)
        assert not (network.consoles[HOME].peer and HOME in network.listener.associations)
    # OpenSSL's timers are one second at first, by the clock on the wall: all of them wait together. After a lost first
    # datagram its server numbers a record twice, and a second timer mends that.
    end_s = time.monotonic() + 10
    waiting = networks
    while waiting and time.monotonic() < end_s:
        due = [network.consoles[HOME].timeout_s() for network in waiting]
        assert all(wait is not None and wait <= 2 for wait in due)
        time.sleep(0.05)
        for network in waiting:
            network.consoles[HOME].on_timeout()
            network.advance(0.05)
            network.pump()
        waiting = [network for network in waiting if not network.consoles[HOME].peer]
    for network in networks:
        assert says(network, network.consoles[HOME], b"here")
        assert network.consoles[HOME].timeout_s() is None


def cookie_of(hello: bytes) -> bytes:
    """Return the cookie in a ClientHello: after 13 + 12 + 2 + 32 bytes and the session's identity."""
    at = 60 + hello[59]
    return hello[at + 1 : at + 1 + hello[at]]


def second_hello(network: Network, credentials: Credentials, address: Address) -> bytes:
    """Return the ClientHello with which a client at ``address`` answers a cookie."""
    console = connect(credentials, None)
    (hello,) = console.outgoing()
    assert not cookie_of(hello)
    network.listener.feed(hello, address, network.now_ns)
    (challenge,) = [datagram for datagram, to in network.listener.outgoing() if to == address]
    # Less than was asked with: nobody can be flooded by way of a bridge.
    assert len(challenge) < len(hello)
    console.feed(challenge)
    (second,) = console.outgoing()
    assert cookie_of(second)
    return second


@pytest.mark.parametrize("address", [AWAY, ("192.0.2.7", 5001), ("192.0.2.7", 5000, 1)])
def test_a_cookie_is_of_use_at_its_own_address_only(network: Network, alice: Credentials, address: Address) -> None:
    hello = second_hello(network, alice, HOME)
    network.listener.feed(hello, address, 0)
    assert network.listener.half_open == 0
    assert network.listener.counters.without_cookie == 2
    network.listener.feed(hello, HOME, 0)
    assert network.listener.half_open == 1


def test_a_cookie_is_of_no_use_later(network: Network, alice: Credentials) -> None:
    hello = second_hello(network, alice, HOME)
    network.advance(31)
    network.listener.feed(hello, HOME, network.now_ns)
    assert network.listener.half_open == 1
    hello = second_hello(network, alice, AWAY)
    network.advance(31)
    network.advance(31)
    network.listener.feed(hello, AWAY, network.now_ns)
    assert network.listener.half_open == 0


def test_a_client_that_says_hello_again_goes_on_with_its_handshake(network: Network, alice: Credentials) -> None:
    console = connect(alice, None)
    for _ in range(2):
        (hello,) = console.outgoing()
        answers = []
        for _ in range(2):
            network.listener.feed(hello, HOME, 0)
            answers += network.listener.outgoing()
        console.feed(answers[0][0])
    network.consoles[HOME] = console
    network.pump()
    assert network.listener.associations[HOME].peer
    assert network.listener.counters.displaced == 0


def test_a_flood_of_handshakes_keeps_memory_flat_and_the_established_peer(
    network: Network, alice: Credentials, issue: Issue
) -> None:
    console = network.call(alice)
    eve = issue("eve", "observer")
    numbers = itertools.count()

    def flood(count: int) -> None:
        for _ in range(count):
            address = (f"203.0.113.{next(numbers) % 1000}", 1000)
            network.advance(0.25)
            network.listener.feed(second_hello(network, eve, address), address, network.now_ns)
            network.listener.outgoing()
            assert network.listener.half_open <= 8
            console.send(b"alive")
            assert network.listener.feed(console.outgoing()[0], HOME, network.now_ns)[1] == [b"alive"]

    gc.collect()
    # As in a bridge: nothing may need a garbage collection.
    gc.disable()
    try:
        flood(50)
        before = resident()
        flood(300)
        # A leak of one connection a handshake would be 20 MB.
        assert resident() - before < 4e6
    finally:
        gc.enable()
    assert network.listener.counters.displaced > 300
    assert list(network.listener.associations) == [HOME]


def resident() -> int:
    """Return how much memory this process has, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_handshakes_have_a_budget(network: Network, alice: Credentials) -> None:
    addresses = [(f"203.0.113.{number}", 1000) for number in range(10)]
    for address in addresses:
        network.listener.feed(second_hello(network, alice, address), address, 0)
    assert network.listener.half_open == 4
    assert network.listener.counters.handshake_budget == 6
    network.advance(0.3)
    network.listener.feed(second_hello(network, alice, addresses[9]), addresses[9], network.now_ns)
    assert network.listener.half_open == 5


def test_a_host_has_a_rate_whatever_its_ports_and_all_have_one_together(network: Network, alice: Credentials) -> None:
    (hello,) = connect(alice, None).outgoing()
    for port in range(100):
        network.listener.feed(hello, ("203.0.113.1", port), 0)
    assert network.listener.counters.hello_rate == 84
    for number in range(1000):
        network.listener.feed(hello, (f"198.51.{number // 250}.{number % 250}", 1), 0)
    assert network.listener.counters.without_cookie == 50
    assert network.listener.counters.hello_budget == 966
    assert len(network.listener.outgoing()) == 50
    network.advance(1)
    assert network.call(alice).peer


def test_a_handshake_that_takes_too_long_is_given_up(network: Network, alice: Credentials) -> None:
    network.listener.feed(second_hello(network, alice, HOME), HOME, 0)
    network.advance(9.9)
    assert network.listener.half_open == 1
    network.advance(0.2)
    assert network.listener.half_open == 0
    assert network.listener.counters.slow == 1
    assert network.listener.take_ended()[0].why == "its handshake took too long"


def test_a_hello_from_a_peers_address_leaves_the_peer_alone(network: Network, alice: Credentials, issue: Issue) -> None:
    console = network.call(alice)
    association = network.listener.associations[HOME]
    network.listener.feed(second_hello(network, alice, HOME), HOME, 0)
    assert network.listener.half_open == 1
    assert says(network, console, b"still here")
    assert network.listener.associations[HOME] is association
    # Another name, even of this site, does not get the address while the peer has it.
    mallory = network.call(issue("mallory", "trainee"))
    assert network.listener.associations[HOME] is association
    assert network.listener.counters.other_name == 1
    network.pump()
    with pytest.raises(SurgeonError, match="closed"):
        mallory.feed(b"\x17" * 20)
    network.consoles[HOME] = console
    assert says(network, console, b"and here")


def test_a_peer_that_begins_anew_takes_its_own_place(network: Network, alice: Credentials) -> None:
    network.call(alice, AWAY)
    old = network.call(alice)
    association = network.listener.associations[HOME]
    new = network.call(alice)
    assert set(network.listener.associations) == {HOME, AWAY}
    assert says(network, new, b"anew")
    assert network.listener.associations[HOME] is not association
    old.send(b"of the old one")
    assert network.listener.feed(old.outgoing()[0], HOME, 0)[1] == []
    (ended,) = network.listener.take_ended()
    assert ended.why == "its peer has begun anew"


def test_a_peer_whose_address_changed_shakes_hands_again(network: Network, alice: Credentials) -> None:
    old = network.call(alice)
    old.send(b"from another address")
    assert network.listener.feed(old.outgoing()[0], AWAY, 0) == (None, [])
    assert says(network, network.call(alice, AWAY), b"here now")
    assert set(network.listener.associations) == {HOME, AWAY}
    # A name has two associations at most: the one that was silent longest goes.
    network.advance(1)
    third = network.call(alice, ("203.0.113.1", 7))
    assert third.peer
    assert len(network.listener.associations) == 2
    assert "a newer one of 'alice' takes its place" in network.listener.take_ended()[0].why


def test_a_full_listener_has_room_for_who_is_known(
    network: Network, alice: Credentials, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_ASSOCIATIONS", 2)
    network.call(alice)
    network.call(issue("bob", "mentor"), AWAY)
    late = network.call(issue("carol", "observer"), ("203.0.113.1", 1))
    assert "no more can be had" in network.listener.take_ended()[0].why
    assert late.over
    network.advance(1)
    again = network.call(alice, ("203.0.113.2", 1))
    assert says(network, again, b"moved")
    assert set(network.listener.associations) == {AWAY, ("203.0.113.2", 1)}


def test_who_is_silent_is_closed(network: Network, alice: Credentials) -> None:
    console = network.call(alice)
    network.advance(29)
    assert says(network, console, b"word")
    network.advance(29)
    assert network.listener.associations
    network.advance(2)
    assert not network.listener.associations
    assert network.listener.counters.idle == 1


def test_an_end_is_told_by_either_side(network: Network, alice: Credentials) -> None:
    console = network.call(alice)
    console.send(b"last words")
    console.close()
    network.pump()
    assert network.received == [(HOME, b"last words")]
    assert not network.listener.associations
    assert network.listener.take_ended()[0].why == "the other side has closed it"
    with pytest.raises(SurgeonError, match="it was closed here"):
        console.send(b"more")
    console = network.call(alice)
    network.listener.drop(HOME)
    network.listener.drop(AWAY)
    network.pump()
    assert console.over == "the other side has closed it"
    assert not network.listener.take_ended()


@pytest.mark.parametrize(
    ("datagram", "counter"),
    [
        (b"\x16" + b"\0" * 1500, "oversized"),
        (b"", "not_dtls"),
        (b"\x16", "not_dtls"),
        (b"GET / HTTP/1.1\r\n\r\n", "not_dtls"),
        (b"\x13" * 100, "not_dtls"),
        (b"\x1a" * 100, "not_dtls"),
        (b"\x17" * 100, "stray"),
        (b"\x16\xfe\xfd" + b"\0" * 10 + b"\1" + b"\0" * 50, "malformed_hello"),
    ],
)
def test_rubbish_is_counted_and_kept_from_openssl(network: Network, datagram: bytes, counter: str) -> None:
    assert network.listener.feed(datagram, HOME, 0) == (None, [])
    assert getattr(network.listener.counters, counter) == 1
    assert not network.listener.outgoing()


def mutated(datagram: bytes, changes: list[tuple[int, int]], length: int) -> bytes:
    data = bytearray(datagram)
    for at, value in changes:
        data[at % len(data)] = value
    return bytes(data[: length or None])


CHANGES = st.lists(st.tuples(st.integers(0, 1500), st.integers(0, 255)), max_size=4)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_comes_harms_nobody_who_is_established(
    network: Network, alice: Credentials, data: st.DataObject
) -> None:
    if not network.consoles:
        network.call(alice)
    console, listener = network.consoles[HOME], network.listener
    # The six datagrams of the handshake.
    _, real = network.carried[data.draw(st.integers(0, 5))]
    rubbish = data.draw(
        st.one_of(
            st.binary(max_size=1600),
            st.builds(mutated, st.just(real), CHANGES, st.integers(0, 1200)),
            st.builds(lambda kind, rest: bytes([kind, 0xFE, 0xFD]) + rest, st.integers(20, 25), st.binary(max_size=80)),
        )
    )
    network.advance(0.05)
    for address in (HOME, AWAY):
        listener.feed(rubbish, address, network.now_ns)
    listener.outgoing()
    assert console.feed(rubbish) == []
    half = connect(alice, None)
    half.outgoing()
    give(half, rubbish)
    give(half, rubbish)
    half.on_timeout()
    half.outgoing()
    assert says(network, console, b"alive")
    listener.associations[HOME].send(b"and well")
    assert [message for datagram, at in listener.outgoing() if at == HOME for message in console.feed(datagram)]
    del network.carried[6:]
