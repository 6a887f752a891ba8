"""Homing: a joint whose encoder does not know where the joint is finds out.

The console holds to run: each of its words lets one joint go on by a command period and all others hold, and without
them the joint slows down as it does without commands. Until it is homed a joint has other limits, set by
``core/configure.py``: slow motion, with little output. It goes

- to its index, which the port has caught to the count. Where an end stop comes first it turns, goes beyond the index
  and comes back, so that the index is always passed in the same direction;
- or to its end stop, where it gets no further although it has all the output that it may have; a second time from
  where it parks, and both must agree, because what gives way was no end stop;
- or nowhere: its second sensor tells where it is.

Then the place is right; the joint parks, and gets its full limits. All of it is background work, laid as a command is
for the next tick to plan; only that the place shifts is the tick's (``shift``), between two control steps.
"""

import micropython
from micropython import const

_STATE = const(0)
_PHASE = const(1)
_TICK = const(3)
_OPERATOR_AGE = const(4)
_OPERATOR_SEQ = const(6)
_NEW_COMMAND = const(8)
_COMMAND_PERIOD = const(9)
_ENGAGED = const(23)
_REQUEST = const(26)
_TICK_HZ = const(35)
_JOINTS = const(36)
_REFUSAL_CHANNEL = const(40)
_REFUSAL_VALUE = const(41)
_SHIFT = const(66)
_SHIFT_CHANNEL = const(67)
_BUILDING = const(1)
_OPENING = const(2)
_RUN = const(3)
_HOMING = const(2)
_REQUEST_SHIFT = const(6)
_COUNT = const(0)
_POSITION = const(2)
_SETPOINT = const(4)
_SETPOINT_SPEED = const(6)
_TARGET = const(7)
_OUTPUT = const(11)
_FLAGS = const(12)
_COMMAND = const(13)
_COMMAND_SPEED = const(14)
_REFERENCE = const(20)
_POSITION_MIN = const(23)
_POSITION_MAX = const(24)
_SPEED_MAX = const(25)
_FOLLOWING_MAX = const(29)
_COUNT_SCALE = const(30)
_COUNT_SHIFT = const(31)
_OUTPUT_MAX = const(41)
_STUCK_OUTPUT = const(53)
_STANDSTILL_MAX = const(54)
_STUCK_MAX = const(58)
_VELOCITY_MAX = const(61)
_NOT_HOMED = const(64)
_ZERO = const(65)
_SENSOR_SCALE = const(66)
_SENSOR_SHIFT = const(67)
_SENSOR_ZERO = const(68)
_SENSOR_MAX = const(69)
_FLAG_OUTPUT_LIMITED = const(4)
_HOME_METHOD = const(0)
_HOME_PLACE = const(1)
_HOME_PARK = const(2)
_HOME_SPEED = const(3)
_HOME_STEP = const(5)
_HOME_MARK = const(6)
_HOME_MARK_TICK = const(7)
_HOME_PASSES = const(8)
_HOME_TOUCHES = const(9)
_HOME_FOUND = const(10)
_HOME_LOWEST = const(11)
_HOME_HIGHEST = const(12)
_HOME_POSITION_MIN = const(13)
_HOME_POSITION_MAX = const(14)
_HOME_SPEED_MAX = const(15)
_HOME_VELOCITY_MAX = const(16)
_HOME_OUTPUT_MAX = const(17)
_HOME_STUCK_OUTPUT = const(18)
_HOME_STUCK_MAX = const(19)
_HOME_SENSOR_SCALE = const(20)
_HOME_WAY = const(21)
_HOME_INDEX = const(2)
_HOME_END_STOP = const(3)
_HOME_SENSOR = const(4)
_INPUT_COUNT = const(4)
_INPUT_INDEX_COUNT = const(20)
_INPUT_INDEX_PASSES = const(28)
_INPUT_SENSOR = const(36)
_REFUSED_OPERATOR_SEQUENCE = const(35)
_REFUSED_NOT_ENABLED = const(37)
_REFUSED_POSITION_LIMIT = const(40)
_REFUSED_CHANNEL = const(44)
_REFUSED_HOME_NOT_FOUND = const(49)
_REFUSED_HOME_UNSURE = const(50)
_RECORD_BYTES = const(320)
_HOME_BYTES = const(96)
# A home message: its type and two sequences, then the channel.
_SEQUENCE = const(2)
_CHANNEL = const(3)

