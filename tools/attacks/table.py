"""The table of attacks: a row for each test in tests/security whose docstring says 'attack -> what happens'."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import marked

_ROOT = Path(__file__).resolve().parents[2]
ATTACKS = _ROOT / "tests" / "security"
PAGE, COMMAND = marked.DOCS / "security.md", "make attacks"
_HEAD = "| attack | what happens | shown by |\n|---|---|---|\n"
_ARROW = " -> "
# In this order; each file's first line says who attacks.
_FILES = (
    "test_on_the_path.py",
    "test_beside_the_path.py",
    "test_certificates.py",
    "test_hostile_bridge.py",
    "test_raven.py",
    "test_fuzzed_datagrams.py",
)


@dataclass(frozen=True)
class Row:
    """One attack; ``test`` is the function that shows it."""

    attack: str
    happens: str
    test: str


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the rows of one file. Raises ValueError for a test that does not say what it attacks."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            attack, arrow, happens = (ast.get_docstring(node) or "").partition(_ARROW)
            if not arrow:
                raise ValueError(f"{path.name}: {node.name}: its docstring says no 'attack{_ARROW}what happens'")
            yield Row(attack, happens, node.name)


def table() -> str:
    """Return the tables as the page has them."""
    text = ""
    for name in _FILES:
        path = ATTACKS / name
        who = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        lines = (f"| {row.attack} | {row.happens} | `{row.test}` |\n" for row in rows_of(path))
        text += f"\n**{who}** `tests/security/{name}`\n\n{_HEAD}{''.join(lines)}"
    return text + "\n"


def told() -> str:
    """Return the tables that the page has."""
    return marked.told(PAGE, COMMAND)


def written() -> str:
    """Return the page with the tables of now."""
    return marked.replaced(PAGE, COMMAND, table())
