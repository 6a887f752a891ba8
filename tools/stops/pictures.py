"""What black boxes keep of two failures, for docs/safety.md."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bedside.blackbox import draw
from bedside.hil.failures import BOARD, failure
from bedside.hil.rig import rig
from bedside.hil.stopping import MOMENTS
from stops.table import PAGE

_PICTURES = {"one board's cable pulled": "blackbox-cable.png", "encoder stuck": "blackbox-encoder.png"}


def draw_all() -> None:
    """Let each failure happen and draw what the board at fault has kept."""
    for name, picture in _PICTURES.items():
        what = failure(name)
        with tempfile.TemporaryDirectory(prefix="bedside-") as folder, rig(Path(folder)) as arm:
            arm.move(MOMENTS[-1])
            what.inject(arm)
            arm.finish()
            what.mend(arm)
            draw(arm.black_box(BOARD), PAGE.parent / picture)
