"""Files of a site that are there whole or not at all, whenever power, disk or program fails."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bedside.errors import SurgeonError


def part_of(path: Path) -> Path:
    """Return where a file or folder is while it is being made; what a killed run left there is not in use."""
    return path.with_name(f".{path.name}.part")


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file that must not exist yet, down to the disk. Raises OSError."""
    end = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(end, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, data: bytes) -> None:
    """Let ``data`` be the content of a file that anyone may read. Raises OSError."""
    part = part_of(path)
    part.unlink(missing_ok=True)
    try:
        write_new(part, data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)


def put_in_place(new: Path, folder: Path) -> None:
    """Let ``new`` take the place of ``folder``, which may exist. Raises OSError.

    Whoever is killed between leaves ``new`` whole, to be put in place again.
    """
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    new.rename(folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def sync(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk."""
    end = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(end)
    finally:
        os.close(end)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of ``folder``. Raises SurgeonError when one is at work there."""
    end = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(end, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise SurgeonError(f"{folder}: another 'bedside keys' is at work here; wait until it has finished") from None
    finally:
        os.close(end)


@contextlib.contextmanager
def explained(where: Path) -> Iterator[None]:
    """Raise SurgeonError for a file that cannot be written."""
    try:
        yield
    except OSError as error:
        remedy = (
            "make room and do it again" if error.errno == errno.ENOSPC else "check its owner, or choose another place"
        )
        raise SurgeonError(f"{error.filename or where}: cannot be written ({error.strerror}); {remedy}") from None
