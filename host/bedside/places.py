"""Where things lie: in a checkout, or inside the installed package."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent.parent
_ROOT = _PACKAGE / "_data" if (_PACKAGE / "_data").is_dir() else _CHECKOUT

FIRMWARE = _ROOT / "firmware"
BOARDS = _ROOT / "boards"
# In a checkout only.
TOOLS = _CHECKOUT / "tools"
# What a simulated board's REPL finds besides MicroPython.
SIM_CHIP = _PACKAGE / "sim" / "chip"


def sim_directory() -> Path:
    """Return the folder where simulated boards leave their ports: BEDSIDE_SIM, or one of this user's own."""
    chosen = os.environ.get("BEDSIDE_SIM")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"bedside-sim-{os.getuid()}"


def config_directory() -> Path:
    """Return the folder of this user's keys: ``bedside`` in XDG_CONFIG_HOME, or in ``~/.config``."""
    # The XDG base directory specification: a path that is not absolute counts as not set.
    chosen = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (chosen if chosen.is_absolute() else Path.home() / ".config") / "bedside"


def run_directory() -> Path:
    """Return the folder of running bridges' sockets: BEDSIDE_RUN, or ``bedside`` in XDG_RUNTIME_DIR or beside."""
    if chosen := os.environ.get("BEDSIDE_RUN"):
        return Path(chosen)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "bedside" if runtime else Path(tempfile.gettempdir()) / f"bedside-run-{os.getuid()}"
