"""Simulated boards in a process of their own, on a CPU of their own.

python -m scale.boards CELL [PROGRAM]
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from bedside.cell import load_cell
from bedside.clock import awake, on_cpus
from bedside.sim.world import World

CPUS = os.sched_getaffinity(0)


@contextlib.contextmanager
def host_and_boards_apart() -> Iterator[None]:
    """Keep one CPU for simulated boards, as real boards have their own; what is started inside gets the others.

    Without it, whether a board or its host waits for the other is the scheduler's luck. All CPUs are kept awake.
    """
    with awake(), on_cpus(CPUS - {max(CPUS)} or CPUS):
        yield


def boards_cpu() -> contextlib.AbstractContextManager[None]:
    """Give the boards' CPU to what is started inside."""
    return on_cpus({max(CPUS)})


@contextlib.contextmanager
def boards(cell: Path, directory: Path, program: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run the cell's simulated boards, as ``bedside sim`` does, each interpreter a child of the process.

    ``program`` is another one than the firmware.
    """
    os.environ["BEDSIDE_SIM"] = str(directory)
    command = [sys.executable, "-P", "-m", "scale.boards", str(cell), *([str(program)] if program else [])]
    with boards_cpu():
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        process.stdout.readline()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


def main(cell_path: Path, program: Path | None) -> None:
    """Run until SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # At normal priority: the kernel's workers that carry a pty's bytes have it too, and would wait behind the boards.
    gc.disable()
    with World(load_cell(cell_path), cell_path, None, program) as world:
        sys.stdout.write("up\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            world.run(lambda: False)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
