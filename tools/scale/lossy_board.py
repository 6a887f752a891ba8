"""The firmware behind a bad cable, which now and then loses a byte, either way. Runs on MicroPython."""

import random
import sys
import time

import main

from ports import sim

# Of 65536 reads and writes, so many lose a byte: one in a thousand, sixteen a second with eight boards at 1 kHz.
LOSS = 65
# A bridge that starts asks each thing once, and does not begin on a cable that loses the answer.
GOOD_MS = 8000

begun = time.ticks_ms()


def is_lost():
    """Return whether a byte is lost now."""
    return random.getrandbits(16) < LOSS and time.ticks_diff(time.ticks_ms(), begun) > GOOD_MS


class Port(sim.Port):
    """A simulated board's, with this cable."""

    def read(self, buffer):
        """Read what has come on the link into ``buffer``; return the number of bytes, 0 if none."""
        n = super().read(buffer)
        if n and is_lost():
            lost = random.randrange(n)
            buffer[lost : n - 1] = bytes(buffer[lost + 1 : n])
            n -= 1
        return n

    def write(self, buffer, n):
        """Send ``buffer[:n]`` on the link."""
        if is_lost():
            lost = random.randrange(n)
            super().write(bytes(buffer[:lost]) + bytes(buffer[lost + 1 : n]), n - 1)
        else:
            super().write(buffer, n)


random.seed()
sim.Port = Port
main.main(*sys.argv[1:])
