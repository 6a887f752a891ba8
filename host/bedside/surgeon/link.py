"""A console's end of its link to a bridge: one session, its numbers, and the newest of what has come.

Knows no event loop: its owner waits until ``fileno`` is readable, or for ``timeout_s``, then calls ``receive``.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections import deque
from typing import Protocol

from bedside.errors import SurgeonError
from bedside.surgeon import protocol
from bedside.surgeon.parts import Joiner, Splitter

# A bridge keeps a session so long through silence, and an arm that has paused holds; so a cut of a second is no end.
SILENCE_S = 2.0
# How long to wait for a bridge on a bad network: four tries of two round trips by satellite.
_WELCOME_S = 5.0
_ASK_AGAIN_S = 1.2
# A leap in the operator sequence that no loss explains, so that the bridge takes it for none.
RENUMBERED = 1000
# Refusals that are remembered, each for a moment.
_NOTICES = 50


class Line(Protocol):
    """What carries messages: DTLS through a network, or a socket of this computer."""

    @property
    def where(self) -> str:
        """The other end, as people write it."""

    def fileno(self) -> int:
        """Return what is readable when something has come."""

    def timeout_s(self) -> float | None:
        """Return how soon ``receive`` wants to be called although nothing has come."""

    def receive(self) -> list[bytes]:
        """Return the messages that have come. Raises SurgeonError when the line has ended."""

    def send(self, message: bytes) -> None:
        """Send a message, or drop it; never wait."""

    def close(self) -> None:
        """End the line."""


def now_us() -> int:
    """Return this console's clock, by which its commands are stamped."""
    return time.monotonic_ns() // 1000


class Link:
    """One session with one bridge. A refusal of what was asked is kept in ``refusals`` by its sequence."""

    def __init__(self, line: Line, feedback_hz: float) -> None:
        self.welcome: protocol.Welcome | None = None
        self.feedback: protocol.Feedback | None = None
        self.authority = protocol.Authority(False, "", {}, [], 0)
        self.figures: protocol.Figures | None = None
        self.notices: deque[protocol.Notice] = deque(maxlen=_NOTICES)
        self.witnesses: list[protocol.Witness] = []
        # What is sent counts from one: zero is what a board reports that has restarted.
        self.seq = 0
        self.heard_s = time.monotonic()
        self._line = line
        self._joiner = Joiner()
        self._splitter = Splitter()
        self._hello = protocol.encode(protocol.Hello(protocol.VERSION, feedback_hz))

    def fileno(self) -> int:
        """Return what is readable when something has come."""
        return self._line.fileno()

    def timeout_s(self) -> float | None:
        """Return how soon ``receive`` wants to be called although nothing has come."""
        return self._line.timeout_s()

    def begin(self) -> protocol.Welcome:
        """Begin the session; wait until the bridge has welcomed it. Raises SurgeonError."""
        deadline = time.monotonic() + _WELCOME_S
        again = 0.0
        while self.welcome is None:
            now = time.monotonic()
            if now > deadline:
                raise self._gone()
            if now >= again:
                again = now + _ASK_AGAIN_S
                self._line.send(self._hello)
            self.wait(0.1)
            self.receive()
            if self.notices and self.welcome is None:
                raise SurgeonError(f"{self._line.where}: {self.notices[0].text}")
        return self.welcome

    def wait(self, seconds: float) -> None:
        """Wait until something has come, ``seconds`` at most."""
        soon = self.timeout_s()
        select.select([self.fileno()], [], [], seconds if soon is None else min(seconds, soon))

    def receive(self) -> list[protocol.Feedback]:
        """Take what has come; return the feedback among it. Raises SurgeonError when the bridge is gone."""
        came: list[protocol.Feedback] = []
        for data in self._line.receive():
            self.heard_s = time.monotonic()
            message = protocol.to_console(data)
            if isinstance(message, protocol.Part):
                whole = self._joiner.join(message)
                if whole is None:
                    continue
                message = protocol.to_console(whole)
            if isinstance(message, protocol.Feedback):
                came.append(message)
            elif isinstance(message, protocol.Ping):
                self._send(protocol.Pong(self._session, message.sent_us, now_us()))
            elif isinstance(message, protocol.Welcome):
                self.welcome = message
            elif isinstance(message, protocol.Authority):
                self.authority = message
                if message.seq > self.seq:  # another console has counted further
                    self.seq = message.seq + RENUMBERED
            elif isinstance(message, protocol.Figures):
                self.figures = message
            elif isinstance(message, protocol.Notice):
                self.notices.append(message)
            elif isinstance(message, protocol.Witness):
                self.witnesses.append(message)
        if came:
            self.feedback = came[-1]
        elif self.welcome and time.monotonic() - self.heard_s > SILENCE_S:
            raise self._gone()
        return came

    # ---- what a console says --------------------------------------------------------------

    def servo_jp(self, position: list[float], velocity: list[float], pedal: bool = True) -> int:
        """Send the next command; return its sequence."""
        seq = self.next_seq()
        self._send(protocol.ServoJp(self._session, seq, now_us(), pedal, position, velocity))
        return seq

    def state_command(self, command: str, command_hz: float = 0.0) -> int:
        """Ask for a state; return the sequence by which a refusal would name it."""
        seq = self.next_seq()
        self._send(protocol.StateCommand(self._session, seq, now_us(), command, command_hz))  # type: ignore[arg-type]
        return seq

    def ask(self, act: str, to: str = "") -> int:
        """Ask for a change of authority; return the sequence by which a refusal would name it."""
        seq = self.next_seq()
        self._send(protocol.Ask(self._session, seq, act, to))  # type: ignore[arg-type]
        return seq

    def next_seq(self) -> int:
        """Return a sequence that was not used yet."""
        self.seq += 1
        return self.seq

    def prove(self, tokens: list[list[int]]) -> None:
        """Send a token for each board."""
        self._send(protocol.Proof(self._session, tokens))

    def refusal_of(self, seq: int) -> str:
        """Return why what was asked with ``seq`` is refused, "" if nothing was said against it."""
        return next((notice.text for notice in self.notices if notice.seq == seq), "")

    def close(self) -> None:
        """End the session."""
        with contextlib.suppress(SurgeonError, OSError):
            if self.welcome:
                self._send(protocol.Bye(self._session))
        self._line.close()

    @property
    def _session(self) -> int:
        return self.welcome.session if self.welcome else 0

    def _send(self, message: protocol.FromConsole) -> None:
        for part in self._splitter.split(protocol.encode(message)):
            self._line.send(part)

    def _gone(self) -> SurgeonError:
        return SurgeonError(
            f"nothing comes from a bridge at {self._line.where}; start 'bedside bridge', or check the network"
        )
