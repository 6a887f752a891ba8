"""The pytest plugin of ``bedside hil``: which board, which tests apply to it, and what they leave for the report.

``pytest -p bedside.hil.plugin`` has its fixtures in any other suite, too.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from bedside.bridge.arm import Arm
from bedside.bridge.connect import close, configure, connect
from bedside.cell import Cell, load_cell
from bedside.hil import emulated
from bedside.hil.bench import Bench
from bedside.hil.fixture import Fixture, load_fixture
from bedside.hil.live import LiveBench
from bedside.hil.load import loaded
from bedside.hil.lockstep import PSM, BoardBench, alone
from bedside.hil.measures import REQUIREMENTS, Measures
from bedside.hil.requirements import requirements
from bedside.hil.target import CORTEX_M3, SIM, TargetError, chip_of, is_simulated, uf2_of
from bedside.places import BOARDS, FIRMWARE
from bedside.sim.board import Chip, interpreter, unix_port
from bedside.sim.world import World

SUITE = Path(__file__).parent / "suite"
WRIST = "psm1-wrist"
# A board as it is: never switched on; switched on, to hold where it is; moved.
TALKS, HOLDS, MOVES = "board", "bench", "mover"
# What only a simulated arm has.
_SIMULATED = {"world", "chip", "run_micropython"}
_VIRTUAL_MINUTES = 0.4
# The first test that failed.
_FAILED = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the boards be others than simulated ones on MicroPython's unix port."""
    group = parser.getgroup("bedside hil")
    group.addoption("--target", default=SIM, help="sim, cortex-m3, rp2040:FILE.uf2, or a port: a device, sim:NAME, URL")
    group.addoption("--baud", type=int, default=1_000_000, help="of a port")
    group.addoption("--agreed-uid", default="", help="the board that a person has agreed to; no other is touched")
    group.addoption("--cell", type=Path, help="the cell file by which the board behind a port may be moved")
    group.addoption("--fixture", type=Path, help="a file that tells what is wired to that board")
    group.addoption("--no-motion", action="store_true", help="switch no drive on")
    group.addoption("--minutes", type=float, default=0.0, help="how long to move for endurance")
    group.addoption("--named-to", type=Path, help="a file that gets which requirements each test names, as JSON")
    group.addoption("--results", type=Path, help="a file that gets the results, a line of JSON a test")


def pytest_configure(config: pytest.Config) -> None:
    """Say what the suite's marks mean."""
    config.addinivalue_line("markers", "requirement(*names): which of requirements.toml a test shows")
    config.addinivalue_line(
        "markers", "any_chip_alike: shown on the unix port alone, because an emulated chip would show the same, slowly"
    )
    if (results := config.getoption("--results")) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Recorder(results))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not apply to the board that was asked for."""
    target = config.getoption("--target")
    _check_requirements(items)
    kept = [item for item in items if SUITE not in item.path.parents or _applies(item, target, config)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept if is_simulated(target) else sorted(kept, key=_boldness)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell which requirements each test names, if that was asked for."""
    if path := session.config.getoption("--named-to"):
        named = {item.nodeid: named_by(item) for item in session.items}
        path.write_text(json.dumps(named), encoding="utf-8")


def _boldness(item: pytest.Item) -> int:
    """Return what must come first on a real board: talking, holding, homing, small motions, then the others."""
    needs = set(getattr(item, "fixturenames", ()))
    if MOVES not in needs:
        return int(HOLDS in needs)
    return {"test_home.py": 2, "test_moving.py": 3}.get(item.path.name, 4)


def _check_requirements(items: list[pytest.Item]) -> None:
    """Raise UsageError for a test of the suite that names no requirement, or any that names one that is none."""
    for item in items:
        named = named_by(item)
        if unknown := [name for name in named if name not in requirements()]:
            raise pytest.UsageError(f"{item.nodeid}: requirements.toml has no requirement {', '.join(unknown)}")
        if SUITE in item.path.parents and not named:
            raise pytest.UsageError(f"{item.nodeid}: names no requirement that it shows")


def named_by(item: pytest.Item) -> list[str]:
    """Return the requirements that a test names."""
    return [str(name) for mark in item.iter_markers("requirement") for name in mark.args]


def _applies(item: pytest.Item, target: str, config: pytest.Config) -> bool:
    needs = set(getattr(item, "fixturenames", ()))
    if config.getoption("--no-motion") and needs & {HOLDS, MOVES}:
        return False
    if target == SIM:
        return True
    if target == CORTEX_M3:
        # An emulated chip is slow, so what it would only show again is left to the unix port.
        is_alike = item.get_closest_marker("any_chip_alike") is not None
        return bool(needs & {"world", "chip", TALKS}) and not is_alike
    return TALKS in needs and not needs & _SIMULATED


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a report carry which requirements its test shows."""
    report = yield
    if report.failed and SUITE in item.path.parents:
        item.session.stash.setdefault(_FAILED, item.name)
    report.user_properties.append((REQUIREMENTS, named_by(item)))
    return report


class _Recorder:
    """Writes what each test has come to; of the workers of a parallel run all in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.write_text("", encoding="utf-8")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note a test's outcome: that of its setup if that failed or skipped it, else its call's, else its end's."""
        if report.when == "call" or report.outcome != "passed":
            kept: dict[str, Any] = {
                "test": report.nodeid.rpartition("/")[2],
                "outcome": report.outcome,
                "seconds": round(report.duration, 3),
                "why": _why(report),
                "left": list(report.user_properties),
            }
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(kept) + "\n")


