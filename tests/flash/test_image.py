from __future__ import annotations

from pathlib import Path

import pytest

from bedside.errors import BedsideError, FlashError
from bedside.flash import image as image_module
from bedside.flash.image import Image, check_image
from micropython_images import ABSOLUTE, ESP32S3, RP2040, RP2350, esp_image, uf2_blocks, uf2_image


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
        check_image(chip, Image("GENERIC.bin", data))
    assert str(refused.value).startswith("GENERIC.bin: ")
    return str(refused.value)


@pytest.mark.parametrize(
    ("chip", "data"),
    [
        ("rp2040", uf2_image(RP2040)),
        ("rp2350", uf2_image(RP2350)),
        ("esp32", esp_image()),
        ("esp32s3", esp_image(ESP32S3, size=0x12000)),
    ],
)
def test_an_image_for_the_chip_tells_its_version(chip: str, data: bytes) -> None:
    assert check_image(chip, Image("GENERIC.bin", data)) == "1.29.0"


@pytest.mark.parametrize(
    ("chip", "data", "message"),
    [
        ("rp2040", uf2_image(RP2350), "this image is for rp2350, not for rp2040; download"),
        ("rp2350", uf2_image(RP2040), "this image is for rp2040, not for rp2350; download"),
        ("rp2040", b"".join(uf2_blocks(bytes(600), 0x68ED2B88)), "for UF2 family 0x68ed2b88, not for rp2040"),
        ("esp32", esp_image(ESP32S3, size=0x12000), "this image is for esp32s3, not for esp32; download"),
        ("esp32s3", esp_image(), "this image is for esp32, not for esp32s3; download"),
        ("esp32", esp_image(5), "this image is for ESP32 chip id 5, not for esp32"),
        ("esp32", uf2_image(), "not an image for an ESP32"),
        ("rp2040", esp_image(), "not a UF2 file, which chip rp2040 needs"),
        ("rp2040", b"", "not a UF2 file"),
        ("esp32", b"\xe9", "not an image for an ESP32"),
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


def test_a_micropython_that_is_too_old_for_any_board_of_the_chip_is_refused() -> None:
    assert "MicroPython 1.25.3, and boards of chip rp2040 need 1.26 or newer" in refusal(
        "rp2040", uf2_image(version="1.25.3")
    )
    assert "MicroPython 1.27.0, and boards of chip esp32 need 1.27.1" in refusal("esp32", esp_image(version="1.27"))
    assert check_image("rp2040", Image("GENERIC.uf2", uf2_image(version="1.26.0"))) == "1.26.0"
    assert check_image("esp32", Image("GENERIC.bin", esp_image(version="1.27.1"))) == "1.27.1"


def test_an_image_of_ones_own_build_need_not_tell_its_version() -> None:
    data = esp_image().replace(b"MicroPython v1.29.0", b"MicroPython 5a5907f5")
    assert check_image("esp32", Image("GENERIC.bin", data)) is None


def test_a_board_file_with_a_version_that_is_none_is_named(boards: Path) -> None:
    (boards / "xiao.toml").write_text('chip = "rp2040"\nmicropython = "latest"\n')
    with pytest.raises(BedsideError, match=r"xiao\.toml: key 'micropython' = 'latest'"):
        check_image("rp2040", Image("GENERIC.uf2", uf2_image()))
