"""The board's states and its staged stop: ramp, hold, brake, torque off.

Background work never changes a state; it leaves a request, and the tick acts on it. A fault latches: the way back is
disable (which clears it), then enable, and enabling moves nothing.
"""

import micropython
from micropython import const

_STATE = const(0)
_PHASE = const(1)
_CAUSE = const(2)
_TICK = const(3)
_OPERATOR_AGE = const(4)
_NEW_COMMAND = const(7)
_COMMAND_PERIOD = const(8)
_OPERATOR_TIMEOUT = const(9)
_HOLD = const(10)
_TIMER = const(11)
_STOP_STATE = const(12)
_OPEN_TIME = const(13)
_CLOSE_TIME = const(14)
_REQUEST = const(17)
_EVENT = const(18)
_EVENT_CHANNEL = const(19)
_EVENT_VALUE = const(20)
_MOVING = const(21)

_SETPOINT = const(4)
_TRIPPED = const(15)
_POSITION = const(2)

_DISABLED = const(0)
_ENABLED = const(1)
_FAULT = const(3)
_OFF = const(0)
_OPENING = const(1)
_RUN = const(2)
_RAMP = const(3)
_HOLDING = const(4)
_CLOSING = const(5)
_REQUEST_ENABLE = const(1)
_REQUEST_STOP = const(2)
_REQUEST_CLEAR = const(3)
_REST = const(0)
_FOLLOW = const(1)
_SLOW = const(2)
_FAULT_OPERATOR_TIMEOUT = const(1)
_FAULT_FOLLOWING_ERROR = const(2)

# Ages saturate here instead of wrapping: a stale command can never look fresh.
_AGE_MAX = const(1073741823)


@micropython.viper
def step(b: ptr32) -> int:
    """Advance the board's clocks and stop sequence by one tick; return what setpoints do: REST, FOLLOW or SLOW."""
    tick = b[_TICK] + 1
    if tick == 1 << 31:
        tick = 0
    b[_TICK] = tick
    age = b[_OPERATOR_AGE]
    if age < _AGE_MAX:
        age += 1
        b[_OPERATOR_AGE] = age

    phase = b[_PHASE]
    request = b[_REQUEST]
    b[_REQUEST] = 0
    if phase == _OFF:
        if request == _REQUEST_ENABLE and b[_STATE] == _DISABLED:
            b[_STATE] = _ENABLED
            b[_TIMER] = b[_OPEN_TIME]
            b[_NEW_COMMAND] = 0
            phase = int(_OPENING)
        elif request == _REQUEST_CLEAR:
            b[_STATE] = _DISABLED
            b[_CAUSE] = 0
    elif (request == _REQUEST_STOP or request == _REQUEST_CLEAR) and phase <= _RUN:
        b[_STOP_STATE] = _DISABLED
        phase = int(_RAMP)
        b[_MOVING] = 1
    elif phase == _RUN and age > b[_OPERATOR_TIMEOUT]:
        b[_CAUSE] = _FAULT_OPERATOR_TIMEOUT
        b[_EVENT] = _FAULT_OPERATOR_TIMEOUT
        b[_EVENT_CHANNEL] = 0 - 1
        b[_EVENT_VALUE] = age
        b[_STATE] = _FAULT
        b[_STOP_STATE] = _FAULT
        phase = int(_RAMP)
        b[_MOVING] = 1

    if phase == _OPENING:
        if b[_TIMER] == 0:
            phase = int(_RUN)
            b[_OPERATOR_AGE] = 0
            # What came while the brakes opened only proved that someone is there; it may be old by now.
            b[_NEW_COMMAND] = 0
        else:
            b[_TIMER] = b[_TIMER] - 1
    elif phase == _RAMP:
        if b[_MOVING] == 0:
            phase = int(_HOLDING)
            b[_TIMER] = b[_HOLD]
    elif phase == _HOLDING:
        if b[_TIMER] == 0:
            phase = int(_CLOSING)
            b[_TIMER] = b[_CLOSE_TIME]
        else:
            b[_TIMER] = b[_TIMER] - 1
    elif phase == _CLOSING:
        if b[_TIMER] == 0:
            phase = int(_OFF)
            b[_STATE] = b[_STOP_STATE]
        else:
            b[_TIMER] = b[_TIMER] - 1
    b[_PHASE] = phase

    if phase == _OFF:
        return _REST
    if phase != _RUN:
        return _SLOW
    if b[_OPERATOR_AGE] > 2 * b[_COMMAND_PERIOD]:
        return _SLOW
    return _FOLLOW


@micropython.viper
def stop_following(b: ptr32, j: ptr32, channel: int):
    """Fault, and close the brakes at once: joint ``channel`` is further from its setpoint than FOLLOWING_MAX.

    There is no ramp, and no torque on this joint: it would not follow the ramp either, and whatever keeps it from
    following, a reversed encoder perhaps, may make its drive push it the wrong way.
    """
    s = 1 << 31
    phase = b[_PHASE]
    if phase == _OFF:
        return
    j[_TRIPPED] = 1
    if phase == _CLOSING:
        return
    error = ((j[_SETPOINT] ^ s) - s) - ((j[_POSITION] ^ s) - s)
    if error < 0:
        error = 0 - error
    if b[_CAUSE] == 0:
        b[_CAUSE] = _FAULT_FOLLOWING_ERROR
        b[_EVENT] = _FAULT_FOLLOWING_ERROR
        b[_EVENT_CHANNEL] = channel
        b[_EVENT_VALUE] = error
    b[_STATE] = _FAULT
    b[_STOP_STATE] = _FAULT
    b[_PHASE] = _CLOSING
    b[_TIMER] = b[_CLOSE_TIME]
