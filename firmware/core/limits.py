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


@micropython.viper
def refusal(j: ptr32, position: int, velocity: int) -> int:
    """Return 0 if the joint may be commanded to ``position`` (urad) at ``velocity`` (urad/s), else why not."""
    s = int(1) << 31
    if position < (j[_POSITION_MIN] ^ s) - s or position > (j[_POSITION_MAX] ^ s) - s:
        return _REFUSED_POSITION_LIMIT
    top = j[_VELOCITY_MAX]
    if velocity > top or velocity < 0 - top:
        return _REFUSED_VELOCITY_LIMIT
    step = position - ((j[_SETPOINT] ^ s) - s)
    if step > j[_STEP_MAX] or step < 0 - j[_STEP_MAX]:
        return _REFUSED_STEP
    return 0


@micropython.viper
def engages(j: ptr32, position: int) -> int:
    """Return 1 if ``position`` (urad) is where the joint is, so that an arm may begin to follow from there."""
    s = int(1) << 31
    away = position - ((j[_POSITION] ^ s) - s)
    if away > j[_ENGAGE_MAX] or away < 0 - j[_ENGAGE_MAX]:
        return 0
    return 1


@micropython.viper
def post(j: ptr32, position: int, velocity: int, tick_hz: int):
    """Put a checked command into the joint's mailbox, its speed turned into Q8 urad per tick without overflow."""
    whole = velocity // tick_hz
    j[_COMMAND] = position
    j[_COMMAND_SPEED] = (whole << 8) + ((velocity - whole * tick_hz) << 8) // tick_hz
