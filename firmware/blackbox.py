"""The black box as the background has it: its memory, what the host may read of it, and what outlasts a reset.

``core/actuate.py`` writes its lines, ``core/stops.py`` says of which fault it is kept. It holds a second or more, a
quarter of it before the fault; nobody can make it go on but the host that has read it.
"""

from array import array

import micropython
from micropython import const

from core import layout as L
from ports import TO_KEEP

_EVENT = const(27)
_EVENT_CHANNEL = const(28)
_EVENT_VALUE = const(29)
_EVENT_TICK = const(63)
_OUT_TO_KEEP = const(12)

# Faults that outlast a reset. Small chips keep few words, so each is packed into two: its tick; and its code, its
# channel, and its value as far as 22 bits hold it, two radians or two seconds.
EVENTS_MAX = 3
_KEPT_WORDS = const(6)
_VALUE_MAX = const(0x1FFFFF)
# 64 KB: a second of four joints, and no more than a small RP2040 can spare.
_WORDS_MAX = 16384
# Nobody reads a picture more closely than this.
_LINES_HZ = 1000
_HEAD = 4
_JOINT = 3
# In a part of the box that a frame of 252 bytes holds, all numbers long.
PART_MAX = 40


@micropython.viper
def note(b: ptr32, outputs: ptr32):
    """Keep the fault that was just found over a reset, the newest first."""
    if b[_EVENT] == 0:
        return
    kept = ptr32(int(outputs) + 4 * _OUT_TO_KEEP)
    if kept[0] == b[_EVENT_TICK] and kept[1] & 63 == b[_EVENT]:
        # The background has not told of it yet.
        return
    k = _KEPT_WORDS - 1
    while k >= 2:
        kept[k] = kept[k - 2]
        k -= 1
    sign = int(1) << 31
    value = (b[_EVENT_VALUE] ^ sign) - sign
    if value > _VALUE_MAX:
        value = int(_VALUE_MAX)
    if value < 0 - _VALUE_MAX:
        value = 0 - int(_VALUE_MAX)
    kept[0] = b[_EVENT_TICK]
    kept[1] = b[_EVENT] | ((b[_EVENT_CHANNEL] & 15) + 1 & 15) << 6 | value << 10


@micropython.viper
def _unpack(reply: ptr32, at: int, kept: ptr32, k: int):
    """Put the kept fault ``k`` into ``reply`` from ``at`` on: tick, code, channel, value."""
    sign = int(1) << 31
    packed = (kept[2 * k + 1] ^ sign) - sign
    reply[at] = kept[2 * k]
    reply[at + 1] = packed & 63
    reply[at + 2] = (packed >> 6 & 15) - 1
    reply[at + 3] = packed >> 10


@micropython.viper
def _copy(to: ptr32, to_at: int, of: ptr32, at: int, count: int):
    for k in range(count):
        to[to_at + k] = of[at + k]


class Ring:
    """The memory of a board of so many joints: ``lines`` of ``stride`` words, one of ``every`` ticks.

    It is a third of a small board's memory in one piece, so it is made before the program is loaded.
    """

    def __init__(self, joints: int, tick_hz: int) -> None:
        self.stride = _HEAD + _JOINT * joints
        self.every = 1
        while tick_hz // self.every > _LINES_HZ or tick_hz // self.every * self.stride > _WORDS_MAX:
            self.every *= 2
        self.lines = tick_hz // self.every * 1024 // 1000
        # Behind the ring there is a line for what nobody will read.
        self.memory = bytearray(4 * (self.lines + 1) * self.stride)


class BlackBox:
    """The ring of a board; ``board`` is its record, ``port`` what keeps the last events over a reset."""

    def __init__(self, board: "memoryview[int]", port, ring: Ring) -> None:
        self._board = board
        self._kept = memoryview(port.outputs)[TO_KEEP:]
        self._every = ring.every
        self.ring = ring.memory
        board[L.BOX_STRIDE] = ring.stride
        board[L.BOX_SIZE] = ring.lines * ring.stride
        board[L.BOX_MASK] = ring.every - 1
        board[L.BOX_TAIL] = ring.lines - ring.lines // 4

    def hold(self, how: int) -> None:
        """Let the ring go on (0), or freeze it so that it can be read (1), if no fault has done so or is doing it."""
        board = self._board
        if how == 0:
            board[L.BOX_CAUSE] = 0
            board[L.BOX_AFTER] = 0
            board[L.BOX_AT] = board[L.BOX_FIRST]
        elif how == 1 and board[L.BOX_AFTER] == 0:
            board[L.BOX_AT] = board[L.BOX_SIZE]

    def head(self, reply: "array[int]") -> int:
        """Fill ``reply`` from its third field on with what there is to read; return the number of its fields."""
        board = self._board
        reply[2] = board[L.BOX_SIZE]
        reply[3] = board[L.BOX_STRIDE]
        reply[4] = self._every
        reply[5] = board[L.BOX_FIRST]
        reply[6] = board[L.BOX_AFTER]
        reply[7] = board[L.BOX_CAUSE]
        reply[8] = board[L.BOX_TICK]
        for k in range(EVENTS_MAX):
            _unpack(reply, 9 + 4 * k, self._kept, k)
        return 9 + 4 * EVENTS_MAX

    def part(self, place: int, reply: "array[int]") -> int:
        """Fill ``reply`` from its third field on with the words from ``place`` on; return the number of its fields."""
        count = min(PART_MAX, self._board[L.BOX_SIZE] - place)
        reply[2] = place
        _copy(reply, 3, self.ring, place, count)
        return 3 + count
