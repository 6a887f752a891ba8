"""A bridge's end of DTLS for many consoles, built to be bombarded: datagrams in, datagrams out, no socket."""

from __future__ import annotations

import contextlib
import hmac
import secrets
from collections import deque
from dataclasses import dataclass

from OpenSSL import SSL

from bedside.errors import SurgeonError
from bedside.surgeon.address import Address
from bedside.surgeon.budget import Budget, Budgets
from bedside.surgeon.credentials import BRIDGE, CONSOLES, Credentials, Peer
from bedside.surgeon.dtls import DATAGRAM_MAX, RECEIVED_MAX, Association, context_for, drain, is_dtls

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_EPOCH, _TYPE, _RANDOM = slice(3, 5), 13, slice(27, 59)

_S = 1_000_000_000
# More than the consoles of any theatre: one who operates, a mentor, trainees, observers.
_ASSOCIATIONS = 16
# The one in use, and the one that takes its place after a change of address.
_PER_NAME = 2
# Each costs some 70 kB, and a second in which more than a few consoles call is an attack.
_HALF_OPEN = 8
# Three rounds by satellite take 2 s; the timers of 1, 2 and 4 s have then mended three losses.
_HANDSHAKE_NS = 10 * _S
# A console says something many times a second; a dead one must not keep its place.
_IDLE_NS = 30 * _S
# A handshake costs the bridge's loop up to 5 ms in three pieces: at most 2 % of its time.
_HANDSHAKES_PER_S, _HANDSHAKES_BURST = 4, 4
# An answer to a ClientHello costs 12 us: at most 1 % of the loop's time.
_HELLOS_PER_S, _HELLOS_BURST = 500, 50
# A handshake takes two ClientHellos. The consoles of a clinic may share an address.
_HELLOS_PER_HOST_S, _HELLOS_PER_HOST_BURST = 4, 16
# A cookie lives one to two of these: longer than any handshake, too short to collect them.
_COOKIE_NS = 30 * _S
# What waits for ``outgoing``, and for ``take_ended``; bridges ask in every cycle.
_WAITING = 64


@dataclass
class Counters:
    """What a listener has dropped or ended, by reason, and what it has let in."""

    # Before OpenSSL saw it.
    oversized: int = 0
    not_dtls: int = 0
    stray: int = 0
    hello_rate: int = 0
    hello_budget: int = 0
    # By OpenSSL: without a cookie of this address and time, tampered with, sent again, or without a message.
    without_cookie: int = 0
    malformed_hello: int = 0
    unsealed: int = 0
    # Of handshakes.
    handshake_budget: int = 0
    displaced: int = 0
    slow: int = 0
    failed: int = 0
    other_name: int = 0
    full: int = 0
    established: int = 0
    # Of associations.
    renewed: int = 0
    superseded: int = 0
    closed: int = 0
    revoked: int = 0
    idle: int = 0


@dataclass(frozen=True)
class Ended:
    """A handshake that failed, then ``peer`` is None, or an association that has ended, and why."""

    address: Address
    peer: Peer | None
    why: str


@dataclass
class _HalfOpen:
    """A handshake whose client has shown a cookie; ``random`` tells its ClientHello from another one's."""

    association: Association
    random: bytes
    since_ns: int


