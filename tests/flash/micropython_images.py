"""Small files that look like MicroPython images as far as anyone can tell without running them."""

from __future__ import annotations

import random
import struct

RP2040 = 0xE48BFF56
RP2350 = 0xE48BFF59
ABSOLUTE = 0xE48BFF57
ESP32 = 0
ESP32S3 = 9


def banner(version: str) -> bytes:
    return b"\0MicroPython v" + version.encode() + b" on 2026-08-29; a board with a chip\r\n\0"


def esp_image(chip_id: int = ESP32, version: str = "1.29.0", size: int = 0x10000) -> bytes:
    """A bootloader's header, a partition table, and for the rest what does not compress."""
    image = bytearray(random.Random(1).randbytes(size))
    image[:4] = bytes([0xE9, 3, 2, 0x20])
    struct.pack_into("<H", image, 12, chip_id)
    table = 0x7000 if chip_id == ESP32 else 0x8000
    image[table : table + 2] = b"\xaa\x50"
    text = banner(version)
    image[table + 0x4000 : table + 0x4000 + len(text)] = text
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
