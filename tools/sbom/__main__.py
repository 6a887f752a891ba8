"""``make sbom``: writes build/sbom.cdx.json, and what is in it as a table."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from cyclonedx.model.component import Component, ComponentScope
from rich.console import Console
from rich.table import Table

from bedside.errors import BedsideError
from sbom.document import check, collect, written
from sbom.part import ROOT, Part


def main() -> int:
    """Write the bill and print it; return the exit status."""
    console = Console()
    try:
        parts = collect()
        text = written(parts)
        check(text)
    except BedsideError as error:
        Console(stderr=True).print(f"[red]{error}[/]", soft_wrap=True)
        return 1
    file = ROOT / "build" / "sbom.cdx.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    table = _table(parts)
    console.print(table)
    size = f"{table.row_count} parts, {len(text.encode()) / 1e3:.0f} kB"
    console.print(f"{file.relative_to(ROOT)}: {size}, valid CycloneDX 1.6", soft_wrap=True)
    return 0


def _table(parts: list[Part]) -> Table:
    table = Table()
    for heading in ("name", "version", "licence", "from"):
        table.add_column(heading, overflow="fold")
    for component, origin in _rows(parts):
        table.add_row(component.name, _version(component), _licence(component), origin)
    return table


def _rows(parts: list[Part]) -> Iterator[tuple[Component, str]]:
    """Yield each component with where it comes from; what is for development only comes last."""
    for part in sorted(parts, key=lambda part: part.component.scope is ComponentScope.EXCLUDED):
        yield part.component, part.origin
        for inside in part.component.components:
            yield inside, f"in {part.component.name}"


def _version(component: Component) -> str:
    versions = [entry.value or "" for entry in component.properties if entry.name == "bedside:versions"]
    return component.version or "".join(versions)


def _licence(component: Component) -> str:
    names = (getattr(licence, "value", None) or licence.id or licence.name for licence in component.licenses)
    return "; ".join(filter(None, names)) or "not told here"


if __name__ == "__main__":
    sys.exit(main())
