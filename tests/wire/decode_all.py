"""Runs on MicroPython: reads COBS blocks (a length byte, then the block), answers each as the board would take it.

The answer is a count of items and the items, or a negative code, as 32-bit words.
"""

import sys
from array import array

from wire import cbor, frames
from wire import messages as M

SCHEMA_MISMATCH = -10

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