def _why(report: pytest.TestReport) -> str:
    """Return why a test failed or was skipped, its last line."""
    if report.outcome == "passed":
        return ""
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr).strip()[:2000]


# ---- boards ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> str:
    """What the suite is run against."""
    return str(request.config.getoption("--target"))


@pytest.fixture(scope="session")
def chip(target: str) -> Chip:
    """What simulated boards run on."""
    try:
        return chip_of(target) if is_simulated(target) else unix_port
    except TargetError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cell() -> Cell:
    """The example arm, with a hold that tests need not wait for."""
    cell = load_cell(PSM)
    cell.arm.hold_ms = 200
    return cell


@pytest.fixture
def world(
    cell: Cell, chip: Chip, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """The arm's simulated boards in virtual time; of an emulated chip, which is slow to start, no more than needed."""
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    if chip is not unix_port and not {"wrist", TALKS}.isdisjoint(request.fixturenames):
        cell = alone(cell, WRIST)
    with World(cell, PSM, tmp_path, chip=chip) as world:
        world.advance(3)
        yield world


@pytest.fixture
def wrist(world: World, cell: Cell) -> Iterator[BoardBench]:
    """The simulated wrist board, configured and disabled."""
    bench = BoardBench(world, cell, WRIST)
    bench.configure()
    yield bench
    bench.close()


@pytest.fixture
def told() -> list[str]:
    """What the arm told its operator."""
    return []


@pytest.fixture
def arm(world: World, cell: Cell, told: list[str]) -> Iterator[Arm]:
    """The whole simulated arm over its three boards, configured and disabled."""
    links = connect(cell)
    configure(cell, links, cell.arm.command_hz)
    yield Arm(cell, links, told.append)
    close(links)


@pytest.fixture
def board(request: pytest.FixtureRequest, target: str, measures: Measures) -> Iterator[Bench]:
    """Any board, configured and off: the simulated wrist in virtual time, or the one that was named, as it is."""
    if is_simulated(target):
        bench: Bench = request.getfixturevalue("wrist")
        measures.board(bench)
        yield bench
        return
    config = request.config
    if uf2 := uf2_of(target):
        live: LiveBench = emulated.bench(uf2)
    else:
        live = LiveBench(target, config.getoption("--baud"), config.getoption("--cell"))
    identity, agreed = live.link.identity, config.getoption("--agreed-uid")
    if agreed and identity and identity.uid != agreed:
        live.close()
        pytest.exit(f"another board answers now: {identity.uid}, not {agreed}, to which a person has agreed", 2)
    try:
        live.recover()
        live.configure()
        measures.board(live)
        yield live
    finally:
        live.recover()
        live.close()


@pytest.fixture
def bench(board: Bench) -> Bench:
    """A board that may be switched on, to hold where it is."""
    if board.link.identity and board.link.identity.keys:
        pytest.skip("its keys ask for a console's proof: take them off with 'bedside keys board CELL.toml --none'")
    return board


@pytest.fixture
def mover(bench: Bench, request: pytest.FixtureRequest, fixture: Fixture | None) -> Iterator[Bench]:
    """A board whose joints may be moved, under a load if there is one; a real one only while nothing has failed."""
    if isinstance(bench, LiveBench):
        if not bench.may_move:
            pytest.skip("how this board's joints may move is not known: name its cell file with --cell")
        if failed := request.session.stash.get(_FAILED, ""):
            pytest.skip(f"nothing is moved after a test that failed: {failed}")
    if fixture is None or fixture.load is None:
        yield bench
        return
    with loaded(fixture.load.port, fixture.load.baud):
        yield bench


@pytest.fixture
def run_micropython() -> Callable[..., bytes]:
    """Run a script under MicroPython with the firmware on its path; return what it wrote."""

    def run(script: Path, *arguments: str, data: bytes = b"", heap: str = "2M") -> bytes:
        done = subprocess.run(
            [interpreter(), "-X", f"heapsize={heap}", str(script), *arguments],
            input=data,
            capture_output=True,
            env={"MICROPYPATH": f"{FIRMWARE}:{script.parent}:.frozen", "PATH": "/usr/bin:/bin"},
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()[-500:]
        return done.stdout

    return run


@pytest.fixture(scope="session")
def fixture(request: pytest.FixtureRequest, target: str) -> Fixture | None:
    """What is wired to the board, None if nobody has said so."""
    named = request.config.getoption("--fixture")
    if is_simulated(target):
        named = BOARDS / "fixtures" / "sim.toml"
    return load_fixture(named) if named else None


@pytest.fixture
def measures(request: pytest.FixtureRequest) -> Measures:
    """Where a test leaves its figures and curves."""
    return Measures(request.node.user_properties)


@pytest.fixture
def minutes(request: pytest.FixtureRequest, target: str) -> float:
    """How long to move for endurance; in virtual time a little in any case, because that takes nobody's."""
    asked = float(request.config.getoption("--minutes"))
    return asked or (_VIRTUAL_MINUTES if target == SIM else 0.0)
