"""A joint's parameters, from the units of the wire to those of the tick. Runs only while DISABLED; may allocate."""

from array import array

from micropython import const

from core import layout as L
from core.homing import full_limits

_INPUT_COUNT = const(4)

# Indices into the configure-joint message of protocol.cddl.
_CHANNEL = 2
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
_STUCK_MS_FIELD = 38
_BRAKE_OPEN_MS = 39

# Indices into the configure-homing message.
_METHOD = 3
_PLACE = 4
_PARK = 5
_SPEED = 6
_OUTPUT = 7
_SENSOR_SCALE = 8
_SENSOR_SHIFT = 9
_SENSOR_ZERO = 10

# A Q8 speed of 2^21 urad a tick is the profile's limit (8 rad/s at 1 kHz).
_Q8_SPEED_MAX = 2097151
# A joint that takes longer than this to stop from its highest speed is none that a surgeon can hold.
_STOP_MAX_S = 2
# The largest error or speed that a gain is multiplied by, and what the product may be after its shift: four terms of 28
# bits cannot leave 31.
_OPERAND_MAX = 131071
_TERM_MAX = 268435455
# As far as a joint may search, or its second sensor reach, 67 rad or m: eight such differences fit 31 bits.
_REACH_MAX = 67108864
# A joint that is not homed may press on an end stop for so long before it counts as stuck: with 20 words a second it
# takes half of that to notice and to turn.
_STUCK_MS = 400


