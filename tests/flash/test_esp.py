from __future__ import annotations

import contextlib
import os
import pty
import re
import resource
import select
import socket
import subprocess
import sys
import tempfile
import threading
import tty
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import serial

from bedside.errors import FlashError
from bedside.flash import program
from bedside.flash.esp import commands, detect_chip, write_micropython
from bedside.flash.image import Image
from bedside.flash.keys import trusted_keys
from bedside.flash.package import Package, load_package
from micropython_images import ESP32S3, esp_image

pytestmark = pytest.mark.real_time

IMAGE = esp_image()
OFFSET = 0x1000
FLASH_MD5 = b"\x01\x13"


class Mock:
    """A chip's boot ROM: on the network, where each connection finds it as after a reset, or on a pseudo-terminal."""

    def __init__(self, chip: str, *how: str) -> None:
        program = Path(sys.executable).with_name("esp32-mock-bootloader")
        run = [str(program), "run", "--chip", chip, "--timeout", "300", *(how or ("--port", "0"))]
        self.process = subprocess.Popen(run, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        found = None
        while not found:
            line = self.process.stdout.readline()
            assert line, "the mock bootloader has ended"
            found = re.search(r"on PTY (\S+)|listening on (\S+)", line)
        self.port = found[1] or f"socket://{found[2]}"

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture(scope="module")
def esp32() -> Iterator[Mock]:
    with contextlib.closing(Mock("esp32")) as mock:
        yield mock


@pytest.fixture(scope="module")
def esp32s3() -> Iterator[Mock]:
    with contextlib.closing(Mock("esp32s3")) as mock:
        yield mock


@pytest.fixture(autouse=True)
def impatient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let esptool wait for a lost board as briefly as its settings allow."""
    settings = tmp_path / "esptool.cfg"
    settings.write_text("[esptool]\nconnect_attempts = 1\nwrite_block_attempts = 1\n")
    monkeypatch.setenv("ESPTOOL_CFGFILE", str(settings))


class Cable:
    """A pseudo-terminal for a mock on the network, which is cut once so many bytes have gone to the mock.

    ``silent`` cuts only the wires, as when the board's supply fails and its USB adapter stays. ``spoil`` changes what
    comes back.
    """

    def __init__(
        self,
        mock: Mock,
        cut_after: int | None = None,
        silent: bool = False,
        spoil: Callable[[bytes], bytes] = bytes,
    ) -> None:
        self.carried = 0
        self._cut_after, self._silent, self._spoil = cut_after, silent, spoil
        address = urlsplit(mock.port)
        far = socket.create_connection((address.hostname, address.port))
        # A piece must not wait for the acknowledgement of the last one.
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._far = far.detach()
        self._stop, self._stopping = os.pipe()
        self._near, self._held = pty.openpty()
        tty.setraw(self._held)
        self.port = os.ttyname(self._held)
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def __enter__(self) -> Cable:
        return self

    def __exit__(self, *_: object) -> None:
        os.write(self._stopping, b"x")
        self._thread.join()
        for end in (self._far, self._stop, self._stopping, self._held):
            os.close(end)

    def _carry(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                ready, _, _ = select.select([self._near, self._far, self._stop], [], [])
                if self._stop in ready:
                    break
                if self._far in ready:
                    data = os.read(self._far, 65536)
                    if not data:
                        break
                    os.write(self._near, self._spoil(data))
                if self._near in ready:
                    data = os.read(self._near, 256)
                    self.carried += len(data)
                    if self._cut_after is not None and self.carried > self._cut_after:
                        break
                    os.write(self._far, data)
        while self._silent and self._stop not in select.select([self._near, self._stop], [], [])[0]:
            os.read(self._near, 4096)
        os.close(self._near)


def package(chip: str = "esp32", image: bytes = IMAGE) -> Package:
    """Return a package as if it had been loaded; of it only MicroPython matters here."""
    return Package(Path("/packages") / chip, chip, "0.1.0", "", Image("image.bin", image), b"", {})


def write(mock: Mock, package: Package) -> None:
    with Cable(mock) as cable:
        write_micropython(cable.port, package)


def holds(mock: Mock, at: int, data: bytes, folder: Path) -> bool:
    """Return whether a chip's flash holds ``data``."""
    (folder / "expected.bin").write_bytes(data)
    with Cable(mock) as cable:
        esptool = [sys.executable, "-m", "esptool", "--port", cable.port, "--before", "no-reset", "--after", "no-reset"]
        verify = [*esptool, "verify-flash", hex(at), str(folder / "expected.bin")]
        done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert "Verification" in done.stdout + done.stderr
    return done.returncode == 0


def test_micropython_is_written_and_verified_with_progress(esp32: Mock, tmp_path: Path) -> None:
    seen: list[float] = []
    carried: list[int] = []

    def progress(share: float) -> None:
        seen.append(share)
        carried.append(cable.carried)

    with Cable(esp32) as cable:
        write_micropython(cable.port, package(), progress)
    assert holds(esp32, OFFSET, IMAGE, tmp_path)
    assert carried[0] < len(IMAGE) < carried[-1]
    assert len(seen) > 2
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_what_another_firmware_left_is_erased(esp32: Mock, tmp_path: Path) -> None:
    larger = esp_image(size=0x18000)
    write(esp32, package(image=larger))
    assert holds(esp32, OFFSET, larger, tmp_path)
    write(esp32, package())
    assert holds(esp32, OFFSET, IMAGE + b"\xff" * (len(larger) - len(IMAGE)), tmp_path)


def test_an_esp32s3_is_written_where_its_boot_rom_looks(esp32s3: Mock, tmp_path: Path) -> None:
    image = esp_image(ESP32S3)
    write(esp32s3, package("esp32s3", image))
    assert holds(esp32s3, 0, image, tmp_path)


def test_a_pseudo_terminal_will_do() -> None:
    with contextlib.closing(Mock("esp32", "--pty")) as mock:
        assert mock.port.startswith("/dev/pts/")
        write_micropython(mock.port, package())


def test_a_port_on_the_network_will_do(esp32: Mock) -> None:
    assert esp32.port.startswith("socket://")
    write_micropython(esp32.port, package())


def test_the_chip_behind_a_port_is_found_out(esp32: Mock, esp32s3: Mock) -> None:
    assert detect_chip(esp32.port) == "esp32"
    assert detect_chip(esp32s3.port) == "esp32s3"


def refusal(port: str) -> str:
    with pytest.raises(FlashError) as refused:
        write_micropython(port, package())
    assert str(refused.value).startswith(f"port {port}: ")
    return str(refused.value)


def test_a_board_of_another_chip_is_not_written(esp32s3: Mock, tmp_path: Path) -> None:
    image = esp_image(ESP32S3)
    write(esp32s3, package("esp32s3", image))
    with Cable(esp32s3) as cable:
        said = refusal(cable.port)
    assert "the board is an esp32s3, the package is for esp32; take a package for esp32s3" in said
    assert holds(esp32s3, 0, image, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("image.bin", "image.bin: differs from what its maker signed"),
        ("manifest.json", "the signature is wrong"),
        ("manifest.sig", "the signature is wrong"),
    ],
)
def test_a_package_that_is_damaged_gives_nothing_to_write(pack: Callable[..., Path], name: str, message: str) -> None:
    path = pack("esp32", IMAGE) / name
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with pytest.raises(FlashError, match=message):
        load_package(path.parent, trusted_keys())


