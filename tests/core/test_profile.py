from __future__ import annotations

from array import array

from hypothesis import example, given
from hypothesis import strategies as st
from records import joint_with, plan_joint
from records import tick as tick_joint

from core import layout as L

SPEED_MAX = 5000 << 8  # 5 rad/s at 1 kHz
ACCELERATION = 60 << 8
STOP = 40 << 8
LOW, HIGH = -1_000_000, 1_000_000


def joint_at(position: int, speed: int = 0) -> array[int]:
    joint = joint_with()
    joint[L.SPEED_MAX], joint[L.ACCELERATION], joint[L.STOP_DECELERATION] = SPEED_MAX, ACCELERATION, STOP
    joint[L.POSITION_MIN], joint[L.POSITION_MAX] = LOW, HIGH
    joint[L.POSITION] = position
    tick_joint(joint, L.REST)
    joint[L.SETPOINT_SPEED] = speed
    return joint


def follow(joint: array[int], position: int, speed: int, period: int, ticks: int) -> None:
    """Command ``position`` (urad) and ``speed`` (Q8), then let ``ticks`` pass, checking every limit in each."""
    joint[L.COMMAND], joint[L.COMMAND_SPEED] = position, speed
    plan_joint(joint, period)
    for _ in range(ticks):
        tick(joint, L.FOLLOW)


def tick(joint: array[int], mode: int) -> None:
    before, speed_before = (joint[L.SETPOINT] << 8) + joint[L.SETPOINT_FRACTION], joint[L.SETPOINT_SPEED]
    moving = tick_joint(joint, mode)
    after, speed = (joint[L.SETPOINT] << 8) + joint[L.SETPOINT_FRACTION], joint[L.SETPOINT_SPEED]
    assert abs(speed) <= SPEED_MAX
    assert moving & 1 == (speed != 0)
    at_limit = joint[L.SETPOINT] in (LOW, HIGH) and joint[L.FLAGS] & L.FLAG_POSITION_LIMITED
    if not at_limit:
        assert abs(speed - speed_before) <= max(ACCELERATION, STOP)
        assert after - before == speed, "the setpoint's speed is what it moves by"
    assert LOW <= joint[L.SETPOINT] <= HIGH


def test_a_command_is_reached_exactly_one_period_later_with_its_speed() -> None:
    joint = joint_at(0)
    speed = 0
    position = 0
    for k in range(100):
        speed = min(speed + (20 << 8), 900 << 8)
        position += 5 * (speed >> 8)
        follow(joint, position, speed, 5, 5)
        if k > 2:
            assert joint[L.SETPOINT] == position
            assert abs(joint[L.SETPOINT_SPEED] - speed) <= 256 * 5


@given(
    st.lists(
        st.tuples(st.integers(LOW, HIGH), st.integers(-SPEED_MAX, SPEED_MAX), st.integers(1, 20)),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 14),
)
@example([(HIGH, SPEED_MAX, 20)], 5)
def test_no_sequence_of_commands_breaks_a_limit(commands: list[tuple[int, int, int]], period: int) -> None:
    joint = joint_at(0)
    for position, speed, ticks in commands:
        follow(joint, position, speed, period, ticks)
    for _ in range(200):
        tick(joint, L.SLOW)
    assert joint[L.SETPOINT_SPEED] == 0


def test_catching_up_after_a_gap_does_not_overshoot() -> None:
    joint = joint_at(0)
    goal = 200_000
    peak = 0
    for _ in range(200):
        follow(joint, goal, 0, 5, 5)
        peak = max(peak, joint[L.SETPOINT])
    assert abs(joint[L.SETPOINT] - goal) <= 1
    assert peak <= goal + 50


def test_without_commands_it_slows_down_within_its_limit_and_stays() -> None:
    joint = joint_at(0, 1000 << 8)
    for _ in range(1000 // 40 + 1):
        tick(joint, L.SLOW)
    assert joint[L.SETPOINT_SPEED] == 0
    # v^2 / 2a = 1000^2 / (2 * 40) = 12500 urad, less half a step of the sum.
    assert abs(joint[L.SETPOINT] - 12_500) <= 1000
    there = joint[L.SETPOINT]
    tick(joint, L.SLOW)
    assert joint[L.SETPOINT] == there


def test_near_a_limit_it_slows_so_that_it_can_still_stop() -> None:
    joint = joint_at(HIGH - 100_000, 2000 << 8)
    joint[L.REMAINING] = 0
    for _ in range(400):
        tick(joint, L.FOLLOW)
    assert joint[L.SETPOINT_SPEED] == 0
    assert HIGH - 10_000 < joint[L.SETPOINT] <= HIGH


def test_at_rest_the_setpoint_is_the_measured_position() -> None:
    joint = joint_at(0, 1000 << 8)
    joint[L.POSITION] = 4321
    joint[L.INTEGRAL] = 99
    tick_joint(joint, L.REST)
    assert (joint[L.SETPOINT], joint[L.SETPOINT_SPEED], joint[L.INTEGRAL], joint[L.OUTPUT]) == (4321, 0, 0, 0)


def test_a_stop_at_any_moment_of_an_approach_to_a_limit_needs_no_more_than_its_deceleration() -> None:
    """The setpoint is never stopped dead at the limit, although a stop brakes more gently than commands may."""
    top = 3000 << 8
    worst = 0
    for cut in range(260):
        joint = joint_at(HIGH - 600_000)
        position = HIGH - 600_000
        for k in range(cut):
            if k % 5 == 0:
                speed = min(joint[L.SETPOINT_SPEED] + (200 << 8), top)
                position = min(HIGH, position + 5 * (speed >> 8))
                joint[L.COMMAND], joint[L.COMMAND_SPEED] = position, speed if position < HIGH else 0
                plan_joint(joint, 5)
            tick(joint, L.FOLLOW)
        while joint[L.SETPOINT_SPEED]:
            before = joint[L.SETPOINT_SPEED]
            tick(joint, L.SLOW)
            worst = max(worst, abs(joint[L.SETPOINT_SPEED] - before))
    assert worst <= STOP
