"""The simulated boards, in a process of their own that notes when each of their ticks was.

python -m wan.boards CELL TIMES
"""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from array import array
from pathlib import Path

from bedside.cell import Cell, load_cell
from bedside.clock import be_on_time
from bedside.sim.world import World


class TimedWorld(World):
    """A world whose ``times_ns`` are those of its ticks, of the monotonic clock."""

    def __init__(self, cell: Cell, cell_path: Path) -> None:
        super().__init__(cell, cell_path)
        self.times_ns = array("q")

    def _tick(self, time_us: int) -> None:
        super()._tick(time_us)
        # It has waited for boards that were still busy with the tick before.
        self.times_ns.append(time.monotonic_ns())


def read_times(path: Path) -> array[int]:
    """Return when each tick was."""
    times = array("q")
    times.frombytes(path.read_bytes())
    return times


def main(cell_path: Path, times: Path) -> None:
    """Run until SIGTERM, then write ``times``."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    be_on_time(priority=5)
    world = TimedWorld(load_cell(cell_path), cell_path)
    with world:
        sys.stdout.write("up\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            world.run(lambda: False)
    times.write_bytes(world.times_ns.tobytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
