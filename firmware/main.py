"""Build the board from its configuration and run it. Whatever happens, its outputs end safe."""

import sys

import micropython

from blackbox import Ring
from ports import MAINTENANCE_STRAP, SWITCHES, TO_REST

# The simulated board runs on the unix port, whatever system that runs on.
_PORTS = {"linux": "sim", "darwin": "sim", "win32": "sim"}
# What a terminal sends to interrupt a program.
_CTRL_C = 3


def main(*arguments: str, build: str = "") -> None:
    """Run the board until it is asked for maintenance, its port ends or something breaks.

    A board that boots with its maintenance strap closed, or that was asked for maintenance before this reset, does not
    run at all, and has its REPL at once. ``build`` names what was flashed, if it was.
    """
    # Byte 0x03 on the link is data, not a request to stop.
    micropython.kbd_intr(-1)
    name = "ports." + _PORTS.get(sys.platform, sys.platform)
    __import__(name)
    port, config = sys.modules[name].open_board(*arguments)
    if not port.link_is_console:
        # Nothing else comes there: a person may take the board to its REPL, until the arm is enabled first.
        micropython.kbd_intr(_CTRL_C)
    try:
        if port.inputs[SWITCHES] & MAINTENANCE_STRAP or port.outputs[TO_REST] == 1:
            port.outputs[TO_REST] = 0
        else:
            ring = Ring(len(config["joints"]), port.tick_hz)
            # Only now, because what loading leaves behind is in small pieces.
            from executive import Board
            from proof import proof_at

            arm = config.get("role", "").split("/")[0]
            # In the root of the flash, which an update leaves alone; one that was not flashed is told where.
            proof = proof_at(config.get("keys", "keys.json"))
            board = Board(port, config["name"], config["uid"], config["joints"], ring, proof, build, arm)
            port.start(board.tick)
            board.run()
    finally:
        port.safe()
        micropython.kbd_intr(_CTRL_C)
    port.rest()


if __name__ == "__main__":
    main(*sys.argv[1:])
