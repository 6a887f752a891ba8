from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bedside.errors import FlashError
from bedside.flash import uf2
from bedside.flash.image import Image
from bedside.flash.package import Package
from bedside.flash.uf2 import commands, find_volume, wait_for_volume, write_micropython
from micropython_images import uf2_image

IMAGE = uf2_image(size=120_000)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where drives are mounted, none of them this computer's own."""
    monkeypatch.setattr(uf2, "_PLACES", (f"{tmp_path}/media/*", f"{tmp_path}/media/*/*"))
    monkeypatch.setattr(uf2, "_BY_LABEL", tmp_path / "by-label")
    monkeypatch.setattr(uf2, "_RESTART_S", 0.6)
    monkeypatch.setattr(uf2, "_POLL_S", 0.02)
    return tmp_path / "media"


def drive(place: Path, board: str = "RPI-RP2") -> Path:
    place.mkdir(parents=True)
    (place / "INFO_UF2.TXT").write_text(f"UF2 Bootloader v3.0\r\nModel: Raspberry Pi\r\nBoard-ID: {board}\r\n")
    return place


@pytest.fixture
def volume(places: Path) -> Path:
    return drive(places / "somebody" / "RPI-RP2")


def package(chip: str = "rp2040") -> Package:
    """Return a package as if it had been loaded; of it only MicroPython matters here."""
    return Package(Path("/packages") / chip, chip, "0.1.0", "", Image("RPI_PICO.uf2", IMAGE), b"", {})


@pytest.fixture
def board(volume: Path) -> Iterator[list[bytes]]:
    """A board that restarts, so that its drive vanishes, once it has all blocks; what it was sent."""
    sent: list[bytes] = []
    stop = threading.Event()

    def wait() -> None:
        file = volume / "RPI_PICO.uf2"
        while not stop.is_set():
            if file.exists() and file.stat().st_size == len(IMAGE):
                sent.append(file.read_bytes())
                (volume / "INFO_UF2.TXT").unlink()
                return
            time.sleep(0.01)

    thread = threading.Thread(target=wait)
    thread.start()
    yield sent
    stop.set()
    thread.join()


def test_the_image_is_copied_with_progress_and_the_board_restarts(volume: Path, board: list[bytes]) -> None:
    seen: list[float] = []
    write_micropython(volume, package(), seen.append)
    assert board == [IMAGE]
    assert len(seen) > 4
    assert seen == sorted(set(seen))
    assert (seen[0], seen[-1]) == (0, 1)


def test_a_board_that_does_not_restart_has_not_taken_the_image(volume: Path) -> None:
    with pytest.raises(FlashError, match="has the whole file and does not restart; plug it in again"):
        write_micropython(volume, package())


def vanish(monkeypatch: pytest.MonkeyPatch, volume: Path, at: Callable[[int], bool]) -> None:
    """Let the kernel say what it says of a drive that is gone, when a file of so many bytes is synced."""
    sync = os.fsync

    def gone(file: int) -> None:
        if at(os.fstat(file).st_size):
            (volume / "INFO_UF2.TXT").unlink(missing_ok=True)
            raise OSError(errno.EIO, "Input/output error")
        sync(file)

    monkeypatch.setattr(os, "fsync", gone)


def test_a_drive_that_vanishes_with_the_last_block_means_success(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vanish(monkeypatch, volume, lambda size: size == len(IMAGE))
    seen: list[float] = []
    write_micropython(volume, package(), seen.append)
    assert seen[-1] == 1


@pytest.mark.parametrize("size", [1, 100_000, len(IMAGE) - 512])
def test_a_drive_that_vanishes_before_is_an_error(volume: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    vanish(monkeypatch, volume, lambda now: now >= size)
    with pytest.raises(FlashError, match=r"the board vanished after \d+ %; check the cable, plug it in again"):
        write_micropython(volume, package())


def test_a_full_drive_is_named(volume: Path) -> None:
    (volume / "RPI_PICO.uf2").symlink_to("/dev/full")
    with pytest.raises(FlashError, match=re.escape(str(volume)) + ": the drive is full; unplug the board"):
        write_micropython(volume, package())


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EROFS, "mounted read-only; 'sudo mount -o remount,rw"),
        (errno.EACCES, "you may not write there"),
        (errno.ENODEV, "vanished after 0 %"),
        (errno.EMFILE, "cannot be written"),
    ],
)
def test_a_drive_that_takes_no_file_says_why(
    volume: Path, monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FlashError, match=message):
        write_micropython(volume, package())


