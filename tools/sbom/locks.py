"""The lock files: exact versions of all packages, and the SHA-256 of every file that each may be installed from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from bedside.errors import BedsideError

# What an installed Bedside needs; the other lock files are for those who develop it.
RUN = "requirements-run.lock"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})(?=\s|\Z)")


@dataclass(frozen=True)
class Locked:
    """A package as a lock file has it; ``marker`` says which computers need it, nothing means all."""

    name: str
    version: str
    marker: str
    sha256: frozenset[str]
    file: str

    @property
    def ref(self) -> str:
        """Its package URL, which is its ``bom-ref``, too."""
        return f"pkg:pypi/{self.name}@{self.version}"


def read_lock(path: Path) -> list[Locked]:
    """Return the packages of a lock file. Raises BedsideError for one without exact version or hash."""
    return [_locked(path, line) for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines() if line]


def read_locks(root: Path) -> dict[str, Locked]:
    """Return the packages of all lock files by their package URLs, those that an installed Bedside needs first.

    A package that is in several is as that of installed Bedsides has it. Raises BedsideError.
    """
    files = sorted(root.glob("requirements*.lock"), key=lambda path: (path.name != RUN, len(path.name), path.name))
    found: dict[str, Locked] = {}
    for path in files:
        for package in read_lock(path):
            found.setdefault(package.ref, package)
    return found


def _locked(path: Path, line: str) -> Locked:
    said, _, _ = line.partition("--hash=")
    try:
        requirement = Requirement(said.strip())
    except InvalidRequirement:
        raise BedsideError(f"{path}: '{said.strip()}' is no requirement; make the file anew with 'make lock'") from None
    versions = [exact.version for exact in requirement.specifier if exact.operator == "=="]
    hashes = frozenset(_HASH.findall(line))
    if len(versions) != 1 or not hashes:
        lack = "exact version" if len(versions) != 1 else "SHA-256"
        raise BedsideError(f"{path}: {requirement.name} has no {lack}; make the file anew with 'make lock'")
    return Locked(requirement.name, versions[0], str(requirement.marker or ""), hashes, path.name)
