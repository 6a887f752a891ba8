"""The joint tick: measure, check the encoder and the current, move the setpoint, control.

It is one function, because a call costs as much as a PID. The setpoint follows the plan that ``core/profile.py`` laid,
or slows down. The controller is a PID with speed feed-forward and a bias against gravity, in fixed point: every product
is an 18-bit operand times a 13-bit gain, so it fits 31 bits whatever the configuration, and the configured shift then
brings it to Q15 output units. ``core/configure.py`` refuses gains with which a term could be more than 28 bits.
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
_TRIPPED = const(15)
_HEAT = const(16)
_OVER = const(17)
_STUCK = const(18)
_RUNAWAY = const(19)
_REFERENCE = const(20)
_HOLD_OUTPUT = const(21)
_FAULT_VALUE = const(22)
_POSITION_MIN = const(23)
_POSITION_MAX = const(24)
_SPEED_MAX = const(25)
_ACCELERATION = const(26)
_STOP_DECELERATION = const(27)
_FOLLOWING_MAX = const(29)
_COUNT_SCALE = const(30)
_COUNT_SHIFT = const(31)
_KP = const(32)
_KP_SHIFT = const(33)
_KI = const(34)
_KI_SHIFT = const(35)
_KD = const(36)
_KD_SHIFT = const(37)
_KV = const(38)
_KV_SHIFT = const(39)
_INTEGRAL_MAX = const(40)
_OUTPUT_MAX = const(41)
_FILTER_SHIFT = const(42)
_BIAS = const(44)
_SLEW = const(45)
_CURRENT_MAX = const(46)
_CURRENT_SCALE = const(47)
_CURRENT_SHIFT = const(48)
_HEAT_MAX = const(49)
_OUTPUT_CONTINUOUS = const(50)
_CURRENT_OFF = const(51)
_STEPS_MAX = const(52)
_STUCK_OUTPUT = const(53)
_STANDSTILL_MAX = const(54)
_SLIP_MAX = const(56)
_OVERSPEED_MAX = const(57)
_STUCK_MAX = const(58)
_BRAKE_CLOSE = const(60)
_CONFIGURED = const(62)
_POSITION_LOST = const(2)
_FAULT_CODE = const(63)
_NOT_HOMED = const(64)
_SENSOR_SCALE = const(66)
_SENSOR_SHIFT = const(67)
_SENSOR_ZERO = const(68)
_SENSOR_MAX = const(69)
_APART = const(70)
_TICK = const(3)
_JOINTS = const(36)
_MODE = const(37)
_REST = const(0)
_FREE = const(1)
_BUILD = const(2)
_FOLLOW = const(3)
_SLOW = const(4)
_WATCH = const(5)
_SETTLED = const(6)
_YIELDING = const(7)
_TIMER = const(17)
_YIELD = const(64)
_JOINT_MOVING = const(1)
_JOINT_NOT_BUILT = const(2)
_JOINT_FAULT = const(4)
_FLAG_OUTPUT_LIMITED = const(4)
_FLAG_SPEED_LIMITED = const(8)
_FLAG_ACCELERATION_LIMITED = const(16)
_FLAG_POSITION_LIMITED = const(32)
_FLAG_SLOWING = const(64)
_FLAG_CURRENT_LIMITED = const(128)
_FLAG_SLEW_LIMITED = const(256)
_FLAG_NOT_HOMED = const(512)
_RECORD_BYTES = const(320)
_INPUT_SWITCHES = const(2)
_INPUT_DRIVE_FAULTS_SHIFT = const(8)
_INPUT_COUNT = const(4)
_INPUT_CURRENT = const(12)
_INPUT_SENSOR = const(36)

_FOLLOWING_ERROR = const(2 << 8)
_STANDSTILL = const(5 << 8)
_ENCODER_JUMP = const(6 << 8)
_ENCODER_STUCK = const(7 << 8)
_WRONG_DIRECTION = const(8 << 8)
_OVERSPEED = const(9 << 8)
_OVERCURRENT = const(10 << 8)
_DRIVE = const(11 << 8)
_MOVED_WHILE_OFF = const(12 << 8)
_CURRENT_WHILE_OFF = const(13 << 8)
_BRAKE_FAILED = const(21 << 8)
_SENSOR = const(22 << 8)

_PLACE_MAX = const(1073741823)
# 2^15 urad a tick is 32 rad/s at 1 kHz, and leaves room for eight fraction bits.
_MOVE_MAX = const(32767)
# 2^20 urad in Q8 is 2^28, and six times that still fits 31 bits.
_DISTANCE_MAX = const(1048576)
_Q8_MAX = const(268435456)
# In steps of 8 urad, more than the range of any joint.
_STOPPING_MAX = const(134217726)
_OPERAND_MAX = const(131071)
# A 16-bit current times a 13-bit scale fits 29 bits.
_CURRENT_LIMIT = const(65535)
# Sixteen times the continuous current; its square is 2^24.
_RATIO_MAX = const(4096)
_RATIO_ONE = const(65536)
_HEAT_LIMIT = const(1073741823)
# A commutating drive may spike for a tick; three in a row are a short circuit or a jammed joint.
_OVER_TICKS = const(3)
# What holds a joint is learnt while it is off its place by no more than this part of what a standstill allows.
_QUIET_SHIFT = const(2)
# Each joint's second sensor is looked at in one of eight ticks, a joint a tick: it is there for what a slipping
# coupling or a wrong place does, and a look costs as much as the encoder's.
_LOOKS = const(7)
# Its noise makes fewer outliers in a row.
_APART_MAX = const(3)
# Speeding up against a strong drive for this long is neither braking nor noise.
_RUNAWAY_TICKS = const(8)
# A brake that lets its joint move by this part of what it may move while off does not hold.
_SLIP_SHIFT = const(4)


@micropython.viper
def tick_joints(j: ptr32, inputs: ptr32) -> int:
    """One tick of every joint: ``j`` walks over the records, the board's first; ``inputs`` are the port's.

    Writes position (urad) and speed (Q8), setpoint, OUTPUT (Q15) and the FLAGS that tell which limit held the joint
    back; FAULT_CODE and FAULT_VALUE if something is wrong. Returns JOINT_MOVING while a setpoint has speed,
    JOINT_NOT_BUILT while an output is not yet what held its joint, and JOINT_FAULT, of all joints together. A tripped
    joint is measured, no more.
    """
    s = int(1) << 31
    results = 0
    board_mode = j[_MODE]
    share = j[_TIMER]
    whole = j[_YIELD]
    look = j[_TICK] & _LOOKS
    drive_faults = inputs[_INPUT_SWITCHES] >> _INPUT_DRIVE_FAULTS_SHIFT
    left = j[_JOINTS]
    while left:
        left -= 1
        j = ptr32(int(j) + _RECORD_BYTES)
        mode = board_mode

        # ---- measure: counts to urad without losing a remainder, speed through a low-pass of 2^FILTER_SHIFT ticks
        count = (inputs[_INPUT_COUNT] ^ s) - s
        current = (inputs[_INPUT_CURRENT] ^ s) - s
        inputs = ptr32(int(inputs) + 4)
        drive_fault = drive_faults & 1
        drive_faults >>= 1
        steps = count - ((j[_COUNT] ^ s) - s)
        j[_COUNT] = count
        if j[_CONFIGURED] == 0:
            continue
        result = 0
        top = j[_STEPS_MAX]
        if steps > top or steps < 0 - top:
            # Where the joint is now nobody knows, so it cannot be enabled before it is configured anew.
            result = int(_ENCODER_JUMP)
            j[_CONFIGURED] = _POSITION_LOST
            j[_NOT_HOMED] = _FLAG_NOT_HOMED
            if steps > _PLACE_MAX:
                steps = int(_PLACE_MAX)
            if steps < 0 - _PLACE_MAX:
                steps = 0 - _PLACE_MAX
            j[_FAULT_VALUE] = steps
            steps = 0
        shift = j[_COUNT_SHIFT]
        scaled = steps * ((j[_COUNT_SCALE] ^ s) - s) + j[_COUNT_REMAINDER]
        moved = scaled >> shift
        j[_COUNT_REMAINDER] = scaled - (moved << shift)
        position = ((j[_POSITION] ^ s) - s) + moved
        if position > _PLACE_MAX or position < 0 - _PLACE_MAX:
            # No joint gets there, and a difference of two places must fit 32 bits.
            position -= moved
            result = int(_ENCODER_JUMP)
            j[_CONFIGURED] = _POSITION_LOST
            j[_NOT_HOMED] = _FLAG_NOT_HOMED
            j[_FAULT_VALUE] = steps
        j[_POSITION] = position
        if moved > _MOVE_MAX:
            moved = int(_MOVE_MAX)
        if moved < 0 - _MOVE_MAX:
            moved = 0 - _MOVE_MAX
        before = (j[_SPEED] ^ s) - s
        measured = before + (((moved << 8) - before) >> j[_FILTER_SHIFT])
        j[_SPEED] = measured

        # ---- the second sensor, if there is one: the encoder must agree with it
        if left == look and j[_SENSOR_SCALE]:
            sensed = ((inputs[_INPUT_SENSOR - 1] & 0xFFFF) ^ 0x8000) - 0x8000
            scale = (j[_SENSOR_SCALE] ^ s) - s
            apart = position - ((sensed * scale) >> j[_SENSOR_SHIFT]) - ((j[_SENSOR_ZERO] ^ s) - s)
            if apart < 0:
                apart = 0 - apart
            outliers = 0
            if apart > j[_SENSOR_MAX]:
                outliers = j[_APART] + 1
                if outliers >= _APART_MAX and result == 0:
                    result = int(_SENSOR)
                    j[_FAULT_VALUE] = apart
                    outliers = 0
            j[_APART] = outliers

        # ---- current: its square against the continuous one is heat, which must not exceed what the motor stores
        if current < 0:
            current = 0 - current
        if current > _CURRENT_LIMIT:
            current = int(_CURRENT_LIMIT)
        ratio = (current * j[_CURRENT_SCALE]) >> j[_CURRENT_SHIFT]
        if ratio > _RATIO_MAX:
            ratio = int(_RATIO_MAX)
        heat = j[_HEAT] + ((ratio * ratio - _RATIO_ONE) >> 6)
        if heat < 0:
            heat = 0
        if heat > _HEAT_LIMIT:
            heat = int(_HEAT_LIMIT)
        j[_HEAT] = heat

        if drive_fault:
            result = int(_DRIVE)
            j[_FAULT_VALUE] = 0
        if j[_TRIPPED]:
            mode = int(_FREE)
            result = 0
        drift = 0
        if mode == _REST or mode >= _WATCH:
            drift = position - ((j[_REFERENCE] ^ s) - s)
            if drift < 0:
                drift = 0 - drift
        if mode == _REST or mode == _FREE:
            # No torque: the setpoint stays on the measured position, so that nothing jumps when the joint is enabled.
            j[_SETPOINT] = position
            j[_SETPOINT_FRACTION] = 0
            j[_SETPOINT_SPEED] = 0
            j[_REMAINING] = 0
            j[_INTEGRAL] = 0
            j[_OUTPUT] = 0
            j[_FLAGS] = j[_NOT_HOMED]
            j[_STUCK] = 0
            j[_RUNAWAY] = 0
            over = 0
            if current > j[_CURRENT_OFF]:
                over = j[_OVER] + 1
            j[_OVER] = over
            slip = j[_SLIP_MAX]
            if mode == _FREE or slip == 0:
                j[_REFERENCE] = position
                j[_HOLD_OUTPUT] = (j[_BIAS] ^ s) - s
            elif drift > slip and result == 0:
                result = int(_MOVED_WHILE_OFF)
                j[_FAULT_VALUE] = drift
                j[_REFERENCE] = position
            patience = int(_OVER_TICKS)
            if j[_TRIPPED]:
                # The motor was running a moment ago.
                patience += j[_BRAKE_CLOSE]
            if over >= patience and result == 0:
                result = int(_CURRENT_WHILE_OFF)
                j[_FAULT_VALUE] = current
                j[_OVER] = 0
            j[_FAULT_CODE] = result >> 8
            if result:
                results = results | _JOINT_FAULT
            continue

        over = 0
        if current > j[_CURRENT_MAX]:
            over = j[_OVER] + 1
            if over >= _OVER_TICKS and result == 0:
                result = int(_OVERCURRENT)
                j[_FAULT_VALUE] = current
        j[_OVER] = over
        top = j[_OVERSPEED_MAX]
        if (measured > top or measured < 0 - top) and result == 0:
            result = int(_OVERSPEED)
            j[_FAULT_VALUE] = measured
        if mode < _WATCH:
            j[_REFERENCE] = position
        elif drift > j[_STANDSTILL_MAX] and result == 0:
            result = int(_STANDSTILL)
            j[_FAULT_VALUE] = drift

        # ---- setpoint
        setpoint = (j[_SETPOINT] ^ s) - s
        fraction = j[_SETPOINT_FRACTION]
        speed = (j[_SETPOINT_SPEED] ^ s) - s
        limit = j[_ACCELERATION]
        low = (j[_POSITION_MIN] ^ s) - s
        high = (j[_POSITION_MAX] ^ s) - s
        remaining = j[_REMAINING]
        flags = j[_NOT_HOMED]
        change = 0
        if mode != _FOLLOW:
            if mode == _SLOW:
                flags = flags | _FLAG_SLOWING
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

        if speed != 0 or change != 0:
            if change > limit:
                change = limit
                flags = flags | _FLAG_ACCELERATION_LIMITED
            if change < 0 - limit:
                change = 0 - limit
                flags = flags | _FLAG_ACCELERATION_LIMITED
            last_speed = speed
            speed += change
            top = j[_SPEED_MAX]
            if speed > top:
                speed = top
                flags = flags | _FLAG_SPEED_LIMITED
            if speed < 0 - top:
                speed = 0 - top
                flags = flags | _FLAG_SPEED_LIMITED
            if mode == _FOLLOW:
                # Near a limit only so much speed is allowed that the joint can still stop from where this tick takes
                # it, by a command's acceleration as by a stop's: v^2 / 2a, with v in Q2 so that its square fits,
                # rounded up by one step of 8 urad.
                braking = j[_STOP_DECELERATION]
                if braking > limit:
                    braking = limit
                quarter = speed >> 6
                stopping = (quarter * quarter) // braking
                if stopping > _STOPPING_MAX:
                    stopping = int(_STOPPING_MAX)
                stopping = (stopping << 3) + 8
                place = setpoint + (speed >> 8)
                if (speed > 0 and high - place <= stopping) or (speed < 0 and place - low <= stopping):
                    flags = flags | _FLAG_POSITION_LIMITED
                    if last_speed > limit:
                        speed = last_speed - limit
                    elif last_speed < 0 - limit:
                        speed = last_speed + limit
                    else:
                        speed = 0

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
            if speed != 0:
                result = result | _JOINT_MOVING

        # ---- does the joint do what its drive asks of it? Compared with the output of the last tick
        error = setpoint - position
        away = error
        if away < 0:
            away = 0 - away
        following = j[_FOLLOWING_MAX]
        if away > following and result < 256:
            result = result | _FOLLOWING_ERROR
            j[_FAULT_VALUE] = away
        last = (j[_OUTPUT] ^ s) - s
        push = last
        against = measured
        if push < 0:
            push = 0 - push
            against = 0 - measured
            before = 0 - before
        stuck = 0
        if push >= j[_STUCK_OUTPUT]:
            runaway = j[_RUNAWAY]
            if against + (j[_OVERSPEED_MAX] >> 5) < 0:
                if against < before:
                    runaway += 1
                    if runaway >= _RUNAWAY_TICKS and result < 256:
                        result = result | _WRONG_DIRECTION
                        j[_FAULT_VALUE] = measured
                elif runaway > 1:
                    # Twice as fast as it grew, so that the noise of an encoder that brakes does not add up.
                    runaway -= 2
                else:
                    runaway = 0
            else:
                runaway = 0
            j[_RUNAWAY] = runaway
            if steps == 0 and away > following >> 4:
                stuck = j[_STUCK] + 1
                if stuck >= j[_STUCK_MAX] and result < 256:
                    result = result | _ENCODER_STUCK
                    j[_FAULT_VALUE] = stuck
        else:
            j[_RUNAWAY] = 0
        j[_STUCK] = stuck

        # ---- control: the derivative acts on the measured speed alone, so a step of the setpoint does not kick
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

        proportional = (error * j[_KP]) >> j[_KP_SHIFT]
        damping = (measured * j[_KD]) >> j[_KD_SHIFT]
        forward = ((speed >> 4) * j[_KV]) >> j[_KV_SHIFT]

        # A motor that has stored all the heat it may gets no more than it can bear for ever, until half of it is gone.
        top = j[_OUTPUT_MAX]
        if mode == _YIELDING:
            # What held the joint goes, and the brake must hold it; measured from where the joint stood behind it.
            slip = j[_SLIP_MAX]
            if share == whole or slip == 0:
                j[_REFERENCE] = position
            elif drift > slip >> _SLIP_SHIFT and result < 256:
                result = result | _BRAKE_FAILED
                j[_FAULT_VALUE] = drift
            held = (j[_HOLD_OUTPUT] ^ s) - s
            if held < 0:
                held = 0 - held
            # Nothing is left of it after a third of the time; the rest is for what falls slowly.
            third = whole // 3
            part = share - 2 * third
            if part < 0:
                part = 0
            held = held * part // third
            if held < top:
                top = held
        hottest = j[_HEAT_MAX]
        if heat > hottest or (heat > hottest >> 1 and j[_FLAGS] & _FLAG_CURRENT_LIMITED):
            flags = flags | _FLAG_CURRENT_LIMITED
            if top > j[_OUTPUT_CONTINUOUS]:
                top = j[_OUTPUT_CONTINUOUS]

        # The integral stands still while the output is at its limit and would be pushed further into it.
        integral = (j[_INTEGRAL] ^ s) - s
        base = proportional + forward - damping + ((j[_BIAS] ^ s) - s)
        if mode == _BUILD:
            # Behind the closed brake nothing is controlled: the output rises to what held the joint last.
            base = (j[_HOLD_OUTPUT] ^ s) - s
            integral = 0
        output = base + (integral >> 8)
        if mode != _BUILD and (output < top or error < 0) and (output > 0 - top or error > 0):
            step = (error * j[_KI]) >> j[_KI_SHIFT]
            integral += step
            ceiling = j[_INTEGRAL_MAX] << 8
            if integral > ceiling:
                integral = ceiling
            if integral < 0 - ceiling:
                integral = 0 - ceiling
            j[_INTEGRAL] = integral
            output = base + (integral >> 8)
        if output > top:
            output = top
            flags = flags | _FLAG_OUTPUT_LIMITED
        if output < 0 - top:
            output = 0 - top
            flags = flags | _FLAG_OUTPUT_LIMITED
        slew = j[_SLEW]
        if output > last + slew:
            output = last + slew
            flags = flags | _FLAG_SLEW_LIMITED
        if output < last - slew:
            output = last - slew
            flags = flags | _FLAG_SLEW_LIMITED
        if mode == _BUILD:
            # The integral takes over where the building ends, so that nothing jumps.
            integral = (output - ((j[_BIAS] ^ s) - s)) << 8
            ceiling = j[_INTEGRAL_MAX] << 8
            if integral > ceiling:
                integral = ceiling
            if integral < 0 - ceiling:
                integral = 0 - ceiling
            j[_INTEGRAL] = integral
            if output != base:
                result = result | _JOINT_NOT_BUILT
        elif mode == _SETTLED and away <= j[_STANDSTILL_MAX] >> _QUIET_SHIFT:
            j[_HOLD_OUTPUT] = output
        j[_OUTPUT] = output
        j[_FLAGS] = flags
        j[_FAULT_CODE] = result >> 8
        if result > 255:
            result = (result & 3) | _JOINT_FAULT
        results = results | result
    return results
