"""From physical units to the integers of protocol.cddl."""

from __future__ import annotations

import math

from bedside.boardfile import load_board_type
from bedside.cell import Cell, check_command_rate, check_link_load
from bedside.errors import CellError
from bedside.joint import Absolute, AtEndStop, AtIndex, Joint
from bedside.link import schema
from bedside.link.products import check_products

# The firmware multiplies by a 13-bit gain, then shifts right.
_GAIN_MAX = 8191
_GAIN_SHIFT_MAX = 24
_SCALE_MAX = 65535
_SCALE_SHIFT_MAX = 16
_Q15 = 32768
_STEPS_MAX = 16383
# A joint this much faster than its limit is out of control.
_OVERSPEED = 4 / 3
# What a board lets a braked joint move when the torque goes, of limits.standstill; a count may flicker.
_BRAKE_TEST = 1 / 16
_BRAKE_TEST_COUNTS = 2
# A board refuses a joint whose stop takes longer.
_STOP_MAX_S = 2
MICRO = 1e6
# Where the second sensor's 16 bits may end, in rad or m.
_SENSOR_REACH = 67.0
_ABSOLUTE, _INDEX, _END_STOP, _SENSOR = 1, 2, 3, 4


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


def board_message(cell: Cell, name: str, command_hz: float) -> list[int]:
    """Return board ``name``'s configure-board message (link sequence 0) for a stream at ``command_hz``.

    Raises CellError.
    """
    arm, names = cell.arm, [slot.name for slot in cell.board]
    place = names.index(name)
    board = load_board_type(cell.board[place].type)
    check_command_rate(arm, command_hz)
    check_link_load(cell, name, command_hz)
    # What a board with pins does not measure, it reads as 0.
    is_measured = not board.channel or board.pins.supply is not None
    return [
        schema.CONFIGURE_BOARD,
        0,
        round(1e6 / command_hz),
        round(1000 * arm.operator_timeout_ms),
        round(1000 * arm.link_timeout_ms),
        arm.hold_ms,
        round(1000 * board.supply_v[0]) if is_measured else 0,
        round(1000 * board.supply_v[1]),
        board.late_max_us,
        len(names) if arm.run_loop else 0,
        place if arm.run_loop else 0,
        round(1000 * arm.proof_max_age_ms),
    ]


def joint_messages(joint: Joint, tick_hz: int) -> tuple[list[int], list[int]]:
    """Return what configures ``joint`` on a board with this tick rate, in this order (link sequences 0)."""
    return joint_message(joint, tick_hz), homing_message(joint)


