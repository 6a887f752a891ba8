"""Build the board from its configuration and run it. Whatever happens, its outputs end safe."""

import sys

import micropython

from blackbox import Ring
from ports import MAINTENANCE_STRAP, SWITCHES

# The simulated board runs on the unix port, whatever system that runs on.
_PORTS = {"linux": "sim", "darwin": "sim", "win32": "sim"}


def main(*arguments: str) -> None:
    """Run the board until it is asked for maintenance, its port ends or something breaks.

    A board that boots with its maintenance strap closed does not run at all, and has its REPL at once.
    """
    # Byte 0x03 on the link is data, not a request to stop.
    micropython.kbd_intr(-1)
    name = "ports." + _PORTS.get(sys.platform, sys.platform)
    __import__(name)
    port, config = sys.modules[name].open_board(*arguments)
    try:
        if not port.inputs[SWITCHES] & MAINTENANCE_STRAP:
            ring = Ring(len(config["joints"]), port.tick_hz)
            # Only now, because what loading leaves behind is in small pieces.
            from executive import Board

            Board(port, config["name"], config["uid"], config["joints"], ring).run()
    finally:
        port.safe()


main(*sys.argv[1:])
