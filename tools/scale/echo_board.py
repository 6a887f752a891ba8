"""A board that only ticks and echoes: the limit against which the bench holds a real one. Runs on MicroPython."""

import json
import sys

import micropython

from ports import BYTES, TICK
from ports.sim import Port


def main(config_path, *arguments):
    """Echo the link's bytes, and answer each tick with idle outputs."""
    micropython.kbd_intr(-1)
    with open(config_path) as file:
        port = Port(json.load(file), *arguments)
    chunk = bytearray(256)
    while True:
        due = port.wait()
        if due & BYTES:
            port.write(chunk, port.read(chunk))
        if due & TICK:
            port.begin()
            port.commit()


main(*sys.argv[1:])
