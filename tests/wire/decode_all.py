"""Runs on MicroPython: reads COBS blocks (a length byte, then the block), answers each as the board would take it.

The answer is a count of items and the items, or a negative code, as 32-bit words. A whole board hears the same blocks;
behind the answers come the sum of what its drives and brakes ever did, and the bytes by which the heap has grown.
"""

import gc
import sys
from array import array

from blackbox import Ring
from core import layout as L
from executive import Board
from ports import BRAKES_OPEN, BYTES, DRIVES, INPUTS_SIZE, OUTPUTS_SIZE, TICK
from proof import Proof
from wire import cbor, frames
from wire import messages as M

SCHEMA_MISMATCH = -10


class Port:
    """A port of which only the link is used. Each block is decoded here first, then the board gets it."""

    tick_hz = 1000

    def __init__(self):
        self.inputs = array("i", [0] * INPUTS_SIZE)
        self.outputs = array("i", [0] * OUTPUTS_SIZE)
        self.done = self.size = self.taken = self.used = 0

    def wait(self):
        head = source.read(1)
        if not head:
            raise EOFError
        self.size = head[0]
        block[: self.size] = source.read(self.size)
        block[self.size] = 0
        line[: self.size + 1] = block[: self.size + 1]
        answer()
        self.taken += 1
        if self.taken == 5000:
            gc.collect()
            self.used = gc.mem_alloc()
        return BYTES if self.taken % 16 else BYTES | TICK

    def begin(self):
        pass

    def commit(self):
        self.done |= self.outputs[DRIVES] | self.outputs[BRAKES_OPEN]

    def feed(self):
        raise ValueError("no watchdog runs before an enable")

    def read(self, buffer):
        buffer[: self.size + 1] = memoryview(block)[: self.size + 1]
        return self.size + 1

    def write(self, buffer, n):
        pass


def answer():
    """Write what the decoders make of the block in ``line``."""
    n = frames.unframe(line, frames.CRC, 0)
    if n >= 0:
        n = cbor.decode(line, message, 1, n)
    if n >= 0 and M.fault_in(message, n) >= 0:
        n = SCHEMA_MISMATCH
    out[0] = n
    for k in range(max(n, 0)):
        out[k + 1] = message[k]
    sink.write(memoryview(out)[: max(n, 0) + 1])


source = sys.stdin.buffer
sink = sys.stdout.buffer
block = bytearray(256)
line = bytearray(frames.FRAME_MAX + 8)
out = array("i", [0] * (cbor.ITEMS_MAX + 1))
message = array("i", [0] * cbor.ITEMS_MAX)
port = Port()
board = Board(port, "fuzzed", "f", ["a", "b", "c"], Ring(3, port.tick_hz), Proof([]))
try:
    while True:
        board.run()
        # A fuzzed message has asked for maintenance.
        board.board[L.MAINTENANCE] = 0
except EOFError:
    pass
gc.collect()
out[0] = port.done
out[1] = gc.mem_alloc() - port.used
sink.write(memoryview(out)[:2])
