from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from records import joint_with, tick

from core import layout as L

EXTREME = st.integers(-(2**30) + 1, 2**30 - 1)
# What the tick's own clamps leave: the measured speed in Q8, and the setpoint's.
MEASURED_SPEED = st.integers(-(32767 << 8), 32767 << 8)
SPEED = st.integers(-(2**21), 2**21)
GAIN = st.tuples(st.integers(0, 8191), st.integers(2, 24))


@given(EXTREME, MEASURED_SPEED, SPEED, GAIN, GAIN, GAIN, GAIN, st.integers(1, 32767), st.integers(0, 32767))
def test_no_input_leaves_32_bits_or_the_output_limit(
    setpoint: int,
    speed: int,
    wanted: int,
    kp: tuple[int, int],
    ki: tuple[int, int],
    kd: tuple[int, int],
    kv: tuple[int, int],
    top: int,
    ceiling: int,
) -> None:
    joint = joint_with(SETPOINT=setpoint, POSITION=-setpoint // 2, SPEED=speed, SETPOINT_SPEED=wanted, OUTPUT_MAX=top)
    joint[L.FILTER_SHIFT] = 31
    joint[L.INTEGRAL_MAX] = ceiling
    for field, (gain, shift) in ((L.KP, kp), (L.KI, ki), (L.KD, kd), (L.KV, kv)):
        joint[field], joint[field + 1] = gain, shift
    for _ in range(3):
        tick(joint, L.FOLLOW)
        assert abs(joint[L.OUTPUT]) <= top
        assert abs(joint[L.INTEGRAL]) <= ceiling << 8


def test_each_term_has_its_gain() -> None:
    assert output(SETPOINT=1000, KP=2 << 4, KP_SHIFT=4) == 2000
    assert output(SPEED=-256 * 100, KD=3 << 4, KD_SHIFT=8) == 300
    assert output(SETPOINT_SPEED=256 * 100, KV=3 << 4, KV_SHIFT=8) == 300
    assert output(SETPOINT=1000, KI=256, KI_SHIFT=0) == 1000


def output(**fields: int) -> int:
    joint = joint_with(FILTER_SHIFT=31, **fields)  # the speed stays as it is given
    tick(joint, L.FOLLOW)
    return joint[L.OUTPUT]


def test_the_integral_does_not_wind_up_while_the_output_is_at_its_limit() -> None:
    joint = joint_with(SETPOINT=100_000, KP=8000, KP_SHIFT=8, KI=4000, KI_SHIFT=4)
    for _ in range(1000):
        tick(joint, L.FOLLOW)
    assert joint[L.OUTPUT] == 32767
    assert joint[L.INTEGRAL] == 0
    assert joint[L.FLAGS] & L.FLAG_OUTPUT_LIMITED


def test_a_step_of_the_setpoint_does_not_kick_the_derivative() -> None:
    assert output(SETPOINT=100_000, KD=8000, KD_SHIFT=0) == 0
