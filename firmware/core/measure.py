"""From encoder counts to position and speed."""

import micropython
from micropython import const

_COUNT = const(0)
_COUNT_REMAINDER = const(1)
_POSITION = const(2)
_SPEED = const(3)
_COUNT_SCALE = const(23)
_COUNT_SHIFT = const(24)
_FILTER_SHIFT = const(35)

# 2^14 counts a tick at a 16-bit scale is the largest product that stays within 2^30; no joint moves that fast.
_COUNTS_MAX = const(16383)
# 2^15 urad a tick is 32 rad/s at 1 kHz, and leaves room for eight fraction bits.
_MOVE_MAX = const(32767)


@micropython.viper
def measure(j: ptr32, count: int):
    """Take the encoder's ``count`` of this tick into joint ``j``: POSITION in urad, SPEED in Q8 urad per tick.

    The speed is the difference of positions through a first-order low-pass of 2^FILTER_SHIFT ticks.
    """
    s = 1 << 31
    steps = count - ((j[_COUNT] ^ s) - s)
    j[_COUNT] = count
    if steps > _COUNTS_MAX:
        steps = int(_COUNTS_MAX)
    if steps < 0 - _COUNTS_MAX:
        steps = 0 - _COUNTS_MAX
    shift = j[_COUNT_SHIFT]
    scaled = steps * ((j[_COUNT_SCALE] ^ s) - s) + j[_COUNT_REMAINDER]
    moved = scaled >> shift
    j[_COUNT_REMAINDER] = scaled - (moved << shift)
    j[_POSITION] = ((j[_POSITION] ^ s) - s) + moved
    if moved > _MOVE_MAX:
        moved = int(_MOVE_MAX)
    if moved < 0 - _MOVE_MAX:
        moved = 0 - _MOVE_MAX
    speed = (j[_SPEED] ^ s) - s
    j[_SPEED] = speed + (((moved << 8) - speed) >> j[_FILTER_SHIFT])
