"""What was measured, as people see it: a table, ``results.json``, a picture, and the table of docs/performance.md."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scale.measure import Run
from scale.page import write_table

# Of the bridge's cycles, beyond those in which the computer itself stood still.
LATE_MAX = 0.001
HEADS = [
    "boards",
    "late cycles",
    "bare timer",
    "round trip p50, p99",
    "bare echo p50, p99",
    "bridge's CPU",
    "of it a board",
    "a board's process",
    "memory",
]
NOTE = (
    "late cycles: begun more than 1 ms after they were due; bare timer: periods in which a timer that does nothing "
    "else was as late beside the bridge; round trip: from the frames out of the bridge to all answers in; bare echo: "
    "as many boards that only echo, asked by a loop that only asks; CPU: shares of one"
)


@dataclasses.dataclass
class Row:
    """The runs with one number of boards together: shares of all cycles, medians of the rest. Times in microseconds."""

    boards: int
    late: float
    bare_late: float
    round_p50_us: float
    round_p99_us: float
    echo_p50_us: float
    echo_p99_us: float
    bridge_cpu: float
    board_cpu: float
    rss_mb: float

    @property
    def is_held(self) -> bool:
        """Whether the bridge itself was late in few enough cycles."""
        return self.late - self.bare_late < LATE_MAX


def row(runs: Sequence[Run]) -> Row:
    """Join ``runs``, which have the same number of boards."""
    cycles = sum(run.cycles for run in runs)
    names = [field.name for field in dataclasses.fields(Row)][3:]
    medians = {name: statistics.median(getattr(run, name) for run in runs) for name in names}
    late, bare_late = sum(run.late for run in runs) / cycles, sum(run.bare_late for run in runs) / cycles
    return Row(runs[0].boards, late, bare_late, **medians)


def cells(each: Row) -> list[str]:
    """Return what ``HEADS`` names."""
    return [
        str(each.boards),
        f"{100 * each.late:.3f} %",
        f"{100 * each.bare_late:.3f} %",
        f"{each.round_p50_us:.0f}, {each.round_p99_us:.0f} us",
        f"{each.echo_p50_us:.0f}, {each.echo_p99_us:.0f} us",
        f"{100 * each.bridge_cpu:.1f} %",
        f"{100 * each.bridge_cpu / each.boards:.1f} %",
        f"{100 * each.board_cpu:.1f} %",
        f"{each.rss_mb:.1f} MB",
    ]


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the table."""
    table = Table(*HEADS, caption=NOTE, caption_justify="left")
    for each in rows:
        table.add_row(*cells(each))
    console.print(table)


def write_json(rows: Sequence[Row], runs: Sequence[Run], path: Path) -> None:
    """Write all figures."""
    found = {"rows": [dataclasses.asdict(each) for each in rows], "runs": [dataclasses.asdict(run) for run in runs]}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def write_page(rows: Sequence[Row]) -> None:
    """Put the table into docs/performance.md, in the place of the one it has."""
    write_table("make scale", HEADS, [cells(each) for each in rows], NOTE)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw how round trips and CPU grow with the boards."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    counts = [each.boards for each in rows]
    figure, (times, shares) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for name, label, style in (("round", "bridge", "-"), ("echo", "bare echo", "--")):
        for quantile, colour in (("p50", "tab:blue"), ("p99", "tab:orange")):
            values = [getattr(each, f"{name}_{quantile}_us") for each in rows]
            times.plot(counts, values, style, color=colour, marker="o", label=f"{label}, {quantile}")
    times.axhline(1000, color="grey", linewidth=0.8, linestyle=":", label="a cycle")
    times.set(title="frames out to all answers in", xlabel="boards", ylabel="us", ylim=0, xticks=counts)
    times.legend(fontsize="small")
    shares.plot(counts, [100 * each.bridge_cpu for each in rows], marker="o", label="the bridge")
    per_board = [100 * each.bridge_cpu / each.boards for each in rows]
    shares.plot(counts, per_board, marker="o", label="the bridge, a board")
    shares.plot(counts, [100 * each.board_cpu for each in rows], marker="o", label="a board's own process")
    shares.set(title="CPU", xlabel="boards", ylabel="% of one", ylim=0, xticks=counts)
    shares.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
