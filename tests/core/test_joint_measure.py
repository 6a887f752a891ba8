from __future__ import annotations

import random
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import joint_with, tick

from core import faults
from core import layout as L


def joint_at(count: int, scale: int, shift: int) -> array[int]:
    joint = joint_with(STEPS_MAX=16383)
    joint[L.COUNT], joint[L.COUNT_SCALE], joint[L.COUNT_SHIFT] = count, scale, shift
    joint[L.POSITION] = (count * scale) >> shift
    joint[L.COUNT_REMAINDER] = (count * scale) - (joint[L.POSITION] << shift)
    joint[L.FILTER_SHIFT] = 2
    return joint


@given(
    start=st.integers(-100_000, 100_000),
    steps=st.lists(st.integers(-2000, 2000), max_size=60),
    scale=st.integers(-65535, 65535).filter(bool),
    shift=st.integers(8, 16),
)
def test_position_is_the_scaled_count_whatever_the_way_there(
    start: int, steps: list[int], scale: int, shift: int
) -> None:
    joint = joint_at(start, scale, shift)
    count = start
    for step in steps:
        count += step
        tick(joint, L.REST, count)
    assert joint[L.POSITION] == (count * scale) >> shift


def test_speed_settles_on_the_true_speed() -> None:
    joint = joint_at(0, 1 << 10, 10)
    for n in range(1, 200):
        tick(joint, L.REST, -7 * n)
    assert abs(joint[L.SPEED] + 7 * 256) <= 4


def test_a_jump_of_the_count_does_not_leave_32_bits() -> None:
    joint = joint_at(0, 65535, 0)
    tick(joint, L.REST, 2**30)
    tick(joint, L.REST, -(2**30))


@pytest.mark.parametrize("filter_shift", [0, 2])
@pytest.mark.parametrize("noise", [0, 1, 2])
def test_braking_with_a_noisy_encoder_is_no_wrong_direction(filter_shift: int, noise: int) -> None:
    """From 6 rad/s at 40 rad/s^2, against a strong drive, with 7463 counts a rad."""
    rng = random.Random(3)
    joint = joint_with(BIAS=-3000, STUCK_OUTPUT=1600, OVERSPEED_MAX=8000 << 8, STEPS_MAX=1000, SPEED=6000 << 8)
    joint[L.COUNT_SCALE], joint[L.COUNT_SHIFT], joint[L.FILTER_SHIFT] = round(1e6 / 7463 * 256), 8, filter_shift
    place, speed = 0.0, 6.0
    while speed > 0.3:
        speed -= 0.04
        place += speed / 1000
        tick(joint, L.FOLLOW, round(place * 7463) + rng.randint(-noise, noise))
        assert joint[L.FAULT_CODE] == 0


def test_speeding_up_against_a_strong_drive_is_a_wrong_direction_within_a_few_ticks() -> None:
    joint = joint_with(BIAS=-3000, STUCK_OUTPUT=1600, OVERSPEED_MAX=8000 << 8, STEPS_MAX=1000)
    joint[L.COUNT_SCALE], joint[L.COUNT_SHIFT], joint[L.FILTER_SHIFT] = 1 << 8, 8, 2
    place, speed, ticks = 0, 0, 0
    while not joint[L.FAULT_CODE]:
        speed += 20
        place += speed
        ticks += 1
        tick(joint, L.FOLLOW, place)
    assert joint[L.FAULT_CODE] == faults.WRONG_DIRECTION
    assert ticks < 40


def test_what_a_jump_measured_fits_a_small_integer_of_32_bits() -> None:
    """A tick that has to allocate for it would die of it."""
    joint = joint_at(0, 1, 0)
    joint[L.COUNT] = -(2**30)
    tick(joint, L.REST, 2**30 - 1)
    assert joint[L.FAULT_CODE] == faults.ENCODER_JUMP
    assert abs(joint[L.FAULT_VALUE]) < 2**30
