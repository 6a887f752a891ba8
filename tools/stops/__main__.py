"""`make stops`: injects every kind of failure into a moving arm, several times, and writes what the docs show.

Ends with status 1 if a stop exceeded a limit that it is held to.
"""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import track

from bedside.hil.failures import FAILURES
from bedside.hil.stopping import MOMENTS, inject
from stops import pictures, table


def main() -> int:
    """Run the campaign."""
    console = Console()
    rows: list[str] = []
    wrong: list[str] = []
    for failure in track(FAILURES, "stopping", console=console):
        results = [inject(failure, moment) for moment in MOMENTS]
        rows.append(table.row(failure, results))
        wrong += [f"{failure.name}: {line}" for result in results for line in result.wrong]
    table.PAGE.write_text(table.written(rows), encoding="utf-8")
    pictures.draw_all()
    console.print(f"{len(FAILURES)} kinds of failure, {len(MOMENTS)} times each: {table.PAGE.name} has the table")
    for line in wrong:
        console.print(f"beyond its limit: {line}", style="red")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
