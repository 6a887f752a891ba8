"""Message types of protocol.cddl, the check of a decoded message against it, and the codes a board answers with."""

from array import array

import micropython
from micropython import const

# The first 31 bits of the SHA-256 of protocol.cddl without comments and blanks; a test holds it against the file.
SCHEMA = 726170551

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
PROVE = 12
IDENTITY = 16
FEEDBACK = 17
EVENT = 18
BOX_PART = 19
BOX = 20
WITNESS = 21

FEEDBACK_HEAD = 10
FEEDBACK_JOINT = 5
WITNESS_HEAD = 10

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
REFUSED_NOT_PROVEN = 56
REFUSED_KEYS = 58

_INT_MAX = 0x7FFFFFFF

# Lowest and highest value of each field, in the order of protocol.cddl, from the type to the last.
CONFIGURE_BOARD_RANGES = array(
    "i",
    (2, 2, 0, _INT_MAX, 500, 100_000, 10_000, 500_000, 5_000, 200_000, 0, 60_000)
    + (0, 100_000, 1, 100_000, 100, 1_000_000, 0, 16, 0, 15, 10_000, 1_000_000),
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
_SEQUENCE_RANGES = array("i", (0, 0x7F, 0, _INT_MAX))
# Of each message, but for commands, which are checked without a look-up.
_RANGES = {
    IDENTIFY: _SEQUENCE_RANGES,
    CONFIGURE_BOARD: CONFIGURE_BOARD_RANGES,
    CONFIGURE_JOINT: CONFIGURE_JOINT_RANGES,
    KEEP_ALIVE: _SEQUENCE_RANGES,
    STATE_COMMAND: array("i", (6, 6, 0, _INT_MAX, 0, _INT_MAX, 0, 5)),
    MAINTENANCE: _SEQUENCE_RANGES,
    READ_BOX: array("i", (8, 8, 0, _INT_MAX, 0, _INT_MAX)),
    HOLD_BOX: array("i", (9, 9, 0, _INT_MAX, 0, 2)),
    HOME: array("i", (10, 10, 0, _INT_MAX, 0, _INT_MAX, -1, 7)),
    CONFIGURE_HOMING: CONFIGURE_HOMING_RANGES,
    PROVE: array("i", (12, 12) + (0, _INT_MAX) * 2 + (-1, 0x3FFFFFFF, 0, _INT_MAX) + (-_INT_MAX - 1, _INT_MAX) * 4),
}

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
    kind = message[0] if count > 0 else 0
    ranges = _RANGES.get(kind)
    if ranges is None or 2 * count != len(ranges):
        return 0
    if kind == CONFIGURE_JOINT and message[_DRIVE_SIGN_FIELD] == 0:
        return _DRIVE_SIGN_FIELD
    return _out_of_range(message, ranges, count)
