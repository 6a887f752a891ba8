from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bedside.places import FIRMWARE

HERE = Path(__file__).parent


def test_micropython_and_cpython_give_identical_bits(run_micropython: Callable[..., bytes]) -> None:
    paths = os.pathsep.join([str(HERE.parent / "cpython"), str(FIRMWARE)])
    script = HERE / "vectors.py"
    reference = subprocess.run(
        [sys.executable, str(script)], capture_output=True, check=True, env={**os.environ, "PYTHONPATH": paths}
    ).stdout
    assert len(reference.splitlines()) > 12_000
    assert run_micropython(script) == reference
