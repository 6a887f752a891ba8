"""The suite notices what it is there for: each fault made by hand in the firmware turns a test red that names it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUTANTS = sorted((Path(__file__).parent / "mutants").glob("*.toml"))
NEEDED = ("boards", "docs", "firmware", "host", "tests", "tools", "pyproject.toml", "requirements.lock")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, to break."""
    folder = tmp_path_factory.mktemp("mutants")
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda path: path.stem)
def test_a_fault_made_by_hand_is_caught(copy: Path, mutant: Path) -> None:
    fault = tomllib.loads(mutant.read_text(encoding="utf-8"))
    broken = copy / fault["file"]
    source = broken.read_text(encoding="utf-8")
    assert source.count(fault["old"]) == 1, "the fault's place is gone or not unique; write it anew"
    broken.write_text(source.replace(fault["old"], fault["new"]), encoding="utf-8")
    output = copy / "hil"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bedside.cli", "hil", "sim", "--only", fault["caught_by"], "--output", str(output)],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy / "host")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        broken.write_text(source, encoding="utf-8")
    assert done.returncode == 1, done.stdout[-3000:]
    outcomes = [
        (test["test"].rpartition("::")[2].partition("[")[0], test["outcome"])
        for test in json.loads((output / "report.json").read_text())["tests"]
    ]
    assert (fault["caught_by"], "failed") in outcomes, done.stdout[-3000:]


def test_twenty_faults_and_more_are_tried() -> None:
    assert len(MUTANTS) >= 20
