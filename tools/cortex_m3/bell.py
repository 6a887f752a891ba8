"""Brings a simulated board's inputs to QEMU in one piece: a file, and a byte on the board's UART that says so.

QEMU gives a UART's bytes to the machine one by one, 40 us each; 128 of them in each tick would be most of its time.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

# What comes in a tick: HARNESS_SIZE words, see firmware/ports/harness.py.
TICK_BYTES = 4 * 51


def main(harness_in: str, inputs: str, bell: str, *qemu: str) -> int:
    """Run QEMU until it or the simulation ends; return its exit status."""
    source = int(Path(harness_in).name)
    to = os.open(inputs, os.O_RDWR | os.O_CREAT, 0o600)
    Path(bell).unlink(missing_ok=True)
    os.mkfifo(bell, 0o600)
    # Opened for both, it is open at once.
    ring = os.open(bell, os.O_RDWR)
    process = subprocess.Popen(qemu, close_fds=False)
    ended = os.pidfd_open(process.pid)
    while True:
        ready, _, _ = select.select([source, ended], [], [])
        if ended in ready:
            return process.wait()
        tick = os.read(source, TICK_BYTES)
        if not tick:
            process.kill()
            return process.wait()
        os.pwrite(to, tick, 0)
        os.write(ring, b"\x01")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
