"""The document: all parts under Bedside itself, as CycloneDX 1.6 in JSON; the same inputs give the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.dependency import Dependency
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import bedside
from bedside.errors import BedsideError
from sbom.board import SIMULATED, boards
from sbom.graph import Graph, own_needs
from sbom.host import licences, packages, python
from sbom.locks import read_locks
from sbom.part import ROOT, Part, properties

_BEDSIDE = "bedside"


def collect() -> list[Part]:
    """Return Bedside itself and then all its parts. Raises BedsideError if a lock or board file makes no sense."""
    locked = read_locks(ROOT)
    roots = own_needs(ROOT)
    graph = Graph(locked.values(), roots)
    simulated = [package.ref for package in graph.called(SIMULATED)]
    interpreter, ours = python(ROOT), boards(simulated)
    direct = {package.ref for need in roots for package in graph.called(need.name)}
    # Besides firmware, what runs on a board only while its REPL has the port.
    direct |= {part.ref for part in ours}.difference(*(part.needs or () for part in ours))
    return [_bedside(frozenset({interpreter.ref, *direct})), interpreter, *packages(locked, graph), *ours]


def written(parts: list[Part]) -> str:
    """Return the document. Raises BedsideError if SOURCE_DATE_EPOCH makes no sense."""
    own, *others = parts
    bom = Bom(components=[part.component for part in others])
    bom.metadata.component = own.component
    refs = {part.ref: part.component.bom_ref for part in parts}
    for part in parts:
        bom.dependencies.add(Dependency(refs[part.ref], [Dependency(refs[need]) for need in part.needs or ()]))
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    # The library writes no needs as none; a part that is not in the list is one whose needs are not known.
    unknown = {part.ref for part in parts if part.needs is None}
    document["dependencies"] = [entry for entry in document["dependencies"] if entry["ref"] not in unknown]
    # It also gives each document a time and a number of its own.
    del document["metadata"]["timestamp"], document["serialNumber"]
    if time := _time():
        document["metadata"]["timestamp"] = time
    number = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(document, sort_keys=True))
    return json.dumps({**document, "serialNumber": number.urn}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def check(text: str) -> None:
    """Hold a document against CycloneDX's schema. Raises BedsideError, which names the place and what is wrong."""
    try:
        error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    except json.JSONDecodeError as wrong:
        raise BedsideError(f"the bill of materials is no JSON: {wrong}") from None
    if error:
        raise BedsideError(f"the bill of materials is not CycloneDX 1.6: {error.data.json_path}: {error.data.message}")


def _bedside(needs: frozenset[str]) -> Part:
    component = Component(
        name=_BEDSIDE,
        version=bedside.__version__,
        type=ComponentType.APPLICATION,
        bom_ref=_BEDSIDE,
        licenses=licences("Apache-2.0"),
        properties=properties({"revision": revision(ROOT)}),
    )
    return Part(component, needs, "")


def revision(root: Path) -> str:
    """Return git's name of what is checked out, with ``-dirty`` if files differ from it; nothing outside a checkout."""
    if not (root / ".git").exists():
        return ""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _time() -> str:
    """Return the time that SOURCE_DATE_EPOCH (seconds since 1970) says, or nothing."""
    said = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        return datetime.fromtimestamp(int(said), UTC).isoformat() if said else ""
    except (ValueError, OverflowError, OSError):
        raise BedsideError(f"SOURCE_DATE_EPOCH={said}: is no number of seconds since 1970; unset it") from None
