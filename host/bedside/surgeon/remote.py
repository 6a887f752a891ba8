"""A console's line through a network: DTLS over UDP, straight to a bridge, to one that calls, or by way of a relay."""

from __future__ import annotations

import contextlib
import select
import socket
import time
from dataclasses import dataclass

from bedside.errors import SurgeonError
from bedside.surgeon import relayed
from bedside.surgeon.address import Endpoint, parse_address, resolve
from bedside.surgeon.credentials import Credentials
from bedside.surgeon.dtls import connect

_DATAGRAM_SIZE = 4096 + 256
# A handshake of four flights by satellite, one of them lost.
_HANDSHAKE_S = 8.0
# A bridge that calls does so every five seconds.
_CALLED_S = 15.0
_JOIN_AGAIN_S = 1.0


@dataclass
class Route:
    """How to reach a bridge: at ``bridge``, by ``relay``, or by waiting at ``listen`` for it to call; HOST:PORT.

    ``arm`` is the arm's name, by which a relay knows its bridge.
    """

    bridge: str | None = None
    relay: str | None = None
    listen: str | None = None
    arm: str = ""

    def __str__(self) -> str:
        return self.bridge or (f"relay {self.relay}" if self.relay else f"a call at {self.listen}")


class Remote:
    """A DTLS association with a bridge of this site over one UDP socket. Raises SurgeonError if it cannot be had."""

    def __init__(self, credentials: Credentials, route: Route) -> None:
        self.where = str(route)
        # What a relay is told again and again, and when it was told last.
        self._join_frame = b""
        self._joined_s = 0.0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._reach(credentials, route)
            self._association = connect(credentials, None)
            self._shake_hands()
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return what is readable when something has come."""
        return self._socket.fileno()

    def timeout_s(self) -> float | None:
        """Return how soon ``receive`` wants to be called although nothing has come."""
        return self._association.timeout_s()

    def receive(self) -> list[bytes]:
        """Return the messages that have come. Raises SurgeonError when the association has ended."""
        came: list[bytes] = []
        if self._association.timeout_s() == 0:
            self._association.on_timeout()
        if self._join_frame and time.monotonic() - self._joined_s > relayed.REPEAT_S:
            self._joined_s = time.monotonic()
            self._send_datagram(self._join_frame)
        while (data := self._datagram()) is not None:
            came += self._association.feed(data)
        self._flush()
        return came

    def send(self, message: bytes) -> None:
        """Send a message; what cannot leave now is late, and dropped."""
        self._association.send(message)
        self._flush()

    def close(self) -> None:
        """End the association."""
        with contextlib.suppress(SurgeonError):
            self._association.close()
            self._flush()
        self._socket.close()

    # ---- inside -----------------------------------------------------------------------------

    def _reach(self, credentials: Credentials, route: Route) -> None:
        """Let the socket speak with the bridge alone, or with what stands for it."""
        if route.listen:
            self._socket.bind(parse_address(route.listen))
            self._socket.connect(self._caller())
        else:
            self._socket.connect(resolve(route.bridge or route.relay or ""))
        if route.relay:
            self._join_frame = relayed.join(relayed.rendezvous(credentials.relay_key, route.arm))
            self._join(route)

    def _caller(self) -> Endpoint:
        deadline = time.monotonic() + _CALLED_S
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                data, sender = self._socket.recvfrom(_DATAGRAM_SIZE)
                if data == relayed.KNOCK:
                    return str(sender[0]), int(sender[1])
        raise SurgeonError(f"no bridge has called at {self.where}; does its cell file say arm.network.dial?")

    def _join(self, route: Route) -> None:
        deadline = time.monotonic() + _HANDSHAKE_S
        why = "it does not answer"
        while time.monotonic() < deadline:
            self._joined_s = time.monotonic()
            self._send_datagram(self._join_frame)
            if select.select([self._socket], [], [], _JOIN_AGAIN_S)[0] and (data := self._datagram()):
                kind = relayed.unwrap(data)
                if kind == relayed.Answer.JOINED:
                    return
                if kind == relayed.Answer.NO_BRIDGE:
                    why = f"no bridge of arm '{route.arm}' and of this site is there now"
                    time.sleep(_JOIN_AGAIN_S)
        raise SurgeonError(f"{self.where}: {why}")

    def _shake_hands(self) -> None:
        deadline = time.monotonic() + _HANDSHAKE_S
        self._flush()
        while self._association.peer is None:
            left = deadline - time.monotonic()
            if left < 0:
                raise SurgeonError(
                    f"no bridge answers at {self.where}; start 'bedside bridge', or check address, firewall and network"
                )
            soon = self._association.timeout_s()
            select.select([self._socket], [], [], left if soon is None else min(left, soon))
            self.receive()

    def _datagram(self) -> bytes | None:
        """Return the next datagram, None if none has come; what a closed port answers says nothing for sure."""
        while True:
            try:
                return self._socket.recv(_DATAGRAM_SIZE)
            except BlockingIOError:
                return None
            except ConnectionError:
                continue

    def _flush(self) -> None:
        for datagram in self._association.outgoing():
            self._send_datagram(datagram)

    def _send_datagram(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(data)
