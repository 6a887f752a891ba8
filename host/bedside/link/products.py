"""The proof that no product of the firmware's tick can leave 32 bits, from the ranges of what is multiplied.

Each line is one product or sum of ``firmware/core/joint.py``, ``profile.py`` or ``homing.py``: the largest values that
its clamps and the joint's configuration allow. The same code also runs in tests with an integer that raises when it
leaves 32 bits.
"""

from __future__ import annotations

from bedside.errors import CellError

INT32_MAX = 2**31 - 1

# The clamps of the firmware, by their names there.
_OPERAND_MAX = 131071
_TERM_MAX = 2**28 - 1
_Q8_MAX = 2**28
_CURRENT_LIMIT = 65535
_RATIO_MAX = 4096
_HEAT_LIMIT = 2**30 - 1
_MOVE_MAX = 32767
_HORIZON_MAX = 256
_COUNT_MAX = 2**30
_SCALE_MAX = 65535
_DISTANCE_MAX = 16383
# What a board lets a joint search, and its second sensor reach.
_REACH_MAX = 2**26
_SAMPLES = 8
# Where a message's gains stand, each followed by its shift.
_GAINS = range(12, 20, 2)


def products(message: list[int], tick_hz: int) -> dict[str, int]:
    """Return the largest size of each product for a configure-joint ``message``, by what is multiplied."""
    low, high, velocity = message[3:6]
    speed = velocity * 256 // tick_hz
    count_scale, count_shift = message[10:12]
    kp, ki, kd, kv = message[12:20:2]
    integral_max = message[20]
    slew, current_scale, steps_max = message[25], message[27], message[32]
    return {
        "difference of two encoder counts": 2 * _COUNT_MAX - 1,
        "counts * scale + remainder": steps_max * abs(count_scale) + 2**count_shift,
        "speed filter, Q8": 2 * (_MOVE_MAX << 8),
        "current * scale": _CURRENT_LIMIT * current_scale,
        "current ratio squared": _RATIO_MAX**2,
        "heat": _HEAT_LIMIT + (_RATIO_MAX**2 >> 6),
        "setpoint to limit": max(abs(low), abs(high)) * 2,
        "ticks left * speed": _HORIZON_MAX * speed + _Q8_MAX + 256,
        "six times the excess": 6 * _Q8_MAX + 4 * speed,
        "target speed * horizon": _HORIZON_MAX * speed,
        "stopping speed squared": (speed >> 6) ** 2,
        "error * kp": _OPERAND_MAX * kp,
        "error * ki": _OPERAND_MAX * ki,
        "speed * kd": _OPERAND_MAX * kd,
        "speed * velocity_forward": _OPERAND_MAX * kv,
        "a term of the controller, eight times": max(_OPERAND_MAX * message[k] >> message[k + 1] for k in _GAINS) << 3,
        "integral": (integral_max << 8) + _TERM_MAX,
        "sum of the terms": 3 * _TERM_MAX + 2 * 32767,
        "output + slew": 32767 + slew,
        "velocity in feedback": _MOVE_MAX * tick_hz,
        "second sensor * scale": 2**15 * _SCALE_MAX,
        "place less the second sensor's": _COUNT_MAX + _REACH_MAX,
        "samples of the second sensor, less the encoder's": _SAMPLES * 2 * _REACH_MAX - 1,
        "counts since the index * scale": _DISTANCE_MAX * abs(count_scale),
    }


def check_products(message: list[int], tick_hz: int, where: str) -> None:
    """Raise CellError if a product could leave 32 bits with this configure-joint ``message``."""
    for what, size in products(message, tick_hz).items():
        if size > INT32_MAX:
            raise CellError(f"{where}: {what} could reach {size:,}, more than a board's 32 bits hold; lower its limits")
