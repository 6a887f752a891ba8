"""The RP2 family: a board in BOOTSEL mode is a USB drive, and a UF2 file that is copied there is flashed.

The boot ROM restarts the board when it has all blocks, whatever their order; so the last one is sent alone, and a drive
that vanishes before it was pulled.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bedside.chips import CHIPS, Uf2Image, chip_called
from bedside.errors import FlashError
from bedside.flash.package import Package

INFO = "INFO_UF2.TXT"
# Where desktops and people mount drives.
_PLACES = ("/run/media/*/*", "/media/*/*", "/media/*", "/mnt/*")
_BY_LABEL = Path("/dev/disk/by-label")
_MOUNTS = Path("/proc/self/mounts")
_BOARD_ID = re.compile(r"^Board-ID:\s*(\S+)", re.MULTILINE)
_BLOCK = 512
# So much that a drive is not asked to sync for every block, and so little that a bar moves.
_PIECE = 64 * _BLOCK
_POLL_S = 0.25
# The computer notices within a second or two that the drive has gone; a slow hub takes longer.
_RESTART_S = 10.0
# What the kernel says of a drive that is no more.
_GONE = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ENOTCONN}


def wait_for_volume(
    chip: str, tell: Callable[[str], None], volume: Path | None = None, timeout_s: float = 120.0
) -> Path:
    """Return the drive of a board of ``chip`` in BOOTSEL mode, at ``volume`` or wherever it is mounted.

    When there is none yet, ``tell`` gets the words that ask for it. Raises FlashError after ``timeout_s`` seconds, or
    when the board is of another chip, or when there are two.
    """
    label = _kind(chip).board_id
    end = time.monotonic() + timeout_s
    asked = False
    while not (found := find_volume(chip, volume)):
        if time.monotonic() > end:
            raise FlashError(_not_seen(label, volume))
        if not asked:
            tell(f"Hold the board's BOOTSEL button while you plug it in, until a drive called {label} appears.")
            asked = True
        time.sleep(_POLL_S)
    return found


def find_volume(chip: str, volume: Path | None = None) -> Path | None:
    """Return the drive of a board of ``chip`` in BOOTSEL mode, if there is one. Raises FlashError as above."""
    label = _kind(chip).board_id
    places = [volume] if volume else [place for pattern in _PLACES for place in sorted(Path("/").glob(pattern[1:]))]
    found = [(place, board) for place in places if (board := _board_id(place))]
    ours = [place for place, board in found if board == label]
    if len(ours) > 1:
        raise FlashError(
            f"two boards are in BOOTSEL mode, {ours[0]} and {ours[1]}; unplug one, or say which with --volume"
        )
    if ours:
        return ours[0]
    for place, board in found:
        others = [
            name for name, other in CHIPS.items() if isinstance(other.image, Uf2Image) and other.image.board_id == board
        ]
        if others or volume:
            raise FlashError(
                f"{place}: this board says that it is {board} ({others[0] if others else 'an unknown chip'}), and the "
                f"package is for {chip}; take its own package, or the other board"
            )
    return None


def write_micropython(volume: Path, package: Package, progress: Callable[[float], None] = lambda share: None) -> None:
    """Copy the package's MicroPython to a drive in BOOTSEL mode and wait until the board restarts from it.

    ``progress`` is told the share that has reached the drive, 0 to 1. Raises FlashError.
    """
    if package.micropython is None:
        raise FlashError(f"{package.folder}: has no MicroPython; make it with 'bedside package --micropython FILE'")
    if find_volume(package.chip, volume) is None:
        raise FlashError(_not_seen(_kind(package.chip).board_id, volume))
    data = package.micropython.data
    device = _device(volume)
    last = len(data) - _BLOCK
    done = 0
    try:
        with _new_file(volume / package.micropython.name) as file:
            for done in range(0, last, _PIECE):
                progress(done / len(data))
                _put(file, data[done : min(done + _PIECE, last)])
            done = last
            progress(done / len(data))
            try:
                _put(file, data[last:])
            except OSError as error:
                # Having the last block, the board restarts before the kernel knows that it was written.
                if error.errno not in _GONE:
                    raise
    except OSError as error:
        raise FlashError(_refusal(volume, done / len(data), error)) from None
    end = time.monotonic() + _RESTART_S
    while _present(volume, device):
        if time.monotonic() > end:
            raise FlashError(
                f"{volume}: the board has the whole file and does not restart; plug it in again with BOOTSEL held, and "
                "run the same command again"
            )
        time.sleep(_POLL_S)
    progress(1.0)


def commands(package: Package, volume: Path | None = None) -> list[str]:
    """Return what ``write_micropython`` does, as one would type it."""
    if package.micropython is None:
        return []
    place = volume or Path("/media") / "$USER" / _kind(package.chip).board_id
    return [f"cp {package.folder / package.micropython.name} {place}/ && sync"]


def _kind(chip: str) -> Uf2Image:
    kind = chip_called(chip).image
    if not isinstance(kind, Uf2Image):
        raise FlashError(f"chip {chip} has no BOOTSEL mode; its board file names another way to flash")
    return kind


def _board_id(place: Path) -> str | None:
    try:
        said = _BOARD_ID.search((place / INFO).read_text(encoding="ascii", errors="replace"))
    except OSError:
        return None
    return said[1] if said else None


def _device(volume: Path) -> Path | None:
    """Return the device that is mounted at ``volume``; None when that is a folder."""
    mounts = [line.split() for line in _MOUNTS.read_text(encoding="utf-8").splitlines()]
    here = str(volume.resolve())
    for source, place, *_ in mounts:
        # Spaces are written as \040.
        if source.startswith("/dev/") and re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), place) == here:
            return Path(source)
    return None


def _present(volume: Path, device: Path | None) -> bool:
    """Return whether the drive is still there; what is cached of a mounted one outlives its device."""
    return (volume / INFO).exists() and (device is None or device.exists())


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[int]:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        yield file
    finally:
        # What could fail here has been synced.
        with contextlib.suppress(OSError):
            os.close(file)


def _put(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]
    os.fsync(file)


def _not_seen(label: str, volume: Path | None) -> str:
    device = _BY_LABEL / label
    if volume:
        return (
            f"{volume}: has no {INFO}, so no board in BOOTSEL mode is mounted there; check the path and plug it in anew"
        )
    if device.exists():
        return f"{label} is plugged in and not mounted; 'udisksctl mount -b {device}', and run the same command again"
    return (
        f"no drive called {label}; hold BOOTSEL while plugging in, use a cable with data wires, or name the folder "
        "where it is mounted with --volume"
    )


def _refusal(volume: Path, share: float, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return f"{volume}: the drive is full; unplug the board, plug it in again with BOOTSEL held, and run it again"
    if error.errno == errno.EROFS:
        return f"{volume}: the drive is mounted read-only; 'sudo mount -o remount,rw {volume}', and run it again"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{volume}: you may not write there; unmount it, and mount it as yourself with 'udisksctl mount'"
    if error.errno in _GONE:
        return (
            f"{volume}: the board vanished after {100 * share:.0f} %; check the cable, plug it in again with BOOTSEL "
            "held, and run the same command again"
        )
    return (
        f"{volume}: cannot be written ({error.strerror}); plug the board in again with BOOTSEL held, and run it again"
    )
