"""Every kind of failure, injected into a moving arm, stops it within the limits, and the docs tell what it took."""

from __future__ import annotations

import pytest

from stops import table
from stops.failures import FAILURES, Failure
from stops.measure import MOMENTS, inject


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name.replace(" ", "-"))
def test_a_failure_stops_the_arm_within_its_limits_and_a_restart_moves_nothing(failure: Failure) -> None:
    assert inject(failure, MOMENTS[0]).wrong == []


def test_the_safety_page_tells_of_every_failure() -> None:
    assert [row.split(" | ")[0].removeprefix("| ") for row in table.rows()] == [failure.name for failure in FAILURES]
