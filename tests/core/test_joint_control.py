from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from core import layout as L
from core.joint import tick_joint

EXTREME = st.integers(-(2**30), 2**30)
GAIN = st.tuples(st.integers(0, 8191), st.integers(0, 24))


def joint_with(**fields: int) -> array[int]:
    joint = array("i", [0] * L.JOINT_SIZE)
    joint[L.OUTPUT_MAX] = joint[L.INTEGRAL_MAX] = 32767
    joint[L.DRIVE_SIGN] = 1
    joint[L.ACCELERATION] = joint[L.STOP_DECELERATION] = 1
    joint[L.SPEED_MAX] = 2**21
    joint[L.POSITION_MIN], joint[L.POSITION_MAX] = -(2**30), 2**30
    joint[L.FILTER_SHIFT] = 31  # the speed stays as it is given
    for name, value in fields.items():
        joint[getattr(L, name)] = value
    return joint


@given(EXTREME, EXTREME, EXTREME, GAIN, GAIN, GAIN, GAIN, st.integers(1, 32767), st.integers(0, 32767))
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
    joint[L.INTEGRAL_MAX] = ceiling
    for field, (gain, shift) in ((L.KP, kp), (L.KI, ki), (L.KD, kd), (L.KV, kv)):
        joint[field], joint[field + 1] = gain, shift
    for _ in range(3):
        tick_joint(joint, 0, L.FOLLOW)
        assert abs(joint[L.OUTPUT]) <= top
        assert abs(joint[L.INTEGRAL]) <= ceiling << 8


def test_each_term_has_its_gain() -> None:
    assert output(SETPOINT=1000, KP=2 << 4, KP_SHIFT=4) == 2000
    assert output(SPEED=-256 * 100, KD=3 << 4, KD_SHIFT=8) == 300
    assert output(SETPOINT_SPEED=256 * 100, KV=3 << 4, KV_SHIFT=8) == 300
    assert output(SETPOINT=1000, KI=256, KI_SHIFT=0) == 1000


def output(**fields: int) -> int:
    joint = joint_with(**fields)
    tick_joint(joint, 0, L.FOLLOW)
    return joint[L.OUTPUT]


def test_the_integral_does_not_wind_up_while_the_output_is_at_its_limit() -> None:
    joint = joint_with(SETPOINT=100_000, KP=8000, KP_SHIFT=8, KI=4000, KI_SHIFT=4)
    for _ in range(1000):
        tick_joint(joint, 0, L.FOLLOW)
    assert joint[L.OUTPUT] == 32767
    assert joint[L.INTEGRAL] == 0
    assert joint[L.FLAGS] & L.FLAG_OUTPUT_LIMITED


def test_a_reversed_drive_gets_the_opposite_output() -> None:
    assert output(SETPOINT=1000, KP=16, KP_SHIFT=4, DRIVE_SIGN=-1) == -1000


def test_a_step_of_the_setpoint_does_not_kick_the_derivative() -> None:
    assert output(SETPOINT=100_000, KD=8000, KD_SHIFT=0) == 0
