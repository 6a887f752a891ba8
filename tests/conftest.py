"""Fixtures: a cell, its simulated boards in virtual time, and a board or an arm to talk to."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import micropython  # noqa: F401 - gives firmware modules their pointer types under CPython
import pytest

from bedside.bridge.arm import Arm
from bedside.bridge.connect import close, configure, connect
from bedside.cell import Cell, load_cell
from bedside.places import FIRMWARE
from bedside.sim.board import Chip, interpreter, unix_port
from bedside.sim.world import World
from cortex_m3 import board as cortex_m3
from lockstep import PSM, BoardBench, alone


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the boards be others than simulated ones on MicroPython's unix port."""
    parser.addoption("--chip", choices=["unix", "cortex-m3"], default="unix", help="what simulated boards run on")
    parser.addoption("--port", help="a board to test in real time instead: a serial port, socket://HOST:PORT, sim:NAME")
    parser.addoption("--baud", type=int, default=1_000_000, help="of that board")


@pytest.fixture(scope="session")
def chip(request: pytest.FixtureRequest) -> Chip:
    """What simulated boards run on."""
    if request.config.getoption("--chip") == "unix":
        return unix_port
    request.getfixturevalue("emulator")
    return cortex_m3.simulated


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
    if chip is not unix_port and not {"wrist", "bench"}.isdisjoint(request.fixturenames):
        cell = alone(cell, "psm1-wrist")
    with World(cell, PSM, tmp_path, chip=chip) as world:
        world.advance(3)
        yield world


@pytest.fixture
def wrist(world: World, cell: Cell) -> Iterator[BoardBench]:
    """The wrist board, configured and disabled."""
    bench = BoardBench(world, cell, "psm1-wrist")
    bench.configure()
    yield bench
    bench.link.port.close()


@pytest.fixture
def told() -> list[str]:
    """What the arm told its operator."""
    return []


@pytest.fixture
def arm(world: World, cell: Cell, told: list[str]) -> Iterator[Arm]:
    """The whole arm over its three boards, configured and disabled."""
    links = connect(cell)
    configure(cell, links, cell.arm.command_hz)
    yield Arm(cell, links, told.append)
    close(links)


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
def emulator() -> None:
    """Skip what needs the emulated Cortex-M3 where it is not installed; build its interpreter where it is."""
    if missing := cortex_m3.available():
        pytest.skip(missing)
    cortex_m3.build()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once why the emulator's tests were skipped."""
    if missing := cortex_m3.available():
        terminalreporter.write_line(f"tests/cortex_m3 skipped: {missing}")
