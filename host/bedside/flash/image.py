"""Is a file a MicroPython image for a chip, whole and new enough? Asked before it is packed."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
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

# ESP-IDF's esp_image_header_t and esp_partition_info_t. MicroPython keeps its partition table where ESP-IDF puts it.
_ESP_MAGIC = 0xE9
_ESP_CHIP_ID = struct.Struct("<H")
_ESP_CHIP_ID_AT = 12
_PARTITIONS_AT = 0x8000
_PARTITION_MAGIC = b"\xaa\x50"

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


def check_image(chip: str, image: Image) -> str | None:
    """Return the image's version, as in ``1.29.0``, or None when it tells none.

    Raises FlashError when it is no image for ``chip``, cut short, or older than the oldest that a board file of this
    chip allows.
    """
    kind = chip_called(chip).image
    if kind is None:
        raise FlashError(f"{image.name}: a board of chip {chip} has its MicroPython already; leave the image out")
    body = _uf2_body(chip, kind, image) if isinstance(kind, Uf2Image) else _esp_body(chip, kind, image)
    found = _VERSION.search(body)
    if not found:
        return None
    version = tuple(int(part or 0) for part in found.groups())
    oldest = oldest_micropython(chip)
    if oldest and version < _numbers(oldest):
        raise FlashError(
            f"{image.name}: this is MicroPython {_dotted(version)}, and boards of chip {chip} need {oldest} or newer; "
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


def _uf2_body(chip: str, kind: Uf2Image, image: Image) -> bytes:
    if image.data[:8] != struct.pack("<2I", *_START):
        raise FlashError(f"{image.name}: not a UF2 file, which chip {chip} needs; download the .uf2 from {_DOWNLOADS}")
    body = []
    promised = 0
    for at in range(0, len(image.data), _BLOCK):
        block = image.data[at : at + _BLOCK]
        if len(block) < _BLOCK or block[-4:] != struct.pack("<I", _END):
            raise _damaged(image, f"block {at // _BLOCK} is not whole")
        *start, flags, _, size, _, count, family = _HEADER.unpack_from(block)
        if tuple(start) != _START or size > _PAYLOAD_MAX:
            raise _damaged(image, f"block {at // _BLOCK} is not a UF2 block")
        if not flags & _FAMILY_GIVEN or family not in (kind.family, _ABSOLUTE):
            raise _other_chip(chip, image, _family_name(family) if flags & _FAMILY_GIVEN else "no family at all")
        if family == kind.family:
            promised = count
            body.append(block[_HEADER.size : _HEADER.size + size])
    if len(body) != promised or not body:
        raise _damaged(image, f"{len(body)} of its {promised} blocks are there")
    return b"".join(body)


def _esp_body(chip: str, kind: EspImage, image: Image) -> bytes:
    data = image.data
    if len(data) < _ESP_CHIP_ID_AT + _ESP_CHIP_ID.size or data[0] != _ESP_MAGIC:
        raise FlashError(
            f"{image.name}: not an image for an ESP32, which begins with byte 0xE9; download the .bin from {_DOWNLOADS}"
        )
    (chip_id,) = _ESP_CHIP_ID.unpack_from(data, _ESP_CHIP_ID_AT)
    if chip_id != kind.chip_id:
        raise _other_chip(chip, image, _chip_name(chip_id))
    partitions = _PARTITIONS_AT - kind.offset
    if data[partitions : partitions + len(_PARTITION_MAGIC)] != _PARTITION_MAGIC:
        raise FlashError(
            f"{image.name}: no partition table at 0x{partitions:x}, so no board would boot from it: it is cut short, "
            f"or an .app-bin for updates over the air; download the .bin from {_DOWNLOADS}"
        )
    return data


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


def _other_chip(chip: str, image: Image, other: str) -> FlashError:
    return FlashError(
        f"{image.name}: this image is for {other}, not for {chip}; download the board's own from {_DOWNLOADS}"
    )


def _damaged(image: Image, what: str) -> FlashError:
    return FlashError(f"{image.name}: damaged, {what}; download it again from {_DOWNLOADS}")


def _numbers(version: str) -> tuple[int, ...]:
    """Return a version's three numbers; those not given are 0."""
    return (*(int(part) for part in version.split(".")), 0, 0)[:3]


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
