"""Build the board from its configuration and run it. Whatever happens, its outputs end safe."""

import json
import sys

import micropython

from executive import Board
from ports.sim import Port


def main(config_path: str, *arguments: str) -> None:
    """Run the board that the JSON file at ``config_path`` describes until its port ends."""
    # Byte 0x03 on the link is data, not a request to stop.
    micropython.kbd_intr(-1)
    with open(config_path) as file:
        config = json.load(file)
    port = Port(config, *arguments)
    try:
        Board(port, config["name"], config["uid"], config["joints"]).run()
    finally:
        port.safe()


main(*sys.argv[1:])
