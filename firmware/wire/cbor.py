"""A board's CBOR: one flat array of 32-bit integers, in deterministic encoding (RFC 8949, section 4.2).

Pointers walk over the bytes instead of being indexed, and those that do come first among the arguments: viper keeps the
first three in registers, and reads at a constant distance from a register in one instruction.
"""

import micropython
from micropython import const

ITEMS_MAX = 96

BAD_CBOR = -4

_BAD_CBOR = const(-4)
_ITEMS_MAX = const(96)


@micropython.viper
def decode(data: ptr8, out: ptr32, at: int, n: int) -> int:
    """Decode the array in ``data[at : at + n]`` into ``out``; return its number of items, or BAD_CBOR.

    Refuses all that a deterministic encoder would not write (longer integers than needed, indefinite lengths, bytes
    left over), every other type, integers beyond 32 bits and more than ITEMS_MAX items. Reads up to five bytes beyond
    the end before it refuses what is cut short.
    """
    data = ptr8(int(data) + at)
    end = int(data) + n
    count = data[0] - 0x80
    data = ptr8(int(data) + 1)
    if count == 0x18:
        count = data[0]
        data = ptr8(int(data) + 1)
        if count < 24:
            return _BAD_CBOR
    elif count < 0 or count > 0x17:
        return _BAD_CBOR
    if count > _ITEMS_MAX:
        return _BAD_CBOR
    left = int(count)
    while left:
        head = data[0]
        data = ptr8(int(data) + 1)
        value = head & 0x1F
        if value > 23:
            if value == 26:
                if data[0] > 127:
                    return _BAD_CBOR
                value = (data[0] << 24) | (data[1] << 16) | (data[2] << 8) | data[3]
                data = ptr8(int(data) + 4)
                if value < 65536:
                    return _BAD_CBOR
            elif value == 25:
                value = (data[0] << 8) | data[1]
                data = ptr8(int(data) + 2)
                if value < 256:
                    return _BAD_CBOR
            elif value == 24:
                value = data[0]
                data = ptr8(int(data) + 1)
                if value < 24:
                    return _BAD_CBOR
            else:
                return _BAD_CBOR
        if head > 0x1F:
            if head > 0x3F:
                return _BAD_CBOR
            value = 0 - 1 - value
        out[0] = value
        out = ptr32(int(out) + 4)
        if int(data) > end:
            return _BAD_CBOR
        left -= 1
    if int(data) != end:
        return _BAD_CBOR
    return count


@micropython.viper
def encode(out: ptr8, values: ptr32, count: int) -> int:
    """Write ``values[:count]`` (at most 255) as a CBOR array to ``out`` from its second byte on, as ``frame`` wants it.

    Returns the number of bytes, at most 2 + 5 * count.
    """
    # What remains of the complement of a negative number, zero-extended or not.
    mask = (int(1) << 31) - 1
    begun = int(out) + 1
    if count < 24:
        out[1] = 0x80 + count
        out = ptr8(int(out) + 2)
    else:
        out[1] = 0x98
        out[2] = count
        out = ptr8(int(out) + 3)
    while count:
        count -= 1
        value = values[0]
        values = ptr32(int(values) + 4)
        major = 0
        if value >> 31:
            major = 0x20
            value = ~value & mask
        if value < 24:
            out[0] = major | value
            out = ptr8(int(out) + 1)
        elif value > 65535:
            out[0] = major | 26
            out[1] = value >> 24
            out[2] = value >> 16
            out[3] = value >> 8
            out[4] = value
            out = ptr8(int(out) + 5)
        elif value > 255:
            out[0] = major | 25
            out[1] = value >> 8
            out[2] = value
            out = ptr8(int(out) + 3)
        else:
            out[0] = major | 24
            out[1] = value
            out = ptr8(int(out) + 2)
    return int(out) - begun
