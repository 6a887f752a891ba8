from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

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
    simulation: dict[str, str],
) -> None:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/hil", "--port", "sim:psm1-slide"]
    done = subprocess.run(command, cwd=ROOT, env=simulation, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "12 passed" in done.stdout
