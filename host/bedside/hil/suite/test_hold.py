"""What holds when the drives are off: brakes, or whatever else keeps a joint from falling."""

from __future__ import annotations

import pytest

from bedside.hil.bench import Bench
from bedside.hil.measures import Measures
from bedside.hil.motion import begin
from bedside.link import causes, schema
from bedside.link.messages import DISABLED, OFF
from bedside.link.scale import MICRO

pytestmark = pytest.mark.requirement("brake")
WATCHED_S = 2.0
BRAKE_CLOSED = 1


def test_with_torque_gone_no_joint_drifts(mover: Bench, measures: Measures) -> None:
    begin(mover)
    mover.state_command(schema.STOP)
    before = mover.until_off()
    assert all(flags & BRAKE_CLOSED for flags in before.flags)
    drift = [0.0] * len(mover.joints)
    seconds, curves = [], {joint.name: [0.0] for joint in mover.joints}
    for step in range(round(WATCHED_S * mover.tick_hz / 20)):
        feedback = mover.tick(20)
        seconds.append(step * 20 / mover.tick_hz)
        for index, joint in enumerate(mover.joints):
            off = (feedback.positions[index] - before.positions[index]) / MICRO
            curves[joint.name].append(1000 * off)
            drift[index] = max(drift[index], abs(off))
    told = [causes.name_of(event.code) for event in mover.events]
    assert (feedback.state, feedback.phase) == (DISABLED, OFF), told
    for joint, by in zip(mover.joints, drift, strict=True):
        limit = joint.limits.standstill
        measures.figure(f"{joint.name}: drift without torque", 1000 * by, f"m{joint.unit}", 1000 * limit)
        assert by <= limit, joint.name
    measures.curve(
        "Drift without torque",
        seconds,
        {name: line[1:] for name, line in curves.items()},
        x_label="s",
        y_label="mrad (mm)",
    )
