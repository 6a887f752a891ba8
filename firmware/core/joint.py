"""The joint tick: measure, move the setpoint, control. One function, because a call costs as much as a PID.

The setpoint follows the plan that ``core/profile.py`` laid, or slows down. The controller is a PID with speed
feed-forward, in fixed point: every product is an 18-bit operand times a 13-bit gain, so it fits 31 bits whatever the
configuration, and the configured shift then brings it to Q15 output units.
"""

import micropython
from micropython import const

_COUNT = const(0)
_COUNT_REMAINDER = const(1)
_POSITION = const(2)
_SPEED = const(3)
_SETPOINT = const(4)
_SETPOINT_FRACTION = const(5)
_SETPOINT_SPEED = const(6)
_TARGET = const(7)
_TARGET_SPEED = const(8)
_REMAINING = const(9)
_INTEGRAL = const(10)
_OUTPUT = const(11)
_FLAGS = const(12)
_POSITION_MIN = const(16)
_POSITION_MAX = const(17)
_SPEED_MAX = const(18)
_ACCELERATION = const(19)
_STOP_DECELERATION = const(20)
_FOLLOWING_MAX = const(22)
_COUNT_SCALE = const(23)
_COUNT_SHIFT = const(24)
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
_FILTER_SHIFT = const(35)
_DRIVE_SIGN = const(36)

_REST = const(0)
_SLOW = const(2)
_FLAG_OUTPUT_LIMITED = const(4)
_FLAG_SPEED_LIMITED = const(8)
_FLAG_ACCELERATION_LIMITED = const(16)
_FLAG_POSITION_LIMITED = const(32)
_FLAG_SLOWING = const(64)
_JOINT_MOVING = const(1)
_NOT_FOLLOWING = const(2)

# 2^14 counts a tick at a 16-bit scale is the largest product that stays within 2^30; no joint moves that fast.
_COUNTS_MAX = const(16383)
# 2^15 urad a tick is 32 rad/s at 1 kHz, and leaves room for eight fraction bits.
_MOVE_MAX = const(32767)
# 2^20 urad in Q8 is 2^28, and six times that still fits 31 bits.
_DISTANCE_MAX = const(1048576)
_Q8_MAX = const(268435456)
_OPERAND_MAX = const(131071)
# Each term is cut to 2^28 before the sum, so that four of them cannot leave 31 bits.
_TERM_MAX = const(268435455)


