"""What the records look like in a feedback message."""

import micropython
from micropython import const

_STATE = const(0)
_PHASE = const(1)
_CAUSE = const(2)
_TICK = const(3)
_OPERATOR_AGE = const(4)
_OPERATOR_SEQ = const(6)
_LINK_SEQ = const(7)
_LATE_TICKS = const(24)
_REFUSED = const(25)
_TICK_HZ = const(35)

_POSITION = const(2)
_SPEED = const(3)
_SETPOINT = const(4)
_OUTPUT = const(11)
_FLAGS = const(12)

_FEEDBACK = const(17)


_JOINT_BYTES = const(256)
_HEAD = const(10)


@micropython.viper
def report(b: ptr32, joints: ptr32, reply: ptr32, n: int) -> int:
    """Fill the feedback ``reply`` from the records of board and ``n`` joints; return the number of its fields.

    Of each joint: position, error, velocity in urad/s, output, flags.
    """
    s = int(1) << 31
    reply[0] = _FEEDBACK
    reply[1] = b[_LINK_SEQ]
    reply[2] = b[_OPERATOR_SEQ]
    reply[3] = b[_TICK]
    reply[4] = b[_STATE]
    reply[5] = b[_PHASE]
    reply[6] = b[_CAUSE]
    reply[7] = b[_OPERATOR_AGE]
    reply[8] = b[_LATE_TICKS]
    reply[9] = b[_REFUSED]
    hz = b[_TICK_HZ]
    base = int(_HEAD)
    channel = 0
    while channel < n:
        j = ptr32(int(joints) + _JOINT_BYTES * channel)
        position = (j[_POSITION] ^ s) - s
        speed = (j[_SPEED] ^ s) - s
        whole = speed >> 8
        reply[base] = position
        reply[base + 1] = ((j[_SETPOINT] ^ s) - s) - position
        reply[base + 2] = whole * hz + (((speed - (whole << 8)) * hz) >> 8)
        reply[base + 3] = j[_OUTPUT]
        reply[base + 4] = j[_FLAGS]
        base += 5
        channel += 1
    return base
