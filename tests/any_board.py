"""The suite for any board, as a user runs it on the one behind a port."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# What a board behind any port shows, without its motion.
PASSED = "12 tests passed, 0 failed"


def run_suite(port: str, output: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run it on the board behind ``port``; its drives hold, and nobody is asked."""
    command = [
        sys.executable,
        "-m",
        "bedside.cli",
        "hil",
        port,
        "--yes",
        "--only",
        "any_board",
        "--output",
        str(output),
    ]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
