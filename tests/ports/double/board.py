"""A board of chip family ARGV[1], "rp2" or "esp32", on the double in machine.py: its board.json, and its build."""

import sys
from array import array

import machine
import main
import uctypes

FAMILY = sys.argv[1]
registers = array("I", [0] * 16)


class Quadrature:
    """In the place of the PIO's, which has an emulator of its own."""

    def __init__(self, pins):
        self.pins = pins

    def read(self, inputs, first):
        for k in range(len(self.pins)):
            if self.pins[k]:
                inputs[first + k] = machine.counts.get(k, 0)

    def read_one(self, channel):
        return machine.counts.get(channel, 0)


if FAMILY == "rp2":
    Quadrature.Encoders = Quadrature
    sys.modules["ports.quadrature"] = Quadrature

__import__("ports." + FAMILY)
if FAMILY == "rp2":
    sys.modules["ports.rp2"]._watchdog_registers = lambda: uctypes.addressof(registers)
main._PORTS["linux"] = FAMILY

if __name__ == "__main__":
    main.main(sys.argv[2], build=sys.argv[3])
