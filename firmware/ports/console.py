"""The port that MicroPython's REPL has, as the link of a board with no other: an ESP32 on its USB cable.

Slow, and good for a board on a table: 115200 baud carry one joint at some 50 Hz.
"""

import select
import sys

# What comes in five milliseconds at 115200 baud.
_AT_ONCE = 64


class Console:
    """A stream like a UART."""

    def __init__(self) -> None:
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._one = bytearray(1)

    def any(self) -> int:
        """Return how much may be read at once, which cannot be known, if there is something to read; else 0."""
        for _ in self._poll.ipoll(0):
            return _AT_ONCE
        return 0

    def readinto(self, buffer: bytearray, n: int) -> int:
        """Read what has come, byte by byte, because a read of more waits until all have come; return their number."""
        came = 0
        while came < n and self.any():
            self._in.readinto(self._one)
            buffer[came] = self._one[0]
            came += 1
        return came

    def write(self, buffer: bytearray, at: int, n: int) -> None:
        """Send ``buffer[at:at + n]``."""
        self._out.write(buffer, at, n)
