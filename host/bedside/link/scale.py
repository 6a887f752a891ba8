"""From physical units to the integers of protocol.cddl."""

from __future__ import annotations

from bedside.cell import Arm, Joint, check_command_rate
from bedside.errors import CellError
from bedside.link import schema

# The firmware multiplies by a 13-bit gain, then shifts right.
_GAIN_MAX = 8191
_GAIN_SHIFT_MAX = 24
_SCALE_MAX = 65535
_SCALE_SHIFT_MAX = 16
_Q15 = 32768
MICRO = 1e6


def mantissa_and_shift(value: float, top: int, shift_max: int, what: str) -> tuple[int, int]:
    """Return (m, s) with m / 2^s as near to ``value`` as m <= ``top`` allows. Raises CellError if it cannot be had."""
    if abs(value) > top:
        raise CellError(f"{what}: {value:g} in the board's units, which reach to {top}")
    for shift in range(shift_max, -1, -1):
        mantissa = round(value * 2**shift)
        if abs(mantissa) <= top:
            if value and abs(mantissa / 2**shift - value) > 0.05 * abs(value):
                raise CellError(
                    f"{what}: {value:g} in the board's units is too small to be told to the board within 5 %"
                )
            return mantissa, shift
    raise AssertionError("shift 0 always fits")


def board_message(arm: Arm, command_hz: float) -> list[int]:
    """Return the configure-board message (link sequence 0) for a stream at ``command_hz``. Raises CellError."""
    check_command_rate(arm, command_hz)
    return [schema.CONFIGURE_BOARD, 0, round(1e6 / command_hz), round(1000 * arm.operator_timeout_ms), arm.hold_ms]


def joint_message(joint: Joint, tick_hz: int) -> list[int]:
    """Return the configure-joint message (link sequence 0) for ``joint`` on a board with this tick rate.

    A gain becomes Q15 output per unit of the tick: position errors count in urad, the integral has 2^8 steps to an
    output step and is summed each tick, speeds count in 1/16 urad per tick. Raises CellError.
    """
    limits, gains = joint.limits, joint.gains
    name = f"joint[{joint.name}]"
    scale = mantissa_and_shift(
        MICRO / joint.encoder.counts_per_unit, _SCALE_MAX, _SCALE_SHIFT_MAX, f"{name}.encoder.counts_per_unit"
    )
    per_speed = _Q15 / MICRO * tick_hz / 16
    wanted = {
        "kp": gains.kp * _Q15 / MICRO,
        "ki": gains.ki * _Q15 / MICRO / tick_hz * 256,
        "kd": gains.kd * per_speed,
        "velocity_forward": gains.velocity_forward * per_speed,
    }
    fixed: list[int] = []
    for key, value in wanted.items():
        fixed += mantissa_and_shift(value, _GAIN_MAX, _GAIN_SHIFT_MAX, f"{name}.gains.{key}")
    speed_max = min(131071 / 16 * tick_hz / MICRO, 30.0)
    if limits.velocity > speed_max:
        raise CellError(
            f"{name}.limits.velocity = {limits.velocity:g}: a board at {tick_hz} Hz controls up to {speed_max:g}"
        )
    return [
        schema.CONFIGURE_JOINT,
        0,
        joint.channel,
        round(limits.position[0] * MICRO),
        round(limits.position[1] * MICRO),
        round(limits.velocity * MICRO),
        round(limits.acceleration * MICRO),
        round(limits.stop_deceleration * MICRO),
        round(limits.step * MICRO),
        round(limits.following * MICRO),
        *scale,
        *fixed,
        round(gains.integral_max * (_Q15 - 1)),
        round(gains.output_max * (_Q15 - 1)),
        gains.filter_shift,
        -1 if joint.drive_reversed else 1,
        joint.brake.open_ms,
        joint.brake.close_ms,
    ]
