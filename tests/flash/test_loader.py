"""What the board's loader runs of what is there, on MicroPython's unix port."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from bedside.places import FIRMWARE
from bedside.sim.board import interpreter

pytestmark = pytest.mark.requirement("whole-firmware")

PROGRAM = "from core import part\nimport tick\ndef main(config, build):\n    print(part.SLOT, config, build)\n"


def fill(slot: Path) -> None:
    files = {"program.py": PROGRAM, "core/part.py": f"SLOT = '{slot.name}'\n", "tick.py": "", "board.json": "{}"}
    stated = {}
    for path, content in files.items():
        (slot / path).parent.mkdir(parents=True, exist_ok=True)
        (slot / path).write_text(content)
        stated[path] = {"sha256": sha256(content.encode()).hexdigest()}
    (slot / "manifest.json").write_text(json.dumps({"files": stated}))


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """A board's files: the loader, and whole firmware in both slots, of which b is active."""
    shutil.copy(FIRMWARE / "loader.py", tmp_path / "main.py")
    fill(tmp_path / "a")
    fill(tmp_path / "b")
    (tmp_path / "active").write_text("b")
    return tmp_path


def start(board: Path) -> str:
    done = subprocess.run([interpreter(), "main.py"], cwd=board, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_active_slot_runs_and_is_told_its_build(board: Path) -> None:
    build = sha256((board / "b" / "manifest.json").read_bytes()).hexdigest()[:16]
    assert start(board) == f"b b/board.json {build}\n"


def lose_a_file(slot: Path) -> None:
    (slot / "core" / "part.py").unlink()


def damage_the_manifest(slot: Path) -> None:
    (slot / "manifest.json").write_text('{"files":')


def list_nothing(slot: Path) -> None:
    (slot / "manifest.json").write_text('{"files": null}')


def damage_the_configuration(slot: Path) -> None:
    (slot / "board.json").write_bytes(b"{\xff")


def add_an_empty_folder(slot: Path) -> None:
    (slot / "program").mkdir()


def add_a_file(slot: Path) -> None:
    (slot / "core" / "other.py").write_text("")


def make_it_of_another_micropython(slot: Path) -> None:
    content = b"M\x07\x00\x1f"
    (slot / "tick.py").rename(slot / "tick.mpy")
    (slot / "tick.mpy").write_bytes(content)
    manifest = json.loads((slot / "manifest.json").read_text())
    del manifest["files"]["tick.py"]
    manifest["files"]["tick.mpy"] = {"sha256": sha256(content).hexdigest()}
    (slot / "manifest.json").write_text(json.dumps(manifest))


DAMAGES = [
    lose_a_file,
    damage_the_manifest,
    list_nothing,
    damage_the_configuration,
    add_an_empty_folder,
    add_a_file,
    make_it_of_another_micropython,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_not_whole_is_not_run(board: Path, damage: Callable[[Path], None]) -> None:
    damage(board / "b")
    said, _, ran = start(board).rstrip().rpartition("\n")
    assert said.startswith("bedside: firmware b is not whole:")
    assert ran.startswith("a a/board.json ")


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_neither_slot_is_whole_nothing_runs(board: Path, damage: Callable[[Path], None]) -> None:
    damage(board / "a")
    damage(board / "b")
    assert start(board).endswith("bedside: no whole firmware here, so nothing runs; 'bedside flash' mends it\n")


@pytest.mark.parametrize(("name", "slot"), [(b"", "a"), (b"\xff", "a"), (b"b\n", "b"), (b"another", "a"), (None, "a")])
def test_a_damaged_name_of_the_active_slot_still_names_one(board: Path, name: bytes | None, slot: str) -> None:
    (board / "active").unlink()
    if name is not None:
        (board / "active").write_bytes(name)
    assert start(board).startswith(f"{slot} ")


def test_nothing_beside_the_slots_is_imported(board: Path) -> None:
    (board / "program.py").write_text("print('stray')")
    (board / "core").mkdir()
    assert start(board).startswith("b b/board.json ")
