"""``bedside relay``: forwards ciphertext between consoles and bridges that are both behind address translation.

It knows no key. Whoever reaches it can register and join, but finds only those whose rendezvous id he knows, and DTLS
between the two ends decides who they are. What it forwards it neither reads nor keeps.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from bedside.errors import SurgeonError
from bedside.surgeon.address import Endpoint
from bedside.surgeon.budget import Budget
from bedside.surgeon.relayed import (
    DATA,
    ID_BYTES,
    JOIN,
    MARK,
    REGISTER,
    WRAPPING_BYTES,
    Answer,
    begins_as_dtls,
    unwrapped,
    wrap,
)

Outgoing = list[tuple[bytes, Endpoint]]

_S = 1_000_000_000
# Ours are at most 1200 bytes of ciphertext; none of this length is cut to pieces on any path that carries IPv6.
_DATAGRAM_MAX = 1232
# Arms of some tens of sites; their table is small, and a flood of registrations cannot make it large.
_BRIDGES = 512
# A site with more arms behind one address uses a relay of its own. So one host cannot fill the table.
_BRIDGES_A_HOST = 32
# Surgeon, mentor, trainees and observers of an arm, each with a second address while the translation of the first is
# forgotten.
_FLOWS_A_BRIDGE = 16
# Twice the fastest command stream, 1 kHz, in each direction of a flow; a second of it at once, because networks hold
# datagrams back and let them go together.
_RATE, _BURST = 2000, 2000
# Until a bridge has answered in a flow, whose number only who receives there knows, its address may be forged. That
# many datagrams a second suffice for the handshakes that come before the first answer.
_UNPROVEN_RATE = 20
# A console that repeats its join, or streams, is never silent for this long.
_FLOW_IDLE_NS = 30 * _S
# A bridge registers every 5 s: one is missing.
_BRIDGE_IDLE_NS = 10 * _S
# A bridge whose address changed comes back while its old one is silent. One that streams cannot be displaced.
_DISPLACED_NS = 2 * _S
_SUMMARY_EVERY_NS = 60 * _S
# What all flows send within some tens of milliseconds waits while this process does not get the CPU.
_SOCKET_BYTES = 1 << 22
# One byte more than passes shows that there was more.
_LONGEST = _DATAGRAM_MAX + WRAPPING_BYTES + 1
_UP, _DOWN, _BYTES = _FORWARDED = ("up", "down", "bytes")


@dataclass
class _Bridge:
    """A registered bridge. ``is_proven``: its address received what was sent there."""

    address: Endpoint
    heard_ns: int
    flows: set[int]
    is_proven: bool = False
    unproven: Budget = field(default_factory=lambda: Budget(_UNPROVEN_RATE, _UNPROVEN_RATE))


@dataclass
class _Flow:
    """A console that joined a bridge."""

    console: Endpoint
    bridge_id: bytes
    heard_ns: int
    up: Budget = field(default_factory=lambda: Budget(_RATE, _BURST))
    down: Budget = field(default_factory=lambda: Budget(_RATE, _BURST))


class Relay:
    """The relay without its socket. Times are in ns and never go back."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._bridges: dict[bytes, _Bridge] = {}
        self._id_at: dict[Endpoint, bytes] = {}
        self._flows: dict[int, _Flow] = {}
        self._flow_at: dict[Endpoint, int] = {}
        self._expired_ns = 0

    def receive(self, data: bytes, sender: Endpoint, now_ns: int) -> Outgoing:
        """Take a datagram; return what to send, and to whom: at most one datagram."""
        self.expire(now_ns)
        if begins_as_dtls(data):
            return self._from_console(data, sender, now_ns)
        kind = data[1] if len(data) > WRAPPING_BYTES and data[0] == MARK else None
        if kind == DATA:
            return self._from_bridge(data, sender, now_ns)
        if kind in (REGISTER, JOIN) and len(data) == 2 + ID_BYTES:
            answer = (self._register if kind == REGISTER else self._join)(data[2:], sender, now_ns)
            return [(answer.frame, sender)] if answer else []
        return self._drop("not understood")

    def expire(self, now_ns: int) -> None:
        """Forget bridges and consoles that have been silent for too long; looks for them once a second."""
        if now_ns < self._expired_ns + _S:
            return
        self._expired_ns = now_ns
        for bridge_id, bridge in list(self._bridges.items()):
            if now_ns - bridge.heard_ns > _BRIDGE_IDLE_NS:
                self._forget_bridge(bridge_id)
        for number, flow in list(self._flows.items()):
            if now_ns - flow.heard_ns > _FLOW_IDLE_NS:
                self._forget_flow(number)

    def __str__(self) -> str:
        counts = self.counts
        dropped = ", ".join(f"{number} {why}" for why, number in sorted(counts.items()) if why not in _FORWARDED)
        return (
            f"{len(self._bridges)} bridges, {len(self._flows)} consoles; "
            f"forwarded {counts[_UP]} up, {counts[_DOWN]} down, {counts[_BYTES]} bytes; dropped: {dropped or 'nothing'}"
        )

    def _register(self, bridge_id: bytes, sender: Endpoint, now_ns: int) -> Answer | None:
        bridge = self._bridges.get(bridge_id)
        if bridge and bridge.address == sender:
            bridge.heard_ns = now_ns
            return Answer.REGISTERED
        if bridge and now_ns - bridge.heard_ns <= _DISPLACED_NS:
            self._drop("registration of another's id")
            return None
        if not bridge and not self._has_room(sender):
            self._drop("no room for a bridge")
            return None
        if sender in self._id_at:
            self._forget_bridge(self._id_at[sender])
        flows = set()
        if bridge:
            # Its consoles go on with it, under the same numbers.
            flows = bridge.flows
            del self._id_at[bridge.address]
        self._bridges[bridge_id] = _Bridge(sender, now_ns, flows)
        self._id_at[sender] = bridge_id
        return Answer.REGISTERED

    def _has_room(self, sender: Endpoint) -> bool:
        beside = sum(address[0] == sender[0] for address in self._id_at)
        return len(self._bridges) < _BRIDGES and beside < _BRIDGES_A_HOST

    def _join(self, bridge_id: bytes, sender: Endpoint, now_ns: int) -> Answer:
        number = self._flow_at.get(sender)
        if number is not None:
            if self._flows[number].bridge_id == bridge_id:
                self._flows[number].heard_ns = now_ns
                return Answer.JOINED
            self._forget_flow(number)
        bridge = self._bridges.get(bridge_id)
        if not bridge or len(bridge.flows) >= _FLOWS_A_BRIDGE:
            self._drop("no room for a console" if bridge else "join without a bridge")
            return Answer.NO_BRIDGE
        # Not to be guessed: who names it has received it.
        number = secrets.randbits(32)
        while number in self._flows:
            number = secrets.randbits(32)
        self._flows[number] = _Flow(sender, bridge_id, now_ns)
        self._flow_at[sender] = number
        bridge.flows.add(number)
        return Answer.JOINED

    def _from_console(self, data: bytes, sender: Endpoint, now_ns: int) -> Outgoing:
        number = self._flow_at.get(sender)
        if number is None:
            return self._drop("from a stranger")
        flow = self._flows[number]
        flow.heard_ns = now_ns
        if len(data) > _DATAGRAM_MAX:
            return self._drop("too long")
        bridge = self._bridges[flow.bridge_id]
        if not flow.up.take(now_ns) or not (bridge.is_proven or bridge.unproven.take(now_ns)):
            return self._drop("too many")
        return self._forward(_UP, wrap(number, data), bridge.address)

    def _from_bridge(self, data: bytes, sender: Endpoint, now_ns: int) -> Outgoing:
        bridge_id = self._id_at.get(sender)
        if bridge_id is None:
            return self._drop("from a stranger")
        bridge = self._bridges[bridge_id]
        bridge.heard_ns = now_ns
        number, datagram = unwrapped(data)
        if number not in bridge.flows:
            return self._drop("for nobody")
        bridge.is_proven = True
        if not begins_as_dtls(datagram):
            return self._drop("not understood")
        if len(datagram) > _DATAGRAM_MAX:
            return self._drop("too long")
        flow = self._flows[number]
        if not flow.down.take(now_ns):
            return self._drop("too many")
        return self._forward(_DOWN, datagram, flow.console)

    def _forward(self, way: str, data: bytes, target: Endpoint) -> Outgoing:
        self.counts[way] += 1
        self.counts[_BYTES] += len(data)
        return [(data, target)]

    def _drop(self, why: str) -> Outgoing:
        self.counts[why] += 1
        return []

    def _forget_bridge(self, bridge_id: bytes) -> None:
        bridge = self._bridges.pop(bridge_id)
        del self._id_at[bridge.address]
        for number in bridge.flows.copy():
            del self._flow_at[self._flows.pop(number).console]

    def _forget_flow(self, number: int) -> None:
        flow = self._flows.pop(number)
        del self._flow_at[flow.console]
        self._bridges[flow.bridge_id].flows.discard(number)


