"""Frames on the serial line: COBS(payload || CRC-16) || 0x00.

COBS: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM ToN 1999. A frame is one block of it at
most, so both ways work in place: a payload stands in its frame from the second byte on, and only the code bytes, where
its zeros are, change. CRC-16/CCITT, polynomial 0x1021, initial value 0xFFFF, two bytes at a time through two tables.
"""

from array import array

import micropython
from micropython import const

# One COBS block: payload and CRC together stay below 255 bytes, so that a frame needs one overhead byte and a zero.
PAYLOAD_MAX = 252
FRAME_MAX = 256

BAD_COBS = -1
BAD_CRC = -2
BAD_LENGTH = -3

_BAD_COBS = const(-1)
_BAD_CRC = const(-2)
_BAD_LENGTH = const(-3)
_FRAMED_MIN = const(4)
_FRAMED_MAX = const(255)
# Bytes from the one table to the other.
_TABLE_BYTES = const(512)


def _tables() -> "array[int]":
    """Return the CRC of each last byte, then that of each last byte but one (a zero follows)."""
    tables = array("H", [0] * 512)
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        tables[byte] = crc & 0xFFFF
    for byte in range(256):
        crc = tables[byte]
        tables[256 + byte] = (crc << 8 & 0xFFFF) ^ tables[crc >> 8]
    return tables


CRC = _tables()


@micropython.viper
def find_end(line: ptr8, at: int) -> int:
    """Return the index of the first zero byte of ``line`` from ``at`` on; there is one."""
    begun = int(line)
    line = ptr8(int(line) + at)
    while line[0]:
        line = ptr8(int(line) + 1)
    return int(line) - begun


@micropython.viper
def move(line: ptr8, to: int, at: int, end: int):
    """Move ``line[at:end]`` down to ``to``."""
    while at < end:
        line[to] = line[at]
        to += 1
        at += 1


@micropython.viper
def unframe(line: ptr8, table: ptr16, at: int) -> int:
    """Take the stuffing out of the frame that begins at ``line[at]`` and ends in a zero, and check its CRC.

    ``table`` is CRC. Returns the length of the payload, which stands from ``at + 1`` on, or BAD_COBS, BAD_CRC or
    BAD_LENGTH; the frame ends at the same zero then.
    """
    begun = ptr8(int(line) + at)
    line = begun
    while line[0] and line[1] and line[2] and line[3]:
        line = ptr8(int(line) + 4)
    while line[0]:
        line = ptr8(int(line) + 1)
    stop = int(line)
    n = stop - int(begun)
    if n < _FRAMED_MIN or n > _FRAMED_MAX:
        return _BAD_LENGTH
    line = ptr8(int(begun) + begun[0])
    while int(line) < stop:
        code = line[0]
        line[0] = 0
        line = ptr8(int(line) + code)
    bad = 0
    if int(line) != stop:
        bad = int(_BAD_COBS)
    line = ptr8(int(begun) + 1)
    high = ptr16(int(table) + _TABLE_BYTES)
    crc = 0xFFFF
    stop -= 3
    while int(line) < stop:
        crc = high[(crc >> 8) ^ line[0]] ^ table[(crc & 255) ^ line[1]]
        crc = high[(crc >> 8) ^ line[2]] ^ table[(crc & 255) ^ line[3]]
        line = ptr8(int(line) + 4)
    stop += 3
    while int(line) < stop:
        crc = ((crc << 8) & 0xFFFF) ^ table[(crc >> 8) ^ line[0]]
        line = ptr8(int(line) + 1)
    # A CRC run over its own big-endian value leaves zero.
    if crc and bad == 0:
        bad = int(_BAD_CRC)
    if bad:
        while n:
            n -= 1
            begun[n] = 1
        return bad
    return n - 3


@micropython.viper
def frame(line: ptr8, table: ptr16, n: int) -> int:
    """Make a frame around the payload ``line[1 : 1 + n]``, three spare bytes behind it; return the frame's length.

    ``table`` is CRC.
    """
    code = line
    line = ptr8(int(line) + 1)
    end = int(line) + n
    stop = end - 3
    high = ptr16(int(table) + _TABLE_BYTES)
    crc = 0xFFFF
    while int(line) < stop:
        crc = high[(crc >> 8) ^ line[0]] ^ table[(crc & 255) ^ line[1]]
        crc = high[(crc >> 8) ^ line[2]] ^ table[(crc & 255) ^ line[3]]
        if not line[0]:
            code[0] = int(line) - int(code)
            code = line
        if not line[1]:
            code[0] = int(line) + 1 - int(code)
            code = ptr8(int(line) + 1)
        if not line[2]:
            code[0] = int(line) + 2 - int(code)
            code = ptr8(int(line) + 2)
        if not line[3]:
            code[0] = int(line) + 3 - int(code)
            code = ptr8(int(line) + 3)
        line = ptr8(int(line) + 4)
    rest = line
    while int(rest) < end:
        crc = ((crc << 8) & 0xFFFF) ^ table[(crc >> 8) ^ rest[0]]
        rest = ptr8(int(rest) + 1)
    behind = ptr8(end)
    behind[0] = crc >> 8
    behind[1] = crc
    behind[2] = 0
    end += 2
    while True:
        while line[0]:
            line = ptr8(int(line) + 1)
        code[0] = int(line) - int(code)
        if int(line) == end:
            return n + 4
        code = line
        line = ptr8(int(line) + 1)
