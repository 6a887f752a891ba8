"""Every kind of failure, injected into a moving arm, stops it within the limits."""

from __future__ import annotations

import pytest

from bedside.hil.failures import FAILURES, Failure
from bedside.hil.measures import Measures
from bedside.hil.stopping import MOMENTS, inject
from bedside.sim.board import Chip, unix_port

pytestmark = pytest.mark.requirement("stop")


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name.replace(" ", "-"))
def test_a_failure_stops_the_arm_within_its_limits_and_a_restart_moves_nothing(
    failure: Failure, chip: Chip, measures: Measures
) -> None:
    if failure.sabotage and chip is not unix_port:
        pytest.skip("only a unix port can be told how to break")
    result = inject(failure, MOMENTS[0], chip)
    if not failure.goes_on:
        measures.figure(f"{failure.name}: noticed by {result.noticed_by} after", result.noticed_ms, "ms")
        measures.figure(f"{failure.name}: last board begins to stop after", result.ramp_ms, "ms")
        measures.figure(f"{failure.name}: all joints stand after", result.standstill_ms, "ms")
        measures.figure(f"{failure.name}: travel, of what is allowed", 100 * result.travel, "%", 100)
        measures.figure(f"{failure.name}: sag, of what is allowed", 100 * result.sag, "%", 100)
        shown = result.course[: max(100, 2 * result.standstill_ms)]
        lines = {"fastest joint": [100 * share for share in shown]}
        times = [float(ms) for ms in range(len(shown))]
        title = f"Stop: {failure.name}"
        measures.curve(title, times, lines, x_label="ms after the failure", y_label="speed, % of its limit")
    assert result.wrong == []
