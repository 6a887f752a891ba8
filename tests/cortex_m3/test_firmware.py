"""The firmware on 32 bits: the same bits, no allocation, within its budget of instructions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bedside.hil.plugin import SUITE
from cortex_m3 import board, counts

pytestmark = pytest.mark.usefixtures("emulator")

TESTS = Path(__file__).parents[1]
VECTORS = 10_000
TICKS = 2_000


def test_the_vectors_give_the_same_bits_as_on_64_bits(run_micropython: Callable[..., bytes]) -> None:
    """The unix port's are held against CPython's in core/test_same_bits.py."""
    script = TESTS / "core" / "vectors.py"
    told = board.run(script, str(VECTORS))
    assert len(told.splitlines()) >= VECTORS
    assert told == run_micropython(script, str(VECTORS))


def test_nothing_is_allocated_on_32_bits(run_micropython: Callable[..., bytes]) -> None:
    script = SUITE / "allocation.py"
    told = board.run(script, str(TICKS))
    assert int(told.split()[0]) == TICKS + 200
    assert told == run_micropython(script, str(TICKS), heap="192K")


def test_counts_repeat_exactly_and_keep_the_budget() -> None:
    counted = counts.counts()
    assert counts.counts() == counted
    over = {name: (counted[name][1], most) for name, most in counts.budgets().items() if counted[name][1] > most}
    assert not over, f"instructions counted and allowed: {over}"
