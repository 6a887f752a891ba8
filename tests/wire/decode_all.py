"""Runs on MicroPython: reads COBS blocks (a length byte, then the block), answers each as the board would take it.

The answer is a count of items and the items, or a negative code, as 32-bit words. A whole board hears the same blocks;
behind the answers come the sum of what its drives and brakes ever did, and the bytes by which the heap has grown.
"""

import gc
import sys
from array import array

from executive import Board
from ports import BRAKES_OPEN, DRIVES, INPUTS_SIZE, OUTPUTS_SIZE
from wire import cbor, frames
from wire import messages as M

SCHEMA_MISMATCH = -10


class Port:
    """A port of which only the link is used."""

    tick_hz = 1000

    def __init__(self):
        self.inputs = array("i", [0] * INPUTS_SIZE)
        self.outputs = array("i", [0] * OUTPUTS_SIZE)
        self.done = self.size = 0

    def begin(self):
        pass

    def commit(self):
        self.done |= self.outputs[DRIVES] | self.outputs[BRAKES_OPEN]

    def read(self, buffer):
        buffer[: self.size] = block[: self.size]
        buffer[self.size] = 0
        return self.size + 1

    def write(self, buffer, n):
        pass


port = Port()
board = Board(port, "fuzzed", "f", ["a", "b", "c"])
taken = used = 0

source = sys.stdin.buffer
sink = sys.stdout.buffer
payload = bytearray(frames.FRAME_MAX)
block = bytearray(256)
out = array("i", [0] * (cbor.ITEMS_MAX + 1))
message = array("i", [0] * cbor.ITEMS_MAX)
while True:
    head = source.read(1)
    if not head:
        break
    size = head[0]
    if size:
        block[:size] = source.read(size)
    n = frames.unframe(block, 0, size, payload)
    if n >= 0:
        n = cbor.decode(payload, n, message)
    if n >= 0 and M.fault_in(message, n) >= 0:
        n = SCHEMA_MISMATCH
    out[0] = n
    for k in range(max(n, 0)):
        out[k + 1] = message[k]
    sink.write(memoryview(out)[: max(n, 0) + 1])
    port.size = size
    board.receive()
    taken += 1
    if taken % 16 == 0:
        board.tick()
    if taken == 5000:
        gc.collect()
        used = gc.mem_alloc()
gc.collect()
out[0] = port.done
out[1] = gc.mem_alloc() - used
sink.write(memoryview(out)[:2])