# ---- HOME_STEP
_BEGIN = const(0)
_SEEK = const(1)  # towards the index or the end stop
_TURN = const(2)  # away from an end stop, to beyond the index
_CLEAR = const(3)  # the index is behind; a little further, to have room for the way back
_SHIFTING = const(4)  # the tick has been asked to shift the place
_PARK = const(5)
_SAMPLE = const(6)  # of the second sensor
_FAILED = const(7)  # until the arm is enabled or resumed again

# Long enough for the output to show that it does not help, short enough to press on an end stop.
_BLOCKED_MS = const(50)
# A joint that neither moves nor presses in so many of those has nothing to find.
_PATIENCE = const(20)
# Of the way that the speed makes, what counts as getting on.
_PROGRESS_SHIFT = const(10)
# The setpoint leads a joint that does not follow by no more than this part of what a following error allows: far enough
# for the tick to find a joint stuck that should park.
_LEAD_SHIFT = const(3)
# A power of two; the sum of as many differences of two places fits 31 bits.
_SAMPLES = const(8)
_SAMPLES_SHIFT = const(3)
_FAR = const(1073741823)
# Two counts that are further apart did not come in one command period.
_DISTANCE_MAX = const(16383)
_TICK_MASK = const(0x3FFFFFFF)


@micropython.viper
def home(records, homes, inputs, message) -> int:
    """Take a ``message`` that one joint (or none, -1) go on homing; return 0, or why it is refused.

    ``homes`` are the joints' homing records, ``inputs`` the port's. It feeds the operator's clock as a command does,
    and the first one after enable or resume moves nothing. A refusal's channel and value stand in REFUSAL_CHANNEL and
    REFUSAL_VALUE.
    """
    s = int(1) << 31
    b = ptr32(records)
    m = ptr32(message)
    n = b[_JOINTS]
    phase = b[_PHASE]
    sequence = m[_SEQUENCE]
    channel = (m[_CHANNEL] ^ s) - s
    b[_REFUSAL_CHANNEL] = 0 - 1
    if phase != _RUN and phase != _OPENING and phase != _BUILDING:
        b[_REFUSAL_VALUE] = b[_STATE]
        return _REFUSED_NOT_ENABLED
    if sequence <= b[_OPERATOR_SEQ]:
        b[_REFUSAL_VALUE] = sequence
        return _REFUSED_OPERATOR_SEQUENCE
    if channel >= n:
        b[_REFUSAL_VALUE] = n
        return _REFUSED_CHANNEL
    # Until the tick has taken up a shift, it may come between any two lines: no place means what it did.
    if phase == _RUN and b[_REQUEST] != _REQUEST_SHIFT:
        j = b
        h = ptr32(homes)
        begins = 0
        if b[_ENGAGED] != _HOMING:
            begins = 1
        k = 0
        while k < n:
            j = ptr32(int(j) + _RECORD_BYTES)
            setpoint = (j[_SETPOINT] ^ s) - s
            if k != channel and (setpoint > (j[_POSITION_MAX] ^ s) - s or setpoint < (j[_POSITION_MIN] ^ s) - s):
                # Held there it would be planned to go to its limit.
                b[_REFUSAL_CHANNEL] = k
                b[_REFUSAL_VALUE] = setpoint
                return _REFUSED_POSITION_LIMIT
            k += 1
        b[_NEW_COMMAND] = 0
        j = b
        k = 0
        while k < n:
            j = ptr32(int(j) + _RECORD_BYTES)
            j[_COMMAND] = j[_SETPOINT]
            j[_COMMAND_SPEED] = 0
            if begins or k != channel:
                h[_HOME_STEP] = _BEGIN
            elif j[_NOT_HOMED]:
                b[_REFUSAL_CHANNEL] = k
                refused = int(_go_on(records, homes, inputs, k))
                if refused:
                    if h[_HOME_STEP] != _FAILED:
                        h[_HOME_STEP] = _FAILED
                        h[_HOME_LOWEST] = refused
                        h[_HOME_HIGHEST] = b[_REFUSAL_VALUE]
                    return refused
            h = ptr32(int(h) + _HOME_BYTES)
            k += 1
        b[_ENGAGED] = _HOMING
        b[_NEW_COMMAND] = 1
    b[_OPERATOR_SEQ] = sequence
    b[_OPERATOR_AGE] = 0
    return 0


