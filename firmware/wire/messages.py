"""Message types of protocol.cddl, the check of a decoded message against it, and the codes a board answers with."""

from array import array

import micropython
from micropython import const

# The first 31 bits of the SHA-256 of protocol.cddl without comments and blanks; a test holds it against the file.
SCHEMA = 1711221717

IDENTIFY = 1
CONFIGURE_BOARD = 2
CONFIGURE_JOINT = 3
COMMAND = 4
KEEP_ALIVE = 5
STATE_COMMAND = 6
MAINTENANCE = 7
READ_BOX = 8
HOLD_BOX = 9
HOME = 10
CONFIGURE_HOMING = 11
IDENTITY = 16
FEEDBACK = 17
EVENT = 18
BOX_PART = 19
BOX = 20

FEEDBACK_HEAD = 10
FEEDBACK_JOINT = 5

DISABLE = 0
ENABLE = 1
PAUSE = 2
RESUME = 3
STOP = 4
UNHOME = 5

REFUSED_FRAME = 32
REFUSED_SCHEMA = 33
REFUSED_LINK_SEQUENCE = 34
REFUSED_NOT_DISABLED = 38
REFUSED_NOT_CONFIGURED = 39
REFUSED_FAULT_LATCHED = 43
REFUSED_CHANNEL = 44
REFUSED_CONFIGURATION = 45
REFUSED_NOT_PAUSED = 47
REFUSED_RELEASED = 48

_INT_MAX = 0x7FFFFFFF

# Lowest and highest value of each field, in the order of protocol.cddl, from the type to the last.
CONFIGURE_BOARD_RANGES = array(
    "i",
    (2, 2, 0, _INT_MAX, 500, 100_000, 10_000, 500_000, 5_000, 200_000, 0, 60_000)
    + (0, 100_000, 1, 100_000, 100, 1_000_000, 0, 16, 0, 15),
)
CONFIGURE_JOINT_RANGES = array(
    "i",
    (3, 3, 0, _INT_MAX, 0, 7)
    + (-0x3FFFFFFF, 0x3FFFFFFF) * 2
    + (1, 30_000_000, 1_000, 2_000_000_000, 1_000, 2_000_000_000)
    + (1, 1_000_000, 1, 1_000_000)
    + (-65_535, 65_535, 0, 16)
    + (0, 8_191, 0, 24) * 4
    + (0, 32_767, 1, 32_767, 0, 6, -1, 1, -32_767, 32_767, 1, 32_767)
    + (1, 65_535, 1, 8_191, 0, 24, 1, 0x3FFFFFFF, 1, 32_767, 1, 65_535)
    + (1, 16_383, 1, 32_767, 1, 1_000_000, 1, 1_000_000, 0, 1_000_000)
    + (1, 40_000_000, 1, 10_000, 0, 1_000, 0, 1_000),
)
CONFIGURE_HOMING_RANGES = array(
    "i",
    (11, 11, 0, _INT_MAX, 0, 7, 1, 4)
    + (-0x3FFFFFFF, 0x3FFFFFFF) * 2
    + (-30_000_000, 30_000_000, 1, 32_767)
    + (-65_535, 65_535, 0, 16, -0x3FFFFFFF, 0x3FFFFFFF, 1, 0x3FFFFFFF),
)
_STATE_COMMAND_RANGES = array("i", (6, 6, 0, _INT_MAX, 0, _INT_MAX, 0, 5))
_HOME_RANGES = array("i", (10, 10, 0, _INT_MAX, 0, _INT_MAX, -1, 7))
_READ_BOX_RANGES = array("i", (8, 8, 0, _INT_MAX, 0, _INT_MAX))
_HOLD_BOX_RANGES = array("i", (9, 9, 0, _INT_MAX, 0, 2))
_SEQUENCE_RANGES = array("i", (0, 0x7F, 0, _INT_MAX))

_COMMAND = const(4)
_COMMAND_HEAD = const(3)
_JOINTS_MAX = const(8)
_DRIVE_SIGN_FIELD = const(23)


@micropython.viper
def _out_of_range(message: ptr32, ranges: ptr32, count: int) -> int:
    """Return the index of the first field of ``message[:count]`` outside ``ranges``, or -1."""
    s = int(1) << 31
    k = 0
    while k < count:
        value = (message[k] ^ s) - s
        if value < (ranges[2 * k] ^ s) - s or value > (ranges[2 * k + 1] ^ s) - s:
            return k
        k += 1
    return 0 - 1


@micropython.viper
def fault_in(message, count: int) -> int:
    """Return -1 if ``message[:count]`` fits protocol.cddl, else the index of a field that does not.

    A wrong type or number of fields is told as field 0.
    """
    m = ptr32(message)
    s = int(1) << 31
    if m[0] != _COMMAND:
        return int(_fault_in_other(message, count))
    if count < _COMMAND_HEAD + 2 or count > _COMMAND_HEAD + 2 * _JOINTS_MAX or not count & 1:
        return 0
    if (m[1] ^ s) - s < 0 or (m[2] ^ s) - s < 0:
        return 1
    return 0 - 1


def _fault_in_other(message: "array[int]", count: int) -> int:
    if count < 2:
        return 0
    kind = message[0]
    if kind == IDENTIFY or kind == KEEP_ALIVE or kind == MAINTENANCE:
        return _out_of_range(message, _SEQUENCE_RANGES, 2) if count == 2 else 0
    if kind == HOME:
        return _out_of_range(message, _HOME_RANGES, 4) if count == 4 else 0
    if kind == STATE_COMMAND:
        return _out_of_range(message, _STATE_COMMAND_RANGES, 4) if count == 4 else 0
    if kind == READ_BOX:
        return _out_of_range(message, _READ_BOX_RANGES, 3) if count == 3 else 0
    if kind == HOLD_BOX:
        return _out_of_range(message, _HOLD_BOX_RANGES, 3) if count == 3 else 0
    if kind == CONFIGURE_BOARD:
        if count * 2 != len(CONFIGURE_BOARD_RANGES):
            return 0
        return _out_of_range(message, CONFIGURE_BOARD_RANGES, count)
    if kind == CONFIGURE_HOMING:
        if count * 2 != len(CONFIGURE_HOMING_RANGES):
            return 0
        return _out_of_range(message, CONFIGURE_HOMING_RANGES, count)
    if kind == CONFIGURE_JOINT:
        if count * 2 != len(CONFIGURE_JOINT_RANGES):
            return 0
        if message[_DRIVE_SIGN_FIELD] == 0:
            return _DRIVE_SIGN_FIELD
        return _out_of_range(message, CONFIGURE_JOINT_RANGES, count)
    return 0
