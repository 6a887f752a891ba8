from __future__ import annotations

import re
from pathlib import Path

import pytest

from bedside.errors import BedsideError, FlashError
from bedside.flash import image as image_module
from bedside.flash.image import check_image
from micropython_images import (
    ABSOLUTE,
    ESP32,
    ESP32S3,
    FACTORY,
    FILES,
    NVS,
    RP2040,
    RP2350,
    banner,
    esp_image,
    esp_part,
    esp_table,
    uf2_blocks,
    uf2_image,
)

pytestmark = pytest.mark.requirement("whole-firmware")

FILE = Path("/downloads/GENERIC.bin")


@pytest.fixture(autouse=True)
def boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Board files that ask for a version each."""
    folder = tmp_path / "boards"
    folder.mkdir()
    for name, chip, version in [
        ("pico", "rp2040", "1.9"),
        ("xiao", "rp2040", "1.26"),
        ("pico2", "rp2350", "1.26"),
        ("esp", "esp32", "1.27.1"),
    ]:
        (folder / f"{name}.toml").write_text(f'chip = "{chip}"\nmicropython = "{version}"\n[pins]\nled = 25\n')
    (folder / "sim.toml").write_text('chip = "unix"\n')
    monkeypatch.setattr(image_module, "BOARDS", folder)
    return folder


def refusal(chip: str, data: bytes) -> str:
    with pytest.raises(FlashError) as refused:
        check_image(chip, FILE, data)
    assert str(refused.value).startswith(f"{FILE}: ")
    return str(refused.value)


@pytest.mark.parametrize(
    ("chip", "data"),
    [
        ("rp2040", uf2_image(RP2040)),
        ("rp2350", uf2_image(RP2350)),
        ("esp32", esp_image()),
        ("esp32s3", esp_image(ESP32S3)),
    ],
)
def test_an_image_for_the_chip_tells_its_version(chip: str, data: bytes) -> None:
    assert check_image(chip, FILE, data) == "1.29.0"


@pytest.mark.parametrize(
    ("chip", "data", "message"),
    [
        ("rp2040", uf2_image(RP2350), "this image is for rp2350, not for rp2040; download"),
        ("rp2350", uf2_image(RP2040), "this image is for rp2040, not for rp2350; download"),
        ("rp2040", b"".join(uf2_blocks(bytes(600), 0x68ED2B88)), "for UF2 family 0x68ed2b88, not for rp2040"),
        ("esp32", esp_image(ESP32S3), "this image is for esp32s3, not for esp32; download"),
        ("esp32s3", esp_image(), "this image is for esp32, not for esp32s3; download"),
        ("esp32", esp_image(5), "this image is for ESP32 chip id 5, not for esp32"),
        ("esp32", uf2_image(), "not an image for an ESP32"),
        ("rp2040", esp_image(), "not a UF2 file, which chip rp2040 needs"),
        ("rp2040", b"", "not a UF2 file"),
        ("esp32", b"\xe9", "damaged, its bootloader is not whole"),
        ("unix", esp_image(), "a board of chip unix has its MicroPython already; leave the image out"),
    ],
)
def test_an_image_for_something_else_is_refused(chip: str, data: bytes, message: str) -> None:
    assert message in refusal(chip, data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (uf2_image()[:-512], "234 of its 235 blocks are there"),
        (uf2_image()[:-100], "block 234 is not whole"),
        (uf2_image()[:1024] + bytes(508) + uf2_image()[1532:], "block 2 is not a UF2 block"),
        (b"".join(uf2_blocks(bytes(256), ABSOLUTE)), "0 of its 0 blocks are there"),
    ],
)
def test_a_damaged_uf2_file_is_refused(data: bytes, message: str) -> None:
    assert f"damaged, {message}; download it again" in refusal("rp2040", data)


@pytest.mark.parametrize("data", [esp_image()[:0x7000], esp_image()[:0x7000] + esp_image()[:0x7000]])
def test_an_esp32_image_from_which_no_board_would_boot_is_refused(data: bytes) -> None:
    assert "no partition table at 0x7000" in refusal("esp32", data)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def with_part(part: bytes, at: int) -> bytes:
    """Return an ESP32 image that has something else at ``at``, counted as the chip does."""
    image = esp_image()
    return image[: at - 0x1000] + part + image[at - 0x1000 + len(part) :]


@pytest.mark.parametrize("chip_id", [ESP32, ESP32S3])
@pytest.mark.parametrize("end", [13, 23, 30, 0x500, 0x7010, 0xF000, 0x10010, 0x10040, -500, -40, -33, -32, -1])
def test_an_esp32_image_that_was_cut_short_is_refused(chip_id: int, end: int) -> None:
    chip = "esp32" if chip_id == ESP32 else "esp32s3"
    assert re.search("not an image|damaged|cut short", refusal(chip, esp_image(chip_id)[:end]))


@pytest.mark.parametrize(
    ("at", "message"),
    [
        # Of the bootloader a digit in its code, its number of segments, a segment's length, and the hash.
        (0x1100, "its bootloader"),
        (0x1001, "its bootloader"),
        (0x101E, "its bootloader"),
        (0x1000 + 24 + 16 + 0x800 + 0x123 + 20, "its bootloader"),
        (0x8005, "its partition table"),
        (0x8050, "its partition table"),
        (0x10000, "there is no app"),
        (0x10017, "its app"),
        (0x10400, "its app"),
        (0x11FFF, "its app"),
    ],
)
def test_an_esp32_image_with_a_wrong_bit_is_refused(at: int, message: str) -> None:
    assert re.search(f"damaged, {message}.*; download it again", refusal("esp32", flipped(esp_image(), at - 0x1000)))


def test_an_app_without_a_hash_is_held_against_its_checksum() -> None:
    app = esp_part(ESP32, b"code" * 300, banner("1.29.0"), hashed=False)
    assert check_image("esp32", FILE, with_part(app, 0x10000)) == "1.29.0"
    assert "damaged, its app" in refusal("esp32", with_part(flipped(app, 100), 0x10000))


def test_the_app_that_a_new_board_would_start_is_the_one_that_counts() -> None:
    first, second = (0, 0x10, 0x10000, 0x1F0000), (0, 0x11, 0x200000, 0x1F0000)
    assert check_image("esp32", FILE, with_part(esp_table(NVS, second, first), 0x8000)) == "1.29.0"
    assert "damaged, there is no app at 0x200000" in refusal("esp32", with_part(esp_table(NVS, second), 0x8000))
    assert "names no app" in refusal("esp32", with_part(esp_table(NVS, FILES), 0x8000))
    assert "names no app" in refusal("esp32", with_part(esp_table(NVS, (0, 0, 0, 0x1000)), 0x8000))
    assert "its app is not whole" in refusal("esp32", with_part(esp_table((*FACTORY[:3], 0x1000)), 0x8000))


def test_an_app_for_another_chip_is_refused() -> None:
    app = esp_part(ESP32S3, b"code" * 300)
    assert "this image is for esp32s3, not for esp32" in refusal("esp32", with_part(app, 0x10000))


def test_a_micropython_that_is_too_old_for_any_board_of_the_chip_is_refused() -> None:
    assert "MicroPython 1.25.3, and boards of chip rp2040 need 1.26 or newer" in refusal(
        "rp2040", uf2_image(version="1.25.3")
    )
    assert "MicroPython 1.27.0, and boards of chip esp32 need 1.27.1" in refusal("esp32", esp_image(version="1.27"))
    assert check_image("rp2040", FILE, uf2_image(version="1.26.0")) == "1.26.0"
    assert check_image("esp32", FILE, esp_image(version="1.27.1")) == "1.27.1"


def test_an_image_of_ones_own_build_need_not_tell_its_version() -> None:
    data = esp_image(version="5a5907f5")
    assert check_image("esp32", FILE, data) is None


def test_a_board_file_with_a_version_that_is_none_is_named(boards: Path) -> None:
    (boards / "xiao.toml").write_text('chip = "rp2040"\nmicropython = "latest"\n')
    with pytest.raises(BedsideError, match=r"xiao\.toml: micropython = 'latest': write text in quotes, of the form"):
        check_image("rp2040", FILE, uf2_image())