def test_a_board_of_another_chip_is_refused(places: Path, volume: Path) -> None:
    for where in (volume, None):
        with pytest.raises(
            FlashError, match=r"RPI-RP2 \(rp2040\), and the package is for rp2350; take its own package"
        ):
            find_volume("rp2350", where)
    with pytest.raises(FlashError, match="the package is for rp2350"):
        write_micropython(volume, package("rp2350"))
    assert not (volume / "RPI_PICO.uf2").exists()
    other = drive(places / "FEATHER", "SAMD51-Feather-v0")
    with pytest.raises(FlashError, match=r"SAMD51-Feather-v0 \(an unknown chip\), and the package is for rp2040"):
        find_volume("rp2040", other)


def test_drives_that_are_no_boards_of_ours_are_passed_over(places: Path) -> None:
    (places / "STICK").mkdir(parents=True)
    drive(places / "FEATHER", "SAMD51-Feather-v0")
    assert find_volume("rp2350") is None
    assert find_volume("rp2350", places / "STICK") is None
    assert find_volume("rp2350", drive(places / "user" / "anything", "RP2350")) == places / "user" / "anything"
    assert find_volume("rp2350") == places / "user" / "anything"


def test_two_boards_are_one_too_many(places: Path, volume: Path) -> None:
    second = drive(places / "somebody" / "RPI-RP21")
    with pytest.raises(FlashError, match=r"two boards are in BOOTSEL mode.* unplug one, or say which with --volume"):
        find_volume("rp2040")
    assert find_volume("rp2040", second) == second


def test_who_waits_is_told_once_what_to_do(places: Path) -> None:
    told: list[str] = []
    later = threading.Timer(0.3, lambda: drive(places / "RP2350", "RP2350"))
    later.start()
    assert wait_for_volume("rp2350", told.append, timeout_s=20) == places / "RP2350"
    later.join()
    assert told == ["Hold the board's BOOTSEL button while you plug it in, until a drive called RP2350 appears."]
    # A board that is there already needs no words.
    wait_for_volume("rp2350", told.append)
    assert len(told) == 1


def test_a_wait_in_vain_says_what_may_be_wrong(places: Path, tmp_path: Path) -> None:
    def refusal(volume: Path | None = None) -> str:
        with pytest.raises(FlashError) as refused:
            wait_for_volume("rp2040", lambda text: None, volume, timeout_s=0.05)
        return str(refused.value)

    assert "no drive called RPI-RP2; hold BOOTSEL while plugging in, use a cable with data wires" in refusal()
    assert f"{tmp_path}: has no INFO_UF2.TXT" in refusal(tmp_path)
    (tmp_path / "by-label").mkdir()
    (tmp_path / "by-label" / "RPI-RP2").touch()
    assert f"plugged in and not mounted; 'udisksctl mount -b {tmp_path}/by-label/RPI-RP2'" in refusal()


def test_a_drive_whose_device_is_gone_is_gone_though_its_files_are_cached(
    volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"tmpfs /mnt tmpfs rw 0 0\n/dev/sdz9 {str(volume).replace('so', chr(92) + '163o')} vfat rw 0 0\n")
    monkeypatch.setattr(uf2, "_MOUNTS", mounts)
    write_micropython(volume, package())
    mounts.write_text(f"/dev/null {volume} vfat rw 0 0\n")
    with pytest.raises(FlashError, match="does not restart"):
        write_micropython(volume, package())


def test_the_equivalent_command_can_be_typed() -> None:
    assert commands(package()) == ["cp /packages/rp2040/RPI_PICO.uf2 /media/$USER/RPI-RP2/ && sync"]
    assert commands(package(), Path("/mnt")) == ["cp /packages/rp2040/RPI_PICO.uf2 /mnt/ && sync"]
    assert commands(replace(package(), micropython=None)) == []


def test_a_package_without_micropython_or_for_another_family_is_refused(volume: Path) -> None:
    with pytest.raises(FlashError, match="has no MicroPython; make it with"):
        write_micropython(volume, replace(package(), micropython=None))
    with pytest.raises(FlashError, match="chip esp32 has no BOOTSEL mode"):
        write_micropython(volume, package("esp32"))
