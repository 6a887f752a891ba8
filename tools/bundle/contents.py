"""What lies in the bundle beside the wheels: its own README and installer, and what the documentation links to."""

from __future__ import annotations

import shutil
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
PLATFORM = sysconfig.get_platform()

_OWN = Path(__file__).parent
_FILES = [_OWN / "README.md", ROOT / "CHANGELOG.md", ROOT / "LICENSE"]
# Boards and firmware are in Bedside's wheel too; these are for people to read, and their cells to start from.
_FOLDERS = ["docs", "boards", "firmware"]


def lay_out(folder: Path) -> None:
    """Make ``folder`` with all but the wheels; its installer takes this computer's kind, and this Python's version."""
    for name in _FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for file in _FILES:
        shutil.copy(file, folder)
    installer = folder / "install.sh"
    text = (_OWN / "install.sh").read_text(encoding="utf-8")
    installer.write_text(text.replace("@PYTHON@", PYTHON).replace("@PLATFORM@", PLATFORM), encoding="utf-8")
    installer.chmod(0o755)
