"""The board's states and its staged stops.

Background work never changes a state; it leaves a request, and the tick acts on it. Faults and reactions are those of
``core/faults.py``. A fault latches: the way back is disable (which clears it), then enable, then a first command at
the measured position, and none of these moves anything.
"""

import micropython
from micropython import const

_STATE = const(0)
_PHASE = const(1)
_CAUSE = const(2)
_TICK = const(3)
_OPERATOR_AGE = const(4)
_NEW_COMMAND = const(8)
_COMMAND_PERIOD = const(9)
_HOLD = const(12)
_SETTLE = const(13)
_TIMER = const(17)
_SETTLING = const(18)
_STOP_STATE = const(19)
_THEN_BRAKE = const(20)
_OPEN_TIME = const(21)
_CLOSE_TIME = const(22)
_ENGAGED = const(23)
_REQUEST = const(26)
_EVENT = const(27)
_EVENT_CHANNEL = const(28)
_EVENT_VALUE = const(29)
_MOVING = const(30)
_NOT_BUILT = const(31)
_BUILD_MAX = const(33)
_LOOP_BOARDS = const(48)
_LOOP_TICK = const(51)
_LOOP_WAITS = const(52)
_LOOP_OPEN = const(53)
_BOX_AT = const(54)
_BOX_AFTER = const(58)
_BOX_TAIL = const(59)
_BOX_FIRST = const(60)
_BOX_CAUSE = const(61)
_BOX_TICK = const(62)
_EVENT_TICK = const(63)
_YIELD = const(64)
_YIELDS = const(65)
_DISABLED = const(0)
_ENABLED = const(1)
_PAUSED = const(2)
_FAULT = const(3)
_OFF = const(0)
_BUILDING = const(1)
_OPENING = const(2)
_RUN = const(3)
_RAMP = const(4)
_HOLDING = const(5)
_CLOSING = const(6)
_RELEASED = const(7)
_REQUEST_ENABLE = const(1)
_REQUEST_STOP = const(2)
_REQUEST_CLEAR = const(3)
_REQUEST_PAUSE = const(4)
_REQUEST_RESUME = const(5)
_REST = const(0)
_FREE = const(1)
_BUILD = const(2)
_FOLLOW = const(3)
_SLOW = const(4)
_WATCH = const(5)
_SETTLED = const(6)
_YIELDING = const(7)
_JOINTS = const(36)
_MODE = const(37)
_HOLD_OUTPUT = const(21)
_BIAS = const(44)
_REFUSED_RELEASED = const(48)
_CODE_HOLD_TIMEOUT = const(4)
_CODE_BRAKE_FAILED = const(21)
_RECORD_BYTES = const(320)
_REACT_PAUSE = const(1)
_REACT_RAMP = const(2)
_REACT_TRIP = const(3)
_REACT_BRAKE = const(4)
_REACT_OFF = const(5)
_REACT_HOLD = const(6)
# About a second: the longest that a word from the console is on its way, and the shortest in which a person answers.
_ALARM_YIELDS = const(5)


