"""What becomes of a command. The board checks every one itself, it never trusts the host: taken whole or not at all.

A joint's setpoint is taken up to a mailbox, from which the next tick plans; so a tick may come between any two lines.
"""

import micropython
from micropython import const

_STATE = const(0)
_PHASE = const(1)
_OPERATOR_AGE = const(4)
_OPERATOR_SEQ = const(6)
_NEW_COMMAND = const(8)
_ENGAGED = const(23)
_REQUEST = const(26)
_MOVING = const(30)
_TICK_HZ = const(35)
_JOINTS = const(36)
_REFUSAL_CHANNEL = const(40)
_REFUSAL_VALUE = const(41)
_BUILDING = const(1)
_OPENING = const(2)
_RUN = const(3)
_CONSOLE = const(1)
_HOMING = const(2)
_POSITION = const(2)
_SETPOINT = const(4)
_COMMAND = const(13)
_COMMAND_SPEED = const(14)
_POSITION_MIN = const(23)
_POSITION_MAX = const(24)
_STEP_MAX = const(28)
_ENGAGE_MAX = const(55)
_VELOCITY_MAX = const(61)
_REFUSED_OPERATOR_SEQUENCE = const(35)
_REFUSED_JOINT_COUNT = const(36)
_REFUSED_NOT_ENABLED = const(37)
_REFUSED_POSITION_LIMIT = const(40)
_REFUSED_VELOCITY_LIMIT = const(41)
_REFUSED_STEP = const(42)
_REFUSED_ENGAGE = const(46)
_REFUSED_HOMING = const(51)
_RECORD_BYTES = const(320)
# A command message: its type and two sequences, then position and velocity of each joint.
_SEQUENCE = const(2)
_HEAD = const(3)
_HEAD_BYTES = const(12)


@micropython.viper
def take(j: ptr32, message: ptr32, count: int) -> int:
    """Take the command ``message``, whose ``count`` fields fit the schema; return 0, or why it is refused.

    ``j`` walks over the records, the board's first. A refusal's channel and value stand in REFUSAL_CHANNEL and
    REFUSAL_VALUE. While brakes open, a command only feeds the operator's clock. The first one after that, and after
    homing, says where the console takes the arm to be: it must be right within ENGAGE_MAX, and moves nothing.
    """
    s = int(1) << 31
    b = j
    setpoints = ptr32(int(message) + _HEAD_BYTES)
    n = b[_JOINTS]
    phase = b[_PHASE]
    b[_REFUSAL_CHANNEL] = 0 - 1
    if phase != _RUN and phase != _OPENING and phase != _BUILDING:
        b[_REFUSAL_VALUE] = b[_STATE]
        return _REFUSED_NOT_ENABLED
    sequence = message[_SEQUENCE]
    if sequence <= b[_OPERATOR_SEQ]:
        b[_REFUSAL_VALUE] = sequence
        return _REFUSED_OPERATOR_SEQUENCE
    if count != _HEAD + 2 * n:
        b[_REFUSAL_VALUE] = (count - _HEAD) >> 1
        return _REFUSED_JOINT_COUNT

    engages = 0
    if phase == _RUN and b[_ENGAGED] != _CONSOLE:
        engages = 1
        if b[_ENGAGED] == _HOMING and (b[_MOVING] or b[_REQUEST]):
            b[_REFUSAL_VALUE] = phase
            return _REFUSED_HOMING
    message = setpoints
    left = n
    while left:
        left -= 1
        j = ptr32(int(j) + _RECORD_BYTES)
        position = (message[0] ^ s) - s
        refused = 0
        value = position
        if position < (j[_POSITION_MIN] ^ s) - s or position > (j[_POSITION_MAX] ^ s) - s:
            refused = int(_REFUSED_POSITION_LIMIT)
        else:
            velocity = (message[1] ^ s) - s
            top = j[_VELOCITY_MAX]
            if velocity > top or velocity < 0 - top:
                refused = int(_REFUSED_VELOCITY_LIMIT)
                value = velocity
            else:
                step = position - ((j[_SETPOINT] ^ s) - s)
                top = j[_STEP_MAX]
                if step > top or step < 0 - top:
                    refused = int(_REFUSED_STEP)
                elif engages:
                    away = position - ((j[_POSITION] ^ s) - s)
                    top = j[_ENGAGE_MAX]
                    if away > top or away < 0 - top:
                        refused = int(_REFUSED_ENGAGE)
                        value = away
        if refused:
            b[_REFUSAL_CHANNEL] = n - 1 - left
            b[_REFUSAL_VALUE] = value
            return refused
        message = ptr32(int(message) + 8)

    if engages:
        b[_NEW_COMMAND] = 0
        b[_ENGAGED] = _CONSOLE
    elif phase == _RUN:
        b[_NEW_COMMAND] = 0
        tick_hz = b[_TICK_HZ]
        j = b
        message = setpoints
        while n:
            n -= 1
            j = ptr32(int(j) + _RECORD_BYTES)
            # To Q8 urad a tick, in two parts that fit 32 bits.
            velocity = (message[1] ^ s) - s
            whole = velocity // tick_hz
            j[_COMMAND] = message[0]
            j[_COMMAND_SPEED] = (whole << 8) + ((velocity - whole * tick_hz) << 8) // tick_hz
            message = ptr32(int(message) + 8)
        b[_NEW_COMMAND] = 1
    b[_OPERATOR_SEQ] = sequence
    b[_OPERATOR_AGE] = 0
    return 0
