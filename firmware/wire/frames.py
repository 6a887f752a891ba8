"""Frames on the serial line: COBS(payload || CRC-16) || 0x00.

COBS: S. Cheshire and M. Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM ToN 1999. CRC-16/CCITT, polynomial 0x1021,
initial value 0xFFFF, computed a byte at a time without a table.
"""

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
_DECODED_MAX = const(254)


@micropython.viper
def find_end(buffer: ptr8, start: int, stop: int) -> int:
    """Return the index of the first zero byte in ``buffer[start:stop]``, or -1."""
    i = start
    while i < stop:
        if buffer[i] == 0:
            return i
        i += 1
    return 0 - 1


@micropython.viper
def append(buffer: ptr8, at: int, chunk: ptr8, n: int):
    """Copy ``chunk[:n]`` to ``buffer`` from index ``at`` on."""
    i = 0
    while i < n:
        buffer[at + i] = chunk[i]
        i += 1


@micropython.viper
def move_down(buffer: ptr8, start: int, stop: int):
    """Move ``buffer[start:stop]`` to its beginning."""
    i = 0
    while start < stop:
        buffer[i] = buffer[start]
        i += 1
        start += 1


@micropython.viper
def unframe(source: ptr8, start: int, stop: int, payload: ptr8) -> int:
    """Decode the COBS block ``source[start:stop]`` (without its zero) and check its CRC.

    Returns the payload's length, or BAD_COBS, BAD_CRC or BAD_LENGTH. ``payload`` holds at least 254 bytes.
    """
    n = 0
    crc = 0xFFFF
    while start < stop:
        block = start + source[start]
        if block == start or block > stop:
            return _BAD_COBS
        code = source[start]
        start += 1
        while start < block:
            byte = source[start]
            if byte == 0:
                return _BAD_COBS
            if n >= _DECODED_MAX:
                return _BAD_LENGTH
            payload[n] = byte
            n += 1
            x = (crc >> 8) ^ byte
            x ^= x >> 4
            crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xFFFF
            start += 1
        if start < stop and code < 255:
            if n >= _DECODED_MAX:
                return _BAD_LENGTH
            payload[n] = 0
            n += 1
            x = crc >> 8
            x ^= x >> 4
            crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xFFFF
    if n < 3:
        return _BAD_LENGTH
    # A CRC run over its own big-endian value leaves zero.
    if crc != 0:
        return _BAD_CRC
    return n - 2


@micropython.viper
def frame(payload: ptr8, n: int, out: ptr8) -> int:
    """Append the CRC to ``payload[:n]`` (two spare bytes behind it) and write the frame; return the frame's length."""
    crc = 0xFFFF
    code_at = 0
    length = 1
    end = n + 2
    i = 0
    while i < end:
        if i == n:
            payload[n] = crc >> 8
            payload[n + 1] = crc & 255
        byte = payload[i]
        i += 1
        x = (crc >> 8) ^ byte
        x ^= x >> 4
        crc = ((crc << 8) ^ (x << 12) ^ (x << 5) ^ x) & 0xFFFF
        if byte == 0:
            out[code_at] = length - code_at
            code_at = length
        else:
            out[length] = byte
        length += 1
    out[code_at] = length - code_at
    out[length] = 0
    return length + 1
