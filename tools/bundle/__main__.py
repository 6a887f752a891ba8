"""``make bundle``: wheels, documentation and an installer in build/bedside-VERSION-PLATFORM.tar.gz.

The wheels are for this computer's kind: processor, system, and Python. Bedside's own wheel holds the firmware and the
board files. Installing asks no network for anything.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

from rich.console import Console

from bedside import __version__

_ROOT = Path(__file__).resolve().parents[2]
_DOCS = ["README.md", "CHANGELOG.md", "LICENSE", "docs"]
_INSTALLER = """\
#!/bin/sh
# Installs Bedside into the folder 'bedside' here, or where the first argument says, without a network.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
to=${{1:-$here/bedside}}
python=${{PYTHON:-python3}}
if ! "$python" -c 'import sys; sys.exit(sys.version_info[:2] != ({major}, {minor}))'; then
  echo "These wheels are for Python {major}.{minor}: say PYTHON=python{major}.{minor} $0" >&2
  exit 1
fi
"$python" -m venv "$to"
"$to/bin/pip" install --quiet --disable-pip-version-check --no-index --find-links "$here/wheels" 'bedside[demo,flash]'
echo "Installed. Try: $to/bin/bedside demo"
"""


def main() -> int:
    """Make the archive; return the exit status."""
    console = Console()
    name = f"bedside-{__version__}-{sysconfig.get_platform()}-py{sys.version_info[0]}{sys.version_info[1]}"
    with tempfile.TemporaryDirectory(prefix="bedside-") as scratch:
        folder = Path(scratch) / name
        wheels = folder / "wheels"
        pip = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--disable-pip-version-check",
            "--wheel-dir",
            str(wheels),
        ]
        with console.status("fetching and building wheels"):
            for what in (
                ["--require-hashes", "-r", "requirements-run.lock"],
                ["--no-deps", "--no-build-isolation", "."],
            ):
                done = subprocess.run([*pip, *what], cwd=_ROOT, check=False)
                if done.returncode:
                    console.print("[red]pip could not have all wheels, see above;[/] is there a network?")
                    return 1
        for item in _DOCS:
            source = _ROOT / item
            if source.is_dir():
                shutil.copytree(source, folder / item)
            else:
                shutil.copy(source, folder / item)
        installer = folder / "install.sh"
        installer.write_text(_INSTALLER.format(major=sys.version_info[0], minor=sys.version_info[1]), encoding="utf-8")
        installer.chmod(0o755)
        archive = _ROOT / "build" / f"{name}.tar.gz"
        archive.parent.mkdir(exist_ok=True)
        with console.status("packing"), tarfile.open(archive, "w:gz") as tar:
            tar.add(folder, name)
    size = archive.stat().st_size / 1e6
    console.print(f"{archive.relative_to(_ROOT)}: {size:.0f} MB, SHA-256 {_sha256(archive)}", soft_wrap=True)
    console.print(f"On the other computer: tar xf {archive.name} && {name}/install.sh", soft_wrap=True)
    return 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
