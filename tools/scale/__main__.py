"""`make scale`: arms of 1 to 8 boards with four joints each, at 1 kHz, beside bare echoes of as many boards.

Ends with status 1 if the bridge is late in too many of its cycles.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

import campaign
from bedside.errors import BedsideError
from scale import table
from scale.boards import host_and_boards_apart
from scale.measure import Run, measure

COUNTS = [1, 2, 4, 8]
# A computer that stands still for longer than an arm bears stops it, as it should; then a run is tried again.
TRIES = 3


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="make scale")
    parser.add_argument("--boards", type=int, nargs="+", default=COUNTS, help="of each arm (default 1 2 4 8)")
    parser.add_argument("--runs", type=int, default=3, help="of each arm, in turn with the others (default 3)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run (default 5)")
    parser.add_argument("--output", type=Path, default=Path("build/scale"))
    parser.add_argument("--page", action="store_true", help="write the table into docs/performance.md, too")
    arguments = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=160)
    arguments.output.mkdir(parents=True, exist_ok=True)
    runs: list[Run] = []
    with host_and_boards_apart(), Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=arguments.runs * len(arguments.boards))
        # In turn, so that a busy neighbour disturbs all alike.
        for _ in range(arguments.runs):
            for count in arguments.boards:
                progress.update(task, description=f"an arm of {count} boards")
                runs.append(_undisturbed(count, arguments.seconds, console))
                progress.advance(task)
    rows = [table.row([run for run in runs if run.boards == count]) for count in arguments.boards]
    table.show(rows, console)
    table.write_json(rows, runs, arguments.output / "results.json")
    table.draw(rows, arguments.output / "scale.png")
    if arguments.page:
        table.write_page(rows)
    console.print(f"figures: {arguments.output / 'results.json'}; picture: {arguments.output / 'scale.png'}")
    beyond = [each for each in rows if not each.is_held]
    for each in beyond:
        console.print(
            f"does not hold: with {each.boards} boards {100 * each.late:.2f} % of the cycles begin late, beside a bare "
            f"timer's {100 * each.bare_late:.2f} %; {100 * table.LATE_MAX:g} % more are allowed",
            style="red",
        )
    return 1 if beyond else 0


def _undisturbed(count: int, seconds: float, console: Console) -> Run:
    for attempt in range(1, TRIES + 1):
        try:
            return measure(count, seconds)
        except BedsideError as error:
            if attempt == TRIES:
                raise
            console.print(f"{count} boards: {error}; once more", markup=False)
    raise AssertionError


if __name__ == "__main__":
    campaign.run("make scale", main)
