"""A board's CBOR: one flat array of 32-bit integers, in deterministic encoding (RFC 8949, section 4.2)."""

import micropython
from micropython import const

ITEMS_MAX = 96

BAD_CBOR = -4

_BAD_CBOR = const(-4)
_ITEMS_MAX = const(96)


@micropython.viper
def decode(data: ptr8, n: int, out: ptr32) -> int:
    """Decode the array in ``data[:n]`` into ``out``; return its number of items, or BAD_CBOR.

    Refuses all that a deterministic encoder would not write (longer integers than needed, indefinite lengths, bytes
    left over), every other type, integers beyond 32 bits and more than ITEMS_MAX items.
    """
    if n < 1:
        return _BAD_CBOR
    head = data[0]
    i = 1
    count = head - 0x80
    if head == 0x98:
        if n < 2:
            return _BAD_CBOR
        count = int(data[1])
        i = 2
        if count < 24:
            return _BAD_CBOR
    elif head < 0x80 or head > 0x97:
        return _BAD_CBOR
    if count > _ITEMS_MAX:
        return _BAD_CBOR
    k = 0
    while k < count:
        if i >= n:
            return _BAD_CBOR
        head = data[i]
        i += 1
        if head >= 0x40:
            return _BAD_CBOR
        value = head & 0x1F
        if value >= 24:
            if value == 24:
                if i + 1 > n:
                    return _BAD_CBOR
                value = int(data[i])
                i += 1
                if value < 24:
                    return _BAD_CBOR
            elif value == 25:
                if i + 2 > n:
                    return _BAD_CBOR
                value = (data[i] << 8) | data[i + 1]
                i += 2
                if value < 256:
                    return _BAD_CBOR
            elif value == 26:
                if i + 4 > n:
                    return _BAD_CBOR
                if data[i] > 127:
                    return _BAD_CBOR
                value = (data[i] << 24) | (data[i + 1] << 16) | (data[i + 2] << 8) | data[i + 3]
                i += 4
                if value < 65536:
                    return _BAD_CBOR
            else:
                return _BAD_CBOR
        if head >= 0x20:
            value = 0 - 1 - value
        out[k] = value
        k += 1
    if i != n:
        return _BAD_CBOR
    return count


@micropython.viper
def encode(values: ptr32, count: int, out: ptr8) -> int:
    """Write ``values[:count]`` (at most 255) as a CBOR array; return the number of bytes, at most 2 + 5 * count."""
    s = int(1) << 31
    n = 1
    if count < 24:
        out[0] = 0x80 + count
    else:
        out[0] = 0x98
        out[1] = count
        n = 2
    k = 0
    while k < count:
        value = (values[k] ^ s) - s
        major = 0
        if value < 0:
            major = 0x20
            value = 0 - 1 - value
        if value < 24:
            out[n] = major | value
            n += 1
        elif value < 256:
            out[n] = major | 24
            out[n + 1] = value
            n += 2
        elif value < 65536:
            out[n] = major | 25
            out[n + 1] = value >> 8
            out[n + 2] = value & 255
            n += 3
        else:
            out[n] = major | 26
            out[n + 1] = value >> 24
            out[n + 2] = (value >> 16) & 255
            out[n + 3] = (value >> 8) & 255
            out[n + 4] = value & 255
            n += 5
        k += 1
    return n
