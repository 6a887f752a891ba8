"""Reads UF2 files, in which RP2040 programs are published: 512-byte blocks, each with a page of flash and its address.

The format is Microsoft's (https://github.com/microsoft/uf2).
"""

from __future__ import annotations

import struct
from pathlib import Path

from bedside.errors import BedsideError

FLASH = 0x10000000
FLASH_SIZE = 16 << 20
FAMILY = 0xE48BFF56  # RP2040

_HEADER = struct.Struct("<8I")
_BLOCK = 512
_MAGIC = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
_NOT_MAIN_FLASH = 0x1
_HAS_FAMILY = 0x2000
_PAYLOAD_MAX = 476
_FAMILIES = {0xE48BFF59: "the RP2350 (Arm)", 0xE48BFF5A: "the RP2350 (RISC-V)", 0x1C5F21B0: "the ESP32"}


class UF2Error(BedsideError):
    """A file is no UF2 file, or none for the RP2040."""


def read(path: Path) -> bytes:
    """Return what the file puts into flash, from its start on; gaps are erased, 0xFF.

    Raises UF2Error.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UF2Error(f"cannot read {path}: {error.strerror}") from None
    if len(data) < _BLOCK or _HEADER.unpack_from(data)[:2] != _MAGIC:
        raise UF2Error(f"{path} is no UF2 file: give the .uf2 that micropython.org offers for the Raspberry Pi Pico")
    if len(data) % _BLOCK:
        raise UF2Error(f"{path} is cut off: its last block has {len(data) % _BLOCK} of {_BLOCK} bytes; fetch it anew")
    pages: dict[int, bytes] = {}
    for at in range(0, len(data), _BLOCK):
        address, page = _page(path, at // _BLOCK, data[at : at + _BLOCK], len(data) // _BLOCK)
        if page:
            pages[address - FLASH] = page
    if not pages:
        raise UF2Error(f"{path} has nothing for flash: give a MicroPython for the Raspberry Pi Pico")
    image = bytearray(b"\xff" * max(start + len(page) for start, page in pages.items()))
    for start, page in pages.items():
        image[start : start + len(page)] = page
    return bytes(image)


def _page(path: Path, number: int, block: bytes, blocks: int) -> tuple[int, bytes]:
    """Return a block's address in flash and its bytes, none if it is not for flash."""
    first, second, flags, address, size, _, total, family = _HEADER.unpack_from(block)
    (end,) = struct.unpack_from("<I", block, _BLOCK - 4)
    if (first, second, end) != (*_MAGIC, _MAGIC_END):
        raise UF2Error(f"{path} is damaged: block {number} has not the marks of a UF2 block; fetch it anew")
    if total != blocks:
        raise UF2Error(f"{path} is cut off: it has {blocks} of {total} blocks; fetch it anew")
    if flags & _HAS_FAMILY and family != FAMILY:
        chip = _FAMILIES.get(family, f"another chip, family 0x{family:08x}")
        raise UF2Error(f"{path} is for {chip}; the emulator is an RP2040: give a build named RPI_PICO")
    if flags & _NOT_MAIN_FLASH:
        return address, b""
    if size > _PAYLOAD_MAX or not FLASH <= address <= FLASH + FLASH_SIZE - size:
        raise UF2Error(f"{path}: block {number} puts {size} bytes at 0x{address:08x}, which is not flash")
    return address, block[_HEADER.size : _HEADER.size + size]


def write(path: Path, image: bytes) -> None:
    """Write a flash image as a UF2 file for the RP2040, in pages of 256 bytes."""
    pages = [image[at : at + 256].ljust(256, b"\xff") for at in range(0, len(image), 256)]
    with path.open("wb") as file:
        for number, page in enumerate(pages):
            header = (*_MAGIC, _HAS_FAMILY, FLASH + 256 * number, 256, number, len(pages), FAMILY)
            file.write(_HEADER.pack(*header) + page.ljust(_PAYLOAD_MAX, b"\0") + struct.pack("<I", _MAGIC_END))
