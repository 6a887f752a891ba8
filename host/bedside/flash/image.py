"""Is a file a MicroPython image for a chip, whole and new enough? Asked before it is packed."""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from bedside.chips import CHIPS, EspImage, Uf2Image, chip_called
from bedside.config import load_toml
from bedside.errors import FlashError
from bedside.places import BOARDS

# UF2 file format, https://github.com/microsoft/uf2
_BLOCK = 512
_HEADER = struct.Struct("<8I")
_START = (0x0A324655, 0x9E5D5157)
_END = 0x0AB16F30
_FAMILY_GIVEN = 0x2000
_PAYLOAD_MAX = 476
# Images for the RP2350 begin with a block for no chip in particular, a remedy for its erratum E10.
_ABSOLUTE = 0xE48BFF57

# ESP-IDF's esp_image_header_t: magic, and the chip id further down.
_ESP_MAGIC = 0xE9
_ESP_HEADER = struct.Struct("<B11xH")
# ESP-IDF's esp_partition_info_t: magic, type, subtype, offset and size of each, and of what stands before it an MD5.
# MicroPython keeps its table where ESP-IDF puts it.
_PARTITIONS_AT, _PARTITIONS_SIZE = 0x8000, 0xC00
_PARTITION = struct.Struct("<2s2B2I16x4x")
_PARTITION_MAGIC, _PARTITION_MD5 = b"\xaa\x50", b"\xeb\xeb"
_PARTITION_APP = 0

_VERSION = re.compile(rb"MicroPython v(\d+)\.(\d+)(?:\.(\d+))?")
_DOWNLOADS = "micropython.org/download"


class _Board(Struct):
    """What a board file says about MicroPython."""

    chip: str
    micropython: Annotated[str, Meta(pattern=r"^\d+\.\d+(\.\d+)?\Z")] | None = None


@dataclass(frozen=True)
class Image:
    """A MicroPython image: the name of its file, and its bytes."""

    name: str
    data: bytes


def check_image(chip: str, path: Path, data: bytes) -> str | None:
    """Return the version of the image in file ``path``, as in ``1.29.0``, or None when it tells none.

    Raises FlashError when it is no image for ``chip``, cut short, or older than the oldest that a board file of this
    chip allows.
    """
    kind = chip_called(chip).image
    if kind is None:
        raise FlashError(f"{path}: a board of chip {chip} has its MicroPython already; leave the image out")
    body = _uf2_body(chip, kind, path, data) if isinstance(kind, Uf2Image) else _esp_body(chip, kind, path, data)
    found = _VERSION.search(body)
    if not found:
        return None
    version = tuple(int(part or 0) for part in found.groups())
    oldest = oldest_micropython(chip)
    if oldest and version < _numbers(oldest):
        raise FlashError(
            f"{path}: this is MicroPython {_dotted(version)}, and boards of chip {chip} need {oldest} or newer; "
            f"download one from {_DOWNLOADS}"
        )
    return _dotted(version)


def oldest_micropython(chip: str) -> str | None:
    """Return the newest of the versions that the board files of ``chip`` ask for, or None when none does.

    Raises CellError when a board file cannot be read.
    """
    boards = [load_toml(path, _Board) for path in sorted(BOARDS.glob("*.toml"))]
    asked = [board.micropython for board in boards if board.chip == chip and board.micropython]
    return max(asked, key=_numbers, default=None)


def _uf2_body(chip: str, kind: Uf2Image, path: Path, data: bytes) -> bytes:
    if data[:8] != struct.pack("<2I", *_START):
        raise FlashError(f"{path}: not a UF2 file, which chip {chip} needs; download the .uf2 from {_DOWNLOADS}")
    body = []
    promised = 0
    for at in range(0, len(data), _BLOCK):
        block = data[at : at + _BLOCK]
        if len(block) < _BLOCK or block[-4:] != struct.pack("<I", _END):
            raise _damaged(path, f"block {at // _BLOCK} is not whole")
        *start, flags, _, size, _, count, family = _HEADER.unpack_from(block)
        if tuple(start) != _START or size > _PAYLOAD_MAX:
            raise _damaged(path, f"block {at // _BLOCK} is not a UF2 block")
        if not flags & _FAMILY_GIVEN or family not in (kind.family, _ABSOLUTE):
            raise _other_chip(chip, path, _family_name(family) if flags & _FAMILY_GIVEN else "no family at all")
        if family == kind.family:
            promised = count
            body.append(block[_HEADER.size : _HEADER.size + size])
    if len(body) != promised or not body:
        raise _damaged(path, f"{len(body)} of its {promised} blocks are there")
    return b"".join(body)


