"""CBOR with text, for the identity alone. It allocates, and is asked for when a host connects."""


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes([major | value])
    if value < 256:
        return bytes([major | 24, value])
    if value < 65536:
        return bytes([major | 25]) + value.to_bytes(2, "big")
    return bytes([major | 26]) + value.to_bytes(4, "big")


def array_of(items: "list[int | str]", out: bytearray) -> int:
    """Encode ``items`` as one CBOR array into ``out`` from its second byte on; return the number of bytes."""
    parts = [_head(0x80, len(items))]
    for item in items:
        if isinstance(item, str):
            text = item.encode()
            parts.append(_head(0x60, len(text)) + text)
        elif item < 0:
            parts.append(_head(0x20, -1 - item))
        else:
            parts.append(_head(0, item))
    data = b"".join(parts)
    out[1 : 1 + len(data)] = data
    return len(data)
