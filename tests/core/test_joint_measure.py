from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st
from records import joint_with, tick

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
