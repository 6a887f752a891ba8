"""The bridge's end of the console link: who may speak, and to whom feedback goes.

There is no authentication yet, so it listens on the loopback interface only.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections import deque

from bedside.errors import SurgeonError
from bedside.surgeon import protocol

Address = tuple[str, int]

# A console that has sent nothing for this long has left: another one may have the arm if it is off.
_GONE_NS = 1_000_000_000
# At most this many refusals a second are told to whoever sends junk.
_NOTICES_PER_S = 10
# Ended sessions that are remembered, so that what they once sent cannot be sent again.
_SESSIONS = 1000


def parse_address(text: str) -> Address:
    """Return ``HOST:PORT`` as an address on the loopback interface. Raises SurgeonError."""
    host, _, port = text.rpartition(":")
    try:
        number = int(port)
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise SurgeonError(f"address '{text}': expected HOST:PORT, such as 127.0.0.1:36010") from None
    if not address.is_loopback or address.version != 4:
        raise SurgeonError(
            f"address '{text}': only 127.0.0.1 is allowed, because the console link is not authenticated: "
            "anyone who reaches another address could move the arm"
        )
    if not 0 <= number <= 65535:
        raise SurgeonError(f"address '{text}': the port must be 0 to 65535")
    return str(address), number


class Server:
    """A UDP socket, the console that has the arm, and the listeners that get a copy of the feedback."""

    def __init__(self, address: Address, listeners: list[Address]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind(address)
        except OSError as error:
            self.socket.close()
            raise SurgeonError(
                f"address {address[0]}:{address[1]}: {error.strerror}; is another bridge running? change arm.listen"
            ) from None
        self.socket.setblocking(False)
        self.address: Address = self.socket.getsockname()
        self.session = 0
        self.refused = 0
        self._listeners = listeners
        self._console: Address | None = None
        self._heard_ns = 0
        self._newest_seq = -1
        self._ended: deque[int] = deque(maxlen=_SESSIONS)
        self._notices = 0
        self._notices_since_ns = 0

    def receive(self, now_ns: int, arm_is_off: bool) -> protocol.ServoJp | protocol.StateCommand | None:
        """Return the next message of the console that has the arm, None if nothing more has come.

        Raises SurgeonError for what must be refused; the sender is told.
        """
        try:
            data, sender = self.socket.recvfrom(protocol.DATAGRAM_MAX + 1)
        except (BlockingIOError, ConnectionError):
            return None
        try:
            message = protocol.to_bridge(data)
            if sender != self._console or message.session != self.session:
                self._admit(message, sender, now_ns, arm_is_off)
            command = message.command if isinstance(message, protocol.StateCommand) else ""
            if command in ("enable", "resume", "home") and message.seq <= self._newest_seq:
                raise SurgeonError(
                    f"{command} {message.seq} is not newer than {self._newest_seq}; old ones are dropped"
                )
        except SurgeonError as error:
            self.refuse(str(error), now_ns, sender)
            raise
        if isinstance(message, protocol.StateCommand) and message.command == "detach":
            if arm_is_off and sender == self._console:
                self._ended.append(self.session)
                self._console = None
        elif message.session == self.session:
            self._heard_ns = now_ns
            self._newest_seq = max(self._newest_seq, message.seq)
        return message

    def refuse(self, text: str, now_ns: int, sender: Address | None = None) -> None:
        """Count a refusal and tell ``sender`` (else the console) why, unless it has been told often enough."""
        self.refused += 1
        if now_ns - self._notices_since_ns > 1_000_000_000:
            self._notices_since_ns = now_ns
            self._notices = 0
        self._notices += 1
        target = sender or self._console
        if target and self._notices <= _NOTICES_PER_S:
            self._send(protocol.encode(protocol.Notice(text)), target)

    def tell(self, text: str) -> None:
        """Tell the listeners of a fault or a refusal."""
        data = protocol.encode(protocol.Notice(text))
        for listener in self._listeners:
            self._send(data, listener)

    def publish(self, feedback: protocol.Feedback) -> None:
        """Send ``feedback`` to the console and to every listener. What a receiver does not take is dropped."""
        data = protocol.encode(feedback)
        if self._console:
            self._send(data, self._console)
        for listener in self._listeners:
            self._send(data, listener)

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()

    def _admit(
        self, message: protocol.ServoJp | protocol.StateCommand, sender: Address, now_ns: int, arm_is_off: bool
    ) -> None:
        if isinstance(message, protocol.ServoJp):
            raise SurgeonError("commands from a console that does not have the arm; send attach or enable first")
        present = self._console is not None and now_ns - self._heard_ns < _GONE_NS
        if self._console and (present or not arm_is_off) and message.command != "disable":
            raise SurgeonError("another console has the arm; wait until it is off and that console has left")
        if not self._console or not present or arm_is_off:
            if message.session in self._ended:
                raise SurgeonError("this session has ended; start a new one")
            if self._console:
                self._ended.append(self.session)
            self._console = sender
            self.session = message.session
            self._newest_seq = -1

    def _send(self, data: bytes, target: Address) -> None:
        with contextlib.suppress(OSError):
            self.socket.sendto(data, target)
