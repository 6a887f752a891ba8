"""`make wan`: the arm on each bad network and through outages, beside other transports.

Ends with status 1 if what it holds to does not hold.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import campaign
from bedside.errors import BedsideError
from wan import show
from wan.cases import Case, outages, profiles
from wan.result import Result, Trace, evaluate
from wan.run import run

RECORDING = Path(__file__).resolve().parents[3] / "shared" / "recordings" / "dvrk_psm_joints_200hz.csv.gz"
# At 20 ms and 1 % loss, of the ages through DTLS.
LATE_MAX = {"lab": 0.005}
# A computer that stands still for longer disturbs what is measured; then a case is tried again, so often.
STALL_MS, TRIES = 15.0, 4


def main() -> int:
    """Run the cases."""
    parser = argparse.ArgumentParser(prog="make wan")
    parser.add_argument("--profile", help="only this network, and no outages")
    parser.add_argument("--recording", type=Path, default=RECORDING if RECORDING.is_file() else None)
    parser.add_argument("--seconds", type=float, default=20.0, help="of motion (default 20)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path("build/wan"))
    parser.add_argument("--page", action="store_true", help="write the tables into docs/network.md, too")
    arguments = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=140)
    cases = [case for case in profiles() if arguments.profile in (None, case.name)]
    if not cases:
        parser.error(
            f"there is no bad network '{arguments.profile}': use {', '.join(each.name for each in profiles())}"
        )
    if arguments.profile is None:
        cases += outages()
    results: list[Result] = []
    traces: list[Trace] = []
    wrong: list[str] = []
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        for number, case in enumerate(cases, start=1):
            progress.add_task(f"{case.name} ({number} of {len(cases)})", total=None)
            if found := _best(case, arguments, console):
                results.append(found[0])
                traces.append(found[1])
            else:
                wrong.append(f"{case.name}: the motion has not come to its end")
            progress.remove_task(progress.task_ids[0])
    show.show(results, console)
    show.write_json(results, arguments.output / "results.json")
    show.draw(results, traces, arguments.output / "wan.png")
    if arguments.page:
        show.write_page(results)
    console.print(f"figures: {arguments.output / 'results.json'}; picture: {arguments.output / 'wan.png'}")
    wrong += [line for result in results for line in failings(result)]
    for line in wrong:
        console.print(f"does not hold: {line}", style="red")
    return 1 if wrong else 0


def _best(case: Case, arguments: argparse.Namespace, console: Console) -> tuple[Result, Trace] | None:
    """Run a case, again where the computer itself stood still; return the result in which it did so least."""
    best: tuple[Result, Trace] | None = None
    folder = arguments.output / case.folder
    for _ in range(TRIES):
        try:
            found = evaluate(run(case, arguments.recording, arguments.seconds, arguments.seed, folder))
        except BedsideError as error:
            console.print(f"{case.name}: {error}", markup=False)
            continue
        best = min(best or found, found, key=lambda pair: (pair[0].was_silent, pair[0].stall_ms))
        if best[0].stall_ms <= STALL_MS and not best[0].was_silent:
            break
        silent = ", and boards could not answer" if found[0].was_silent else ""
        console.print(f"{case.name}: this computer stood still for {found[0].stall_ms:.0f} ms{silent}")
    return best


def failings(result: Result) -> list[str]:
    """Return what does not hold that must."""
    wrong = []
    most, bedside = LATE_MAX.get(result.case), result.ages.get("bedside")
    if most is not None and bedside and bedside.late > most:
        wrong.append(f"{result.case}: {bedside.late:.2%} of the ages are late, {most:.1%} are allowed")
    if result.step > 1:
        wrong.append(f"{result.case}: a setpoint's step is {result.step:.0%} of its joint's limit")
    return wrong


if __name__ == "__main__":
    campaign.run("make wan", main)
