"""`make endurance MINUTES=30`: one bridge and eight boards for long, with restarts, lost bytes and consoles that leave.

Ends with status 1 if the bridge does not serve to the end, or grows, or gets late.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import campaign
from bedside.cell import load_cell
from bedside.errors import SurgeonError
from scale.bare_timer import bare_timer
from scale.boards import boards, host_and_boards_apart
from scale.bridged import bridge, credentials_of
from scale.cells import write_cell
from scale.churn import CONSOLES, Churn, Round
from scale.measure import free_port
from scale.table import LATE_MAX

BOARDS = 8
LOSSY_BOARD = Path(__file__).with_name("lossy_board.py")
# What a round may add to the memory. A console's association that is never given back takes 70 kB.
GROWTH_MAX = 20_000
# With fewer rounds, eight minutes of them, what is filled once is not full yet, and memory is shown and not judged.
ROUNDS_MIN = 60
# Rounds that fail because this computer stood still, or a frame too many was lost, before the arm was followed.
FAILED_MAX = 0.2
_WARM_UP = 1 / 3


def main() -> int:
    """Run for the minutes that were asked for, and judge."""
    parser = argparse.ArgumentParser(prog="make endurance")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--output", type=Path, default=Path("build/scale"))
    arguments = parser.parse_args()
    console = Console() if sys.stdout.isatty() else Console(width=140)
    arguments.output.mkdir(parents=True, exist_ok=True)
    rounds: list[Round] = []
    failed: list[str] = []
    with (
        host_and_boards_apart(),
        tempfile.TemporaryDirectory(prefix="bedside-") as name,
        Progress(console=console, transient=True) as progress,
    ):
        folder = Path(name)
        cell_path = write_cell(folder, BOARDS, free_port())
        cell = load_cell(cell_path)
        consoles = credentials_of(cell, folder, CONSOLES)
        with boards(cell_path, folder, LOSSY_BOARD) as world, bridge(cell_path, folder) as process:
            with bare_timer() as bare_late:
                churn = Churn(cell, consoles, process, world, bare_late)
                begun_s = time.monotonic()
                task = progress.add_task("running", total=60 * arguments.minutes)
                number = 0
                while time.monotonic() - begun_s < 60 * arguments.minutes and process.poll() is None:
                    try:
                        rounds.append(churn.round(number))
                    except SurgeonError as error:
                        failed.append(str(error))
                        console.print(f"round {number}: {error}", markup=False)
                    number += 1
                    progress.update(task, completed=time.monotonic() - begun_s, description=f"{number} rounds")
            serves = process.poll() is None
        if not serves:
            console.print((folder / "bridge.log").read_text(errors="replace")[-1000:], markup=False)
    wrong = [] if serves else ["the bridge has ended"]
    wrong += judge(rounds, len(failed))
    show(rounds, failed, console)
    path = arguments.output / "endurance.json"
    path.write_text(json.dumps([dataclasses.asdict(each) for each in rounds], indent=1) + "\n", encoding="utf-8")
    if rounds:
        draw(rounds, arguments.output / "endurance.png")
    console.print(f"figures: {path}; picture: {arguments.output / 'endurance.png'}")
    for line in wrong:
        console.print(f"does not hold: {line}", style="red")
    return 1 if wrong else 0


def judge(rounds: Sequence[Round], failed: int) -> list[str]:
    """Return what does not hold. Memory and descriptors are looked at when no console is there.

    The first third of the rounds fills what is filled once. From there on the line through the rounds' memory must not
    rise, if there are enough of them, and no more descriptors be open than at first.
    """
    wrong: list[str] = []
    if failed > FAILED_MAX * (len(rounds) + failed):
        wrong.append(f"{failed} of {len(rounds) + failed} rounds failed, {FAILED_MAX:.0%} are allowed")
    warm = rounds[round(_WARM_UP * len(rounds)) :]
    if len(warm) < 2:
        return [*wrong, f"{len(rounds)} rounds say nothing; run for more minutes"]
    growth = growth_of(warm)
    if growth > GROWTH_MAX and len(rounds) >= ROUNDS_MIN:
        wrong.append(f"memory grows by {growth / 1000:.0f} kB a round, {GROWTH_MAX / 1000:.0f} are allowed")
    if warm[-1].descriptors > warm[0].descriptors:
        wrong.append(f"{warm[-1].descriptors} descriptors are open, after a third of the rounds {warm[0].descriptors}")
    cycles = sum(each.cycles for each in rounds)
    late = sum(each.late - each.bare_late for each in rounds)
    if late >= LATE_MAX * cycles:
        wrong.append(f"{late} of {cycles} cycles were late beyond a bare timer's, {LATE_MAX:.1%} are allowed")
    return wrong


def growth_of(rounds: Sequence[Round]) -> float:
    """Return how many bytes of memory a round adds, by the line through all of them."""
    return statistics.linear_regression(range(len(rounds)), [each.rss_bytes for each in rounds]).slope


def show(rounds: Sequence[Round], failed: Sequence[str], console: Console) -> None:
    """Print how it went, by thirds."""
    table = Table("rounds", "until", "late cycles", "bare timer", "stopped by itself", "memory", "descriptors")
    size = -(-len(rounds) // 3) or 1
    for begin in range(0, len(rounds), size):
        part = rounds[begin : begin + size]
        cycles = sum(each.cycles for each in part)
        table.add_row(
            str(len(part)),
            f"{part[-1].at_s / 60:.1f} min",
            f"{100 * sum(each.late for each in part) / cycles:.3f} %",
            f"{100 * sum(each.bare_late for each in part) / cycles:.3f} %",
            str(sum(each.stopped for each in part)),
            f"{part[0].rss_bytes / 1e6:.2f} to {part[-1].rss_bytes / 1e6:.2f} MB",
            f"{min(each.descriptors for each in part)} to {max(each.descriptors for each in part)}",
        )
    console.print(table)
    if len(rounds) > 2:
        growth = growth_of(rounds[round(_WARM_UP * len(rounds)) :])
        judged = "" if len(rounds) >= ROUNDS_MIN else f"; judged from {ROUNDS_MIN} rounds on"
        console.print(f"after a third of the rounds memory grows by {growth / 1000:.1f} kB a round{judged}")
    console.print(f"{len(failed)} rounds in which the arm was not followed in time")


def draw(rounds: Sequence[Round], path: Path) -> None:
    """Draw memory, descriptors and late cycles over the time."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    minutes = [each.at_s / 60 for each in rounds]
    figure, axes = plt.subplots(3, 1, figsize=(9, 7), sharex=True, layout="constrained")
    axes[0].plot(minutes, [each.rss_bytes / 1e6 for each in rounds], marker=".")
    axes[0].set(title="the bridge, when every console has left", ylabel="memory, MB")
    axes[1].plot(minutes, [each.descriptors for each in rounds], marker=".")
    axes[1].set(ylabel="descriptors", ylim=0)
    axes[2].plot(minutes, [100 * each.late / each.cycles for each in rounds], marker=".", label="bridge")
    axes[2].plot(minutes, [100 * each.bare_late / each.cycles for each in rounds], "--", label="bare timer")
    axes[2].set(title="while the arm follows", ylabel="late cycles, %", xlabel="minutes", ylim=0)
    axes[2].legend(fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    campaign.run("make endurance", main)