@micropython.viper
def tick_joint(j: ptr32, count: int, mode: int) -> int:
    """One tick of joint ``j`` whose encoder reads ``count``; ``mode`` is REST, FOLLOW (the plan) or SLOW (down).

    Writes position (urad) and speed (Q8), setpoint, OUTPUT (Q15, the drive's sign applied) and the FLAGS that tell
    which limit held the joint back. Returns JOINT_MOVING while the setpoint has speed, plus NOT_FOLLOWING if the joint
    is further from it than FOLLOWING_MAX.
    """
    s = 1 << 31

    # ---- measure: counts to urad without losing a remainder, speed through a low-pass of 2^FILTER_SHIFT ticks
    steps = count - ((j[_COUNT] ^ s) - s)
    j[_COUNT] = count
    if steps > _COUNTS_MAX:
        steps = int(_COUNTS_MAX)
    if steps < 0 - _COUNTS_MAX:
        steps = 0 - _COUNTS_MAX
    shift = j[_COUNT_SHIFT]
    scaled = steps * ((j[_COUNT_SCALE] ^ s) - s) + j[_COUNT_REMAINDER]
    moved = scaled >> shift
    j[_COUNT_REMAINDER] = scaled - (moved << shift)
    position = ((j[_POSITION] ^ s) - s) + moved
    j[_POSITION] = position
    if moved > _MOVE_MAX:
        moved = int(_MOVE_MAX)
    if moved < 0 - _MOVE_MAX:
        moved = 0 - _MOVE_MAX
    measured = (j[_SPEED] ^ s) - s
    measured += ((moved << 8) - measured) >> j[_FILTER_SHIFT]
    j[_SPEED] = measured

    if mode == _REST:
        # No torque: the setpoint stays on the measured position, so that nothing jumps when the joint is enabled.
        j[_SETPOINT] = position
        j[_SETPOINT_FRACTION] = 0
        j[_SETPOINT_SPEED] = 0
        j[_REMAINING] = 0
        j[_INTEGRAL] = 0
        j[_OUTPUT] = 0
        j[_FLAGS] = 0
        return 0

    # ---- setpoint
    setpoint = (j[_SETPOINT] ^ s) - s
    fraction = j[_SETPOINT_FRACTION]
    speed = (j[_SETPOINT_SPEED] ^ s) - s
    limit = j[_ACCELERATION]
    low = (j[_POSITION_MIN] ^ s) - s
    high = (j[_POSITION_MAX] ^ s) - s
    remaining = j[_REMAINING]
    flags = 0
    change = 0
    if mode == _SLOW:
        flags = int(_FLAG_SLOWING)
        limit = j[_STOP_DECELERATION]
        j[_REMAINING] = 0
        change = 0 - speed
    elif remaining > 0:
        distance = ((j[_TARGET] ^ s) - s) - setpoint
        if distance > _DISTANCE_MAX:
            distance = int(_DISTANCE_MAX)
        if distance < 0 - _DISTANCE_MAX:
            distance = 0 - _DISTANCE_MAX
        distance = (distance << 8) - fraction
        if remaining == 1:
            change = distance - speed
        else:
            excess = distance - remaining * speed
            if excess > _Q8_MAX:
                excess = int(_Q8_MAX)
            if excess < 0 - _Q8_MAX:
                excess = 0 - _Q8_MAX
            end_speed = (j[_TARGET_SPEED] ^ s) - s
            change = ((6 * excess) // (remaining + 1) - 2 * (end_speed - speed)) // remaining
        j[_REMAINING] = remaining - 1

    # Near a limit only so much speed is allowed that the joint can still stop: v^2 / 2a, with v in Q2 so that its
    # square fits, rounded up by one step of 8 urad.
    quarter = speed >> 6
    stopping = (((quarter * quarter) // limit) << 3) + 8
    if (speed > 0 and high - setpoint <= stopping) or (speed < 0 and setpoint - low <= stopping):
        if mode != _SLOW:
            flags = flags | _FLAG_POSITION_LIMITED
            change = 0 - speed

    if change > limit:
        change = limit
        flags = flags | _FLAG_ACCELERATION_LIMITED
    if change < 0 - limit:
        change = 0 - limit
        flags = flags | _FLAG_ACCELERATION_LIMITED
    speed += change
    top_speed = j[_SPEED_MAX]
    if speed > top_speed:
        speed = top_speed
        flags = flags | _FLAG_SPEED_LIMITED
    if speed < 0 - top_speed:
        speed = 0 - top_speed
        flags = flags | _FLAG_SPEED_LIMITED

    fraction += speed
    setpoint += fraction >> 8
    fraction = fraction & 255
    if setpoint >= high and speed > 0:
        setpoint = high
        fraction = 0
        speed = 0
        flags = flags | _FLAG_POSITION_LIMITED
    if setpoint < low and speed < 0:
        setpoint = low
        fraction = 0
        speed = 0
        flags = flags | _FLAG_POSITION_LIMITED
    j[_SETPOINT] = setpoint
    j[_SETPOINT_FRACTION] = fraction
    j[_SETPOINT_SPEED] = speed
    result = 0
    if speed != 0:
        result = int(_JOINT_MOVING)

    # ---- control: the derivative acts on the measured speed alone, so a step of the setpoint does not kick
    error = setpoint - position
    following = j[_FOLLOWING_MAX]
    if error > following or error < 0 - following:
        result = result | _NOT_FOLLOWING
    if error > _OPERAND_MAX:
        error = int(_OPERAND_MAX)
    if error < 0 - _OPERAND_MAX:
        error = 0 - _OPERAND_MAX
    # Speeds enter in Q4: 8 rad/s at 1 kHz is the operand's limit.
    measured >>= 4
    if measured > _OPERAND_MAX:
        measured = int(_OPERAND_MAX)
    if measured < 0 - _OPERAND_MAX:
        measured = 0 - _OPERAND_MAX
    wanted = speed >> 4
    if wanted > _OPERAND_MAX:
        wanted = int(_OPERAND_MAX)
    if wanted < 0 - _OPERAND_MAX:
        wanted = 0 - _OPERAND_MAX

    proportional = (error * j[_KP]) >> j[_KP_SHIFT]
    if proportional > _TERM_MAX:
        proportional = int(_TERM_MAX)
    if proportional < 0 - _TERM_MAX:
        proportional = 0 - _TERM_MAX
    damping = (measured * j[_KD]) >> j[_KD_SHIFT]
    if damping > _TERM_MAX:
        damping = int(_TERM_MAX)
    if damping < 0 - _TERM_MAX:
        damping = 0 - _TERM_MAX
    forward = (wanted * j[_KV]) >> j[_KV_SHIFT]
    if forward > _TERM_MAX:
        forward = int(_TERM_MAX)
    if forward < 0 - _TERM_MAX:
        forward = 0 - _TERM_MAX

    # The integral stands still while the output is at its limit and would be pushed further into it.
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
        flags = flags | _FLAG_OUTPUT_LIMITED
    if output < 0 - top:
        output = 0 - top
        flags = flags | _FLAG_OUTPUT_LIMITED
    j[_OUTPUT] = output * ((j[_DRIVE_SIGN] ^ s) - s)
    j[_FLAGS] = flags
    return result
