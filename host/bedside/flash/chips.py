"""The chips that Bedside's firmware is compiled for, and what a MicroPython image for each looks like."""

from __future__ import annotations

from dataclasses import dataclass

from bedside.errors import FlashError


@dataclass(frozen=True)
class Uf2:
    """An image for a chip that shows itself as a USB drive; ``board_id`` is the drive's label, too.

    Families: the list of the UF2 specification. Board-ID: INFO_UF2.TXT in the boot ROM (RP2040 datasheet 2.8.4.1,
    RP2350 datasheet 5.5.2).
    """

    family: int
    board_id: str


@dataclass(frozen=True)
class Esp:
    """An image for a chip that esptool writes: at ``offset`` its boot ROM looks for the bootloader.

    Chip ids: ``esp_chip_id_t`` in ESP-IDF's ``esp_app_format.h``.
    """

    chip_id: int
    offset: int


@dataclass(frozen=True)
class Chip:
    """``march`` is mpy-cross's name of the instruction set, ``port`` the module in ``firmware/ports``."""

    march: str
    port: str
    image: Uf2 | Esp | None


CHIPS = {
    "unix": Chip("x64", "sim", None),
    "mps2": Chip("armv7m", "mps2", None),
    "rp2040": Chip("armv6m", "rp2", Uf2(0xE48BFF56, "RPI-RP2")),
    "rp2350": Chip("armv7emsp", "rp2", Uf2(0xE48BFF59, "RP2350")),
    "esp32": Chip("xtensawin", "esp32", Esp(0, 0x1000)),
    "esp32s3": Chip("xtensawin", "esp32", Esp(9, 0x0)),
}


def chip_called(name: str) -> Chip:
    """Return the chip of this name. Raises FlashError, which names those there are."""
    try:
        return CHIPS[name]
    except KeyError:
        raise FlashError(f"chip '{name}' is not known; there are: {', '.join(CHIPS)}") from None
