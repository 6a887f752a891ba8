"""Which tests show which requirement, by asking pytest itself."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def tests_by_requirement() -> dict[str, list[str]]:
    """Return the tests, ``file::name`` without parameters, of each requirement; both in their order.

    Raises RuntimeError if the tests cannot be collected.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "named.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "--collect-only",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--named-to={told}",
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode or not told.exists():
            raise RuntimeError(f"the tests cannot be collected:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        named: dict[str, list[str]] = json.loads(told.read_text(encoding="utf-8"))
    found: dict[str, list[str]] = {}
    for test, names in named.items():
        path, _, function = test.partition("::")
        plain = f"{path}::{function.partition('[')[0]}"
        for name in names:
            tests = found.setdefault(name, [])
            if plain not in tests:
                tests.append(plain)
    return found
