"""An emulated RP2040 as a board to test: our firmware on the RP2 port of MicroPython itself. Its time is its own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from bedside.cell import load_cell
from bedside.errors import LinkError
from bedside.hil.live import LiveBench
from bedside.hil.target import RP2040, TargetError, tool
from bedside.link.board import BoardLink
from bedside.link.port import SerialPort
from bedside.places import BOARDS

UART, BAUD = 0, 1_000_000
# Its joints' motors are simulated by the board itself.
CELL = BOARDS / "cells" / "bench-pico.toml"
# To boot, and to hash and load all modules, in seconds of the chip's time.
_BOOT_S = 5.0


class Chip(Protocol):
    """What is needed of an emulated chip; ``seconds`` are its own."""

    @property
    def seconds(self) -> float:
        """The chip's time."""

    def run(self, seconds: float) -> None:
        """Let time pass."""

    def run_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until ``done()``."""

    def listen(self, uart: int) -> bytearray:
        """Return what will hold all that the UART sends."""

    def say(self, uart: int, data: bytes, baud: int) -> None:
        """Send to the UART."""


class ChipPort(SerialPort):
    """A UART of ``chip``."""

    def __init__(self, chip: Chip) -> None:  # no device is opened
        self.name = f"UART {UART} of the chip"
        self.heard = chip.listen(UART)
        self._chip = chip

    def read(self) -> bytes:
        """Return what has come, perhaps nothing."""
        came = bytes(self.heard)
        self.heard.clear()
        return came

    def write(self, data: bytes) -> None:
        """Send ``data``."""
        self._chip.say(UART, data, BAUD)

    def close(self) -> None:
        """Leave the chip as it is: it boots slowly, and all tests share it."""


class ChipLink(BoardLink):
    """The conversation with the firmware on ``chip``, whose time passes only while somebody waits for it."""

    def __init__(self, chip: Chip, label: str) -> None:
        self._uart = ChipPort(chip)
        self._chip = chip
        super().__init__(self._uart, label)

    def wait_readable(self, seconds: float) -> None:
        """Let the chip's time pass until something has come, ``seconds`` of it at most."""
        self._chip.run_until(lambda: bool(self._uart.heard), seconds)


class EmulatedBench(LiveBench):
    """The firmware on ``chip``, with the joints of the bench cell, whose motors the board simulates."""

    def __init__(self, chip: Chip, link: ChipLink, cell: Path) -> None:
        self._chip = chip
        self._take(link, cell)

    def now_s(self) -> float:
        """Return the chip's time, which the emulator keeps, seconds."""
        return self._chip.seconds

    def pass_ticks(self, ticks: int) -> None:
        """Let ``ticks`` of the chip's time pass."""
        self._chip.run(ticks / self.tick_hz)


def check(uf2: Path) -> None:
    """Raise BedsideError unless ``uf2`` is a program for an RP2040, and the emulator is here."""
    tool("rp2040.uf2", f"{RP2040}{uf2}").read(uf2)


def bench(uf2: Path) -> EmulatedBench:
    """Return the board that the MicroPython in ``uf2`` makes of an emulated chip. Raises BedsideError."""
    chip, link = _booted(uf2)
    return EmulatedBench(chip, link, CELL)


@functools.cache
def _booted(uf2: Path) -> tuple[Chip, ChipLink]:
    """Boot a chip once: that takes minutes."""
    target = f"{RP2040}{uf2}"
    whole: Any = tool("rp2040.whole", target)
    chip, repl = whole.with_repl(uf2)
    whole.put(repl, load_cell(CELL))
    return chip, boot(chip, repl)


def boot(chip: Chip, repl: Any) -> ChipLink:
    """Start the firmware that lies on ``chip``; return the link once it answers. Raises TargetError."""
    link = ChipLink(chip, "the emulated RP2040")
    repl.boot()
    end = chip.seconds + _BOOT_S
    while True:
        try:
            link.identify()
        except LinkError as error:
            if chip.seconds > end:
                told = repl.told().decode(errors="replace").strip() or "nothing"
                raise TargetError(f"the firmware does not answer ({error}); its console says: {told}") from None
        else:
            return link
