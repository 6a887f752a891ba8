"""`make bench`: what Bedside costs, beside what it could cost at best and what others cost, all in one run.

Absolute times are this machine's, at this hour; the ratios carry over. Runs of the contestants alternate, and the
figures are medians over them, so that a busy neighbour disturbs all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import belay
from repl_board import repl_board
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from round_trip import round_trips

from bedside.errors import SurgeonError
from bedside.places import BOARDS, FIRMWARE
from bedside.sim.board import interpreter
from cortex_m3 import board as cortex_m3
from cortex_m3 import counts
from scale.boards import host_and_boards_apart
from scale.echoes import echoes
from scale.page import write_table

HERE = Path(__file__).parent
OUTPUT = Path("build/bench")
ROUNDS = 5
SECONDS = 4.0
BELAY_CALLS = 300
ATTEMPTS = 6
HEADS = ["what", "Bedside", "beside", "takes", "ratio", "held to"]
NOTE = f"medians of {ROUNDS} alternating runs on this machine"
COUNTED_HEADS = ["what", "mean", "largest", "budget"]
COUNTED_NOTE = "instructions on the emulated Cortex-M3, the same in every run"


@dataclass
class Figure:
    """One line of the table: ours beside another's, and the ratio that we hold ourselves to."""

    what: str
    ours: float
    other: str
    others: float
    unit: str
    ratio: float
    held_to: str
    met: bool


def on_board() -> dict[str, float]:
    """Return nanoseconds by name from one run of on_board.py on a board's heap."""
    done = subprocess.run(
        [interpreter(), "-X", "heapsize=192K", str(HERE / "on_board.py")],
        env={**os.environ, "MICROPYPATH": f"{FIRMWARE}:.frozen"},
        capture_output=True,
        text=True,
        check=True,
    )
    return {name: float(ns) for name, ns in (line.split() for line in done.stdout.splitlines())}


def belay_calls() -> list[float]:
    """Return microseconds of task calls to a simulated board through belay."""
    with repl_board() as port:
        device = belay.Device(port, startup="import os, time", auto_sync_time=False)

        @device.task
        def echo(x):  # type: ignore[no-untyped-def]
            return x

        times = []
        for k in range(BELAY_CALLS):
            begun = time.perf_counter_ns()
            echo(k)
            times.append((time.perf_counter_ns() - begun) / 1000)
        device.close()
        return times


def patient_cell(folder: Path) -> Path:
    """Write the arm's cell file with the longest timeouts, so that a stall of this machine ends no run."""
    cell = folder / "cell.toml"
    text = (BOARDS / "cells" / "psm.toml").read_text(encoding="utf-8")
    changes = {
        "operator_timeout_ms = 100": "operator_timeout_ms = 500",
        "link_timeout_ms = 30": "link_timeout_ms = 200",
        "../plants": str(BOARDS / "plants"),
    }
    for old, new in changes.items():
        text = text.replace(old, new)
    cell.write_text(text, encoding="utf-8")
    return cell


def undisturbed(cell: Path, folder: Path) -> tuple[list[int], list[int]]:
    """Measure the bridge; again if this machine stalled for so long that the arm stopped, as it should."""
    for attempt in range(ATTEMPTS):
        try:
            return round_trips(cell, folder, SECONDS)
        except SurgeonError:
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError


def p50(times: list[float]) -> float:
    """Return the median."""
    return statistics.median(times)


