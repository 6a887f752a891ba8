from __future__ import annotations

import binascii
import os
import random
import struct
from collections.abc import Callable
from pathlib import Path

import cbor2
import pytest
from cobs import cobs

from bedside.hil.shapes import Message, bounds, messages
from fuzzing import mutated
from wire import frames

FRAMES = 200_000
# `make fuzz` runs many.
ROUNDS = int(os.environ.get("FUZZ_ROUNDS", "1"))
SEED = 20_261_122
SHAPES = messages("to-board")


def a_message(rng: random.Random, shape: Message) -> list[int]:
    """A valid message, its integers drawn so that short and long encodings are alike frequent."""

    def pick(field: range | frozenset[int]) -> int:
        low, high = bounds(field)
        near = rng.choice([low, high, 0, -1, 23, 24, 255, 256, 65535, 65536, -24, -25, rng.randint(low, high)])
        value = min(max(near, low), high)
        return value if value in field else high

    fields = shape.head + shape.group * rng.randint(shape.least, shape.most)
    return [pick(field) for field in fields]  # type: ignore[arg-type]


def blocks(rng: random.Random) -> list[bytes]:
    """COBS blocks without their zero: valid, mutated inside a valid CRC (half of all), damaged outside, or garbage."""
    made = []
    shapes = list(SHAPES.values())
    while len(made) < FRAMES:
        payload = cbor2.dumps(a_message(rng, rng.choice(shapes)))
        kind = len(made) % 4
        if kind < 2:
            payload = mutated(rng, payload)
        block = cobs.encode(payload + binascii.crc_hqx(payload, 0xFFFF).to_bytes(2, "big"))
        if kind == 3:
            way = rng.randrange(3)
            block = rng.randbytes(rng.randint(1, 250)) if way == 0 else mutated(rng, block)
            block = block.replace(b"\0", b"")
        if len(block) <= 255:
            made.append(block)
    return made


def oracle(block: bytes) -> list[int] | None:
    """What cbor2, cobs and the schema make of a block: valid is what comes back to the byte when encoded again."""
    try:
        framed = cobs.decode(block)
        if len(framed) < 3 or len(framed) > frames.PAYLOAD_MAX + 2 or binascii.crc_hqx(framed, 0xFFFF):
            return None
        items = cbor2.loads(framed[:-2])
        if type(items) is not list or cbor2.dumps(items) != framed[:-2]:
            return None
    except Exception:
        return None
    return items if any(shape.fits(items) for shape in SHAPES.values()) else None


@pytest.mark.parametrize("number", range(ROUNDS))
def test_the_board_accepts_what_the_oracle_accepts_and_nothing_else(
    run_micropython: Callable[..., bytes], number: int
) -> None:
    made = blocks(random.Random(SEED + number))
    data = b"".join(bytes([len(block)]) + block for block in made)
    answers = run_micropython(Path(__file__).parent / "decode_all.py", data=data)
    words = iter(struct.unpack(f"<{len(answers) // 4}i", answers))
    accepted = 0
    for block in made:
        count = next(words)
        items = [next(words) for _ in range(max(count, 0))] if count >= 0 else None
        expected = oracle(block)
        assert items == expected, block.hex()
        accepted += expected is not None
    assert next(words) == 0, "a drive or a brake was switched on"
    assert next(words) < 2000, "the heap has grown"
    assert FRAMES * 0.2 < accepted < FRAMES * 0.6, "the mix of good and bad frames is off"