def _esp_body(chip: str, kind: EspImage, path: Path, data: bytes) -> bytes:
    if not data or data[0] != _ESP_MAGIC:
        raise FlashError(
            f"{path}: not an image for an ESP32, which begins with byte 0xE9; download the .bin from {_DOWNLOADS}"
        )
    _check_esp_part(chip, kind, path, "bootloader", data)
    table = data[_PARTITIONS_AT - kind.offset :][:_PARTITIONS_SIZE]
    if not table.startswith(_PARTITION_MAGIC):
        raise FlashError(
            f"{path}: no partition table at 0x{_PARTITIONS_AT - kind.offset:x}, so no board would boot from it: it is "
            f"cut short, or an .app-bin for updates over the air; download the .bin from {_DOWNLOADS}"
        )
    start, size = _app_partition(path, table)
    app = data[start - kind.offset :][:size]
    if not app or app[0] != _ESP_MAGIC:
        raise _damaged(path, f"there is no app at 0x{start:x} of the flash")
    _check_esp_part(chip, kind, path, "app", app)
    return app


def _app_partition(path: Path, table: bytes) -> tuple[int, int]:
    """Return where in the flash the app is that a board without a history starts, and the room that it has there."""
    apps = []
    for at in range(0, len(table) - _PARTITION.size + 1, _PARTITION.size):
        magic, kind, subtype, start, size = _PARTITION.unpack_from(table, at)
        if magic == _PARTITION_MD5:
            if table[at + 16 : at + 32] != hashlib.md5(table[:at], usedforsecurity=False).digest():
                raise _damaged(path, "its partition table is not as its checksum says")
            break
        if magic != _PARTITION_MAGIC:
            break
        if kind == _PARTITION_APP and start > _PARTITIONS_AT:
            apps.append((subtype, start, size))
    if not apps:
        raise _damaged(path, "its partition table names no app")
    # The bootloader takes the factory app, subtype 0, or else the first of those that are updated over the air.
    _, start, size = min(apps)
    return start, size


def _check_esp_part(chip: str, kind: EspImage, path: Path, part: str, data: bytes) -> None:
    """Raise FlashError unless ``data`` begins with a bootloader or an app for the chip, as its checksums say."""
    try:
        from esptool.bin_image import LoadFirmwareImage
    except ImportError:
        raise FlashError(f"{path}: to check it needs esptool: install Bedside as its README says") from None
    not_whole = _damaged(path, f"its {part} is not whole")
    if len(data) < _ESP_HEADER.size:
        raise not_whole
    _, chip_id = _ESP_HEADER.unpack_from(data)
    if chip_id != kind.chip_id:
        raise _other_chip(chip, path, _chip_name(chip_id))
    try:
        image = LoadFirmwareImage(chip, data)
    except (RuntimeError, struct.error, TypeError):  # as it falls, where data end that should go on
        raise not_whole from None
    hashed = image.append_digest
    if image.checksum != image.calculate_checksum() or (hashed and image.stored_digest != image.calc_digest):
        raise _damaged(path, f"its {part} is not as its checksum says")


def _family_name(family: int) -> str:
    names = [
        name for name, other in CHIPS.items() if isinstance(other.image, Uf2Image) and other.image.family == family
    ]
    return names[0] if names else f"UF2 family 0x{family:08x}"


def _chip_name(chip_id: int) -> str:
    names = [
        name for name, other in CHIPS.items() if isinstance(other.image, EspImage) and other.image.chip_id == chip_id
    ]
    return names[0] if names else f"ESP32 chip id {chip_id}"


def _other_chip(chip: str, path: Path, other: str) -> FlashError:
    return FlashError(f"{path}: this image is for {other}, not for {chip}; download the board's own from {_DOWNLOADS}")


def _damaged(path: Path, what: str) -> FlashError:
    return FlashError(f"{path}: damaged, {what}; download it again from {_DOWNLOADS}")


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's three numbers; those not given are 0."""
    return (*(int(part) for part in version.split(".")), 0, 0)[:3]


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
