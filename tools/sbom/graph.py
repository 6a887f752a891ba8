"""Which package needs which, as the metadata of those that are installed here tells."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from importlib import metadata
from itertools import product
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from sbom.locks import Locked

# The kinds of computers that the lock files are for; what one of them needs is needed.
_SYSTEMS = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
)
_PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_MACHINES = ("x86_64", "arm64")
_COMPUTERS = [
    {**system, "python_version": python, "python_full_version": f"{python}.0", "platform_machine": machine}
    for system, python, machine in product(_SYSTEMS, _PYTHONS, _MACHINES)
]


def installed(package: Locked) -> metadata.Distribution | None:
    """Return a package's metadata, if it is installed here in this version."""
    try:
        found = metadata.distribution(package.name)
    except metadata.PackageNotFoundError:
        return None
    return found if Version(found.version) == Version(package.version) else None


def own_needs(root: Path) -> list[Requirement]:
    """Return what pyproject.toml says that Bedside needs, to run and to be developed."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    return [Requirement(line) for lines in (project["project"]["dependencies"], *extras, *groups) for line in lines]


class Graph:
    """What the packages of the lock files need of each other.

    A need that no kind of computer has is none; one of an optional part (``package[part]``) is one where somebody asks
    for that part.
    """

    def __init__(self, locked: Iterable[Locked], roots: list[Requirement]) -> None:
        self._named: dict[str, list[Locked]] = {}
        for package in locked:
            self._named.setdefault(canonicalize_name(package.name), []).append(package)
        # Of each package that is needed, which parts somebody asks for; "" is the package itself.
        self._parts: dict[str, set[str]] = {}
        waiting = list(roots)
        while waiting:
            wanted = waiting.pop()
            asked = self._parts.setdefault(canonicalize_name(wanted.name), set())
            new = {"", *wanted.extras} - asked
            asked |= new
            if new:
                waiting += [need for package in self.called(wanted.name) for need in self._asks(package, new)]

    def called(self, name: str) -> list[Locked]:
        """Return the packages of this name: several, where kinds of computers need different versions."""
        return self._named.get(canonicalize_name(name), [])

    def needs(self, package: Locked) -> frozenset[str] | None:
        """Return the package URLs of what a package needs; None if it is not installed here."""
        if installed(package) is None:
            return None
        parts = self._parts.get(canonicalize_name(package.name), {""})
        return frozenset(other.ref for need in self._asks(package, parts) for other in self.called(need.name))

    def _asks(self, package: Locked, parts: set[str]) -> Iterator[Requirement]:
        """Yield what these parts of a package ask for, of what the lock files have."""
        found = installed(package)
        if found is None:
            return
        for need in map(Requirement, found.requires or []):
            if self.called(need.name) and _is_for_any(need.marker, parts):
                yield need


def _is_for_any(marker: Marker | None, parts: set[str]) -> bool:
    return marker is None or any(
        marker.evaluate({**computer, "extra": part}) for computer in _COMPUTERS for part in parts
    )
