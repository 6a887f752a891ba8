"""Two simulators of one board: the second is refused, and what it is told is who has the port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedside.cell import Cell
from bedside.errors import BedsideError
from bedside.hil.lockstep import PSM, alone
from bedside.link.board import BoardLink
from bedside.link.port import SerialPort
from bedside.sim.world import World

BOARDS = ["psm1-base", "psm1-slide", "psm1-wrist"]
Simulate = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def simulate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulate]:
    """Start ``bedside sim`` of the example arm, in a process of its own."""
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    processes = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "bedside.cli", "sim", str(PSM)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def running(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert process.stdout
    assert [process.stdout.readline().split(":")[0] for _ in BOARDS] == BOARDS
    return process


def name_behind(port: str) -> str:
    link = BoardLink(SerialPort(port, 1_000_000), port)
    try:
        return link.identify().name
    finally:
        link.port.close()


def test_a_second_simulator_is_refused_by_name_and_the_first_goes_on(simulate: Simulate) -> None:
    first = running(simulate())
    second = simulate()
    said, error = second.communicate(timeout=30)
    assert (second.returncode, said) == (1, "")
    assert f"sim:psm1-base is simulated already, by process {first.pid}; end it first" in error
    assert name_behind("sim:psm1-base") == "psm1-base"


def test_the_links_of_one_that_was_killed_do_not_block_the_next(simulate: Simulate, tmp_path: Path) -> None:
    first = running(simulate())
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert (tmp_path / "psm1-base").is_symlink()
    running(simulate())
    assert name_behind("sim:psm1-base") == "psm1-base"


def test_one_that_ends_leaves_no_port_and_blocks_nobody(simulate: Simulate, tmp_path: Path) -> None:
    first = running(simulate())
    first.terminate()
    first.communicate(timeout=30)
    assert not any((tmp_path / board).is_symlink() for board in BOARDS)
    running(simulate())


def test_one_that_is_refused_at_its_last_board_takes_its_other_ports_back(cell: Cell, tmp_path: Path) -> None:
    with World(alone(cell, "psm1-wrist"), PSM, tmp_path):
        with pytest.raises(BedsideError, match=f"sim:psm1-wrist is simulated already, by process {os.getpid()}"):
            World(cell, PSM, tmp_path)
        assert [board for board in BOARDS if (tmp_path / board).is_symlink()] == ["psm1-wrist"]
        with World(alone(cell, "psm1-base"), PSM, tmp_path):
            pass


def test_a_link_that_is_not_its_own_is_left_alone(cell: Cell, tmp_path: Path) -> None:
    with World(alone(cell, "psm1-wrist"), PSM, tmp_path):
        port = tmp_path / "psm1-wrist"
        port.unlink()
        port.symlink_to("/dev/null")
    assert port.readlink() == Path("/dev/null")
