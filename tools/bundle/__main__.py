"""``make bundle``: wheels, cell files, documentation and an installer in build/bedside-VERSION-PLATFORM.tar.gz.

The wheels are for this computer's kind: processor, system, and Python. Bedside's own wheel holds the firmware and the
board files. Installing asks no network for anything.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from rich.console import Console

from bedside import __version__
from bundle.contents import PLATFORM, PYTHON, ROOT, lay_out

_PIP = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
_WHEELS = (["--require-hashes", "-r", "requirements-run.lock"], ["--no-deps", "--no-build-isolation", "."])


def main() -> int:
    """Make the archive; return the exit status."""
    console = Console()
    name = f"bedside-{__version__}-{PLATFORM}-py{PYTHON.replace('.', '')}"
    with tempfile.TemporaryDirectory(prefix="bedside-") as scratch:
        folder = Path(scratch) / name
        lay_out(folder)
        with console.status("fetching and building wheels"):
            for what in _WHEELS:
                command = [*_PIP, "--wheel-dir", str(folder / "wheels"), *what]
                if subprocess.run(command, cwd=ROOT, check=False).returncode:
                    console.print("[red]pip could not have all wheels, see above;[/] is there a network?")
                    return 1
        archive = ROOT / "build" / f"{name}.tar.gz"
        archive.parent.mkdir(exist_ok=True)
        with console.status("packing"), tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, name)
    size = archive.stat().st_size / 1e6
    console.print(f"{archive.relative_to(ROOT)}: {size:.0f} MB, SHA-256 {_sha256(archive)}", soft_wrap=True)
    console.print(f"On the other computer: tar xf {archive.name} && {name}/install.sh", soft_wrap=True)
    return 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
