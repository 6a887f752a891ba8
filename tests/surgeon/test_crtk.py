from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.cell import load_cell
from bedside.errors import SurgeonError
from bedside.hil.lockstep import PSM
from bedside.surgeon import crtk
from bedside.surgeon.motion import Approach
from bedside.surgeon.protocol import JointFacts
from bedside.surgeon.welcome import joint_facts

JOINTS = joint_facts(load_cell(PSM).joint)
DT = 0.005
ONE = [JointFacts("yaw", "rad", -1.0, 1.0, 2.0, 20.0)]


def run(stream: crtk.Stream, seconds: float, begin_s: float = 0.0) -> list[tuple[float, float]]:
    """Return (position, speed) of the first joint in each period."""
    samples = [stream.at(begin_s + DT * k) for k in range(1, round(seconds / DT) + 1)]
    return [(position[0], velocity[0]) for position, velocity in samples]


def check_smooth(samples: list[tuple[float, float]], joint: JointFacts) -> None:
    for (p0, v0), (p1, v1) in pairwise(samples):
        assert abs(v1) <= joint.velocity + 1e-9
        assert abs(v1 - v0) <= joint.acceleration * DT + 1e-9 or p1 in (joint.position_min, joint.position_max)
        assert abs(p1 - p0 - (v0 + v1) / 2 * DT) <= joint.acceleration * DT * DT + 1e-9
        assert joint.position_min - 1e-9 <= p1 <= joint.position_max + 1e-9


def test_servo_jp_is_the_setpoint_and_what_is_not_followed_stays() -> None:
    stream = crtk.Servo([0.3], [1.0], DT, 0.0)
    assert stream.at(DT) == ([0.3], [1.0])
    assert stream.at(2 * DT) == ([0.3], [0.0])
    assert not stream.is_busy


def test_servo_jv_moves_as_long_as_it_is_said_and_slows_down_then() -> None:
    stream = crtk.Velocity([0.0], [0.5], ONE, 0.0)
    moved = []
    for k in range(100):
        stream.say([0.5], DT * k)
        moved += run(stream, DT, DT * k)
    assert moved[-1][1] == 0.5
    after = run(stream, 1.0, DT * 100)
    assert after[-1][1] == 0.0
    check_smooth([*moved, *after], ONE[0])


def test_servo_jv_stops_at_the_end_of_a_joints_range() -> None:
    stream = crtk.Velocity([0.9], [2.0], ONE, 0.0)
    for k in range(100):
        stream.say([2.0], DT * k)
        position, velocity = stream.at(DT * (k + 1))
    assert (position, velocity) == ([1.0], [0.0])


def test_interpolate_jp_comes_to_rest_in_its_goal() -> None:
    stream = crtk.Interpolation([0.0], ONE, 0.0)
    stream.say([0.8])
    samples = run(stream, 4.0)
    assert samples[-1] == (0.8, 0.0)
    check_smooth(samples, ONE[0])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=10), st.integers(1, 150))
def test_interpolate_jp_is_smooth_whatever_goals_come_and_when(goals: list[float], periods: int) -> None:
    stream = crtk.Interpolation([0.0], ONE, 0.0)
    samples, now = [(0.0, 0.0)], 0.0
    for goal in goals:
        stream.say([goal])
        samples += run(stream, periods * DT, now)
        now += periods * DT
    samples += run(stream, 6.0, now)
    check_smooth(samples, ONE[0])
    assert samples[-1][0] == pytest.approx(goals[-1], abs=1e-6)
    assert samples[-1][1] == pytest.approx(0.0, abs=1e-3)


def test_move_jp_is_busy_until_it_is_there() -> None:
    stream = crtk.Play(Approach([0.0] * 7, [0.2, 0.1, 0.05, 0, 0, 0, 0.3], JOINTS), 10.0)
    at = 10.0
    while stream.is_busy:
        at += DT
        position, velocity = stream.at(at)
    assert position == pytest.approx([0.2, 0.1, 0.05, 0, 0, 0, 0.3])
    assert velocity == pytest.approx([0.0] * 7)


def test_one_value_a_joint_is_asked_for_by_name() -> None:
    with pytest.raises(SurgeonError, match="2 positions; give one for each joint: outer_yaw, outer_pitch"):
        crtk.check_joints([0.0, 0.0], JOINTS, "positions")


def test_a_goal_outside_the_limits_is_refused_with_them() -> None:
    with pytest.raises(SurgeonError, match=r"joint 'outer_yaw': 1\.7 rad is outside its limits -1\.6 to 1\.6"):
        crtk.check_limits([1.7, *[0.0] * 6], JOINTS)