def configure(records: "array[int]", homes: "array[int]", message: "array[int]", inputs: "array[int]") -> int:
    """Take a configure-joint ``message`` whose fields are in range; the joint's encoder is among ``inputs``.

    Returns 0, or the index of the field that makes no sense with the others, and then changes nothing. What the joint
    has learnt stays: its heat, where it is, and the output that held it when its brake closed, if that means the same
    as before. It is not enabled until its configure-homing has come, too.
    """
    channel = message[_CHANNEL]
    joint, home = _records_of(records, homes, channel)
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
    same = joint[L.CONFIGURED] == 1 and (joint[L.COUNT_SCALE], joint[L.COUNT_SHIFT]) == (scale, shift)
    if not same:
        _forget(joint)
        home[L.HOME_LAST_METHOD] = 0
    elif home[L.HOME_METHOD]:
        home[L.HOME_LAST_METHOD] = home[L.HOME_METHOD]
    # Limits and homing must fit each other, so the homing is to come again.
    home[L.HOME_METHOD] = 0
    before = joint[L.COUNT]
    if (
        not same
        or (joint[L.BIAS], joint[L.DRIVE_SIGN]) != (message[_BIAS], message[_DRIVE_SIGN])
        or home[L.HOME_OUTPUT_MAX] != message[_OUTPUT_MAX]
    ):
        joint[L.HOLD_OUTPUT] = message[_BIAS]
    # A tick may come between any two lines; it leaves an unconfigured joint alone.
    joint[L.CONFIGURED] = 0
    joint[L.ACCELERATION] = acceleration
    joint[L.STOP_DECELERATION] = deceleration
    # From the step limit to the slip limit, message and record have the same order.
    for k in range(L.SLIP_MAX - L.STEP_MAX + 1):
        joint[L.STEP_MAX + k] = message[_STEP_MAX + k]
    joint[L.OVERSPEED_MAX] = message[_OVERSPEED] * 256 // tick_hz
    joint[L.BRAKE_OPEN] = message[_BRAKE_OPEN_MS] * tick_hz // 1000
    joint[L.BRAKE_CLOSE] = message[_BRAKE_OPEN_MS + 1] * tick_hz // 1000
    joint[L.SPEED] = 0
    joint[L.OVER] = 0
    home[L.HOME_POSITION_MIN] = message[_POSITION_MIN]
    home[L.HOME_POSITION_MAX] = message[_POSITION_MIN + 1]
    home[L.HOME_SPEED_MAX] = speed
    home[L.HOME_VELOCITY_MAX] = message[_VELOCITY_MAX]
    home[L.HOME_OUTPUT_MAX] = message[_OUTPUT_MAX]
    home[L.HOME_STUCK_OUTPUT] = joint[L.STUCK_OUTPUT]
    home[L.HOME_STUCK_MAX] = max(1, message[_STUCK_MS_FIELD] * tick_hz // 1000)
    _begin(records, homes, inputs, channel, before)
    return 0


def configure_homing(records: "array[int]", homes: "array[int]", message: "array[int]", inputs: "array[int]") -> int:
    """Take a configure-homing ``message`` whose fields are in range, for a joint that has its configure-joint.

    Returns 0, or the index of the field that makes no sense with the others, and then changes nothing. A joint that is
    homed stays so, if home is where it was.
    """
    channel = message[_CHANNEL]
    joint, home = _records_of(records, homes, channel)
    tick_hz = records[L.TICK_HZ]
    method, place, park, speed = message[_METHOD], message[_PLACE], message[_PARK], message[_SPEED]
    absolute = method == L.HOME_ABSOLUTE
    low, high = home[L.HOME_POSITION_MIN], home[L.HOME_POSITION_MAX]
    counted = _counted(joint, inputs[_INPUT_COUNT + channel])[0]
    standstill = joint[L.STANDSTILL_MAX]
    pace = max(1, abs(speed) * 256 // tick_hz)
    if joint[L.CONFIGURED] != 1 or (_reach(low, high, method, place) > _REACH_MAX and not absolute):
        return _METHOD
    if method == L.HOME_SENSOR and message[_SENSOR_SCALE] == 0:
        return _SENSOR_SCALE
    if (32768 * abs(message[_SENSOR_SCALE]) >> message[_SENSOR_SHIFT]) + abs(message[_SENSOR_ZERO]) > _REACH_MAX:
        return _SENSOR_ZERO
    if absolute and not -0x3FFFFFFF < counted + place < 0x3FFFFFFF:
        return _PLACE
    if not low <= park <= high and method in (L.HOME_INDEX, L.HOME_END_STOP):
        return _PARK
    if not 0 < abs(speed) <= home[L.HOME_VELOCITY_MAX] or (method == L.HOME_END_STOP and (place - park) * speed <= 0):
        return _SPEED
    if not absolute and pace * pace // (512 * min(joint[L.ACCELERATION], joint[L.STOP_DECELERATION])) > standstill:
        # It could not stop where it parks.
        return _SPEED
    if method == L.HOME_END_STOP and (low < place < high or abs(place - park) <= 2 * standstill):
        # So near the stop it could park without having left it, and the second touch would prove nothing.
        return _PARK
    # What may press on an end stop is less than what moves the joint for certain.
    most = home[L.HOME_OUTPUT_MAX] if absolute else min(home[L.HOME_OUTPUT_MAX], home[L.HOME_STUCK_OUTPUT])
    if not abs(joint[L.BIAS]) <= message[_OUTPUT] <= most:
        return _OUTPUT
    sensor = home[L.HOME_SENSOR_SCALE], joint[L.SENSOR_SHIFT], joint[L.SENSOR_ZERO]
    if (home[L.HOME_LAST_METHOD], home[L.HOME_PLACE]) != (method, place) or (
        method == L.HOME_SENSOR and sensor != tuple(message[_SENSOR_SCALE : _SENSOR_ZERO + 1])
    ):
        _forget(joint)
    before = joint[L.COUNT]
    joint[L.CONFIGURED] = 0
    home[L.HOME_METHOD] = method
    home[L.HOME_LAST_METHOD] = method
    home[L.HOME_PLACE] = place
    home[L.HOME_PARK] = park
    home[L.HOME_SPEED] = pace if speed > 0 else -pace
    home[L.HOME_OUTPUT] = message[_OUTPUT]
    home[L.HOME_SENSOR_SCALE] = message[_SENSOR_SCALE]
    # From the shift to the largest difference, message and record have the same order.
    for k in range(L.SENSOR_MAX - L.SENSOR_SHIFT + 1):
        joint[L.SENSOR_SHIFT + k] = message[_SENSOR_SHIFT + k]
    if absolute:
        joint[L.ZERO] = place
        joint[L.NOT_HOMED] = 0
    _begin(records, homes, inputs, channel, before)
    return 0


def unhome(records: "array[int]", homes: "array[int]", channel: int) -> None:
    """Let the joint forget where it is, unless its encoder tells. Only while there is no torque."""
    joint, home = _records_of(records, homes, channel)
    if home[L.HOME_METHOD] not in (0, L.HOME_ABSOLUTE):
        _forget(joint)
        _limit(records, homes, channel)


def _forget(joint: "memoryview[int]") -> None:
    """Let the joint no longer know where it is; then it must be configured, or limited, before it is enabled."""
    joint[L.NOT_HOMED] = L.FLAG_NOT_HOMED
    joint[L.SENSOR_SCALE] = 0
    joint[L.HOLD_OUTPUT] = joint[L.BIAS]


def _limit(records: "array[int]", homes: "array[int]", channel: int) -> None:
    """Give the joint its limits: those of its configuration, or, not homed, slow motion with little output."""
    joint, home = _records_of(records, homes, channel)
    full_limits(records, homes, channel)
    if not joint[L.NOT_HOMED]:
        return
    # A place that nobody knows is compared with nothing.
    joint[L.SENSOR_SCALE] = 0
    if home[L.HOME_METHOD]:
        # Wherever it is in its range now, it may get to the other end.
        low, high = home[L.HOME_POSITION_MIN], home[L.HOME_POSITION_MAX]
        reach = _reach(low, high, home[L.HOME_METHOD], home[L.HOME_PLACE])
        pace = abs(home[L.HOME_SPEED])
        joint[L.POSITION_MIN] = joint[L.POSITION] - reach
        joint[L.POSITION_MAX] = joint[L.POSITION] + reach
        # What is planned at this pace must not be held back by rounding.
        joint[L.SPEED_MAX] = min(joint[L.SPEED_MAX], pace + (pace >> 4) + 1)
        joint[L.VELOCITY_MAX] = min(joint[L.VELOCITY_MAX], (pace + 1) * records[L.TICK_HZ] // 256)
        joint[L.OUTPUT_MAX] = home[L.HOME_OUTPUT]
        joint[L.STUCK_OUTPUT] = max(1, home[L.HOME_OUTPUT] * 7 // 8)
        joint[L.STUCK_MAX] = max(joint[L.STUCK_MAX], records[L.TICK_HZ] * _STUCK_MS // 1000)
        if abs(joint[L.HOLD_OUTPUT]) > home[L.HOME_OUTPUT]:
            joint[L.HOLD_OUTPUT] = joint[L.BIAS]


def _reach(low: int, high: int, method: int, place: int) -> int:
    """Return how far the joint may have to go until it is homed: from one end to the other, and a quarter more."""
    if method == L.HOME_END_STOP:
        low, high = min(low, place), max(high, place)
    return (high - low) * 5 // 4


def _records_of(records: "array[int]", homes: "array[int]", channel: int) -> "tuple[memoryview[int], memoryview[int]]":
    """Return the joint's control record and its homing record."""
    joint = L.BOARD_SIZE + L.JOINT_SIZE * channel
    home = L.HOME_SIZE * channel
    return memoryview(records)[joint : joint + L.JOINT_SIZE], memoryview(homes)[home : home + L.HOME_SIZE]


def _counted(joint: "memoryview[int]", count: int) -> "tuple[int, int]":
    """Return what the encoder has counted in urad, and what is left of it."""
    scaled = count * joint[L.COUNT_SCALE]
    whole = scaled >> joint[L.COUNT_SHIFT]
    return whole, scaled - (whole << joint[L.COUNT_SHIFT])


def _begin(records: "array[int]", homes: "array[int]", inputs: "array[int]", channel: int, before: int) -> None:
    """Begin to count, with the setpoint where the joint is: enabling may follow before the next tick.

    ``before`` is the count at which the tick last knew the joint: what jumps meanwhile it cannot see. A joint that is
    not homed calls its place 0.
    """
    joint, home = _records_of(records, homes, channel)
    if abs(inputs[_INPUT_COUNT + channel] - before) > joint[L.STEPS_MAX] and home[L.HOME_METHOD] != L.HOME_ABSOLUTE:
        _forget(joint)
    while joint[L.CONFIGURED] == 0:
        now = records[L.TICK]
        count = inputs[_INPUT_COUNT + channel]
        counted, joint[L.COUNT_REMAINDER] = _counted(joint, count)
        if joint[L.NOT_HOMED]:
            joint[L.ZERO] = -counted
        position = counted + joint[L.ZERO]
        joint[L.COUNT] = count
        joint[L.POSITION] = position
        joint[L.REFERENCE] = position
        joint[L.SETPOINT] = position
        joint[L.SETPOINT_FRACTION] = 0
        _limit(records, homes, channel)
        joint[L.CONFIGURED] = 1
        if records[L.TICK] != now:
            # A tick came, and with it perhaps a count that is now neither in the place nor still to come.
            joint[L.CONFIGURED] = 0
