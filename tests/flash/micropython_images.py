"""Small files that look like MicroPython images as far as anyone can tell without running them."""

from __future__ import annotations

import hashlib
import random
import struct
from functools import reduce
from operator import xor

RP2040 = 0xE48BFF56
RP2350 = 0xE48BFF59
ABSOLUTE = 0xE48BFF57
ESP32 = 0
ESP32S3 = 9


def banner(version: str) -> bytes:
    return b"\0MicroPython v" + version.encode() + b" on 2026-08-29; a board with a chip\r\n\0"


# Type, subtype, offset, size: where MicroPython has its things on a board with 4 MB.
NVS, PHY, FACTORY, FILES = (
    (1, 2, 0x9000, 0x6000),
    (1, 1, 0xF000, 0x1000),
    (0, 0, 0x10000, 0x1F0000),
    (1, 0x81, 0x200000, 0x200000),
)


def esp_part(chip_id: int, *segments: bytes, hashed: bool = True) -> bytes:
    """A bootloader or an app, as ESP-IDF's esp_image_format.h has them."""
    part = struct.pack(
        "<4BI4BHB2H4xB", 0xE9, len(segments), 2, 0x20, 0x40080000, 0xEE, 0, 0, 0, chip_id, 0, 0, 0, hashed
    )
    part += b"".join(struct.pack("<2I", 0x3FFF0000, len(segment)) + segment for segment in segments)
    part += bytes(15 - len(part) % 16) + bytes([reduce(xor, b"".join(segments), 0xEF)])
    return part + hashlib.sha256(part).digest() if hashed else part


def esp_table(*partitions: tuple[int, int, int, int]) -> bytes:
    """A partition table; its last entry is the MD5 of the others."""
    table = b"".join(struct.pack("<2s2B2I20x", b"\xaa\x50", *partition) for partition in partitions)
    return table + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table).digest() + b"\xff" * 32


def esp_image(chip_id: int = ESP32, version: str = "1.29.0", size: int = 0x11000) -> bytes:
    """A bootloader, a partition table, an app to the end of the file, and in between what does not compress."""
    image = bytearray(random.Random(1).randbytes(size))
    start = 0x1000 if chip_id == ESP32 else 0
    # Two segments' heads, the app's own, a line with the checksum, and the hash are no data.
    body = random.Random(3).randbytes(size + start - 0x10000 - 24 - 16 - 16 - 32 - len(banner(version))) + banner(
        version
    )
    for at, part in (
        (start, esp_part(chip_id, body[:0x800], body[:0x123])),
        (0x8000, esp_table(NVS, PHY, FACTORY, FILES)),
        (0x10000, esp_part(chip_id, body[:-500], body[-500:])),
    ):
        image[at - start : at - start + len(part)] = part
    assert len(image) == size
    return bytes(image)


def uf2_blocks(data: bytes, family: int) -> list[bytes]:
    pieces = [data[at : at + 256] for at in range(0, len(data), 256)]
    return [
        struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0x2000, 0x10000000 + 256 * i, len(piece), i, len(pieces), family)
        + piece.ljust(476, b"\0")
        + struct.pack("<I", 0x0AB16F30)
        for i, piece in enumerate(pieces)
    ]


def uf2_image(family: int = RP2040, version: str = "1.29.0", size: int = 60_000) -> bytes:
    """Its banner straddles two blocks."""
    text = banner(version)
    body = random.Random(2).randbytes(256 * 40 - 9) + text + bytes(size - 256 * 40 + 9 - len(text))
    # As the real ones for the RP2350 begin.
    first = [uf2_blocks(b"\xef" * 256, ABSOLUTE)[0]] if family == RP2350 else []
    return b"".join([*first, *uf2_blocks(body, family)])
