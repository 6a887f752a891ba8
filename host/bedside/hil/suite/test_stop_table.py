"""Every kind of failure, injected into a moving arm, stops it within the limits."""

from __future__ import annotations

import pytest

from bedside.hil.failures import FAILURES, Failure
from bedside.hil.stopping import MOMENTS, inject
from bedside.sim.board import Chip, unix_port

pytestmark = pytest.mark.requirement("stop")


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.name.replace(" ", "-"))
def test_a_failure_stops_the_arm_within_its_limits_and_a_restart_moves_nothing(failure: Failure, chip: Chip) -> None:
    if failure.sabotage and chip is not unix_port:
        pytest.skip("only a unix port can be told how to break")
    assert inject(failure, MOMENTS[0], chip).wrong == []