def run_relay(listen: Endpoint) -> None:
    """Relay at ``listen`` until interrupted; tell once a minute and at the end what passed. Raises SurgeonError."""
    relay = Relay()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BYTES)
        end.settimeout(1.0)
        try:
            end.bind(listen)
        except OSError as error:
            raise SurgeonError(
                f"address {listen[0]}:{listen[1]}: {error.strerror}; give --listen an address of this computer "
                "and a port that is free"
            ) from None
        _say("relaying at {}:{}".format(*end.getsockname()))
        try:
            while True:
                _serve(relay, end, time.monotonic_ns() + _SUMMARY_EVERY_NS)
                _say(str(relay))
        except KeyboardInterrupt:
            _say(str(relay))


def _serve(relay: Relay, end: socket.socket, until_ns: int) -> None:
    while (now_ns := time.monotonic_ns()) < until_ns:
        relay.expire(now_ns)
        try:
            data, sender = end.recvfrom(_LONGEST)
        except (TimeoutError, ConnectionError):
            continue
        for datagram, target in relay.receive(data, sender, time.monotonic_ns()):
            # What the system does not take at once, or cannot send there, is lost as on any network.
            with contextlib.suppress(OSError):
                end.sendto(datagram, socket.MSG_DONTWAIT, target)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
