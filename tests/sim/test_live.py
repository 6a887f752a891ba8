from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from any_board import PASSED, run_suite
from bedside.hil.lockstep import PSM

pytestmark = pytest.mark.real_time

ROOT = Path(__file__).parents[2]


@pytest.fixture
def simulation(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The example arm in real time, in a process of its own; its environment."""
    where = {**os.environ, "BEDSIDE_SIM": str(tmp_path)}
    command = [sys.executable, "-m", "bedside.cli", "sim", str(PSM)]
    with subprocess.Popen(command, env=where, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("psm1-base")
        yield where
        process.terminate()


def test_the_suite_for_any_board_passes_on_one_that_it_knows_by_its_port_alone(
    simulation: dict[str, str], tmp_path: Path
) -> None:
    done = run_suite("sim:psm1-slide", tmp_path / "hil", simulation)
    assert done.returncode == 0, done.stdout[-3000:]
    assert PASSED in done.stdout
