"""The computer's side: the packages of the lock files, what is compiled into their wheels, and Python."""

from __future__ import annotations

import json
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import License, LicenseAcknowledgement
from packageurl import PackageURL

from sbom.graph import Graph, installed
from sbom.locks import RUN, Locked
from sbom.part import Part, properties

PYTHON = "python"
# Before SPDX's names were the rule, whole licence texts stood where the name belongs; no name is longer than this.
_NAME_MAX = 60
_CLASS = "License :: "


def python(root: Path) -> Part:
    """Return the Python that runs Bedside: which one it is, each computer decides."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    component = Component(
        name="CPython",
        type=ComponentType.PLATFORM,
        bom_ref=PYTHON,
        description="the computer's own; not part of Bedside",
        scope=ComponentScope.REQUIRED,
        licenses=licences("PSF-2.0"),
        purl=PackageURL("github", "python", "cpython"),
        properties=properties({"versions": project["requires-python"]}),
    )
    return Part(component, None, "pyproject.toml")


def packages(locked: dict[str, Locked], graph: Graph) -> list[Part]:
    """Return the packages; one that is only for those who develop Bedside has the scope ``excluded``.

    Licence and needs are those that a package tells where it is installed. One that only another computer needs, or
    only another Python, has what the lock file says.
    """
    return [_package(package, graph.needs(package)) for package in locked.values()]


def licences(said: str) -> list[License]:
    """Return a licence as its owner declares it: SPDX's expression where it is one, else the words."""
    if not said:
        return []
    return [LicenseFactory().make_from_string(said, license_acknowledgement=LicenseAcknowledgement.DECLARED)]


def _package(package: Locked, needs: frozenset[str] | None) -> Part:
    found = installed(package)
    runs = package.file == RUN
    component = Component(
        name=package.name,
        version=package.version,
        bom_ref=package.ref,
        purl=PackageURL("pypi", None, package.name, package.version),
        scope=ComponentScope.REQUIRED if runs else ComponentScope.EXCLUDED,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=content) for content in package.sha256],
        licenses=licences(_licence(found.metadata)) if found else [],
        # Tools of development are not taken apart.
        components=_inside(package, found) if found and runs else [],
        properties=properties({"lock": package.file, "only": package.marker}),
    )
    return Part(component, needs, package.file)


def _licence(said: metadata.PackageMetadata) -> str:
    """Return what a package calls its licence: by the rule of today, in a word of its own, or by its classifiers."""
    if expressions := said.get_all("License-Expression"):
        return str(expressions[0])
    text = "".join(said.get_all("License") or []).strip().removeprefix("UNKNOWN")
    if text and len(text) <= _NAME_MAX:
        return text
    classes = [line for line in said.get_all("Classifier") or [] if line.startswith(_CLASS)]
    return "; ".join(line.rpartition(" :: ")[2] for line in classes) or text.partition("\n")[0].strip()


def _inside(package: Locked, found: metadata.Distribution) -> list[Component]:
    """Return what the bills of materials that a wheel brings along (PEP 770) say is compiled into it.

    This is where the OpenSSL of ``cryptography`` is.
    """
    inside = {}
    for file in found.files or []:
        if "sboms" in file.parts and file.name.endswith(".json"):
            for said in json.loads(file.read_text(encoding="utf-8")).get("components", []):
                # The wheel's own modules are the package itself, and what only built it is not in it.
                if said.get("version") != package.version and said.get("scope") != "excluded":
                    part = _compiled_in(package, said)
                    inside[part.bom_ref.value] = part
    return list(inside.values())


def _compiled_in(package: Locked, said: dict[str, Any]) -> Component:
    name, version, purl = said["name"], said.get("version"), said.get("purl", "")
    told = [{**entry, **entry.get("license", {})} for entry in said.get("licenses", [])]
    names = [entry.get("expression") or entry.get("id") or entry.get("name") for entry in told]
    return Component(
        name=name,
        version=version,
        bom_ref=f"{package.ref}#{name}@{version}" if version else f"{package.ref}#{name}",
        scope=ComponentScope(said.get("scope", ComponentScope.REQUIRED)),
        licenses=licences(" AND ".join(filter(None, names))),
        # Whoever built the wheel may have left folders of their own in it.
        purl=PackageURL.from_string(purl) if purl and "file:" not in purl else None,
    )
