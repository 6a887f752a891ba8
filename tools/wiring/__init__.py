"""The pin tables of docs/wiring.md, made from the board files."""

from __future__ import annotations

from pathlib import Path

from bedside.boardfile import BoardType, load_board_file
from bedside.boardsheet import lacks, rows
from bedside.places import BOARDS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "wiring.md"
BEGIN, END = "<!-- boards -->\n", "<!-- /boards -->\n"
_HEAD = "| pin | key | the chip's pin is | wire it to |\n|---|---|---|---|\n"


def written() -> str:
    """Return the page with the tables that the board files make in the place of those it has."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return before + BEGIN + "".join(map(_section, sorted(BOARDS.glob("*.toml")))) + END + rest.partition(END)[2]


def _section(path: Path) -> str:
    board = load_board_file(path)
    table = "".join(f"| {row.pin} | `{row.key}` | {row.role} | {row.wired} |\n" for row in rows(board))
    lines = "".join(f"- {line}\n" for line in lacks(board))
    parts = [f"### {path.stem}: {board.description}\n", _HEAD + table if table else _bare(board), lines]
    return "\n".join(part for part in parts if part) + "\n"


def _bare(board: BoardType) -> str:
    return f"Nothing to wire: {board.channels} simulated joint{'s' * (board.channels > 1)} at most.\n"
