"""A simulated board is flashed as a real one is: by its port, with real mpremote, in real time."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import select
import shutil
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from any_board import PASSED, run_suite
from bedside import cli
from bedside.bridge.connect import close, connect
from bedside.cell import Cell, load_cell
from bedside.clock import PeriodicTimer
from bedside.errors import FlashError, LinkError
from bedside.flash import deploy
from bedside.flash.keys import make_key, signing_key_path, trusted_keys
from bedside.flash.package import Package, build_package, load_package
from bedside.flash.update import Person, ask_before_erasing, image_for, update_board
from bedside.hil.live import LiveBench
from bedside.hil.lockstep import PSM, alone
from bedside.link import frames, schema
from bedside.link.board import BoardLink
from bedside.link.messages import DISABLED, Identity
from bedside.link.port import SerialPort, device_of
from bedside.sim.board import SimBoard
from bedside.sim.world import World

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]
NAME = "psm1-slide"
PORT = f"sim:{NAME}"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A person's folders, with a signing key."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        patch.setenv("BEDSIDE_SIM", str(folder / "sim"))
        make_key(signing_key_path())
        yield folder


@pytest.fixture(scope="module")
def package(home: Path) -> Package:
    from bedside.flash.keys import load_signing_key

    build_package("unix", home / "package", None, load_signing_key(signing_key_path()))
    return load_package(home / "package", trusted_keys())


@pytest.fixture(scope="module")
def cell() -> Cell:
    return alone(load_cell(PSM), NAME)


@pytest.fixture
def board(home: Path, cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimBoard]:
    """A board without any firmware but its sources, in real time; ``switched`` lets nothing happen meanwhile."""
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    over = threading.Event()
    with World(cell, PSM, tmp_path) as world, closing(PeriodicTimer(1_000_000)) as timer:

        def tick() -> None:
            while not over.is_set():
                with switched:
                    world.advance(min(10, timer.expirations()))

        clock = threading.Thread(target=tick)
        clock.start()
        yield world.boards[0]
        over.set()
        clock.join()


switched = threading.Lock()


def cut_power(board: SimBoard) -> None:
    with switched:
        board.kill()
        board.start()


def identify(patience_s: float = 20.0) -> Identity:
    """Ask the board who it is, until it says so."""
    end = time.monotonic() + patience_s
    while True:
        try:
            with closing(SerialPort(PORT, 1_000_000)) as port:
                return BoardLink(port, NAME).identify()
        except LinkError:
            if time.monotonic() > end:
                raise


def person(told: list[str], answer: bool = True) -> Person:
    return Person(told.append, lambda question: told.append(question) or answer, lambda done, of: None)


def test_a_flashed_board_says_its_build_and_passes_the_suite_for_any_board(
    home: Path, cell: Cell, package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    with simulator():
        told: list[str] = []
        update_board(cell, cell.board[0], package, person(told))
        build = image_for(package, cell, cell.board[0]).build
        assert identify().build == build
        assert told == [
            f"board '{NAME}': writing build {build} to {device_of(PORT)}",
            f"board '{NAME}': runs build {build}",
        ]
        update_board(cell, cell.board[0], package, person(told))
        assert told[2:] == [f"board '{NAME}': runs build {build} already"]
        close(connect(cell))
        done = run_suite(PORT, tmp_path / "hil")
    assert PASSED in done.stdout, done.stdout[-3000:]


@contextmanager
def simulator() -> Iterator[None]:
    """The whole arm, by the command that a user types."""
    with subprocess.Popen([sys.executable, "-m", "bedside.cli", "sim", str(PSM)], stdout=subprocess.PIPE) as simulation:
        assert simulation.stdout
        simulation.stdout.readline()
        try:
            yield
        finally:
            simulation.terminate()


def test_the_bridge_refuses_another_role_and_its_remedy_asks_first(
    board: SimBoard, cell: Cell, package: Package
) -> None:
    other = replace(cell, arm=replace(cell.arm, name="psm9"))
    update_board(other, cell.board[0], package, person([]))
    with pytest.raises(LinkError, match=f"this is psm9/{NAME}, the cell file expects psm1/{NAME} here; swap the"):
        connect(cell)
    told: list[str] = []
    with pytest.raises(FlashError, match=f"the board there is psm9/{NAME}, and stays so"):
        update_board(cell, cell.board[0], package, person(told, answer=False))
    assert told == [f"This board is psm9/{NAME}. Shall it become psm1/{NAME}?"]
    assert identify().build == image_for(package, other, other.board[0]).build
    update_board(cell, cell.board[0], package, person(told))
    close(connect(cell))


@contextmanager
def commanded(bench: LiveBench) -> Iterator[None]:
    """Somebody who keeps the arm on, and does not ask whether the port is in use."""
    over = threading.Event()
    end = os.open(device_of(PORT), os.O_WRONLY | os.O_NOCTTY)

    def command() -> None:
        while not over.wait(0.01):
            bench.link.seq += 1
            bench.operator_seq += 1
            setpoints = bench.last[3:]
            os.write(end, frames.encode([schema.COMMAND, bench.link.seq, bench.operator_seq, *setpoints]))

    console = threading.Thread(target=command)
    console.start()
    try:
        yield
    finally:
        over.set()
        console.join()
        os.close(end)


def test_a_board_whose_arm_is_on_is_not_flashed(board: SimBoard, cell: Cell, package: Package) -> None:
    bench = LiveBench(PORT, 1_000_000)
    bench.recover()
    bench.configure()
    with pytest.raises(LinkError, match="in use by another program"):
        update_board(cell, cell.board[0], package, person([]))
    bench.enable()
    bench.link.port.close()
    with commanded(bench), pytest.raises(LinkError, match=f"board '{NAME}' is on; disable its arm"):
        update_board(cell, cell.board[0], package, person([]))
    assert not list(board.flash.iterdir())


def test_a_package_for_another_chip_is_refused_before_the_board_is_touched(
    board: SimBoard, cell: Cell, package: Package
) -> None:
    with pytest.raises(FlashError, match="says unix, the package is for rp2040; take that chip's package"):
        update_board(cell, cell.board[0], dataclasses.replace(package, chip="rp2040"), person([]))


@pytest.fixture(scope="module")
def kept(home: Path) -> Path:
    """Where the files of a board that was flashed twice are kept, because that takes its time."""
    return home / "kept"


@pytest.fixture
def two_builds(board: SimBoard, cell: Cell, package: Package, kept: Path) -> tuple[Cell, Path]:
    """A board with the cell's build in its active slot and another arm's in the other. Returns that arm, and slot."""
    other = replace(cell, arm=replace(cell.arm, name="psm9"))
    if kept.exists():
        shutil.copytree(kept, board.flash, dirs_exist_ok=True)
    else:
        update_board(other, cell.board[0], package, person([]))
        before = (board.flash / "active").read_text()
        update_board(cell, cell.board[0], package, person([]))
        assert {before, (board.flash / "active").read_text()} == {"a", "b"}
        shutil.copytree(board.flash, kept)
    return other, board.flash / (board.flash / "active").read_text()


def damage_a_byte(slot: Path) -> None:
    content = bytearray((slot / "core" / "joint.mpy").read_bytes())
    content[1000] ^= 1
    (slot / "core" / "joint.mpy").write_bytes(content)


def damage_the_configuration(slot: Path) -> None:
    content = bytearray((slot / "board.json").read_bytes())
    content[5] = 0xFF
    (slot / "board.json").write_bytes(content)


def add_a_source(slot: Path) -> None:
    # It would be imported instead of tick.mpy.
    (slot / "tick.py").write_text("raise SystemExit")


def make_it_of_another_micropython(slot: Path) -> None:
    content = bytearray((slot / "blackbox.mpy").read_bytes())
    content[1] += 1
    (slot / "blackbox.mpy").write_bytes(content)
    manifest = json.loads((slot / "manifest.json").read_bytes())
    manifest["files"]["blackbox.mpy"]["sha256"] = sha256(content).hexdigest()
    (slot / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "damage",
    [
        damage_a_byte,
        damage_the_configuration,
        add_a_source,
        make_it_of_another_micropython,
    ],
)
def test_what_is_not_whole_is_not_run_and_the_same_command_mends_it(
    board: SimBoard, cell: Cell, package: Package, two_builds: tuple[Cell, Path], damage: Callable[[Path], None]
) -> None:
    other, now = two_builds
    damage(now)
    cut_power(board)
    assert identify().build == image_for(package, other, cell.board[0]).build
    update_board(cell, cell.board[0], package, person([]))
    assert identify().build == image_for(package, cell, cell.board[0]).build
    assert (board.flash / "active").read_text() == now.name, "what runs is never written over"


@pytest.mark.parametrize("name", [b"\xff", b"b\n"])
@pytest.mark.usefixtures("two_builds")
def test_a_damaged_name_of_the_active_slot_means_the_same_to_board_and_computer(board: SimBoard, name: bytes) -> None:
    (board.flash / "active").write_bytes(name)
    cut_power(board)
    runs = identify().build
    slot = "b" if name == b"b\n" else "a"
    assert sha256((board.flash / slot / "manifest.json").read_bytes()).hexdigest()[:16] == runs
    to_repl(board)
    assert deploy.survey(device_of(PORT)).running == slot


def test_a_board_that_is_refused_goes_on_with_what_it_ran(board: SimBoard, cell: Cell, package: Package) -> None:
    update_board(cell, cell.board[0], package, person([]))
    runs = image_for(package, cell, cell.board[0]).build
    other = replace(cell, board=[replace(cell.board[0], type="cortex-m3")])
    with pytest.raises(FlashError, match=r"this board is of chip unix .*, and the package is for mps2"):
        update_board(other, other.board[0], dataclasses.replace(package, chip="mps2"), person([]))
    assert identify().build == runs
    newer = {path: bytes([content[0], 7]) + content[2:] for path, content in package.files.items()}
    with pytest.raises(FlashError, match=r"loads \.mpy files of version 6\.3, the package has 7\.3; put another"):
        update_board(cell, cell.board[0], dataclasses.replace(package, files=newer), person([]))
    assert identify().build == runs


def test_ctrl_c_says_how_it_stands_and_the_board_goes_on(board: SimBoard, cell: Cell, package: Package) -> None:
    update_board(cell, cell.board[0], package, person([]))
    other = replace(cell, arm=replace(cell.arm, name="psm9"))
    told: list[str] = []

    def interrupt(done: float, of: float) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        update_board(other, cell.board[0], package, Person(told.append, lambda question: True, interrupt))
    assert told[-1] == f"board '{NAME}': interrupted; it goes on with what it had, and the same command completes it"
    assert identify().build == image_for(package, cell, cell.board[0]).build


def test_nothing_is_erased_without_a_question_and_never_under_a_bridge(
    board: SimBoard, cell: Cell, package: Package
) -> None:
    ask_before_erasing("sim:nobody", 1_000_000, None, person([], answer=False))
    with closing(SerialPort(PORT, 1_000_000)), pytest.raises(LinkError, match="in use by another program"):
        ask_before_erasing(PORT, 1_000_000, None, person([]))
    update_board(cell, cell.board[0], package, person([]))
    runs = image_for(package, cell, cell.board[0])
    ask_before_erasing(PORT, 1_000_000, runs, person([], answer=False))
    other = replace(cell, arm=replace(cell.arm, name="psm9"))
    told: list[str] = []
    with pytest.raises(FlashError, match=f"board psm1/{NAME} stays as it is"):
        ask_before_erasing(PORT, 1_000_000, image_for(package, other, cell.board[0]), person(told, answer=False))
    assert told == [f"This board is psm1/{NAME}, and runs build {runs.build}. Shall all that is on it be erased?"]


def test_what_a_dry_run_prints_does_the_same(
    home: Path,
    board: SimBoard,
    cell: Cell,
    package: Package,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    assert cli.main(["flash", str(PSM), NAME, "--package", str(home / "package"), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    to_repl(board)
    settings = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["sh"], input=printed, text=True, env=settings, check=True)
    assert identify().build == image_for(package, load_cell(PSM), cell.board[0]).build


def test_where_nothing_is_whole_nothing_runs_and_the_same_command_mends_it(
    board: SimBoard, cell: Cell, package: Package
) -> None:
    update_board(cell, cell.board[0], package, person([]))
    (board.flash / (board.flash / "active").read_text() / "program.mpy").write_bytes(b"M")
    cut_power(board)
    end = time.monotonic() + 20
    while not board.in_maintenance:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not any(board.outputs[:11])
    update_board(cell, cell.board[0], package, person([]))
    assert identify().build == image_for(package, cell, cell.board[0]).build


@contextmanager
def cut_after(board: SimBoard, size: int) -> Iterator[str]:
    """A cable to the board's REPL that lets so many bytes pass, then cuts the board's power. Yields its other end."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    end = os.open(device_of(PORT), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    over = threading.Event()

    def carry() -> None:
        left = size
        while not over.is_set():
            ready, _, _ = select.select([master, end], [], [], 0.05)
            if master in ready:
                part = os.read(master, min(256, left))
                left -= len(part)
                os.write(end, part)
            if end in ready:
                os.write(master, os.read(end, 4096))
            if left <= 0:
                cut_power(board)
                os.close(master)
                return

    carrier = threading.Thread(target=carry)
    carrier.start()
    try:
        yield os.ttyname(slave)
    finally:
        over.set()
        carrier.join()
        os.close(slave)
        os.close(end)
        with suppress(OSError):
            os.close(master)


