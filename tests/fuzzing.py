"""Bytes that are nearly right, for whatever parses."""

from __future__ import annotations

import random


def mutated(rng: random.Random, data: bytes) -> bytes:
    """``data`` with a few bytes changed, put in, taken out, or swapped for what CBOR decoders stumble over."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(out) + 1)
        way = rng.randrange(5)
        if way == 0 and at < len(out):
            out[at] ^= 1 << rng.randrange(8)
        elif way == 1:
            out[at:at] = rng.randbytes(rng.randint(1, 3))
        elif way == 2:
            del out[at : at + rng.randint(1, 4)]
        elif way == 3:
            out[at : at + 1] = rng.choice(
                [b"\x9f", b"\xff", b"\xf9\x7e\x00", b"\x18\x05", b"\x1b" + bytes(8), b"\xf6", b"\xc0"]
            )
        else:
            del out[at:]
    return bytes(out)
