"""A console: what streams commands to a bridge and hears what the arm does."""

from __future__ import annotations

import contextlib
import secrets
import select
import socket
import time

from bedside.errors import SurgeonError
from bedside.surgeon import protocol
from bedside.surgeon.server import Address

# A bridge sends feedback in every cycle, so silence this long means that it is gone.
SILENCE_S = 0.5


class Console:
    """One session with one bridge. Keeps the newest feedback; a refusal becomes a SurgeonError."""

    def __init__(self, bridge: Address) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(bridge)
        self.socket.setblocking(False)
        self.session = secrets.randbelow(0x7FFFFFFF)
        # Zero is what a board that has restarted reports, so commands count from one.
        self.seq = 1
        self.latest: protocol.Feedback | None = None
        self.heard_s = time.monotonic()
        self._bridge = bridge

    def state_command(self, command: str, command_hz: float = 0.0) -> None:
        """Send attach, enable or disable."""
        self.seq += 1
        self._send(protocol.StateCommand(self.session, self.seq, command, command_hz))  # type: ignore[arg-type]

    def servo_jp(self, position: list[float], velocity: list[float]) -> int:
        """Send the next command; return its sequence."""
        self.seq += 1
        self._send(protocol.ServoJp(self.session, self.seq, position, velocity))
        return self.seq

    def receive(self) -> list[protocol.Feedback]:
        """Return the feedback that has come. Raises SurgeonError if the bridge refused something or is gone."""
        came: list[protocol.Feedback] = []
        while True:
            try:
                data = self.socket.recv(protocol.DATAGRAM_MAX)
            except BlockingIOError:
                break
            except ConnectionRefusedError:
                raise self._gone() from None
            message = protocol.to_console(data)
            if isinstance(message, protocol.Notice):
                raise SurgeonError(message.text)
            if message.session == self.session:
                came.append(message)
        if came:
            self.latest = came[-1]
            self.heard_s = time.monotonic()
        elif time.monotonic() - self.heard_s > SILENCE_S:
            raise self._gone()
        return came

    def attach(self) -> protocol.Feedback:
        """Ask for feedback and wait for it. Raises SurgeonError when there is none."""
        self.heard_s = time.monotonic()
        self.state_command("attach")
        while not self.receive():
            select.select([self.socket], [], [], 0.1)
        assert self.latest
        return self.latest

    def close(self) -> None:
        """Leave the arm to others, if it is off, and give the socket back."""
        with contextlib.suppress(SurgeonError, OSError):
            self.state_command("detach")
        self.socket.close()

    def _send(self, message: protocol.ServoJp | protocol.StateCommand) -> None:
        try:
            self.socket.send(protocol.encode(message))
        except ConnectionRefusedError:
            raise self._gone() from None
        except BlockingIOError:
            pass  # a command that cannot leave now is late; the next one is newer

    def _gone(self) -> SurgeonError:
        host, port = self._bridge
        return SurgeonError(f"no feedback from a bridge at {host}:{port}; start 'bedside bridge', or check the network")