def to_repl(board: SimBoard) -> None:
    with closing(SerialPort(PORT, 1_000_000)) as port:
        link = BoardLink(port, NAME)
        link.identify()
        link.ask([schema.MAINTENANCE, 0])
    end = time.monotonic() + 20
    while not board.in_maintenance:
        assert time.monotonic() < end
        time.sleep(0.02)


# How many bytes the board hears in an update before its power is cut: at first it gets no further than the survey,
# then each update adds files, the largest of which must fit, and the last ones are cut off while what was written is
# read back and made the active.
POINTS = [300, 3000, 5000, *[54_000] * 6, 32_000, *range(7_800, 16_500, 800)]


@pytest.mark.timeout(400)
def test_cut_off_at_any_point_the_board_runs_what_it_ran_and_the_same_command_completes(
    board: SimBoard, cell: Cell, package: Package
) -> None:
    other = replace(cell, arm=replace(cell.arm, name="psm9"))
    update_board(other, cell.board[0], package, person([]))
    old, new = image_for(package, other, other.board[0]), image_for(package, cell, cell.board[0])
    written: list[int] = []
    for size in POINTS:
        to_repl(board)
        with cut_after(board, size) as port, pytest.raises(FlashError, match="run the same command again"):
            deploy.deploy(port, deploy.survey(port), package.loader, new.files, new.manifest)
        written.append(sum((board.flash / "a" / path).exists() for path in [*new.files, "manifest.json"]))
        with closing(SerialPort(PORT, 1_000_000)) as line:
            link = BoardLink(line, NAME)
            assert link.identify().build == old.build
            assert link.ask([schema.KEEP_ALIVE, 0]).state == DISABLED
    assert len(written) == 21
    # Some cuts came in every step: before the first file, between files, and behind the last.
    assert {0, len(new.files)} < set(written)
    update_board(cell, cell.board[0], package, person([]))
    assert identify().build == new.build
