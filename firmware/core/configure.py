"""A joint's parameters, from the units of the wire to those of the tick. Runs only while DISABLED; may allocate."""

from array import array

from micropython import const

from core import layout as L

_INPUT_COUNT = const(4)

# Indices into the configure-joint message of protocol.cddl.
_POSITION_MIN = 3
_VELOCITY_MAX = 5
_ACCELERATION_MAX = 6
_STOP_DECELERATION = 7
_STEP_MAX = 8
_COUNT_SCALE = 10
_COUNT_SHIFT = 11
_KP = 12
_INTEGRAL_MAX = 20
_OUTPUT_MAX = 21
_DRIVE_SIGN = 23
_BIAS = 24
_STEPS_MAX = 32
_OVERSPEED = 37
_STUCK_MS = 38
_BRAKE_OPEN_MS = 39

# A Q8 speed of 2^21 urad a tick is the profile's limit (8 rad/s at 1 kHz).
_Q8_SPEED_MAX = 2097151
# A joint that takes longer than this to stop from its highest speed is none that a surgeon can hold.
_STOP_MAX_S = 2
# The largest error or speed that a gain is multiplied by, and what the product may be after its shift: four terms of 28
# bits cannot leave 31.
_OPERAND_MAX = 131071
_TERM_MAX = 268435455


def configure(records: "array[int]", channel: int, message: "array[int]", inputs: "array[int]") -> int:
    """Take a configure-joint ``message`` whose fields are in range for ``channel``; its encoder is among ``inputs``.

    Returns 0, or the index of the field that makes no sense with the others, and then changes nothing. What the joint
    has learnt stays: its heat, and the output that held it when its brake closed, if that means the same as before.
    """
    at = L.BOARD_SIZE + L.JOINT_SIZE * channel
    joint = memoryview(records)[at : at + L.JOINT_SIZE]
    tick_hz = records[L.TICK_HZ]
    speed = message[_VELOCITY_MAX] * 256 // tick_hz
    acceleration = message[_ACCELERATION_MAX] * 256 // (tick_hz * tick_hz)
    deceleration = message[_STOP_DECELERATION] * 256 // (tick_hz * tick_hz)
    scale, shift = message[_COUNT_SCALE], message[_COUNT_SHIFT]
    if message[_POSITION_MIN] >= message[_POSITION_MIN + 1]:
        return _POSITION_MIN
    if not 0 < speed <= _Q8_SPEED_MAX:
        return _VELOCITY_MAX
    if not 0 < acceleration <= _Q8_SPEED_MAX:
        return _ACCELERATION_MAX
    if not speed <= deceleration * _STOP_MAX_S * tick_hz or deceleration > _Q8_SPEED_MAX:
        return _STOP_DECELERATION
    if scale == 0 or not -0x3FFFFFFF < (inputs[_INPUT_COUNT + channel] * scale) >> shift < 0x3FFFFFFF:
        return _COUNT_SCALE
    # What is allowed in a tick must be more than what the joint does at its highest speed.
    if (speed >> 8) << shift >= message[_STEPS_MAX] * abs(scale):
        return _STEPS_MAX
    for k in range(_KP, _INTEGRAL_MAX, 2):
        if (_OPERAND_MAX * message[k]) >> message[k + 1] > _TERM_MAX:
            return k
    if abs(message[_BIAS]) > message[_OUTPUT_MAX]:
        return _BIAS
    if message[_OVERSPEED] <= message[_VELOCITY_MAX]:
        return _OVERSPEED
    if (
        joint[L.CONFIGURED] != 1
        or (joint[L.COUNT_SCALE], joint[L.COUNT_SHIFT]) != (scale, shift)
        or (joint[L.BIAS], joint[L.DRIVE_SIGN]) != (message[_BIAS], message[_DRIVE_SIGN])
        or joint[L.OUTPUT_MAX] != message[_OUTPUT_MAX]
    ):
        joint[L.HOLD_OUTPUT] = message[_BIAS]
    # A tick may come between any two lines; it leaves an unconfigured joint alone.
    joint[L.CONFIGURED] = 0
    joint[L.POSITION_MIN] = message[_POSITION_MIN]
    joint[L.POSITION_MAX] = message[_POSITION_MIN + 1]
    joint[L.VELOCITY_MAX] = message[_VELOCITY_MAX]
    joint[L.SPEED_MAX] = speed
    joint[L.ACCELERATION] = acceleration
    joint[L.STOP_DECELERATION] = deceleration
    # From the step limit to the slip limit, message and record have the same order.
    for k in range(L.SLIP_MAX - L.STEP_MAX + 1):
        joint[L.STEP_MAX + k] = message[_STEP_MAX + k]
    joint[L.OVERSPEED_MAX] = message[_OVERSPEED] * 256 // tick_hz
    joint[L.STUCK_MAX] = max(1, message[_STUCK_MS] * tick_hz // 1000)
    joint[L.BRAKE_OPEN] = message[_BRAKE_OPEN_MS] * tick_hz // 1000
    joint[L.BRAKE_CLOSE] = message[_BRAKE_OPEN_MS + 1] * tick_hz // 1000
    joint[L.SPEED] = 0
    joint[L.OVER] = 0
    while joint[L.CONFIGURED] == 0:
        now = records[L.TICK]
        _place(joint, inputs[_INPUT_COUNT + channel])
        joint[L.CONFIGURED] = 1
        if records[L.TICK] != now:
            # A tick came, and with it perhaps a count that is now neither in the place nor still to come.
            joint[L.CONFIGURED] = 0
    return 0


def _place(joint: "memoryview[int]", count: int) -> None:
    """Begin to count at ``count``, with the setpoint where the joint is: enabling may follow before the next tick."""
    scaled = count * joint[L.COUNT_SCALE]
    position = scaled >> joint[L.COUNT_SHIFT]
    joint[L.COUNT] = count
    joint[L.COUNT_REMAINDER] = scaled - (position << joint[L.COUNT_SHIFT])
    joint[L.POSITION] = position
    joint[L.REFERENCE] = position
    joint[L.SETPOINT] = position
    joint[L.SETPOINT_FRACTION] = 0
