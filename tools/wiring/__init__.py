"""The pin tables of docs/wiring.md, made from the board files."""

from __future__ import annotations

from pathlib import Path

import marked
from bedside.boardfile import BoardType, load_board_file
from bedside.boardsheet import lacks, rows
from bedside.places import BOARDS

PAGE, COMMAND = marked.DOCS / "wiring.md", "make wiring"
_HEAD = "| pin | key | the chip's pin is | wire it to |\n|---|---|---|---|\n"


def written() -> str:
    """Return the page with the tables that the board files make in the place of those it has."""
    return marked.replaced(PAGE, COMMAND, "".join(map(_section, sorted(BOARDS.glob("*.toml")))))


def _section(path: Path) -> str:
    board = load_board_file(path)
    table = "".join(f"| {row.pin} | `{row.key}` | {row.role} | {row.wired} |\n" for row in rows(board))
    lines = "".join(f"- {line}\n" for line in lacks(board))
    parts = [f"### {path.stem}: {board.description}\n", _HEAD + table if table else _bare(board), lines]
    return "\n".join(part for part in parts if part) + "\n"


def _bare(board: BoardType) -> str:
    return f"Nothing to wire: {board.channels} simulated joint{'s' * (board.channels > 1)} at most.\n"
