"""What the board as a whole watches in every tick: its two clocks, its supply, its switches, its own punctuality."""

import micropython
from micropython import const

_STATE = const(0)
_PHASE = const(1)
_TICK = const(3)
_OPERATOR_AGE = const(4)
_LINK_AGE = const(5)
_OPERATOR_TIMEOUT = const(10)
_LINK_TIMEOUT = const(11)
_HOLD = const(12)
_SUPPLY_MIN = const(14)
_SUPPLY_MAX = const(15)
_LATE_MAX = const(16)
_TIMER = const(17)
_SETTLING = const(18)
_LATE_TICKS = const(24)
_SUPPLY_OUT = const(32)
_WATCH_VALUE = const(34)
_LAST_US = const(38)
_PERIOD_US = const(39)
_DISABLED = const(0)
_PAUSED = const(2)
_OFF = const(0)
_BUILDING = const(1)
_RUN = const(3)
_HOLDING = const(5)
_CLOSING = const(6)
_RELEASED = const(7)
_INPUT_TIME_US = const(0)
_INPUT_SUPPLY_MV = const(1)
_INPUT_SWITCHES = const(2)
_INPUT_E_STOP = const(1)
_INPUT_BRAKE_RELEASE = const(2)

_OPERATOR_TIMED_OUT = const(1)
_LINK_TIMED_OUT = const(3)
_HOLD_TIMED_OUT = const(4)
_UNDERVOLTAGE = const(14)
_OVERVOLTAGE = const(15)
_TOO_LATE = const(16)
_E_STOPPED = const(17)
_OUTPUT_NOT_BUILT = const(18)

# Ages saturate here instead of wrapping: a stale command can never look fresh.
_AGE_MAX = const(1073741823)
# Time stamps wrap at 2^30 us.
_TIME_MASK = const(0x3FFFFFFF)
# Motors that start and stop move the supply for a tick; three ticks in a row are its own trouble.
_SUPPLY_TICKS = const(3)


@micropython.viper
def watch(b: ptr32, inputs: ptr32) -> int:
    """Age the clocks by a tick and check the board; return the gravest fault's code, its measure in WATCH_VALUE.

    Operator age counts from the last newer operator sequence, link age from the last valid frame. A tick that begins
    half a period late is counted. A board that was never configured has nothing to check.
    """
    now_us = inputs[_INPUT_TIME_US]
    late_us = ((now_us - b[_LAST_US]) & _TIME_MASK) - b[_PERIOD_US]
    b[_LAST_US] = now_us
    if b[_TICK] == 0:
        late_us = 0
    if late_us > b[_PERIOD_US] >> 1:
        b[_LATE_TICKS] = b[_LATE_TICKS] + 1
    age = b[_OPERATOR_AGE]
    if age < _AGE_MAX:
        age += 1
        b[_OPERATOR_AGE] = age
    silence = b[_LINK_AGE]
    if silence < _AGE_MAX:
        silence += 1
        b[_LINK_AGE] = silence
    if b[_LINK_TIMEOUT] == 0:
        return 0
    phase = b[_PHASE]
    switches = inputs[_INPUT_SWITCHES]

    # Hold-to-run: staff may open the brakes of a disabled arm to take its instrument out.
    wanted = switches & _INPUT_BRAKE_RELEASE
    if b[_STATE] != _DISABLED:
        wanted = 0
    if phase == _OFF and wanted:
        b[_PHASE] = _RELEASED
    elif phase == _RELEASED and not wanted:
        b[_PHASE] = _OFF

    supply = inputs[_INPUT_SUPPLY_MV]
    out = 0
    code = 0
    value = 0
    if supply > b[_SUPPLY_MAX] or supply < b[_SUPPLY_MIN]:
        out = b[_SUPPLY_OUT] + 1
        if out > _SUPPLY_TICKS:
            out = int(_SUPPLY_TICKS)
    b[_SUPPLY_OUT] = out
    if out == _SUPPLY_TICKS:
        code = int(_UNDERVOLTAGE)
        value = supply
        if supply > b[_SUPPLY_MAX]:
            code = int(_OVERVOLTAGE)
    elif late_us > b[_LATE_MAX]:
        code = int(_TOO_LATE)
        value = late_us
    elif switches & _INPUT_E_STOP:
        code = int(_E_STOPPED)
    elif phase >= _BUILDING and phase < _CLOSING:
        if silence > b[_LINK_TIMEOUT]:
            code = int(_LINK_TIMED_OUT)
            value = silence
        elif phase == _RUN and age > b[_OPERATOR_TIMEOUT]:
            code = int(_OPERATOR_TIMED_OUT)
            value = age
        elif b[_TIMER] == 0:
            if phase == _BUILDING:
                code = int(_OUTPUT_NOT_BUILT)
            elif phase == _HOLDING and b[_STATE] == _PAUSED and b[_SETTLING] == 0:
                code = int(_HOLD_TIMED_OUT)
                value = b[_HOLD]
    b[_WATCH_VALUE] = value
    return code
