"""The simulated board: MicroPython's unix port with its motors, encoders and clock behind two pipes.

Standard input and output are the board's serial port (the far end of a pseudo-terminal). The harness is a pipe in and
a pipe out.
"""

import select
import sys

from ports import BYTES, TICK
from ports.harness import HARNESS_SIZE, Harness, configuration


class Port(Harness):
    """What the executive asks of hardware; ``ports/__init__.py`` says what the arrays hold."""

    def __init__(self, tick_hz: int, harness_in: str, harness_out: str) -> None:
        super().__init__(tick_hz)
        self._link_in = sys.stdin.buffer
        self._link_out = sys.stdout.buffer
        self._harness_in = open(harness_in, "rb")
        self._harness_out = open(harness_out, "wb")
        self._poll = select.poll()
        self._poll.register(self._harness_in, select.POLLIN)
        self._poll.register(sys.stdin, select.POLLIN)
        for _ in self._poll.ipoll(0):
            pass  # the first poll allocates its result, the later ones use it again
        self.latch()

    def wait(self) -> int:
        """Block until there is work; return TICK, BYTES or both. Raises OSError when the simulation has ended."""
        due = 0
        for stream, _ in self._poll.ipoll(-1):
            if stream is self._harness_in:
                due |= TICK
            else:
                due |= BYTES
        return due

    def begin(self) -> None:
        """Begin a tick: latch the inputs."""
        if self._harness_in.readinto(self.inputs) != 4 * HARNESS_SIZE:
            raise OSError("the simulation has ended")

    def commit(self) -> None:
        """End a tick: what ``outputs`` says takes effect."""
        self._harness_out.write(self.outputs)

    def read(self, buffer: bytearray) -> int:
        """Read what has come on the link into ``buffer``; return the number of bytes, 0 if none."""
        return self._link_in.readinto(buffer) or 0

    def write(self, buffer: bytearray, n: int) -> None:
        """Send ``buffer[:n]`` on the link. What the other side does not take is dropped, never waited for."""
        self._link_out.write(buffer, 0, n)


def open_board(config_path: str, *harness: str) -> "tuple[Port, dict[str, object]]":
    """Return the port, and the configuration in the JSON file at ``config_path``."""
    config, tick_hz = configuration(config_path)
    return Port(tick_hz, *harness), config
