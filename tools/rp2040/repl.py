"""Runs programs on a MicroPython through its raw REPL, and puts files on it.

The other side is whatever reads and writes as a pyserial port does: a port, or the emulator's console.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Protocol

from bedside.errors import BedsideError

_INTERRUPT = b"\r\x03\x03"
_ENTER = b"\r\x01"
_LEAVE = b"\r\x02"
_END = b"\x04"
_NEVER = b"\xff\x00\xff"
_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
_PIECE = 256
# More of a file at once takes more of the board's memory than a program may have.
_FILE_PIECE = 1024
# How long a board may take to come out of what it does, in seconds.
_ANSWER = 10.0


class ReplError(BedsideError):
    """A board's REPL does not answer, or what ran there failed."""


class Stream(Protocol):
    """What a pyserial port has of it."""

    timeout: float | None

    def write(self, data: bytes, /) -> int | None:
        """Send ``data``."""

    def read_until(self, expected: bytes = ..., /) -> bytes:
        """Return what comes up to ``expected``, or less after ``timeout`` seconds without it."""


class RawRepl:
    """A board's raw REPL."""

    def __init__(self, stream: Stream) -> None:
        """Interrupt what runs and enter the raw REPL; raises ReplError if the board does not answer."""
        self._stream = stream
        stream.write(_INTERRUPT)
        stream.write(_ENTER)
        self._expect(_PROMPT, _ANSWER, "no raw REPL: is this a MicroPython whose console is here?")

    def run(self, program: str, seconds: float = _ANSWER) -> str:
        """Run ``program``; return what it printed.

        Raises ReplError, with the board's traceback, if it raises, and if it takes longer than ``seconds``.
        """
        data = program.encode()
        for at in range(0, len(data), _PIECE):
            self._stream.write(data[at : at + _PIECE])
        self._stream.write(_END)
        self._expect(b"OK", _ANSWER, "the board does not take a program")
        told = self._expect(_END, seconds, f"the program has not ended within {seconds:g} s")
        failed = self._expect(_END, _ANSWER, "the board does not end its answer")
        self._expect(b">", _ANSWER, "the board does not ask for the next program")
        if failed:
            raise ReplError(f"on the board:\n{failed.decode(errors='replace').rstrip()}")
        return told.decode().replace("\r\n", "\n")

    def put(self, path: str, data: bytes) -> None:
        """Write a file, and the folders above it that are missing."""
        folders = [path[:at] for at, character in enumerate(path) if character == "/" and at]
        self.run(
            "import os\nfrom binascii import a2b_base64\n"
            f"for folder in {folders!r}:\n"
            "    try:\n"
            "        os.mkdir(folder)\n"
            "    except OSError:\n"
            "        pass\n"
            f"file = open({path!r}, 'wb')"
        )
        for at in range(0, len(data), _FILE_PIECE):
            piece = b2a_base64(data[at : at + _FILE_PIECE], newline=False)
            self.run(f"file.write(a2b_base64({piece!r}))")
        self.run("file.close()")

    def restart(self) -> None:
        """Reset the interpreter: nothing of earlier programs is left but files."""
        self._stream.write(_END)
        self._expect(_PROMPT, _ANSWER, "no raw REPL after a soft reset")

    def boot(self) -> None:
        """Reset the interpreter as ``restart`` does, and let it run the board's main.py."""
        self._stream.write(_LEAVE)
        self._stream.write(_END)

    def told(self) -> bytes:
        """Return what the program that runs has printed."""
        self._stream.timeout = 0.1
        return self._stream.read_until(_NEVER)

    def _expect(self, mark: bytes, seconds: float, otherwise: str) -> bytes:
        """Return what comes before ``mark``."""
        self._stream.timeout = seconds
        came = self._stream.read_until(mark)
        if not came.endswith(mark):
            raise ReplError(f"{otherwise} (last came {came[-60:]!r})")
        return came[: -len(mark)]
