"""The simulated board: MicroPython's unix port with its motors, encoders and clock behind two pipes.

Standard input and output are the board's serial port (the far end of a pseudo-terminal). The harness, a pipe in and a
pipe out, stands for the wires to the motors and for the tick interrupt: each 16-word message in is one tick and
carries the time and the encoder counts; the answer carries the outputs. So a board runs in real time or in virtual time
without knowing which.
"""

import select
import sys
from array import array

from ports import BYTES, TICK

CHANNELS = 8
WORDS = 16

# Harness words, in.
_TIME_US = 0
_COUNT = 1
# Harness words, out.
_OUTPUT = 0
_DRIVES = 8
_BRAKES_OPEN = 9


class Port:
    """What the executive asks of hardware. Channels are numbered from 0; outputs are Q15."""

    def __init__(self, config: dict[str, object], harness_in: str, harness_out: str) -> None:
        self.tick_hz = int(config["tick_hz"])  # type: ignore[call-overload]
        self._link_in = sys.stdin.buffer
        self._link_out = sys.stdout.buffer
        self._harness_in = open(harness_in, "rb")
        self._harness_out = open(harness_out, "wb")
        self._in = array("i", [0] * WORDS)
        self._out = array("i", [0] * WORDS)
        self._poll = select.poll()
        self._poll.register(self._harness_in, select.POLLIN)
        self._poll.register(sys.stdin, select.POLLIN)
        for _ in self._poll.ipoll(0):
            pass  # the first poll allocates its result, the later ones use it again
        # The first exchange latches the encoders, which may be asked for before the first tick.
        self.commit()
        self._receive_tick()
        self.commit()

    def wait(self) -> int:
        """Block until there is work; return TICK, BYTES or both. Raises OSError when the simulation has ended."""
        due = 0
        for stream, _ in self._poll.ipoll(-1):
            if stream is self._harness_in:
                due |= TICK
            else:
                due |= BYTES
        return due

    def begin(self) -> int:
        """Begin a tick: latch the inputs, return the time in us (wraps at 2^30)."""
        self._receive_tick()
        return self._in[_TIME_US]

    def _receive_tick(self) -> None:
        if self._harness_in.readinto(self._in) != 4 * WORDS:
            raise OSError("the simulation has ended")

    def count(self, channel: int) -> int:
        """Return the encoder's count, as latched when the tick began."""
        return self._in[_COUNT + channel]

    def drive(self, channel: int, output: int) -> None:
        """Switch the channel's drive on at ``output`` (Q15)."""
        self._out[_OUTPUT + channel] = output
        self._out[_DRIVES] |= 1 << channel

    def drive_off(self, channel: int) -> None:
        """Take the torque off."""
        self._out[_OUTPUT + channel] = 0
        self._out[_DRIVES] &= ~(1 << channel)

    def brake(self, channel: int, is_open: bool) -> None:
        """Energise the brake to open it, or let it close."""
        if is_open:
            self._out[_BRAKES_OPEN] |= 1 << channel
        else:
            self._out[_BRAKES_OPEN] &= ~(1 << channel)

    def commit(self) -> None:
        """End a tick: what was asked of drives and brakes takes effect."""
        self._harness_out.write(self._out)

    def safe(self) -> None:
        """Everything off, every brake closed, now."""
        for channel in range(CHANNELS):
            self.drive_off(channel)
            self.brake(channel, False)
        self.commit()

    def read(self, buffer: bytearray) -> int:
        """Read what has come on the link into ``buffer``; return the number of bytes, 0 if none."""
        return self._link_in.readinto(buffer) or 0

    def write(self, buffer: bytearray, n: int) -> None:
        """Send ``buffer[:n]`` on the link. What the other side does not take is dropped, never waited for."""
        self._link_out.write(buffer, 0, n)
