"""The joint's position controller, in fixed point.

Every product is an 18-bit operand times a 13-bit gain, so it fits 31 bits whatever the configuration; the configured
shift then brings it to Q15 output units. The host chooses gain and shift from physical units.
"""

import micropython
from micropython import const

_POSITION = const(2)
_SPEED = const(3)
_SETPOINT = const(4)
_SETPOINT_SPEED = const(6)
_INTEGRAL = const(10)
_OUTPUT = const(11)
_FLAGS = const(12)
_KP = const(25)
_KP_SHIFT = const(26)
_KI = const(27)
_KI_SHIFT = const(28)
_KD = const(29)
_KD_SHIFT = const(30)
_KV = const(31)
_KV_SHIFT = const(32)
_INTEGRAL_MAX = const(33)
_OUTPUT_MAX = const(34)
_DRIVE_SIGN = const(36)
_FLAG_OUTPUT_LIMITED = const(4)

_OPERAND_MAX = const(131071)
# Each term is cut to 2^28 before the sum, so that four of them cannot leave 31 bits.
_TERM_MAX = const(268435455)


@micropython.viper
def control(j: ptr32):
    """One tick of PID on POSITION against SETPOINT, with speed feed-forward; writes OUTPUT (Q15, drive's sign applied).

    The derivative acts on the measured speed alone, so a step of the setpoint does not kick. The integral is clamped
    to INTEGRAL_MAX and stands still while the output is at its limit and would be pushed further into it.
    """
    s = 1 << 31
    error = ((j[_SETPOINT] ^ s) - s) - ((j[_POSITION] ^ s) - s)
    if error > _OPERAND_MAX:
        error = int(_OPERAND_MAX)
    if error < 0 - _OPERAND_MAX:
        error = 0 - _OPERAND_MAX
    # Speeds enter in Q4: 8 rad/s at 1 kHz is the operand's limit.
    speed = ((j[_SPEED] ^ s) - s) >> 4
    if speed > _OPERAND_MAX:
        speed = int(_OPERAND_MAX)
    if speed < 0 - _OPERAND_MAX:
        speed = 0 - _OPERAND_MAX
    wanted = ((j[_SETPOINT_SPEED] ^ s) - s) >> 4
    if wanted > _OPERAND_MAX:
        wanted = int(_OPERAND_MAX)
    if wanted < 0 - _OPERAND_MAX:
        wanted = 0 - _OPERAND_MAX

    proportional = (error * j[_KP]) >> j[_KP_SHIFT]
    if proportional > _TERM_MAX:
        proportional = int(_TERM_MAX)
    if proportional < 0 - _TERM_MAX:
        proportional = 0 - _TERM_MAX
    damping = (speed * j[_KD]) >> j[_KD_SHIFT]
    if damping > _TERM_MAX:
        damping = int(_TERM_MAX)
    if damping < 0 - _TERM_MAX:
        damping = 0 - _TERM_MAX
    forward = (wanted * j[_KV]) >> j[_KV_SHIFT]
    if forward > _TERM_MAX:
        forward = int(_TERM_MAX)
    if forward < 0 - _TERM_MAX:
        forward = 0 - _TERM_MAX

    integral = (j[_INTEGRAL] ^ s) - s
    output = proportional + forward - damping + (integral >> 8)
    top = j[_OUTPUT_MAX]
    if (output < top or error < 0) and (output > 0 - top or error > 0):
        step = (error * j[_KI]) >> j[_KI_SHIFT]
        if step > _TERM_MAX:
            step = int(_TERM_MAX)
        if step < 0 - _TERM_MAX:
            step = 0 - _TERM_MAX
        integral += step
        ceiling = j[_INTEGRAL_MAX] << 8
        if integral > ceiling:
            integral = ceiling
        if integral < 0 - ceiling:
            integral = 0 - ceiling
        j[_INTEGRAL] = integral
        output = proportional + forward - damping + (integral >> 8)
    if output > top:
        output = top
        j[_FLAGS] = j[_FLAGS] | _FLAG_OUTPUT_LIMITED
    if output < 0 - top:
        output = 0 - top
        j[_FLAGS] = j[_FLAGS] | _FLAG_OUTPUT_LIMITED
    j[_OUTPUT] = output * ((j[_DRIVE_SIGN] ^ s) - s)
