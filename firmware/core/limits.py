"""What a joint refuses to be told. The board checks every command itself; it never trusts the host."""

import micropython
from micropython import const

_POSITION = const(2)
_SETPOINT = const(4)
_COMMAND = const(13)
_COMMAND_SPEED = const(14)
_POSITION_MIN = const(23)
_POSITION_MAX = const(24)
_STEP_MAX = const(28)
_ENGAGE_MAX = const(55)
_VELOCITY_MAX = const(61)
_REFUSED_POSITION_LIMIT = const(40)
_REFUSED_VELOCITY_LIMIT = const(41)
_REFUSED_STEP = const(42)


_JOINT_BYTES = const(256)
# Where the setpoints begin in a command message: position and velocity of each joint.
_SETPOINTS = const(3)


@micropython.viper
def refusal(joints: ptr32, message: ptr32, n: int) -> int:
    """Return 0 if the ``n`` joints may go where the command ``message`` says, else why not | the channel << 8."""
    s = int(1) << 31
    channel = 0
    while channel < n:
        j = ptr32(int(joints) + _JOINT_BYTES * channel)
        position = (message[_SETPOINTS + 2 * channel] ^ s) - s
        if position < (j[_POSITION_MIN] ^ s) - s or position > (j[_POSITION_MAX] ^ s) - s:
            return _REFUSED_POSITION_LIMIT | (channel << 8)
        velocity = (message[_SETPOINTS + 1 + 2 * channel] ^ s) - s
        top = j[_VELOCITY_MAX]
        if velocity > top or velocity < 0 - top:
            return _REFUSED_VELOCITY_LIMIT | (channel << 8)
        step = position - ((j[_SETPOINT] ^ s) - s)
        top = j[_STEP_MAX]
        if step > top or step < 0 - top:
            return _REFUSED_STEP | (channel << 8)
        channel += 1
    return 0


@micropython.viper
def apart(joints: ptr32, message: ptr32, n: int) -> int:
    """Return the first channel whose joint is not where the command ``message`` says, -1 if all are.

    An arm may begin to follow only from where it is.
    """
    s = int(1) << 31
    channel = 0
    while channel < n:
        j = ptr32(int(joints) + _JOINT_BYTES * channel)
        away = ((message[_SETPOINTS + 2 * channel] ^ s) - s) - ((j[_POSITION] ^ s) - s)
        if away > j[_ENGAGE_MAX] or away < 0 - j[_ENGAGE_MAX]:
            return channel
        channel += 1
    return 0 - 1


@micropython.viper
def post(joints: ptr32, message: ptr32, n: int, tick_hz: int):
    """Put a checked command into the joints' mailboxes, its speeds turned into Q8 urad per tick without overflow."""
    s = int(1) << 31
    channel = 0
    while channel < n:
        j = ptr32(int(joints) + _JOINT_BYTES * channel)
        j[_COMMAND] = message[_SETPOINTS + 2 * channel]
        velocity = (message[_SETPOINTS + 1 + 2 * channel] ^ s) - s
        whole = velocity // tick_hz
        j[_COMMAND_SPEED] = (whole << 8) + ((velocity - whole * tick_hz) << 8) // tick_hz
        channel += 1
