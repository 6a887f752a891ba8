"""Homing: a joint whose encoder does not know where the joint is finds out.

The console holds to run: each of its words lets one joint go on by a command period and all others hold, and without
them the joint slows down as it does without commands. Until it is homed a joint has other limits, set by
``core/configure.py``: slow motion, with little output. It goes

- to its index, which the port has caught to the count. Where an end stop comes first it turns and goes beyond the
  index, so that the index is always passed in the same direction; and it passes it twice, because a spike on the line
  is no index;
- or to its end stop, where it gets no further although it has all the output that it may have; a second time from
  where it parks, and both must agree, because what gives way was no end stop;
- or nowhere: its second sensor tells where it is.

Where it pushes and nothing should be in its way, its torque goes: an encoder that does not count looks like that. Else
the place is right then; the joint parks, and gets its full limits. All of it is background work, laid as a command is
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
_REQUEST_BLOCKED = const(7)
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
_HOME_WAY = const(6)
_HOME_MARK = const(7)
_HOME_MARK_TICK = const(8)
_HOME_FREE_TICK = const(9)
_HOME_PASSES = const(10)
_HOME_TOUCHES = const(11)
_HOME_TURNED = const(12)
_HOME_BEYOND = const(13)
_HOME_FOUND = const(14)
_HOME_LOWEST = const(15)
_HOME_HIGHEST = const(16)
_HOME_POSITION_MIN = const(18)
_HOME_POSITION_MAX = const(19)
_HOME_SPEED_MAX = const(20)
_HOME_VELOCITY_MAX = const(21)
_HOME_OUTPUT_MAX = const(22)
_HOME_STUCK_OUTPUT = const(23)
_HOME_STUCK_MAX = const(24)
_HOME_SENSOR_SCALE = const(25)
_HOME_INDEX = const(2)
_HOME_END_STOP = const(3)
_HOME_SENSOR = const(4)
_INPUT_SWITCHES = const(2)
_INPUT_LOCAL_OFF = const(32)
_INPUT_COUNT = const(4)
_INPUT_INDEX_COUNT = const(20)
_INPUT_INDEX_PASSES = const(28)
_INPUT_SENSOR = const(36)
_REFUSED_OPERATOR_SEQUENCE = const(35)
_REFUSED_NOT_ENABLED = const(37)
_REFUSED_LOCAL_SWITCH = const(57)
_REFUSED_POSITION_LIMIT = const(40)
_REFUSED_CHANNEL = const(44)
_REFUSED_HOME_NOT_FOUND = const(49)
_REFUSED_HOME_UNSURE = const(50)
_REFUSED_HOME_OUTSIDE = const(52)
_RECORD_BYTES = const(320)
_HOME_BYTES = const(112)
# A home message: its type and two sequences, then the channel.
_SEQUENCE = const(2)
_CHANNEL = const(3)

# ---- HOME_STEP
_BEGIN = const(0)
_SEEK = const(1)  # towards the index or the end stop
_TURN = const(2)  # away from an end stop, to beyond the index
_CLEAR = const(3)  # beyond the index, to have room for the way back
_SHIFTING = const(4)  # the tick has been asked to shift the place
_PARK = const(5)
_SAMPLE = const(6)  # of the second sensor
_FAILED = const(7)  # until the arm is enabled or resumed again

# ---- what is in the joint's way
_PUSHES = const(1)
_NOWHERE = const(2)

# Long enough for the output to show that it does not help, short enough to press on an end stop.
_BLOCKED_MS = const(50)
# A joint that neither moves nor presses in so many of those has nothing to find.
_PATIENCE = const(20)
# Of the way that the speed makes, what counts as getting on.
_PROGRESS_SHIFT = const(10)
# The setpoint leads a joint that does not follow by no more than this part of what a following error allows.
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
    if ptr32(inputs)[_INPUT_SWITCHES] & _INPUT_LOCAL_OFF:
        b[_REFUSAL_VALUE] = phase
        return _REFUSED_LOCAL_SWITCH
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
            holds = 1
            if k == channel and j[_NOT_HOMED]:
                holds = 0
            if holds and (setpoint > (j[_POSITION_MAX] ^ s) - s or setpoint < (j[_POSITION_MIN] ^ s) - s):
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
    method = h[_HOME_METHOD]
    position = (j[_POSITION] ^ s) - s
    setpoint = (j[_SETPOINT] ^ s) - s
    place = (h[_HOME_PLACE] ^ s) - s
    park = (h[_HOME_PARK] ^ s) - s
    way = (h[_HOME_SPEED] ^ s) - s
    standstill = j[_STANDSTILL_MAX]
    passes = port[_INPUT_INDEX_PASSES]
    pace = way
    if pace < 0:
        pace = 0 - pace

    step = h[_HOME_STEP]
    before = step
    if step == _FAILED:
        b[_REFUSAL_VALUE] = h[_HOME_HIGHEST]
        return h[_HOME_LOWEST]
    if step == _SHIFTING and j[_ZERO] != h[_HOME_FOUND]:
        # A fault came first, and the arm has been resumed since.
        step = int(_BEGIN)
    if step == _SHIFTING:
        step = int(_PARK)
        if method == _HOME_INDEX and h[_HOME_TOUCHES] == 1:
            h[_HOME_BEYOND] = place
            step = int(_CLEAR)
    elif step == _BEGIN:
        h[_HOME_TOUCHES] = 0
        h[_HOME_TURNED] = 0
        h[_HOME_PASSES] = passes
        h[_HOME_FOUND] = 0
        h[_HOME_LOWEST] = _FAR
        h[_HOME_HIGHEST] = 0 - _FAR
        step = int(_SEEK)
        if method == _HOME_SENSOR:
            step = int(_SAMPLE)
    obstacle = 0
    if step == before and step != _SAMPLE:
        obstacle = int(_obstacle(records, homes, channel))
        if obstacle == _NOWHERE:
            b[_REFUSAL_VALUE] = position
            return _REFUSED_HOME_NOT_FOUND

    # ---- what it has found, and what comes next
    found = 0
    homed = 0
    if step == _SEEK and method == _HOME_INDEX:
        beyond = position - place
        if way < 0:
            beyond = 0 - beyond
        if passes != h[_HOME_PASSES]:
            since_index = ((j[_COUNT] ^ s) - s) - ((port[_INPUT_INDEX_COUNT] ^ s) - s)
            if since_index <= _DISTANCE_MAX and since_index >= 0 - _DISTANCE_MAX:
                place += (since_index * ((j[_COUNT_SCALE] ^ s) - s)) >> j[_COUNT_SHIFT]
                found = 1
            else:
                h[_HOME_PASSES] = passes
        elif h[_HOME_TOUCHES] and beyond > standstill:
            # What it passed the first time is not there any more.
            b[_REFUSAL_VALUE] = beyond
            return _REFUSED_HOME_UNSURE
        elif obstacle and h[_HOME_TURNED] == 0:
            h[_HOME_TURNED] = 1
            step = int(_TURN)
            obstacle = 0
    elif step == _SEEK and obstacle:
        found = 1
        obstacle = 0
    elif step == _TURN and passes != h[_HOME_PASSES]:
        h[_HOME_BEYOND] = position
        step = int(_CLEAR)
    elif step == _CLEAR:
        beyond = position - ((h[_HOME_BEYOND] ^ s) - s)
        if way > 0:
            beyond = 0 - beyond
        # As far as the speed makes in 256 ticks.
        if beyond > pace or obstacle:
            h[_HOME_PASSES] = passes
            step = int(_SEEK)
            obstacle = 0
    elif step == _SAMPLE:
        _sample(records, homes, inputs, channel)
        if h[_HOME_TOUCHES] == _SAMPLES:
            spread = ((h[_HOME_HIGHEST] ^ s) - s) - ((h[_HOME_LOWEST] ^ s) - s)
            if spread > j[_SENSOR_MAX]:
                b[_REFUSAL_VALUE] = spread
                return _REFUSED_HOME_UNSURE
            place = position + (((h[_HOME_FOUND] ^ s) - s) >> _SAMPLES_SHIFT)
            there = setpoint + place - position
            if there > (h[_HOME_POSITION_MAX] ^ s) - s or there < (h[_HOME_POSITION_MIN] ^ s) - s:
                # With its full limits it would set off for the nearest of them.
                b[_REFUSAL_VALUE] = there
                return _REFUSED_HOME_OUTSIDE
            found = 1
    elif step == _PARK and method == _HOME_SENSOR:
        homed = 1
    elif step == _PARK and setpoint == park and j[_SETPOINT_SPEED] == 0 and not j[_FLAGS] & _FLAG_OUTPUT_LIMITED:
        off = position - park
        if off <= standstill and off >= 0 - standstill:
            if method == _HOME_END_STOP and h[_HOME_TOUCHES] == 1:
                step = int(_SEEK)
            else:
                homed = 1

    if homed:
        full_limits(records, homes, channel)
        j[_NOT_HOMED] = 0
        step = int(_BEGIN)
    if found and b[_TICK] == tick and b[_REQUEST] == 0:
        # No tick has come since the position was read.
        by = place - position
        off = by
        if off < 0:
            off = 0 - off
        if step == _SEEK and h[_HOME_TOUCHES] and off > standstill:
            b[_REFUSAL_VALUE] = off
            return _REFUSED_HOME_UNSURE
        step = int(_SHIFTING)
        h[_HOME_TOUCHES] = h[_HOME_TOUCHES] + 1
        h[_HOME_FOUND] = ((j[_ZERO] ^ s) - s) + by
        b[_SHIFT] = by
        b[_SHIFT_CHANNEL] = channel
        b[_REQUEST] = _REQUEST_SHIFT
    elif obstacle and b[_REQUEST] == 0:
        # It pushes where nothing should be, or its encoder does not count: a motor that nobody can trust.
        b[_SHIFT] = (tick - h[_HOME_MARK_TICK]) & _TICK_MASK
        b[_SHIFT_CHANNEL] = channel
        b[_REQUEST] = _REQUEST_BLOCKED
    if step != before:
        h[_HOME_MARK] = position
        h[_HOME_MARK_TICK] = tick
        h[_HOME_FREE_TICK] = tick
    h[_HOME_STEP] = step

    # ---- where it goes until the next word
    stride = (pace * b[_COMMAND_PERIOD] >> 8) + 1
    if step == _PARK:
        # Where its output must push it, wherever the setpoint is by now.
        h[_HOME_WAY] = park - position
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
    if step != _PARK:
        h[_HOME_WAY] = way
    ahead = setpoint - position
    if way < 0:
        ahead = 0 - ahead
        stride = 0 - stride
    if ahead < j[_FOLLOWING_MAX] >> _LEAD_SHIFT:
        j[_COMMAND] = setpoint + stride
        j[_COMMAND_SPEED] = way
    return 0


@micropython.viper
def _obstacle(records, homes, channel: int) -> int:
    """Return 0 while the joint gets on, _PUSHES where all its output does not help, _NOWHERE where nothing happens."""
    s = int(1) << 31
    b = ptr32(records)
    j = ptr32(int(b) + (channel + 1) * _RECORD_BYTES)
    h = ptr32(int(ptr32(homes)) + channel * _HOME_BYTES)
    tick = b[_TICK]
    position = (j[_POSITION] ^ s) - s
    setpoint = (j[_SETPOINT] ^ s) - s
    lead = j[_FOLLOWING_MAX] >> _LEAD_SHIFT
    pace = (h[_HOME_SPEED] ^ s) - s
    if pace < 0:
        pace = 0 - pace
    # One look at the output proves nothing, so the window holds two.
    window = b[_TICK_HZ] * _BLOCKED_MS // 1000 + b[_COMMAND_PERIOD]
    moved = position - ((h[_HOME_MARK] ^ s) - s)
    if moved < 0:
        moved = 0 - moved
    if moved > (pace * window) >> _PROGRESS_SHIFT:
        h[_HOME_MARK] = position
        h[_HOME_MARK_TICK] = tick
        return 0
    pushes = j[_FLAGS] & _FLAG_OUTPUT_LIMITED
    if (((j[_OUTPUT] ^ s) - s) ^ ((h[_HOME_WAY] ^ s) - s)) < 0:
        # It still pushes where it came from.
        pushes = 0
    if setpoint < ((j[_POSITION_MIN] ^ s) - s) + lead or setpoint > ((j[_POSITION_MAX] ^ s) - s) - lead:
        # It may go no further, whatever is there.
        pushes = 0
    if not pushes:
        h[_HOME_FREE_TICK] = tick
    since = (tick - h[_HOME_MARK_TICK]) & _TICK_MASK
    if since >= window and ((tick - h[_HOME_FREE_TICK]) & _TICK_MASK) >= window:
        return _PUSHES
    if since >= window * _PATIENCE:
        return _NOWHERE
    return 0


@micropython.viper
def _sample(records, homes, inputs, channel: int):
    """Take one reading of the second sensor, unless there are enough."""
    s = int(1) << 31
    j = ptr32(int(ptr32(records)) + (channel + 1) * _RECORD_BYTES)
    h = ptr32(int(ptr32(homes)) + channel * _HOME_BYTES)
    port = ptr32(int(ptr32(inputs)) + (channel << 2))
    if h[_HOME_TOUCHES] >= _SAMPLES:
        return
    sensed = ((port[_INPUT_SENSOR] & 0xFFFF) ^ 0x8000) - 0x8000
    there = ((sensed * ((h[_HOME_SENSOR_SCALE] ^ s) - s)) >> j[_SENSOR_SHIFT]) + ((j[_SENSOR_ZERO] ^ s) - s)
    if there < (h[_HOME_LOWEST] ^ s) - s:
        h[_HOME_LOWEST] = there
    if there > (h[_HOME_HIGHEST] ^ s) - s:
        h[_HOME_HIGHEST] = there
    h[_HOME_FOUND] = ((h[_HOME_FOUND] ^ s) - s) + there - ((j[_POSITION] ^ s) - s)
    h[_HOME_TOUCHES] = h[_HOME_TOUCHES] + 1


@micropython.viper
def full_limits(records, homes, channel: int):
    """Give the joint the limits of its configuration; it stands within them, so a tick may come between any two."""
    j = ptr32(int(ptr32(records)) + (channel + 1) * _RECORD_BYTES)
    h = ptr32(int(ptr32(homes)) + channel * _HOME_BYTES)
    j[_POSITION_MIN] = h[_HOME_POSITION_MIN]
    j[_POSITION_MAX] = h[_HOME_POSITION_MAX]
    j[_SPEED_MAX] = h[_HOME_SPEED_MAX]
    j[_VELOCITY_MAX] = h[_HOME_VELOCITY_MAX]
    j[_OUTPUT_MAX] = h[_HOME_OUTPUT_MAX]
    j[_STUCK_OUTPUT] = h[_HOME_STUCK_OUTPUT]
    j[_STUCK_MAX] = h[_HOME_STUCK_MAX]
    j[_SENSOR_SCALE] = h[_HOME_SENSOR_SCALE]


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
