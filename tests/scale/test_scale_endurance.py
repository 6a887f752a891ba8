"""When `make endurance` says that something does not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scale.churn import Round
from scale.endurance import ROUNDS_MIN, judge

ROUND = Round(10.0, "leave", 4000, 0, 0, False, 44_000_000, 52)
STEADY = [replace(ROUND, at_s=10.0 * k) for k in range(ROUNDS_MIN)]


def test_a_bridge_that_stays_as_it_is_holds() -> None:
    assert judge(STEADY, failed=0) == []


def test_memory_may_grow_while_it_is_filled_for_the_first_time_only() -> None:
    filling = [replace(each, rss_bytes=44_000_000 + 300_000 * min(k, 19)) for k, each in enumerate(STEADY)]
    assert judge(filling, failed=0) == []
    leaking = [replace(each, rss_bytes=44_000_000 + 70_000 * k) for k, each in enumerate(STEADY)]
    assert judge(leaking, failed=0) == ["memory grows by 70 kB a round, 20 are allowed"]
    assert judge(leaking[:-1], failed=0) == [], "it may still be filled for the first time"


def test_a_descriptor_that_stays_open_is_noticed() -> None:
    leaking = [replace(each, descriptors=52 + k // 10) for k, each in enumerate(STEADY)]
    assert judge(leaking, failed=0) == ["57 descriptors are open, after a third of the rounds 54"]


@pytest.mark.parametrize(("late", "bare_late", "holds"), [(3, 0, True), (4, 0, False), (60, 58, True)])
def test_late_cycles_are_held_to_what_make_scale_holds_them_to(late: int, bare_late: int, holds: bool) -> None:
    assert (judge([replace(each, late=late, bare_late=bare_late) for each in STEADY], failed=0) == []) == holds


def test_some_rounds_may_fail_on_a_busy_computer_and_not_many() -> None:
    assert judge(STEADY, failed=15) == []
    assert judge(STEADY, failed=16) == ["16 of 76 rounds failed, 20% are allowed"]


def test_too_few_rounds_say_nothing() -> None:
    assert judge(STEADY[:2], failed=0) == ["2 rounds say nothing; run for more minutes"]
    assert judge([], failed=0) == ["0 rounds say nothing; run for more minutes"]