@micropython.viper
def step(b: ptr32):
    """Take up a request, or go on in a stop, by one tick; leave in MODE what the joints do."""
    request = b[_REQUEST]
    b[_REQUEST] = 0
    phase = b[_PHASE]
    slow_down = 0
    if phase == _OFF or phase == _RELEASED:
        if request == _REQUEST_ENABLE and phase == _OFF and b[_STATE] == _DISABLED:
            b[_STATE] = _ENABLED
            b[_ENGAGED] = 0
            b[_NEW_COMMAND] = 0
            b[_THEN_BRAKE] = 0
            b[_NOT_BUILT] = 1
            b[_YIELDS] = 0
            b[_LOOP_TICK] = 0
            b[_LOOP_OPEN] = 0
            b[_LOOP_WAITS] = b[_LOOP_BOARDS]
            b[_TIMER] = b[_BUILD_MAX]
            phase = int(_BUILDING)
        elif request == _REQUEST_CLEAR:
            b[_STATE] = _DISABLED
            b[_CAUSE] = 0
        elif request == _REQUEST_ENABLE:
            # A person took hold of the arm after the enable was accepted.
            b[_EVENT] = _REFUSED_RELEASED
            b[_EVENT_CHANNEL] = 0 - 1
            b[_EVENT_VALUE] = 0
            b[_EVENT_TICK] = b[_TICK]
    elif request == _REQUEST_STOP or request == _REQUEST_CLEAR:
        if b[_STATE] != _FAULT:
            b[_STATE] = _DISABLED
            b[_STOP_STATE] = _DISABLED
            b[_CAUSE] = 0
        b[_THEN_BRAKE] = 1
        slow_down = 1
        if request == _REQUEST_CLEAR and phase == _CLOSING and b[_CAUSE] == _CODE_BRAKE_FAILED and b[_TIMER] == 1:
            # A person who was told that the brake does not hold, and has seen to it that nothing falls.
            b[_TIMER] = 0
    elif request == _REQUEST_PAUSE and phase == _RUN:
        b[_STATE] = _PAUSED
        b[_STOP_STATE] = _FAULT
        slow_down = 1
    elif request == _REQUEST_RESUME and phase == _HOLDING and b[_STATE] == _PAUSED and b[_SETTLING] == 0:
        b[_STATE] = _ENABLED
        if b[_BOX_CAUSE] == b[_CAUSE]:
            # The pause has ended well, so nobody will ask what the black box holds of it.
            b[_BOX_CAUSE] = 0
            b[_BOX_AFTER] = 0
            b[_BOX_AT] = b[_BOX_FIRST]
        b[_CAUSE] = 0
        b[_ENGAGED] = 0
        b[_NEW_COMMAND] = 0
        b[_OPERATOR_AGE] = 0
        phase = int(_RUN)
    if slow_down:
        if phase == _BUILDING:
            # Its brakes have not opened yet.
            b[_TIMER] = b[_CLOSE_TIME]
            phase = int(_CLOSING)
        elif phase == _OPENING or phase == _RUN:
            b[_MOVING] = 1
            phase = int(_RAMP)

    # ---- what has come to its end goes on to what follows
    timer = b[_TIMER]
    if phase == _BUILDING and b[_NOT_BUILT] == 0:
        timer = b[_OPEN_TIME]
        phase = int(_OPENING)
    elif phase == _RAMP and b[_MOVING] == 0:
        b[_SETTLING] = b[_SETTLE]
        timer = b[_HOLD]
        phase = int(_HOLDING)
    elif phase == _HOLDING and b[_SETTLING] > 0:
        b[_SETTLING] = b[_SETTLING] - 1
    elif phase == _HOLDING and (b[_THEN_BRAKE] or (timer == 0 and b[_STATE] == _FAULT)):
        timer = b[_CLOSE_TIME] + b[_YIELD]
        b[_YIELDS] = 1
        phase = int(_CLOSING)
    elif timer > 0 and phase == _CLOSING and b[_CAUSE] == _CODE_BRAKE_FAILED:
        # The motors hold what the brake does not, until a person takes the load; what was said before the alarm
        # could be heard is not that person's word.
        if timer > 1:
            timer -= 1
    elif timer > 0:
        timer -= 1
    elif phase == _OPENING:
        b[_OPERATOR_AGE] = 0
        phase = int(_RUN)
    elif phase == _CLOSING:
        b[_STATE] = b[_STOP_STATE]
        b[_YIELDS] = 0
        phase = int(_OFF)
    b[_TIMER] = timer
    b[_PHASE] = phase

    mode = int(_SLOW)
    if phase == _RUN:
        if b[_ENGAGED] == 0:
            mode = int(_WATCH)
        elif b[_OPERATOR_AGE] <= 2 * b[_COMMAND_PERIOD]:
            mode = int(_FOLLOW)
    elif phase == _OFF and timer == 0:
        mode = int(_REST)
    elif phase == _OFF:
        # Brakes that were open a moment ago still close.
        mode = int(_FREE)
    elif phase == _RELEASED:
        mode = int(_FREE)
    elif phase == _BUILDING:
        mode = int(_BUILD)
    elif phase == _OPENING or phase == _CLOSING:
        mode = int(_WATCH)
        if b[_YIELDS] and timer <= b[_YIELD]:
            mode = int(_YIELDING)
    elif phase == _HOLDING and b[_SETTLING] == 0:
        mode = int(_SETTLED)
    b[_MODE] = mode


@micropython.viper
def react(b: ptr32, reactions: ptr32, code: int, channel: int, value: int) -> int:
    """Do at once what ``core/faults.py`` says of fault ``code``; return 1 if the joint's own torque must go.

    ``b`` points at the records, the board's first. The first cause is kept; but what only paused the arm
    gives way to what goes wrong in the pause, if that is more than its end; and any to a brake that does not hold.
    """
    reaction = reactions[code]
    cause = b[_CAUSE]
    worse = 0
    if b[_STATE] == _PAUSED and reaction != _REACT_PAUSE and code != _CODE_HOLD_TIMEOUT:
        worse = 1
    if cause == 0 or worse or (reaction == _REACT_HOLD and cause != code):
        b[_CAUSE] = code
        b[_EVENT] = code
        b[_EVENT_CHANNEL] = channel
        b[_EVENT_VALUE] = value
        b[_EVENT_TICK] = b[_TICK]
        # The black box keeps the first fault that nobody has read, unless this one came of the pause that it holds.
        if b[_BOX_CAUSE] == cause:
            b[_BOX_CAUSE] = code
            b[_BOX_TICK] = b[_TICK]
            b[_BOX_AFTER] = b[_BOX_TAIL]
            b[_BOX_AT] = b[_BOX_FIRST]
    # A request that came before the fault was made without knowing of it; of those only a stop still holds.
    request = b[_REQUEST]
    b[_REQUEST] = 0
    if request == _REQUEST_STOP or request == _REQUEST_CLEAR:
        b[_REQUEST] = _REQUEST_STOP
    phase = b[_PHASE]
    b[_STOP_STATE] = _FAULT
    b[_STATE] = _FAULT
    if reaction == _REACT_PAUSE:
        b[_STATE] = _PAUSED
    if reaction == _REACT_RAMP:
        b[_THEN_BRAKE] = 1
    if reaction == _REACT_HOLD:
        b[_TIMER] = _ALARM_YIELDS * b[_YIELD]
        b[_YIELDS] = 0
    if reaction == _REACT_BRAKE or reaction == _REACT_OFF:
        # What drives give now, or gave last, is no measure of what holds the joints.
        j = b
        left = b[_JOINTS]
        while left:
            left -= 1
            j = ptr32(int(j) + _RECORD_BYTES)
            j[_HOLD_OUTPUT] = j[_BIAS]
    if phase == _OFF:
        pass
    elif phase == _RELEASED or reaction == _REACT_OFF:
        b[_TIMER] = b[_CLOSE_TIME]
        b[_PHASE] = _OFF
    elif phase == _BUILDING or (reaction == _REACT_BRAKE and phase != _CLOSING):
        b[_TIMER] = b[_CLOSE_TIME]
        b[_PHASE] = _CLOSING
    elif phase == _OPENING or phase == _RUN:
        b[_MOVING] = 1
        b[_PHASE] = _RAMP
    if reaction == _REACT_TRIP:
        return 1
    return 0