def test_what_was_verified_is_what_is_written(esp32: Mock, pack: Callable[..., Path], tmp_path: Path) -> None:
    folder = pack("esp32", IMAGE)
    loaded = load_package(folder, trusted_keys())
    (folder / "image.bin").write_bytes(bytes(len(IMAGE)))
    write(esp32, loaded)
    assert holds(esp32, OFFSET, IMAGE, tmp_path)


@pytest.fixture(scope="module")
def whole() -> list[int]:
    """How many bytes a transfer takes, once that has been measured."""
    return []


@pytest.mark.parametrize("tenth", range(10))
def test_a_connection_that_drops_is_named_and_a_second_run_succeeds(esp32: Mock, whole: list[int], tenth: int) -> None:
    if not whole:
        with Cable(esp32) as uncut:
            write_micropython(uncut.port, package())
        whole.append(uncut.carried)
    with Cable(esp32, cut_after=whole[0] * (2 * tenth + 1) // 20) as cut:
        said = refusal(cut.port)
    assert re.search(r"connection lost (before anything|after \d+\.\d %) was written; check the cable and run", said)
    assert cut.carried < whole[0]
    write(esp32, package())


def test_a_board_that_falls_silent_is_named_and_a_second_run_succeeds(esp32: Mock) -> None:
    with Cable(esp32, cut_after=40_000, silent=True) as cable:
        assert "connection lost" in refusal(cable.port)
    write(esp32, package())


def test_flash_that_does_not_hold_what_was_written_is_named(esp32: Mock) -> None:
    def spoil(data: bytes) -> bytes:
        at = data.find(FLASH_MD5)
        if at < 0:
            return data
        digit = at + 8 + 3
        return data[:digit] + (b"\x11" if data[digit] != 0x11 else b"\x22") + data[digit + 1 :]

    with Cable(esp32, spoil=spoil) as cable:
        assert "flash does not hold what was written" in refusal(cable.port)


def test_no_answer_says_which_buttons_to_press(esp32: Mock) -> None:
    with Cable(esp32, cut_after=0, silent=True) as cable:
        assert "no answer from an ESP32's boot ROM; hold BOOT, press and release EN" in refusal(cable.port)


def test_a_port_that_cannot_be_had_says_why(esp32: Mock, tmp_path: Path) -> None:
    assert "there is no such port" in refusal("/dev/ttyUSB77")
    assert "cannot be reached" in refusal("socket://127.0.0.1:9")
    assert "not an address" in refusal("tcp://127.0.0.1:9")
    (tmp_path / "file").touch()
    assert "not a serial port" in refusal(str(tmp_path / "file"))
    with Cable(esp32) as cable, serial.Serial(cable.port, exclusive=True):
        assert "in use by another program" in refusal(cable.port)


def test_an_interrupted_run_leaves_nothing_behind_that_holds_the_port(esp32: Mock) -> None:
    def interrupt(share: float) -> None:
        raise KeyboardInterrupt

    with Cable(esp32) as cable:
        large = esp_image(size=0x100000)
        # Whoever handles the interrupt still has all that its traceback refers to.
        with pytest.raises(KeyboardInterrupt) as interrupted:
            write_micropython(cable.port, package(image=large), interrupt)
        said = f"port {cable.port}: the board has no firmware now; run the same command again"
        assert interrupted.value.__notes__ == [said]
        serial.Serial(cable.port, exclusive=True).close()
        assert cable.carried < len(large) / 2
    write(esp32, package())


def test_a_board_that_was_interrupted_before_it_was_erased_has_its_firmware(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Iterator[str]:
        yield "Connected to ESP32 on /dev/ttyUSB0:"
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "lines", interrupted)
    with pytest.raises(KeyboardInterrupt) as early:
        write_micropython("/dev/ttyUSB0", package())
    assert not hasattr(early.value, "__notes__")


def test_without_room_for_the_image_nothing_is_erased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(IMAGE) // 2, limits[1]))
    try:
        with pytest.raises(FlashError, match=r"TMPDIR: File too large; .* the board is as it was"):
            write_micropython("/dev/ttyUSB0", package())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(FlashError, match=f"{tmp_path}/nowhere.*: No such file or directory; .* the board is as it was"):
        write_micropython("/dev/ttyUSB0", package())


def test_the_equivalent_commands_can_be_typed() -> None:
    assert commands("/dev/ttyUSB0", package()) == [
        "esptool --chip esp32 --port /dev/ttyUSB0 --baud 460800 write-flash --erase-all 0x1000 "
        "/packages/esp32/image.bin"
    ]
    assert "--before no-reset --after no-reset" in commands("/dev/pts/3", package())[0]
    assert commands("/dev/ttyUSB0", replace(package(), micropython=None)) == []


def test_a_package_without_micropython_or_for_another_family_is_refused() -> None:
    with pytest.raises(FlashError, match="has no MicroPython; make it with 'bedside package --micropython FILE'"):
        write_micropython("/dev/ttyUSB0", replace(package(), micropython=None))
    with pytest.raises(FlashError, match="is for chip rp2040, which esptool does not write"):
        write_micropython("/dev/ttyUSB0", package("rp2040"))
