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
_JOINTS = const(36)

_POSITION = const(2)
_SPEED = const(3)
_SETPOINT = const(4)
_OUTPUT = const(11)
_FLAGS = const(12)

_FEEDBACK = const(17)
_RECORD_BYTES = const(320)
_HEAD = const(10)


@micropython.viper
def report(j: ptr32, reply: ptr32) -> int:
    """Fill the feedback ``reply`` from the records, over which ``j`` walks; return the number of its fields.

    Of each joint: position, error, velocity in urad/s, output, flags.
    """
    s = int(1) << 31
    reply[0] = _FEEDBACK
    reply[1] = j[_LINK_SEQ]
    reply[2] = j[_OPERATOR_SEQ]
    reply[3] = j[_TICK]
    reply[4] = j[_STATE]
    reply[5] = j[_PHASE]
    reply[6] = j[_CAUSE]
    reply[7] = j[_OPERATOR_AGE]
    reply[8] = j[_LATE_TICKS]
    reply[9] = j[_REFUSED]
    hz = j[_TICK_HZ]
    left = j[_JOINTS]
    count = _HEAD + 5 * left
    reply = ptr32(int(reply) + 4 * _HEAD)
    while left:
        left -= 1
        j = ptr32(int(j) + _RECORD_BYTES)
        position = (j[_POSITION] ^ s) - s
        speed = (j[_SPEED] ^ s) - s
        reply[0] = position
        reply[1] = ((j[_SETPOINT] ^ s) - s) - position
        reply[2] = (speed >> 8) * hz + (((speed & 255) * hz) >> 8)
        reply[3] = j[_OUTPUT]
        reply[4] = j[_FLAGS]
        reply = ptr32(int(reply) + 20)
    return count
