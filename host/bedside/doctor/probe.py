"""Asks who is at a port: briefly, without a reset, and not at all while another program has it."""

from __future__ import annotations

import contextlib
import enum
import os
import re
import select
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedside.doctor.ports import Port
from bedside.errors import LinkError
from bedside.link import frames, schema
from bedside.link.board import SCHEMA
from bedside.link.messages import PHASES, STATES, Feedback, Identity, parse
from bedside.link.port import SerialPort

# A board answers in milliseconds; one behind a busy adapter, or one that is just finishing its boot, in some tenths.
_TRIES, _ANSWER_S = 3, 0.4
# A REPL says where it stands at once.
_REPL_S = 0.3
# More than this without one sound frame is another device's talk.
_JUNK_BYTES = 16
# In a line of its own, byte 1 of an identify frame is Ctrl-A to MicroPython, which answers that its REPL is raw now.
_REPL_SIGNS = (b"raw REPL", b">>> ")
# Drop what was typed, and be as a person left it; it answers with its version.
_LEAVE_RAW = b"\x03\x02"


class Kind(enum.Enum):
    """Who answers at a port."""

    BOARD = "a board"
    STRANGER = "a board of another protocol"
    REPL = "MicroPython's REPL"
    JUNK = "something else"
    SILENT = "nothing"
    BUSY = "in use"
    ABSENT = "no port"


@dataclass(frozen=True)
class Answer:
    """Who is at a port, ``text`` for a person; a board says who it is and, in ``feedback``, how it is."""

    kind: Kind
    text: str
    identity: Identity | None = None
    feedback: Feedback | None = None


def ask_all(ports: Iterable[Port]) -> list[Answer]:
    """Ask all ``ports`` at once, in their order."""
    ports = list(ports)
    with ThreadPoolExecutor(max(1, len(ports))) as pool:
        return list(pool.map(ask, ports))


def ask(port: Port) -> Answer:
    """Ask who is at ``port``; whatever happens is an answer."""
    if port.taken:
        return Answer(Kind.BUSY, port.taken)
    if user := _user_of(port.path):
        return Answer(Kind.BUSY, f"in use by {user}; end it")
    try:
        line = SerialPort(port.name, port.baud, port.dtr)
    except LinkError as error:
        return Answer(Kind.BUSY if "in use" in str(error) else Kind.ABSENT, str(error).removeprefix(_head(port)))
    with contextlib.closing(line):
        try:
            return _who(line)
        except LinkError as error:
            return Answer(Kind.ABSENT, str(error).removeprefix(_head(port)))


def state_text(feedback: Feedback | None) -> str:
    """Return a board's state as a person reads it."""
    if feedback is None or not (0 <= feedback.state < len(STATES) and 0 <= feedback.phase < len(PHASES)):
        return "does not tell its state"
    return f"{STATES[feedback.state]} ({PHASES[feedback.phase]})"


def _head(port: Port) -> str:
    return f"port {port.name}: "


def _who(line: SerialPort) -> Answer:
    heard = _Heard(line)
    for _ in range(_TRIES):
        message = heard.answer([schema.IDENTIFY, 1], schema.IDENTITY)
        if message:
            return _board(heard, message)
        if any(sign in heard.text for sign in _REPL_SIGNS):
            heard.text = b""
            line.write(_LEAVE_RAW)
            heard.listen(_REPL_S)
            version = re.search(rb"MicroPython [^\r\n]*", heard.text)
            what = version.group().decode(errors="replace") if version else "MicroPython"
            return Answer(Kind.REPL, f"its REPL has the port ({what})")
        if len(heard.text) > _JUNK_BYTES:
            return Answer(Kind.JUNK, f"something that is no Bedside board talks there ({heard.text[:_JUNK_BYTES]!r})")
    return Answer(Kind.SILENT, "nothing answers; check power, cable and baud rate, or flash the firmware")


def _board(heard: _Heard, message: list[Any]) -> Answer:
    try:
        identity = parse(message)
    except LinkError:
        identity = None
    if not isinstance(identity, Identity) or identity.schema != SCHEMA:
        firmware = message[3] if len(message) > 3 and type(message[3]) is str else "of an unknown version"
        name = message[6] if len(message) > 6 and type(message[6]) is str else "?"
        return Answer(
            Kind.STRANGER,
            f"board '{name}' has firmware {firmware} with another protocol; flash the one that came with this host",
        )
    state = heard.answer([schema.KEEP_ALIVE, 2], schema.FEEDBACK)
    feedback = None
    if state:
        with contextlib.suppress(LinkError):
            said = parse(state)
            feedback = said if isinstance(said, Feedback) else None
    return Answer(Kind.BOARD, state_text(feedback), identity, feedback)


class _Heard:
    """What comes on a line: messages, and beside them the bytes that are none."""

    def __init__(self, line: SerialPort) -> None:
        self._line = line
        self._decoder = frames.Decoder()
        self.text = b""

    def answer(self, question: list[Any], kind: int) -> list[Any] | None:
        """Send ``question``; return the first message of ``kind`` that comes, if one does."""
        self._line.write(frames.encode(question))
        for message in self._messages(_ANSWER_S):
            if message[0] == kind:
                return message
        return None

    def listen(self, seconds: float) -> None:
        """Take what comes in ``seconds``."""
        for _ in self._messages(seconds):
            pass

    def _messages(self, seconds: float) -> Iterable[list[Any]]:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            select.select([self._line.fd], [], [], left)
            data = self._line.read()
            messages = self._decoder.feed(data)
            if not messages:
                # Enough to know a REPL or a chatterbox by.
                self.text = (self.text + data)[-frames.FRAME_MAX :]
            yield from messages


def _user_of(path: str) -> str:
    """Return the program that has the serial device ``path`` open, as far as one may see; locks tell only of some."""
    device = os.path.realpath(path)
    # A simulated board's own process has its terminal open.
    if "://" in path or not device.startswith("/dev/") or device.startswith("/dev/pts/"):
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if any(os.path.realpath(fd) == device for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return ""
