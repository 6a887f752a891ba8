from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from rp2040 import uf2

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three pages, the last one not full."""
    path = tmp_path / "firmware.uf2"
    uf2.write(path, bytes(range(256)) * 2 + b"end")
    return path


def patched(file: Path, block: int, word: int, value: int) -> Path:
    data = bytearray(file.read_bytes())
    struct.pack_into("<I", data, 512 * block + 4 * word, value)
    file.write_bytes(data)
    return file


def test_pages_become_a_flash_image(file: Path) -> None:
    assert uf2.read(file) == bytes(range(256)) * 2 + b"end".ljust(256, b"\xff")


def test_a_gap_between_pages_is_erased_flash(file: Path) -> None:
    patched(file, 1, 3, uf2.FLASH + 0x1000)
    image = uf2.read(file)
    assert image[0x100:0x200] == b"\xff" * 256
    assert image[0x1000:0x1100] == bytes(range(256))


def test_a_block_that_is_not_for_flash_is_left_out(file: Path) -> None:
    patched(file, 2, 2, 0x2001)
    assert len(uf2.read(file)) == 512


@pytest.mark.parametrize(
    ("block", "word", "value", "text"),
    [
        (0, 0, 1, "is no UF2 file"),
        (1, 1, 1, "is damaged: block 1 has not the marks"),
        (2, 127, 1, "is damaged: block 2 has not the marks"),
        (1, 6, 9, "is cut off: it has 3 of 9 blocks"),
        (0, 7, 0xE48BFF59, "is for the RP2350"),
        (0, 7, 0x12345678, "family 0x12345678"),
        (0, 3, 0x20000000, "block 0 puts 256 bytes at 0x20000000, which is not flash"),
        (0, 4, 477, "block 0 puts 477 bytes"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_what_is_wrong(
    file: Path, block: int, word: int, value: int, text: str
) -> None:
    with pytest.raises(uf2.UF2Error, match=text) as told:
        uf2.read(patched(file, block, word, value))
    assert str(file) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_file_that_is_cut_off_is_told(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:-100])
    with pytest.raises(uf2.UF2Error, match="its last block has 412 of 512 bytes"):
        uf2.read(file)
    file.write_bytes(data[:512])
    with pytest.raises(uf2.UF2Error, match="it has 1 of 3 blocks"):
        uf2.read(file)
    file.write_bytes(b"")
    with pytest.raises(uf2.UF2Error, match="is no UF2 file"):
        uf2.read(file)


@pytest.mark.parametrize("argument", ["", "missing.uf2", "README.md", "."])
def test_without_a_uf2_file_the_command_says_so_in_a_line(argument: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rp2040", argument],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT / 'tools'}:{ROOT / 'host'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert argument in done.stderr
    assert "UF2" in done.stderr or "No such file" in done.stderr or "directory" in done.stderr
