"""The tables of docs/performance.md, each between the marks of the command that writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import marked

PAGE = marked.DOCS / "performance.md"


def write_table(
    command: str, heads: Sequence[str], rows: Sequence[Sequence[str]], note: str, page: Path = PAGE
) -> None:
    """Put a table, and a ``note`` on it, in the place of the one that ``command`` wrote last."""
    text = marked.table(heads, rows, note)
    page.write_text(marked.replaced(page, command, f"\n{text}\n"), encoding="utf-8")
