"""The results as people see them: tables, ``results.json``, a picture, and the table of docs/network.md."""

from __future__ import annotations

import dataclasses
import json
from bisect import bisect_left, bisect_right
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import marked
from wan.figures import LATE_MS, Error
from wan.result import Result, Trace

PAGE, COMMAND = marked.DOCS / "network.md", "make wan"
TRANSPORTS = {"bedside": "Bedside (DTLS)", "tls": "TLS over TCP", "udp": "plain UDP"}
MOTION = ["network", "error RMS", "largest", "pauses", "stops", "longest gap", "travel in a gap", "step", "computer"]
MOTION_NOTE = (
    "error: measured position minus the console's setpoint of the network's own delay before, worst joint, while the "
    "arm follows; gap: from one command to the next that boards took, where that is more than 2.5 periods; travel: how "
    "far a joint went in one; step: largest change of a setpoint in a command period, in a gap and 0.5 s on, of the "
    "joint's limit; computer: how long it stood still itself at most, which no board does"
)
AGES = ["network", "own delay", *(f"{name}: p50, p99, late" for name in TRANSPORTS.values())]
AGES_NOTE = (
    f"age of the newest command at each tick of a board while the arm follows, in ms; late: over {LATE_MS:g} ms beyond "
    "the network's own delay. Bedside's is taken at the board, that of the other two where they are received"
)


def motion_row(result: Result) -> list[str]:
    """Return what ``MOTION`` names."""
    gap = f"{result.longest_gap_ms:.0f} ms" if result.gaps else "none"
    return [
        _name(result),
        _error(result.rms),
        _error(result.worst),
        str(result.pauses),
        str(result.stops),
        gap,
        _error(result.travel) if result.gaps else "–",
        f"{result.step:.0%}" if result.gaps else "–",
        f"{result.stall_ms:.0f} ms",
    ]


def ages_row(result: Result) -> list[str]:
    """Return what ``AGES`` names."""
    cells = [result.case, f"{result.delay_ms:g} ms"]
    for kind in TRANSPORTS:
        ages = result.ages.get(kind)
        cells.append(f"{ages.p50_ms:.0f}, {ages.p99_ms:.0f} ms, {100 * ages.late:.1f} %" if ages else "–")
    return cells


def _name(result: Result) -> str:
    allowed = ", ".join(f"{key} = {value:g}" for key, value in result.allowed.items())
    return f"{result.case} ({allowed})" if allowed else result.case


def _error(error: Error) -> str:
    return f"{error.mrad:.0f} mrad, {error.mm:.1f} mm"


def show(results: list[Result], console: Console) -> None:
    """Print the tables."""
    for heads, row, note in ((MOTION, motion_row, MOTION_NOTE), (AGES, ages_row, AGES_NOTE)):
        table = Table(*heads, caption=note, caption_justify="left")
        for result in results:
            table.add_row(*row(result))
        console.print(table)
    for kind, why in {item for result in results for item in result.missing.items()}:
        console.print(f"{TRANSPORTS[kind]} is missing: {why}")


def write_json(results: list[Result], path: Path) -> None:
    """Write all figures."""
    path.write_text(json.dumps([dataclasses.asdict(result) for result in results], indent=1) + "\n", encoding="utf-8")


def write_page(results: list[Result]) -> None:
    """Put the tables into docs/network.md, in the place of those it has."""
    text = ""
    for heads, row, note in ((MOTION, motion_row, MOTION_NOTE), (AGES, ages_row, AGES_NOTE)):
        text += "\n" + marked.table(heads, list(map(row, results)), note)
    PAGE.write_text(marked.replaced(PAGE, COMMAND, text + "\n"), encoding="utf-8")


def draw(results: list[Result], traces: list[Trace], path: Path) -> None:
    """Draw how old commands are by transport, and what the arm's setpoint does in outages."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    pairs = list(zip(results, traces, strict=True))
    profiles = [pair for pair in pairs if not pair[1].cuts_ns]
    outages = [pair for pair in pairs if pair[1].cuts_ns]
    columns = max(1, len(profiles), len(outages))
    figure, axes = plt.subplots(2, columns, figsize=(4.2 * columns, 7.5), squeeze=False, layout="constrained")
    for place, (result, trace) in zip(axes[0], profiles, strict=False):
        _draw_ages(place, result, trace)
    for place, (result, trace) in zip(axes[1], outages, strict=False):
        _draw_outage(place, result, trace)
    for place in (*axes[0][len(profiles) :], *axes[1][len(outages) :]):
        place.set_visible(False)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _draw_ages(place: Any, result: Result, trace: Trace) -> None:
    for kind, name in TRANSPORTS.items():
        ages = sorted(trace.ages_ns.get(kind, []))
        # A point in each thousandth, and each of the last ones.
        ranks = [*range(0, len(ages), max(1, len(ages) // 1000)), *range(max(0, len(ages) - 200), len(ages))]
        shares = [1 - rank / len(ages) for rank in sorted(ranks)]
        place.step([ages[rank] / 1e6 for rank in sorted(ranks)], shares, label=name, where="post")
    limit_ms = result.delay_ms + LATE_MS
    place.axvline(limit_ms, color="grey", linewidth=0.8, linestyle=":")
    place.set(yscale="log", ylim=(1e-4, 1), title=result.case, xlabel="age of the newest command, ms")
    place.set_xlim(left=0.95 * result.delay_ms)
    place.set_ylabel("share of ticks at which it is older")
    place.legend(fontsize="small")


def _draw_outage(place: Any, result: Result, trace: Trace) -> None:
    """Draw the joint that moves most about the last outage."""
    begin_ns, end_ns = trace.cuts_ns[-1]
    margin_ns = 200_000_000 + 2 * (end_ns - begin_ns)
    times = [moment.at_ns for moment in trace.moments]
    seen = trace.moments[bisect_left(times, begin_ns - margin_ns // 2) : bisect_right(times, end_ns + margin_ns)]
    if not seen:
        return
    of = range(len(seen[0].setpoint))
    joint = max(of, key=lambda k: max(m.setpoint[k] for m in seen) - min(m.setpoint[k] for m in seen))
    delay_ns = round(1e6 * result.delay_ms)
    sent = [
        (1000 * command.stamp_us + delay_ns, command.position[joint])
        for command in trace.commands
        if seen[0].at_ns <= 1000 * command.stamp_us + delay_ns <= seen[-1].at_ns
    ]

    def ms(at_ns: float) -> float:
        return (at_ns - begin_ns) / 1e6

    place.axvspan(ms(begin_ns + delay_ns), ms(end_ns + delay_ns), color="0.9", label="nothing arrives")
    place.plot([ms(at) for at, _ in sent], [q for _, q in sent], color="0.6", label="console's, delayed")
    place.plot([ms(m.at_ns) for m in seen], [m.setpoint[joint] for m in seen], ".-", markersize=3, label="setpoint")
    place.plot([ms(m.at_ns) for m in seen], [m.position[joint] for m in seen], linewidth=0.8, label="measured")
    place.set(title=result.case, xlabel="ms after the cut", ylabel=f"{trace.joints[joint]}")
    place.legend(fontsize="small")
