"""What ports have in common whose motors, encoders and clock are simulated: messages instead of wires.

Each message in is one tick and carries ``inputs``; the answer carries ``outputs``; both are little-endian 32-bit words.
So a board runs in real time or in virtual time without knowing which.
"""

import json
from array import array

from ports import INPUTS_SIZE, OUTPUTS_SIZE, TO_KEEP, WATCHDOG

# Behind the inputs the harness says at boot what it has kept.
_KEPT = INPUTS_SIZE
HARNESS_SIZE = INPUTS_SIZE + OUTPUTS_SIZE - TO_KEEP


def configuration(path: str) -> "tuple[dict[str, object], int]":
    """Return what stands in the board's JSON file, and its ``tick_hz``. For a chip's number it has the board's name."""
    with open(path) as file:
        config = json.load(file)
    config.setdefault("uid", "sim-" + config["name"])
    return config, config["tick_hz"]


class Harness:
    """The arrays of a port, and what can be done to them; a port adds how they are exchanged."""

    def __init__(self, tick_hz: int) -> None:
        self.tick_hz = tick_hz
        self.link_is_console = True
        self.inputs = array("i", [0] * HARNESS_SIZE)
        self.outputs = array("i", [0] * OUTPUTS_SIZE)

    def start(self, tick) -> None:  # type: ignore[no-untyped-def]
        """Begin to tick: here the harness says when, and ``wait`` passes it on."""

    def latch(self) -> None:
        """Exchange once without a tick: the encoders may be asked for before the first one."""
        self.commit()
        self.begin()
        for index in range(TO_KEEP, OUTPUTS_SIZE):
            self.outputs[index] = self.inputs[_KEPT + index - TO_KEEP]
        self.commit()

    def begin(self) -> None:
        """Begin a tick: latch the inputs."""
        raise NotImplementedError

    def commit(self) -> None:
        """End a tick: what ``outputs`` says takes effect."""
        raise NotImplementedError

    def feed(self) -> None:
        """Feed the hardware watchdog, which the first feed starts and nothing stops."""
        self.outputs[WATCHDOG] = (self.outputs[WATCHDOG] & 0xFFFF) + 1

    def rest(self) -> None:
        """Give the REPL the port: the program ends, and the simulation sees to it."""

    def safe(self) -> None:
        """Everything off, every brake closed, now."""
        for index in range(WATCHDOG):
            self.outputs[index] = 0
        self.commit()
