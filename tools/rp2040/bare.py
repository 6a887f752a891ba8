"""MicroPython's core alone for the RP2040, built from the sources of the emulated Cortex-M3: its REPL is on UART 0.

It runs machine code that viper makes for the Cortex-M0+ where there is no UF2 file; it has no modules of the chip.
"""

from __future__ import annotations

import functools
from pathlib import Path

from cortex_m3 import board

_PORT = Path(__file__).resolve().parent / "port"


def available() -> str:
    """Return why it cannot be built here, in one line, or nothing."""
    missing = board.compiler_lacks()
    return f"no MicroPython for the RP2040 can be built here: apt-get install {' '.join(missing)}" if missing else ""


@functools.cache
def build() -> bytes:
    """Build what has changed; return the flash image."""
    return (board.make(_PORT, "rp2040") / "firmware.bin").read_bytes()
