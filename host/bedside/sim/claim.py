"""Who simulates a board: a lock beside its port, which the system lets go however its process ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bedside.errors import BedsideError


def claim(port: Path) -> int:
    """Claim a simulated board's ``port`` until the returned file descriptor is closed, or this process ends.

    Raises BedsideError, which names the process that has it, and OSError if the lock's file cannot be had.
    """
    # The file stays: were it removed, two processes could each have the lock of a file of this name.
    lock = os.open(port.with_name(f"{port.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode().strip()
        os.close(lock)
        raise BedsideError(f"sim:{port.name} is simulated already, by process {holder}; end it first") from None
    # As wide as any number that was there.
    os.write(lock, f"{os.getpid():<20}".encode())
    return lock
