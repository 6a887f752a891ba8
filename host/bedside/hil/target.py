"""What a suite is run against: simulated boards in virtual time, an emulated chip, or a board behind a port."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from bedside.errors import BedsideError
from bedside.places import TOOLS
from bedside.sim.board import Chip, unix_port

SIM, CORTEX_M3 = "sim", "cortex-m3"
RP2040 = "rp2040:"


class TargetError(BedsideError):
    """What was asked for cannot be tested here."""


def is_simulated(target: str) -> bool:
    """Return whether ``target`` is a simulated arm in virtual time, with motors and switches in the suite's hand."""
    return target in (SIM, CORTEX_M3)


def chip_of(target: str) -> Chip:
    """Return what runs the boards of a simulated ``target``. Raises TargetError where it cannot be had."""
    if target == SIM:
        return unix_port
    emulator = tool("cortex_m3.board", target)
    if missing := emulator.available():
        raise TargetError(f"{target}: {missing}")
    emulator.build()
    chip: Chip = emulator.simulated
    return chip


def uf2_of(target: str) -> Path | None:
    """Return the MicroPython that an emulated RP2040 boots, None if ``target`` is something else."""
    return Path(target.removeprefix(RP2040)) if target.startswith(RP2040) else None


def tool(name: str, target: str) -> ModuleType:
    """Return a module of ``tools/``. Raises TargetError outside a checkout, because nobody else is given them."""
    import importlib

    if not TOOLS.is_dir():
        raise TargetError(f"{target}: emulated chips come with Bedside's sources; run it in a checkout")
    if str(TOOLS) not in sys.path:
        sys.path.append(str(TOOLS))
    return importlib.import_module(name)
