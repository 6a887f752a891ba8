from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.requirement("no-allocation")

TICKS = 1_000_000


def test_nothing_is_allocated_in_1_000_000_ticks_with_traffic(run_micropython: Callable[..., bytes]) -> None:
    """``heap_lock`` makes any allocation raise MemoryError, which ends the script with an error."""
    told = run_micropython(Path(__file__).parent / "allocation.py", str(TICKS), heap="192K")
    ticks, answers, refused, setpoint, feeds = map(int, told.split())
    assert ticks == TICKS + 200
    assert feeds > TICKS, "the watchdog was fed"
    assert answers > TICKS, "every tick had traffic"
    assert refused > TICKS / 20, "refusals were among it"
    assert setpoint != 0, "the joint moved"