@micropython.viper
def _go_on(records, homes, inputs, channel: int) -> int:
    """Let the joint on ``channel`` go on for a command period; return 0, or why it cannot be homed."""
    s = int(1) << 31
    b = ptr32(records)
    j = ptr32(int(b) + (channel + 1) * _RECORD_BYTES)
    h = ptr32(int(ptr32(homes)) + channel * _HOME_BYTES)
    port = ptr32(int(ptr32(inputs)) + (channel << 2))
    tick = b[_TICK]
    step = h[_HOME_STEP]
    method = h[_HOME_METHOD]
    position = (j[_POSITION] ^ s) - s
    setpoint = (j[_SETPOINT] ^ s) - s
    standstill = j[_STANDSTILL_MAX]
    park = (h[_HOME_PARK] ^ s) - s
    way = (h[_HOME_SPEED] ^ s) - s
    pace = way
    if pace < 0:
        pace = 0 - pace
    passes = port[_INPUT_INDEX_PASSES]

    if step == _FAILED:
        b[_REFUSAL_VALUE] = h[_HOME_HIGHEST]
        return h[_HOME_LOWEST]
    if step == _SHIFTING:
        if j[_ZERO] != h[_HOME_FOUND]:
            # A fault came first, and the arm has been resumed since.
            h[_HOME_STEP] = _BEGIN
            return 0
        step = int(_PARK)
        h[_HOME_MARK] = position
        h[_HOME_MARK_TICK] = tick
    if step == _BEGIN:
        h[_HOME_TOUCHES] = 0
        h[_HOME_MARK] = position
        h[_HOME_MARK_TICK] = tick
        h[_HOME_PASSES] = passes
        h[_HOME_FOUND] = 0
        h[_HOME_LOWEST] = _FAR
        h[_HOME_HIGHEST] = 0 - _FAR
        step = int(_SEEK)
        if method == _HOME_SENSOR:
            step = int(_SAMPLE)

    # ---- does it get on?
    blocked = 0
    pushes = j[_FLAGS] & _FLAG_OUTPUT_LIMITED
    if (((j[_OUTPUT] ^ s) - s) ^ ((h[_HOME_WAY] ^ s) - s)) < 0:
        # It still pushes where it came from.
        pushes = 0
    moved = position - ((h[_HOME_MARK] ^ s) - s)
    if moved < 0:
        moved = 0 - moved
    window = b[_TICK_HZ] * _BLOCKED_MS // 1000
    since = (tick - h[_HOME_MARK_TICK]) & _TICK_MASK
    if step == _SAMPLE:
        pass
    elif moved > (pace * window) >> _PROGRESS_SHIFT:
        h[_HOME_MARK] = position
        h[_HOME_MARK_TICK] = tick
    elif since >= window and pushes:
        blocked = 1
    elif since >= window * _PATIENCE:
        b[_REFUSAL_VALUE] = position
        return _REFUSED_HOME_NOT_FOUND

    # ---- what it has found, and what comes next
    found = 0
    place = (h[_HOME_PLACE] ^ s) - s
    before = step
    if step == _SEEK and method == _HOME_INDEX:
        if passes != h[_HOME_PASSES]:
            since_index = ((j[_COUNT] ^ s) - s) - ((port[_INPUT_INDEX_COUNT] ^ s) - s)
            if since_index <= _DISTANCE_MAX and since_index >= 0 - _DISTANCE_MAX:
                place += (since_index * ((j[_COUNT_SCALE] ^ s) - s)) >> j[_COUNT_SHIFT]
                found = 1
            else:
                h[_HOME_PASSES] = passes
        elif blocked and h[_HOME_TOUCHES]:
            b[_REFUSAL_VALUE] = position
            return _REFUSED_HOME_NOT_FOUND
        elif blocked:
            h[_HOME_TOUCHES] = 1
            step = int(_TURN)
    elif step == _SEEK and blocked:
        off = place - position
        if off < 0:
            off = 0 - off
        if h[_HOME_TOUCHES] and off > standstill:
            b[_REFUSAL_VALUE] = off
            return _REFUSED_HOME_UNSURE
        found = 1
    elif step == _TURN:
        if passes != h[_HOME_PASSES]:
            h[_HOME_FOUND] = position
            step = int(_CLEAR)
        elif blocked:
            b[_REFUSAL_VALUE] = position
            return _REFUSED_HOME_NOT_FOUND
    elif step == _CLEAR:
        beyond = position - ((h[_HOME_FOUND] ^ s) - s)
        if beyond < 0:
            beyond = 0 - beyond
        # As far as the speed makes in 256 ticks.
        if beyond > pace or blocked:
            h[_HOME_PASSES] = passes
            step = int(_SEEK)
    elif step == _SAMPLE:
        sensed = ((port[_INPUT_SENSOR] & 0xFFFF) ^ 0x8000) - 0x8000
        there = ((sensed * ((h[_HOME_SENSOR_SCALE] ^ s) - s)) >> j[_SENSOR_SHIFT]) + ((j[_SENSOR_ZERO] ^ s) - s)
        if there < (h[_HOME_LOWEST] ^ s) - s:
            h[_HOME_LOWEST] = there
        if there > (h[_HOME_HIGHEST] ^ s) - s:
            h[_HOME_HIGHEST] = there
        if h[_HOME_TOUCHES] < _SAMPLES:
            h[_HOME_FOUND] = ((h[_HOME_FOUND] ^ s) - s) + there - position
            h[_HOME_TOUCHES] = h[_HOME_TOUCHES] + 1
        else:
            spread = ((h[_HOME_HIGHEST] ^ s) - s) - ((h[_HOME_LOWEST] ^ s) - s)
            if spread > j[_SENSOR_MAX]:
                b[_REFUSAL_VALUE] = spread
                return _REFUSED_HOME_UNSURE
            place = position + (((h[_HOME_FOUND] ^ s) - s) >> _SAMPLES_SHIFT)
            found = 1
    elif step == _PARK:
        off = position - park
        if off < 0:
            off = 0 - off
        if method == _HOME_SENSOR or (setpoint == park and j[_SETPOINT_SPEED] == 0 and off <= standstill):
            if method == _HOME_END_STOP and h[_HOME_TOUCHES] == 1:
                step = int(_SEEK)
            else:
                j[_POSITION_MIN] = h[_HOME_POSITION_MIN]
                j[_POSITION_MAX] = h[_HOME_POSITION_MAX]
                j[_SPEED_MAX] = h[_HOME_SPEED_MAX]
                j[_VELOCITY_MAX] = h[_HOME_VELOCITY_MAX]
                j[_OUTPUT_MAX] = h[_HOME_OUTPUT_MAX]
                j[_STUCK_OUTPUT] = h[_HOME_STUCK_OUTPUT]
                j[_STUCK_MAX] = h[_HOME_STUCK_MAX]
                j[_SENSOR_SCALE] = h[_HOME_SENSOR_SCALE]
                j[_NOT_HOMED] = 0
                step = int(_BEGIN)
    if step != before:
        h[_HOME_MARK] = position
        h[_HOME_MARK_TICK] = tick
    if found and b[_TICK] == tick and b[_REQUEST] == 0:
        # No tick has come since the position was read.
        step = int(_SHIFTING)
        if method == _HOME_END_STOP:
            h[_HOME_TOUCHES] = h[_HOME_TOUCHES] + 1
        h[_HOME_FOUND] = ((j[_ZERO] ^ s) - s) + place - position
        b[_SHIFT] = place - position
        b[_SHIFT_CHANNEL] = channel
        b[_REQUEST] = _REQUEST_SHIFT
    h[_HOME_STEP] = step

    # ---- where it goes until the next word
    stride = (pace * b[_COMMAND_PERIOD] >> 8) + 1
    ahead = setpoint - position
    if step == _PARK:
        left = park - setpoint
        if left <= stride and left >= 0 - stride:
            j[_COMMAND] = park
            return 0
        way = pace
        if left < 0:
            way = 0 - pace
    elif step == _TURN or step == _CLEAR:
        way = 0 - way
    elif step != _SEEK:
        return 0
    h[_HOME_WAY] = way
    if way < 0:
        ahead = 0 - ahead
        stride = 0 - stride
    if ahead < j[_FOLLOWING_MAX] >> _LEAD_SHIFT:
        j[_COMMAND] = setpoint + stride
        j[_COMMAND_SPEED] = way
    return 0


@micropython.viper
def shift(records):
    """Shift by SHIFT where the joint SHIFT_CHANNEL is, and with it all that is a place of it: nothing moves by that."""
    s = int(1) << 31
    b = ptr32(records)
    by = (b[_SHIFT] ^ s) - s
    j = ptr32(int(b) + (b[_SHIFT_CHANNEL] + 1) * _RECORD_BYTES)
    j[_POSITION] = ((j[_POSITION] ^ s) - s) + by
    j[_SETPOINT] = ((j[_SETPOINT] ^ s) - s) + by
    j[_TARGET] = ((j[_TARGET] ^ s) - s) + by
    j[_COMMAND] = ((j[_COMMAND] ^ s) - s) + by
    j[_REFERENCE] = ((j[_REFERENCE] ^ s) - s) + by
    j[_POSITION_MIN] = ((j[_POSITION_MIN] ^ s) - s) + by
    j[_POSITION_MAX] = ((j[_POSITION_MAX] ^ s) - s) + by
    j[_ZERO] = ((j[_ZERO] ^ s) - s) + by
