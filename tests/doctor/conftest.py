from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedside.hil.lockstep import PSM
from command import Bedside


@pytest.fixture(scope="session")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example arm in real time, in a process of its own; the folder of its ports."""
    folder = tmp_path_factory.mktemp("sim")
    command = [sys.executable, "-m", "bedside.cli", "sim", str(PSM)]
    environment = {**os.environ, "BEDSIDE_SIM": str(folder)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("psm1-base")
        yield folder
        process.terminate()


@pytest.fixture(autouse=True)
def no_other_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is plugged into the computer that runs the tests is left alone."""
    monkeypatch.setattr("serial.tools.list_ports.comports", list)


@pytest.fixture
def bedside(capsys: pytest.CaptureFixture[str]) -> Bedside:
    return Bedside(capsys)


@pytest.fixture
def boards(simulation: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ports of the simulated boards."""
    monkeypatch.setenv("BEDSIDE_SIM", str(simulation))
    return simulation


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the ports of simulated boards, with none there."""
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    return tmp_path
