"""The RP2 family: a board in BOOTSEL mode is a USB drive, and a UF2 file that is copied there is flashed."""

from __future__ import annotations

import contextlib
import errno
import getpass
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bedside.errors import FlashError
from bedside.flash.chips import CHIPS, Uf2, chip_called
from bedside.flash.package import Package

INFO = "INFO_UF2.TXT"
_BY_LABEL = Path("/dev/disk/by-label")
_BOARD_ID = re.compile(r"^Board-ID:\s*(\S+)", re.MULTILINE)
_BLOCK = 512
# Enough that a drive is not asked to sync for every block, and so little that a bar moves.
_PIECE = 64 * _BLOCK
_POLL_S = 0.25
# The boot ROM restarts the board as soon as it has all blocks, and the computer notices within seconds.
_RESTART_S = 10.0
