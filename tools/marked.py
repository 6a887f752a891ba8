"""The parts of the pages in docs/ that commands write: each stands between two marks that name its command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
_END = "<!-- to here -->\n"


def told(page: Path, command: str) -> str:
    """Return what ``command`` wrote last into ``page``. Raises ValueError if it has no place there."""
    return _split(page, command)[1]


def replaced(page: Path, command: str, text: str) -> str:
    """Return ``page`` with ``text`` in the place of what ``command`` wrote last. Raises ValueError."""
    before, _, after = _split(page, command)
    return before + text + after


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> str:
    """Return a table with a ``note`` on it."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + f"\n{note[0].upper()}{note[1:]}.\n"


def _split(page: Path, command: str) -> tuple[str, str, str]:
    """Return what is before the command's part, its mark included, that part, and what is behind it."""
    begin = f"<!-- {command} writes from here -->\n"
    before, mark, rest = page.read_text(encoding="utf-8").partition(begin)
    part, closing, after = rest.partition(_END)
    if not mark or not closing:
        raise ValueError(f"{page}: no place for the table of '{command}'; it needs the lines {begin!r} and {_END!r}")
    return before + begin, part, _END + after
