from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedside.surgeon.timebase import DRIFT_PPM, Timebase

pytestmark = pytest.mark.requirement("bad-network")

S = 1_000_000


def ping(base: Timebase, offset_us: float, now_us: int, out_us: int, back_us: int) -> bool:
    """Let a ping leave at ``now_us`` and take so long each way; the other clock is ``offset_us`` ahead."""
    return base.sample(now_us, round(now_us + out_us + offset_us), now_us + out_us + back_us)


@given(st.integers(-(10**9), 10**9), st.lists(st.tuples(st.integers(0, S), st.integers(0, S)), min_size=1, max_size=30))
def test_the_true_age_is_within_the_error_whatever_delays_do(offset: int, delays: list[tuple[int, int]]) -> None:
    base = Timebase()
    now = 0
    for out, back in delays:
        now += 3 * S
        assert ping(base, offset, now, out, back)
        later = now + out + back + 1000
        assert abs(base.age_us(later - 700 + offset, later) - 700) <= base.error_us(later)


def test_drift_of_200_ppm_is_followed() -> None:
    base = Timebase()
    noise = random.Random(1)
    for second in range(600):
        now = second * S
        offset = 5_000_000 + now * (DRIFT_PPM - 10) / 1e6
        assert ping(base, offset, now, 20_000 + noise.randrange(8000), 20_000 + noise.randrange(8000))
        age = base.age_us(round(now + offset), now + 40_000)
        assert abs(age - 40_000) < 15_000


def test_a_delay_that_creeps_in_is_not_learnt_as_drift() -> None:
    for way in ("to us", "to them", "both"):
        base = Timebase()
        for step in range(6000):
            now = step * S // 10
            creeping = step * 100  # a millisecond a second, five times what clocks may drift
            out = 20_000 + (creeping if way != "to us" else 0)
            back = 20_000 + (creeping if way != "to them" else 0)
            assert ping(base, 0, now, out, back)
            if step == 3000:
                true_age = 20_000 + (creeping if way != "to them" else 0)
                age = base.age_us(now, now + true_age)
                # In five minutes clocks may have drifted apart by 60 ms, and the delay has grown by 300.
                assert abs(age - true_age) <= 61_000, way


def test_a_clock_that_was_set_is_noticed() -> None:
    base = Timebase()
    assert ping(base, 0, 0, 5000, 5000)
    assert not ping(base, 60_000, S, 5000, 5000)


def test_before_the_first_ping_nothing_is_known() -> None:
    base = Timebase()
    assert not base.is_known
    assert base.error_us(0) > 3600 * S