def joint_message(joint: Joint, tick_hz: int) -> list[int]:
    """Return the configure-joint message (link sequence 0) for ``joint`` on a board with this tick rate.

    A gain becomes Q15 output per unit of the tick: position errors count in urad, the integral has 2^8 steps to an
    output step and is summed each tick, speeds count in 1/16 urad per tick. Raises CellError.
    """
    limits, gains, drive = joint.limits, joint.gains, joint.drive
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
    # A count that a joint at three times its speed limit could not make is none.
    steps_max = 2 + math.ceil(3 * limits.velocity / tick_hz * abs(joint.encoder.counts_per_unit))
    if steps_max > _STEPS_MAX:
        raise CellError(
            f"{name}.encoder.counts_per_unit = {joint.encoder.counts_per_unit:g}: {steps_max} counts a tick at three "
            f"times limits.velocity; a board takes {_STEPS_MAX}: raise tick_hz or lower limits.velocity"
        )
    if limits.velocity > _STOP_MAX_S * limits.stop_deceleration:
        raise CellError(
            f"{name}.limits.stop_deceleration = {limits.stop_deceleration:g}: a stop from limits.velocity would take "
            f"{limits.velocity / limits.stop_deceleration:.3g} s; a board allows {_STOP_MAX_S}"
        )
    if abs(gains.gravity_bias) > gains.output_max:
        raise CellError(
            f"{name}.gains.gravity_bias = {gains.gravity_bias:g}: more than gains.output_max = {gains.output_max:g}, "
            "so the joint would fall when its brake opens"
        )
    ripple = tick_hz / abs(joint.encoder.counts_per_unit) / 2**gains.filter_shift
    if ripple > (_OVERSPEED - 1) * limits.velocity:
        raise CellError(
            f"{name}.encoder.counts_per_unit = {joint.encoder.counts_per_unit:g}: one count looks like "
            f"{ripple:.3g} {joint.unit}/s, more than what parts limits.velocity from overspeed; use a finer encoder, a "
            "larger gains.filter_shift or a higher limit"
        )
    counts = limits.standstill * _BRAKE_TEST * abs(joint.encoder.counts_per_unit)
    if joint.brake and counts < _BRAKE_TEST_COUNTS:
        raise CellError(
            f"{name}.limits.standstill = {limits.standstill:g}: when the torque goes a joint that moves by "
            f"{_BRAKE_TEST:g} of it tells that its brake fails, but that is {counts:.2g} encoder counts; give "
            f"{_BRAKE_TEST_COUNTS / _BRAKE_TEST / abs(joint.encoder.counts_per_unit):.2g} or more, or a finer encoder"
        )
    current_scale = mantissa_and_shift(
        256 / (1000 * drive.continuous_a), _GAIN_MAX, _GAIN_SHIFT_MAX, f"{name}.drive.continuous_a"
    )
    excess = (256 * drive.current_max_a / drive.continuous_a) ** 2 - 65536
    heat_max = round(excess / 64 * drive.hot_after_s * tick_hz)
    if not 1 <= heat_max < 2**30:
        raise CellError(
            f"{name}.drive.hot_after_s = {drive.hot_after_s:g}: too {'short' if heat_max < 1 else 'long'} at "
            f"{drive.current_max_a / drive.continuous_a:.3g} times the continuous current"
        )
    message = [
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
        _output(gains.integral_max),
        _output(gains.output_max),
        gains.filter_shift,
        -1 if drive.reversed else 1,
        _output(gains.gravity_bias),
        max(1, round(_Q15 / (gains.slew_ms * tick_hz / 1000))) if gains.slew_ms * tick_hz > 1000 else _Q15 - 1,
        round(1000 * drive.current_max_a),
        *current_scale,
        heat_max,
        _output(drive.output_continuous),
        round(1000 * drive.current_off_a),
        steps_max,
        _output(drive.stuck_output),
        round(limits.standstill * MICRO),
        round(limits.engage * MICRO),
        round(limits.standstill * MICRO) if joint.brake else 0,
        round(_OVERSPEED * limits.velocity * MICRO),
        drive.stuck_ms,
        joint.brake.open_ms if joint.brake else 0,
        joint.brake.close_ms if joint.brake else 0,
    ]
    check_products(message, tick_hz, name)
    return message


def homing_message(joint: Joint) -> list[int]:
    """Return the configure-homing message (link sequence 0) for ``joint``. Raises CellError."""
    homing, sensor = joint.homing, joint.sensor
    message = [schema.CONFIGURE_HOMING, 0, joint.channel]
    if isinstance(homing, Absolute):
        place = round(homing.position * MICRO)
        message += [_ABSOLUTE, place, 0, round(joint.limits.velocity * MICRO), _output(joint.gains.output_max)]
    else:
        place, park, method = 0, 0, _SENSOR
        if isinstance(homing, (AtIndex, AtEndStop)):
            place = round(homing.position * MICRO)
            park = place if homing.park is None else round(homing.park * MICRO)
            method = _INDEX if isinstance(homing, AtIndex) else _END_STOP
        message += [method, place, park, round(homing.speed * MICRO), _output(homing.output)]
    if not sensor:
        return [*message, 0, 0, 0, 1]
    name = f"joint[{joint.name}].sensor"
    scale = mantissa_and_shift(MICRO / sensor.counts_per_unit, _SCALE_MAX, _SCALE_SHIFT_MAX, f"{name}.counts_per_unit")
    reach = 32768 / abs(sensor.counts_per_unit) + abs(sensor.zero)
    if reach > _SENSOR_REACH:
        raise CellError(
            f"{name}.counts_per_unit = {sensor.counts_per_unit:g}: 16 bits of it reach {reach:.3g} {joint.unit}, more "
            f"than the {_SENSOR_REACH:g} of any joint"
        )
    return [*message, *scale, round(sensor.zero * MICRO), round(sensor.tolerance * MICRO)]


def _output(share: float) -> int:
    """Return a share of full drive in the board's units, Q15."""
    return round(share * (_Q15 - 1))
