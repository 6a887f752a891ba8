"""The tables of docs/performance.md, each between the marks of the command that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"


def write_table(
    command: str, heads: Sequence[str], rows: Sequence[Sequence[str]], note: str, page: Path = PAGE
) -> None:
    """Put a table, and a ``note`` on it, in the place of the one that ``command`` wrote last."""
    begin, end = f"<!-- {command} writes from here -->\n", "<!-- to here -->\n"
    lines = [heads, ["---"] * len(heads), *rows]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + f"\n{note[0].upper()}{note[1:]}.\n"
    before, mark, rest = page.read_text(encoding="utf-8").partition(begin)
    _, closing, after = rest.partition(end)
    if not mark or not closing:
        raise ValueError(f"{page}: no place for the table of '{command}'; it needs the lines {begin!r} and {end!r}")
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
