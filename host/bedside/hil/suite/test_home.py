"""Homing on any board: every joint that needs it finds its place, and is where it says."""

from __future__ import annotations

import pytest

from bedside.hil.bench import Bench
from bedside.hil.measures import Measures
from bedside.joint import Absolute
from bedside.link import causes, schema
from bedside.link.messages import NOT_HOMED, RUN
from bedside.link.scale import MICRO

pytestmark = pytest.mark.requirement("homing")
# The longest way at the slowest speed that makes sense.
PATIENCE_S = 60.0
WORD_TICKS = 5


def test_joints_that_need_it_home_one_after_the_other(mover: Bench, measures: Measures) -> None:
    needy = [channel for channel, joint in enumerate(mover.joints) if not isinstance(joint.homing, Absolute)]
    if not needy:
        pytest.skip("its encoders are absolute: no joint has to be homed")
    mover.state_command(schema.UNHOME)
    mover.run()
    for channel in sorted(needy, key=lambda each: mover.joints[each].homing.order):  # type: ignore[union-attr]
        name = mover.joints[channel].name
        for word in range(round(PATIENCE_S * mover.tick_hz / WORD_TICKS)):
            mover.operator_seq += 1
            feedback = mover.talk([schema.HOME, 0, mover.operator_seq, channel])
            told = [causes.name_of(event.code) for event in mover.events]
            assert feedback.phase == RUN, f"{name}: {told}"
            if not feedback.flags[channel] & NOT_HOMED:
                measures.figure(f"{name}: homed in", word * WORD_TICKS / mover.tick_hz, "s")
                break
            mover.pass_ticks(WORD_TICKS)
        else:
            raise AssertionError(f"{name} is not homed after {PATIENCE_S:g} s: {told}")
        low, high = mover.joints[channel].limits.position
        assert low <= feedback.positions[channel] / MICRO <= high, name
