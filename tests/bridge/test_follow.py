"""What a console's commands become, at worst: after a gap, with the pedal up, beyond the limits."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.bridge.follow import Follower
from bedside.cell import Cell, load_cell
from bedside.errors import SurgeonError
from bedside.hil.lockstep import PSM
from bedside.surgeon.protocol import ServoJp

pytestmark = pytest.mark.requirement("bad-network")

MS = 1_000_000
PERIOD = 5 * MS
HERE = [0.0, 0.0, 0.12, 0.0, 0.0, 0.0, 0.0]


@pytest.fixture
def follower(cell: Cell) -> Follower:
    return begun(cell)


def begun(cell: Cell) -> Follower:
    follower = Follower(cell)
    follower.begin(list(HERE), [True] * 7, 200.0)
    follower.engage(command(HERE))
    return follower


def command(position: list[float], velocity: list[float] | None = None, pedal: bool = True) -> ServoJp:
    return ServoJp(1, 1, 0, pedal, position, velocity or [0.0] * 7)


def yawed(angle: float) -> list[float]:
    return [angle, *HERE[1:]]


def stream(follower: Follower, speed: float, commands: int, now: int = 0) -> int:
    """Move the first joint at ``speed``; return the time of the last command."""
    at = follower.last[0]
    for k in range(commands):
        now += PERIOD
        follower.follow(command(yawed(at + speed * 0.005 * (k + 1)), [speed] + [0.0] * 6), now, follower.last)
    return now


def test_a_command_within_the_limits_passes_as_it_is(follower: Follower) -> None:
    wanted = yawed(0.01)
    assert follower.follow(command(wanted, [0.3] + [0.0] * 6), PERIOD, follower.last) == (wanted, [0.3] + [0.0] * 6)


def test_what_comes_after_a_gap_is_approached_no_faster_than_the_joint_may_move(follower: Follower, cell: Cell) -> None:
    now = stream(follower, 1.0, 20)
    wanted = yawed(follower.last[0] + 0.19)
    now += 80 * MS
    before, steps = follower.last, 0
    while follower.last != wanted:
        position, velocity = follower.follow(command(wanted), now, follower.last)
        assert abs(position[0] - before[0]) <= cell.joint[0].limits.velocity * 2 * 0.005 + 1e-9
        assert abs(velocity[0]) <= cell.joint[0].limits.velocity + 1e-9
        before, now, steps = position, now + PERIOD, steps + 1
    assert steps > 5


def test_a_jump_without_a_gap_is_refused(follower: Follower) -> None:
    now = stream(follower, 1.0, 20)
    with pytest.raises(SurgeonError, match=r"a step of 0\.25"):
        follower.follow(command(yawed(follower.last[0] + 0.25)), now + PERIOD, follower.last)


def test_boards_that_lag_behind_are_led_by_less_than_they_would_refuse(follower: Follower, cell: Cell) -> None:
    boards = list(HERE)
    step = cell.joint[0].limits.step
    now = PERIOD
    for k in range(1, 60):
        now += PERIOD
        position, _ = follower.follow(command(yawed(0.015 * k), [3.0] + [0.0] * 6), now, boards)
        assert abs(position[0] - boards[0]) < step
    while follower.last != yawed(0.9):
        boards = list(follower.last)
        now += PERIOD
        follower.follow(command(yawed(0.9)), now, boards)
        assert abs(follower.last[0] - boards[0]) <= 3.0 * 2 * 0.005 + 1e-9
        assert now < 120 * PERIOD


def test_limits_hold_while_a_gap_is_made_up_for(follower: Follower) -> None:
    now = stream(follower, 1.0, 20)
    with pytest.raises(SurgeonError, match="outside"):
        follower.follow(command(yawed(1.7)), now + 80 * MS, follower.last)
    with pytest.raises(SurgeonError, match="above 3"):
        follower.follow(command(yawed(0.1), [3.1] + [0.0] * 6), now + 80 * MS, follower.last)


def test_the_released_pedal_slows_the_arm_down_and_holds_it(follower: Follower, cell: Cell) -> None:
    now = stream(follower, 2.0, 40)
    begun_at = follower.last[0]
    most = 2.0**2 / (2 * cell.joint[0].limits.stop_deceleration)
    speeds = []
    for _ in range(60):
        now += PERIOD
        # The hand goes on: nobody follows it.
        _, velocity = follower.follow(command(yawed(1.2), [1.0] + [0.0] * 6, pedal=False), now, follower.last)
        speeds.append(velocity[0])
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[-1] == 0.0
    assert 0 < follower.last[0] - begun_at <= most + 0.01


def test_an_arm_that_was_held_is_taken_up_where_it_stands(follower: Follower) -> None:
    now = stream(follower, 1.0, 20)
    for _ in range(40):
        now += PERIOD
        follower.follow(command(HERE, pedal=False), now, follower.last)
    held = list(follower.last)
    with pytest.raises(SurgeonError, match="begin at its measured position"):
        follower.follow(command(yawed(held[0] + 0.05)), now + PERIOD, follower.last)
    follower.follow(command(yawed(held[0] + 0.005)), now + 2 * PERIOD, follower.last)
    assert follower.last[0] == held[0] + 0.005


def test_a_wrong_number_of_joints_is_refused(follower: Follower) -> None:
    for pedal in (True, False):
        with pytest.raises(SurgeonError, match="2 joints; this arm has 7"):
            follower.follow(ServoJp(1, 1, 0, pedal, [0.0] * 2, [0.0] * 2), PERIOD, follower.last)


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 400))
def test_no_outage_and_no_pedal_ends_in_a_step_beyond_the_limit(seed: int, outage_ms: int) -> None:
    cell = load_cell(PSM)
    follower = begun(cell)
    noise = random.Random(seed)
    now, hand, speed = 0, 0.0, 0.0
    before = list(follower.last)
    for _ in range(200):
        now += PERIOD if noise.random() > 0.02 else outage_ms * MS
        speed = max(-2.0, min(2.0, speed + noise.uniform(-0.2, 0.2)))
        hand = max(-1.5, min(1.5, hand + speed * 0.005))
        try:
            position, velocity = follower.follow(
                command(yawed(hand), [speed] + [0.0] * 6, noise.random() > 0.05), now, follower.last
            )
        except SurgeonError:
            continue
        limits = cell.joint[0].limits
        assert abs(position[0] - before[0]) <= limits.step + 1e-9
        assert abs(velocity[0]) <= limits.velocity + 1e-9
        assert limits.position[0] <= position[0] <= limits.position[1]
        before = position
