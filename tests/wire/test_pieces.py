"""A board's line, in whatever pieces it comes."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

from bedside.link import frames, schema

SCRIPT = Path(__file__).parent / "in_pieces.py"
# What a board reads at once.
CHUNK = 1024
Run = Callable[..., bytes]


def keep_alive(seq: int) -> bytes:
    return frames.encode([schema.KEEP_ALIVE, seq])


def told(run_micropython: Run, trials: list[list[bytes]]) -> list[tuple[int, int, int]]:
    """Return answers, refusals and last link sequence of a new board after each trial's pieces."""
    data = b""
    for pieces in trials:
        data += len(pieces).to_bytes(2, "big") + b"".join(len(p).to_bytes(2, "big") + p for p in pieces)
    words = struct.iter_unpack("<3i", run_micropython(SCRIPT, data=data))
    return list(words)  # type: ignore[arg-type]


def split(rng: random.Random, line: bytes, most: int) -> list[bytes]:
    pieces = []
    while line:
        n = rng.randint(0, min(most, CHUNK))
        pieces.append(line[:n])
        line = line[n:]
    return pieces


def test_frames_are_the_same_in_any_pieces(run_micropython: Run) -> None:
    rng = random.Random(4)
    line = b"".join(keep_alive(seq) + b"\0" * rng.randint(0, 2) for seq in range(1, 101))
    trials = [split(rng, line, most) for most in (1, 2, 7, 30, 300, CHUNK) for _ in range(10)]
    assert set(told(run_micropython, trials)) == {(100, 0, 100)}


def test_a_line_without_an_end_costs_one_refusal_and_nothing_behind_it(run_micropython: Run) -> None:
    rng = random.Random(5)
    line = keep_alive(1) + b"\x55" * 3000 + b"\0" + keep_alive(2) + keep_alive(3)
    trials = [split(rng, line, most) for most in (10, 100, CHUNK) for _ in range(10)]
    # Three answers, and the event that tells of the refusal.
    assert set(told(run_micropython, trials)) == {(4, 1, 3)}


def test_a_damaged_frame_costs_none_of_its_neighbours_in_the_same_piece(run_micropython: Run) -> None:
    good, rng = [keep_alive(seq) for seq in range(1, 4)], random.Random(6)
    trials = []
    for _ in range(200):
        damaged = bytearray(good[1])
        at = rng.randrange(len(damaged) - 1)
        damaged[at] = rng.choice([byte for byte in range(1, 256) if byte != damaged[at]])
        trials.append([good[0] + bytes(damaged) + good[2]])
    assert set(told(run_micropython, trials)) == {(3, 1, 3)}