def p99(times: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(times)[int(0.99 * (len(times) - 1))]


def faster(what: str, ours: float, other: str, others: float, unit: str, at_least: float) -> Figure:
    """Return a figure that is good when ``others`` is at least so many times ``ours``; 0 for no such limit."""
    held_to = f">= {at_least:g}x faster" if at_least else ""
    return Figure(what, ours, other, others, unit, others / ours, held_to, others >= at_least * ours)


def slower(what: str, ours: float, other: str, others: float, at_most: float) -> Figure:
    """Return a figure that is good when ``ours`` is at most so many times ``others``; 0 for no such limit."""
    held_to = f"<= {at_most:g}x the limit" if at_most else ""
    return Figure(what, ours, other, others, "us", ours / others, held_to, not at_most or ours <= at_most * others)


def main() -> None:
    """Run all contestants in turn, print the tables, write results.json."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--page", action="store_true", help="write the tables into docs/performance.md, too")
    arguments = parser.parse_args()
    board: dict[str, list[float]] = {}
    trips: dict[str, list[list[float]]] = {"echo": [], "round": [], "console": [], "belay": []}
    with host_and_boards_apart(), tempfile.TemporaryDirectory(prefix="bedside-") as folder, Progress() as progress:
        task = progress.add_task("measuring", total=4 * ROUNDS)
        cell = patient_cell(Path(folder))
        for _ in range(ROUNDS):
            for name, ns in on_board().items():
                board.setdefault(name, []).append(ns)
            progress.advance(task)
            trips["echo"].append([float(us) for us in echoes(cell, Path(folder), SECONDS)])
            progress.advance(task)
            whole, rounds = undisturbed(cell, Path(folder))
            trips["console"].append([float(us) for us in whole])
            trips["round"].append([float(us) for us in rounds])
            progress.advance(task)
            trips["belay"].append(belay_calls())
            progress.advance(task)
    ns = {name: statistics.median(values) for name, values in board.items()}
    half = {name: statistics.median(map(p50, runs)) for name, runs in trips.items()}
    tail = {name: statistics.median(map(p99, runs)) for name, runs in trips.items()}
    frames_out, whole_way = "frames out to all answers in", "console to boards and back, DTLS and every check"
    figures = [
        faster("joint tick", ns["tick_viper"], "plain float Python", ns["tick_float"], "ns", 20),
        faster("frame decode and check", ns["decode_viper"], "plain Python", ns["decode_plain"], "ns", 0),
        slower(f"{frames_out}, p50", half["round"], "bare echo", half["echo"], 0),
        slower(f"{frames_out}, p99", tail["round"], "bare echo", tail["echo"], 1.5),
        slower(f"{whole_way}, p50", half["console"], "bare echo", half["echo"], 0),
        slower(f"{whole_way}, p99", tail["console"], "bare echo", tail["echo"], 3),
        faster(f"{whole_way}, p50", half["console"], "belay task call", half["belay"], "us", 3),
    ]
    show(figures)
    instructions = counted()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    result = {"figures": [asdict(figure) for figure in figures], "p50_us": half, "p99_us": tail, "ns": ns}
    result["instructions"] = instructions
    (OUTPUT / "results.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if arguments.page:
        write_table("make bench", HEADS, list(map(cells, figures)), NOTE)
        if instructions:
            write_table("make bench (instructions)", COUNTED_HEADS, counted_cells(instructions), COUNTED_NOTE)


def counted() -> dict[str, tuple[int, int]]:
    """Print and return the instructions (mean, largest) of the firmware's parts on the emulated Cortex-M3."""
    console = Console(width=None if Console().is_terminal else 140)
    missing = cortex_m3.available()
    if missing:
        console.print(f"no instruction counts: {missing}")
        return {}
    found = counts.counts()
    table = Table(title=COUNTED_NOTE, title_justify="left")
    for column in COUNTED_HEADS:
        table.add_column(column, justify="left" if column == "what" else "right")
    for line in counted_cells(found):
        table.add_row(*line)
    console.print(table)
    fewer = found["joint_tick_plain_float"][0] / found["joint_tick"][0]
    console.print(f"joint tick: {fewer:.1f}x fewer than plain float Python with the same checks (held to >= 25x)")
    return found


def counted_cells(found: dict[str, tuple[int, int]]) -> list[list[str]]:
    """Return what ``COUNTED_HEADS`` names, by part."""
    most = counts.budgets()
    return [
        [name, f"{mean:,}", f"{largest:,}", f"{most[name]:,}" if name in most else ""]
        for name, (mean, largest) in found.items()
    ]


def cells(figure: Figure) -> list[str]:
    """Return what ``HEADS`` names."""
    verdict = f"{figure.held_to} {'met' if figure.met else 'MISSED'}" if figure.held_to else ""
    numbers = [f"{figure.ours:,.0f} {figure.unit}", figure.other, f"{figure.others:,.0f} {figure.unit}"]
    return [figure.what, *numbers, f"{figure.ratio:.2f}", verdict]


def show(figures: list[Figure]) -> None:
    """Print the table."""
    table = Table(title=NOTE, title_justify="left")
    for column in HEADS:
        table.add_column(column, justify="right" if column in ("Bedside", "takes", "ratio") else "left")
    for figure in figures:
        table.add_row(*cells(figure))
    console = Console(width=None if Console().is_terminal else 140)
    console.print(table)
    console.print(f"results: {OUTPUT / 'results.json'}")


if __name__ == "__main__":
    main()