class Listener:
    """A bridge's end for many consoles. Raises SurgeonError for credentials that are not a bridge's.

    Until a sender has shown that it receives at its address, nothing is kept of it. A certificate that expires while
    its association lives does not end it, because an arm may be inside a patient; one that is revoked does.
    """

    def __init__(self, credentials: Credentials) -> None:
        if credentials.role != BRIDGE:
            raise SurgeonError(
                f"{credentials.folder}: credentials of a {credentials.role}; a bridge needs its own: 'bedside keys "
                "bridge NAME'"
            )
        self.associations: dict[Address, Association] = {}
        self.counters = Counters()
        self._credentials = credentials
        self._context = context_for(credentials, CONSOLES, None)
        self._context.set_cookie_generate_callback(lambda _: self._cookie(self._secrets[0]))
        self._context.set_cookie_verify_callback(lambda _, cookie: self._is_cookie(cookie))
        self._secrets = [secrets.token_bytes(32), secrets.token_bytes(32)]
        self._secret_ns: int | None = None
        self._sender: Address = ("", 0)
        self._greeter = self._new_greeter()
        self._half_open: dict[Address, _HalfOpen] = {}
        self._heard_ns: dict[Address, int] = {}
        self._handshakes = Budget(_HANDSHAKES_PER_S, _HANDSHAKES_BURST)
        self._hellos = Budget(_HELLOS_PER_S, _HELLOS_BURST)
        self._hosts = Budgets(_HELLOS_PER_HOST_S, _HELLOS_PER_HOST_BURST)
        self._waiting: deque[tuple[bytes, Address]] = deque(maxlen=_WAITING)
        self._ended: deque[Ended] = deque(maxlen=_WAITING)

    @property
    def half_open(self) -> int:
        """How many handshakes are under way."""
        return len(self._half_open)

    def feed(self, datagram: bytes, sender: Address, now_ns: int) -> tuple[Association | None, list[bytes]]:
        """Take a datagram; return the established association that it belongs to, and the messages in it.

        An association that is returned for the first time has just been established. Never raises for what came.
        """
        if len(datagram) > RECEIVED_MAX:
            self.counters.oversized += 1
            return None, []
        if not is_dtls(datagram):
            self.counters.not_dtls += 1
            return None, []
        half = self._half_open.get(sender)
        random = _hello_random(datagram)
        # A ClientHello that a client sends again continues its handshake, any other one begins a new one beside it.
        if random and not (half and half.random == random):
            self._greet(datagram, sender, random, now_ns)
            return None, []
        association = self.associations.get(sender)
        if association:
            messages = self._read(association, datagram, sender, now_ns)
            if messages or not half:
                return (association if association.over is None or messages else None), messages
        if half:
            return self._continue(half, datagram, sender, now_ns), []
        self.counters.stray += 1
        return None, []

    def outgoing(self) -> list[tuple[bytes, Address]]:
        """Return the datagrams to send now, and where to."""
        found = list(self._waiting)
        self._waiting.clear()
        for address, half in self._half_open.items():
            found += [(datagram, address) for datagram in half.association.outgoing()]
        for address, association in self.associations.items():
            found += [(datagram, address) for datagram in association.outgoing()]
        return found

    def take_ended(self) -> list[Ended]:
        """Return what has ended since the last call without ``drop``, at most the newest 64."""
        found = list(self._ended)
        self._ended.clear()
        return found

    def tick(self, now_ns: int) -> None:
        """Do what time brings: lost parts of handshakes again, and the end of what is slow, silent or revoked."""
        if self._secret_ns is None or now_ns - self._secret_ns >= _COOKIE_NS:
            self._secret_ns = now_ns
            self._secrets = [secrets.token_bytes(32), self._secrets[0]]
        for address, half in list(self._half_open.items()):
            half.association.on_timeout()
            if half.association.over is None and now_ns - half.since_ns > _HANDSHAKE_NS:
                self.counters.slow += 1
                half.association.over = "its handshake took too long"
                self._forget(address, half)
            elif half.association.over is not None:
                self.counters.failed += 1
                self._forget(address, half)
        for address, association in list(self.associations.items()):
            assert association.peer is not None
            if self._credentials.is_revoked(association.peer.serial):
                self.counters.revoked += 1
                self._end(address, f"the site has revoked the certificate of '{association.peer.name}'")
            elif now_ns - self._heard_ns[address] > _IDLE_NS:
                self.counters.idle += 1
                self._end(address, f"nothing was heard of '{association.peer.name}' for {_IDLE_NS // _S} s")

    def drop(self, address: Address) -> None:
        """Close the association with ``address``, if there is one, and tell the peer."""
        association = self.associations.pop(address, None)
        if association:
            del self._heard_ns[address]
            association.close()
            self._flush(association, address)

    def _greet(self, datagram: bytes, sender: Address, random: bytes, now_ns: int) -> None:
        """Answer a ClientHello without a cookie, begin a handshake with one that has it."""
        # A host's ports are one, a relay's flows are not.
        if not self._hosts.take((sender[0], *sender[2:]), now_ns):
            self.counters.hello_rate += 1
            return
        if not self._hellos.take(now_ns):
            self.counters.hello_budget += 1
            return
        self._sender = sender
        self._greeter.bio_write(datagram)
        try:
            self._greeter.DTLSv1_listen()
        except SSL.WantReadError:
            answer = drain(self._greeter)
            if answer:
                self.counters.without_cookie += 1
                self._waiting.append((answer, sender))
            else:
                self.counters.malformed_hello += 1
            return
        except SSL.Error:
            self.counters.malformed_hello += 1
            self._greeter = self._new_greeter()
            return
        connection, self._greeter = self._greeter, self._new_greeter()
        if not self._handshakes.take(now_ns):
            self.counters.handshake_budget += 1
            return
        self._half_open.pop(sender, None)
        if len(self._half_open) >= _HALF_OPEN:
            del self._half_open[next(iter(self._half_open))]
            self.counters.displaced += 1
        half = _HalfOpen(Association(connection), random, now_ns)
        self._half_open[sender] = half
        if half.association.over is not None:
            self.counters.failed += 1
            self._forget(sender, half)

    def _continue(self, half: _HalfOpen, datagram: bytes, sender: Address, now_ns: int) -> Association | None:
        """Go on with a handshake; return the association if that has established it."""
        association = half.association
        try:
            association.feed(datagram)
        except SurgeonError:
            self.counters.failed += 1
            self._forget(sender, half)
            return None
        if association.peer is None:
            return None
        del self._half_open[sender]
        why = self._make_room(association.peer, sender)
        if why:
            association.close()
            self._flush(association, sender)
            self._ended.append(Ended(sender, association.peer, why))
            return None
        self.counters.established += 1
        self.associations[sender] = association
        self._heard_ns[sender] = now_ns
        return association

    def _make_room(self, peer: Peer, sender: Address) -> str | None:
        """Let older associations give way to a new one; return why they do not."""
        old = self.associations.get(sender)
        if old and old.peer and old.peer.name != peer.name:
            self.counters.other_name += 1
            return f"'{old.peer.name}' has an association from this address; it must end first"
        if old:
            # The peer has forgotten it, so that it need not be told.
            self.counters.renewed += 1
            self._ended.append(Ended(sender, old.peer, "its peer has begun anew"))
            del self.associations[sender], self._heard_ns[sender]
        same = [at for at, one in self.associations.items() if one.peer and one.peer.name == peer.name]
        if len(same) >= _PER_NAME or (same and len(self.associations) >= _ASSOCIATIONS):
            self.counters.superseded += 1
            self._end(min(same, key=self._heard_ns.__getitem__), f"a newer one of '{peer.name}' takes its place")
        if len(self.associations) >= _ASSOCIATIONS:
            self.counters.full += 1
            return f"there are {_ASSOCIATIONS} associations, and no more can be had"
        return None

    def _read(self, association: Association, datagram: bytes, sender: Address, now_ns: int) -> list[bytes]:
        messages: list[bytes] = []
        with contextlib.suppress(SurgeonError):
            messages = association.feed(datagram)
        if messages:
            self._heard_ns[sender] = now_ns
        else:
            self.counters.unsealed += 1
        if association.over is not None:
            self.counters.closed += 1
            self._end(sender, association.over)
        return messages

    def _end(self, address: Address, why: str) -> None:
        self._ended.append(Ended(address, self.associations[address].peer, why))
        self.drop(address)

    def _forget(self, address: Address, half: _HalfOpen) -> None:
        """Give up a handshake; its client learns why if there is an alert for that."""
        del self._half_open[address]
        self._flush(half.association, address)
        self._ended.append(Ended(address, None, half.association.over or ""))

    def _flush(self, association: Association, address: Address) -> None:
        self._waiting.extend((datagram, address) for datagram in association.outgoing())

    def _new_greeter(self) -> SSL.Connection:
        """Return what answers ClientHellos until one has a cookie: that one's handshake goes on in it."""
        connection = SSL.Connection(self._context, None)
        connection.set_accept_state()
        connection.set_ciphertext_mtu(DATAGRAM_MAX)
        return connection

    def _cookie(self, secret: bytes) -> bytes:
        return hmac.digest(secret, repr(self._sender).encode(), "sha256")

    def _is_cookie(self, cookie: bytes) -> bool:
        return any(hmac.compare_digest(cookie, self._cookie(secret)) for secret in self._secrets)


def _hello_random(datagram: bytes) -> bytes | None:
    """Return the client's random number if ``datagram`` begins with an open ClientHello (RFC 6347, 4.2.2)."""
    is_hello = datagram[0] == _HANDSHAKE and datagram[_EPOCH] == b"\0\0" and datagram[_TYPE] == _CLIENT_HELLO
    return datagram[_RANDOM] if is_hello else None
