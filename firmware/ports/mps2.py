"""The emulated Cortex-M3 (QEMU's mps2-an385) with its motors, encoders and clock behind a UART.

UART 0 is the link. A byte on UART 1 is a tick, whose inputs stand in a file of the host's, because QEMU brings bytes
one by one; the outputs go back on UART 1. Interrupts of the ``mps2`` module collect what comes, as a board's own UART
driver does, so that a tick may take its time.
"""

import mps2

from ports import BYTES, OUTPUTS_SIZE, TICK
from ports.harness import Harness, configuration

_LINK = 0
_HARNESS = 1
_LINK_READY = 1
_HARNESS_READY = 2

# More bytes than ever wait.
_NEVER = 0x10000


class Port(Harness):
    """What the executive asks of hardware; ``ports/__init__.py`` says what the arrays hold."""

    def __init__(self, tick_hz: int, inputs: str) -> None:
        super().__init__(tick_hz)
        self._inputs = inputs
        self._bell = bytearray(1)
        self.latch()

    def wait(self) -> int:
        """Sleep until there is work; return TICK, BYTES or both."""
        ready = mps2.wait(1, 1)
        return (BYTES if ready & _LINK_READY else 0) | (TICK if ready & _HARNESS_READY else 0)

    def begin(self) -> None:
        """Begin a tick: latch the inputs."""
        mps2.wait(_NEVER, 1)
        mps2.read(_HARNESS, self._bell)
        mps2.read_file(self._inputs, self.inputs)

    def commit(self) -> None:
        """End a tick: what ``outputs`` says takes effect."""
        mps2.write(_HARNESS, self.outputs, 4 * OUTPUTS_SIZE)

    def read(self, buffer: bytearray) -> int:
        """Read what has come on the link into ``buffer``; return the number of bytes, 0 if none."""
        return mps2.read(_LINK, buffer)

    def write(self, buffer: bytearray, n: int) -> None:
        """Send ``buffer[:n]`` on the link. What the other side does not take is dropped, never waited for."""
        mps2.write(_LINK, buffer, n)


def open_board(config_path: str, inputs: str) -> "tuple[Port, dict[str, object]]":
    """Return the port, and the configuration in the JSON file at ``config_path``."""
    config, tick_hz = configuration(config_path)
    return Port(tick_hz, inputs), config
