"""Where the setpoint of a joint goes: smooth motion at tick rate from commands that come more slowly.

A command (position p, speed v) is reached one command period after it arrives, on the cubic through the present
setpoint and its speed. ``core/joint.py`` computes it anew in each tick from what remains of it, so rounding does not
add up and a new command may come at any time. With ``e`` left to go, ``r`` ticks left, ``u`` the setpoint's speed and
``w`` the speed at the end, the acceleration of this tick is ``(6 (e - r u) / (r + 1) - 2 (w - u)) / r``: the exact
discrete form, found by summing a linear acceleration over ``r`` ticks.

Where the cubic would break the joint's limits the horizon is doubled, aiming at where the command will have moved to
by then, until it fits; so catching up after a gap is as smooth as the rest and does not overshoot.
"""

import micropython
from micropython import const

_COMMAND_PERIOD = const(9)
_JOINTS = const(36)
_SETPOINT = const(4)
_SETPOINT_FRACTION = const(5)
_SETPOINT_SPEED = const(6)
_TARGET = const(7)
_TARGET_SPEED = const(8)
_REMAINING = const(9)
_COMMAND = const(13)
_COMMAND_SPEED = const(14)
_POSITION_MIN = const(23)
_POSITION_MAX = const(24)
_SPEED_MAX = const(25)
_ACCELERATION = const(26)


# 2^20 urad in Q8 is 2^28, and six times that still fits 31 bits.
_DISTANCE_MAX = const(1048576)
_Q8_MAX = const(268435456)
# The longest plan: at the largest Q8 speed (2^21) it keeps speed times ticks below 2^29.
_HORIZON_MAX = const(256)
_RECORD_BYTES = const(320)


@micropython.viper
def plan(j: ptr32):
    """Start every joint towards the command in its mailbox, to be reached in a command period, later if limits ask it.

    ``j`` walks over the records, the board's first.
    """
    s = int(1) << 31
    horizon = 0
    period = j[_COMMAND_PERIOD]
    left = j[_JOINTS]
    while left:
        left -= 1
        j = ptr32(int(j) + _RECORD_BYTES)
        command = (j[_COMMAND] ^ s) - s
        end_speed = (j[_COMMAND_SPEED] ^ s) - s
        speed = (j[_SETPOINT_SPEED] ^ s) - s
        top_speed = j[_SPEED_MAX]
        top_acceleration = j[_ACCELERATION]
        low = (j[_POSITION_MIN] ^ s) - s
        high = (j[_POSITION_MAX] ^ s) - s
        setpoint = (j[_SETPOINT] ^ s) - s
        fraction = j[_SETPOINT_FRACTION]
        horizon = period
        while True:
            target = command + ((end_speed * (horizon - period)) >> 8)
            if target > high:
                target = high
            if target < low:
                target = low
            distance = target - setpoint
            if distance > _DISTANCE_MAX:
                distance = int(_DISTANCE_MAX)
            if distance < 0 - _DISTANCE_MAX:
                distance = 0 - _DISTANCE_MAX
            excess = (distance << 8) - fraction - horizon * speed
            if excess > _Q8_MAX:
                excess = int(_Q8_MAX)
            if excess < 0 - _Q8_MAX:
                excess = 0 - _Q8_MAX
            change = end_speed - speed
            first = ((6 * excess) // (horizon + 1) - 2 * change) // horizon
            last = 2 * change // horizon - first
            share = excess // horizon
            middle = speed + share + (share >> 1) - (change >> 2)
            if first < 0:
                first = 0 - first
            if last < 0:
                last = 0 - last
            if middle < 0:
                middle = 0 - middle
            if first <= top_acceleration and last <= top_acceleration and middle <= top_speed:
                break
            if (horizon << 1) > _HORIZON_MAX:
                break
            horizon <<= 1
        j[_TARGET] = target
        j[_TARGET_SPEED] = end_speed
        j[_REMAINING] = horizon
