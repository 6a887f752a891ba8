"""What the board as a whole watches in every tick: its clocks, its supply, its switches, its own punctuality."""

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
_CLOSE_TIME = const(22)
_LATE_TICKS = const(24)
_REQUEST = const(26)
_EVENT = const(27)
_EVENT_CHANNEL = const(28)
_EVENT_VALUE = const(29)
_SUPPLY_OUT = const(32)
_WATCH_VALUE = const(34)
_LAST_US = const(38)
_PERIOD_US = const(39)
_SLIP_US = const(47)
_LOOP_BOARDS = const(48)
_LOOP_WAITS = const(52)
_EVENT_TICK = const(63)
_PROOF_AGE = const(68)
_PROOF_TIMEOUT = const(69)
_THEN_BRAKE = const(20)
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
_INPUT_RUN_LOOP = const(16)
_INPUT_LOCAL_OFF = const(32)
_REQUEST_STOP = const(2)
_REFUSED_LOCAL_SWITCH = const(57)

_CODE_OPERATOR_TIMEOUT = const(1)
_CODE_LINK_TIMEOUT = const(3)
_CODE_HOLD_TIMEOUT = const(4)
_CODE_UNDERVOLTAGE = const(14)
_CODE_OVERVOLTAGE = const(15)
_CODE_TICK_LATE = const(16)
_CODE_E_STOP = const(17)
_CODE_NOT_BUILT = const(18)
_CODE_RUN_LOOP = const(19)
_CODE_PROOF_TIMEOUT = const(24)

# Ages stop growing here instead of wrapping: a stale command can never look fresh. A tick adds less than 2^21.
_AGE_MAX = const(536870912)
# Time stamps wrap at 2^30 us, and so do the ticks' numbers.
_TIME_MASK = const(0x3FFFFFFF)
# Motors that start and stop move the supply for a tick; three ticks in a row are its own trouble.
_SUPPLY_TICKS = const(3)


@micropython.viper
def watch(b: ptr32, inputs: ptr32) -> int:
    """Begin a tick: age the clocks, check the board; return the gravest fault's code, its measure in WATCH_VALUE.

    Operator age counts from the last newer operator sequence, proof age from the last proof that a surgeon is there,
    link age from the last valid frame. All count ticks, and with them the periods that late ticks have missed. A tick
    that begins half a period late is counted. A board that was never configured has nothing to check, but its brakes
    can be released.
    """
    now_us = inputs[_INPUT_TIME_US]
    period_us = b[_PERIOD_US]
    late_us = ((now_us - b[_LAST_US]) & _TIME_MASK) - period_us
    b[_LAST_US] = now_us
    tick = b[_TICK]
    b[_TICK] = (tick + 1) & _TIME_MASK
    if tick == 0:
        late_us = 0
    if late_us > period_us >> 1:
        b[_LATE_TICKS] = b[_LATE_TICKS] + 1
    passed = 1
    slip_us = b[_SLIP_US] + late_us
    if slip_us < 0:
        slip_us = 0
    if slip_us >= period_us:
        missed = slip_us // period_us
        passed += missed
        slip_us -= missed * period_us
    b[_SLIP_US] = slip_us
    age = b[_OPERATOR_AGE]
    if age < _AGE_MAX:
        age += passed
        b[_OPERATOR_AGE] = age
    proof = b[_PROOF_AGE]
    if proof < _AGE_MAX:
        proof += passed
        b[_PROOF_AGE] = proof
    silence = b[_LINK_AGE]
    if silence < _AGE_MAX:
        silence += passed
        b[_LINK_AGE] = silence
    phase = b[_PHASE]
    switches = inputs[_INPUT_SWITCHES]

    # Hold-to-run: staff may open the brakes of a disabled arm to take its instrument out.
    wanted = switches & _INPUT_BRAKE_RELEASE
    if b[_STATE] != _DISABLED:
        wanted = 0
    if phase == _OFF and wanted:
        b[_PHASE] = _RELEASED
    elif phase == _RELEASED and not wanted:
        b[_TIMER] = b[_CLOSE_TIME]
        b[_PHASE] = _OFF
    if b[_LINK_TIMEOUT] == 0:
        return 0

    s = int(1) << 31
    supply = (inputs[_INPUT_SUPPLY_MV] ^ s) - s
    out = 0
    code = 0
    value = 0
    if supply > b[_SUPPLY_MAX] or supply < b[_SUPPLY_MIN]:
        out = b[_SUPPLY_OUT] + 1
        if out > _SUPPLY_TICKS:
            out = int(_SUPPLY_TICKS)
    b[_SUPPLY_OUT] = out
    if out == _SUPPLY_TICKS:
        code = int(_CODE_UNDERVOLTAGE)
        value = supply
        if supply > b[_SUPPLY_MAX]:
            code = int(_CODE_OVERVOLTAGE)
    elif late_us > b[_LATE_MAX]:
        code = int(_CODE_TICK_LATE)
        value = late_us
    elif switches & _INPUT_E_STOP:
        code = int(_CODE_E_STOP)
    elif phase >= _BUILDING and phase < _CLOSING:
        if switches & _INPUT_LOCAL_OFF and b[_THEN_BRAKE] == 0:
            # A person's word, as a stop by command is: no fault, and nothing latches.
            b[_REQUEST] = _REQUEST_STOP
            if b[_EVENT] == 0:
                b[_EVENT] = _REFUSED_LOCAL_SWITCH
                b[_EVENT_CHANNEL] = 0 - 1
                b[_EVENT_VALUE] = phase
                b[_EVENT_TICK] = b[_TICK]
        if silence > b[_LINK_TIMEOUT]:
            code = int(_CODE_LINK_TIMEOUT)
            value = silence
        elif phase == _RUN and (age > b[_OPERATOR_TIMEOUT] or proof > b[_PROOF_TIMEOUT]):
            code = int(_CODE_OPERATOR_TIMEOUT)
            value = age
            if age <= b[_OPERATOR_TIMEOUT]:
                code = int(_CODE_PROOF_TIMEOUT)
                value = proof
        elif b[_LOOP_BOARDS] and not switches & _INPUT_RUN_LOOP and phase != _BUILDING and b[_THEN_BRAKE] == 0:
            code = int(_CODE_RUN_LOOP)
        elif b[_TIMER] == 0:
            if phase == _BUILDING:
                code = int(_CODE_NOT_BUILT)
                if b[_LOOP_WAITS]:
                    code = int(_CODE_RUN_LOOP)
            elif phase == _HOLDING and b[_STATE] == _PAUSED and b[_SETTLING] == 0:
                code = int(_CODE_HOLD_TIMEOUT)
                value = b[_HOLD]
    b[_WATCH_VALUE] = value
    return code
