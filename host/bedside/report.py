"""The demo's report: figures on the screen and in summary.json, plots in report.html."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bedside.boardfile import load_board_type
from bedside.cell import Cell
from bedside.errors import BedsideError
from bedside.link import causes
from bedside.link.messages import PHASES, RAMP, RUN
from bedside.pictures import BLUE, GRAY, ORANGE, RED, column

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bedside.demo import Capture

# A lag longer than this is not a lag but a broken run.
_LAG_MAX_MS = 60
# A joint stands still from when it stays this near to where it ends, rad or m: friction lets it creep up to there.
_STANDSTILL = {"rad": 1e-3, "m": 1e-4}


def write_report(cell: Cell, capture: Capture, output: Path, motion: str) -> None:
    """Write summary.json, report.html and demo.png to ``output`` and print the figures. Raises BedsideError."""
    try:
        import numpy as np
    except ImportError:
        raise BedsideError("the report needs matplotlib: install Bedside as its README says") from None
    with (output / "drive.csv").open(newline="", encoding="utf-8") as file:
        answered = [row for row in csv.DictReader(file) if row["round_trip_us"]]
    data = _Data(cell, capture, answered, np)
    summary = data.summary(motion)
    (output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    overview = _overview(data)
    overview.savefig(output / "demo.png", dpi=110)
    figures = {
        "Setpoint and measured": _joints(data),
        "Tracking error": _errors(data),
        "Round trips, console to boards and back": _round_trips(data),
        "The stop": _stop(data),
    }
    (output / "report.html").write_text(_page(summary, figures), encoding="utf-8")
    _print(summary, output)


class _Data:
    """The capture as arrays: a row a feedback, a column a joint; times in seconds from the start of motion.

    ``t`` is this machine's time, ``board_t`` the first board's, in which motion is smooth whatever the machine does.
    """

    def __init__(self, cell: Cell, capture: Capture, console_log: list[dict[str, str]], np: Any) -> None:
        assert capture.moving_s is not None
        assert capture.cut_s is not None
        self.np = np
        self.cell = cell
        self.console_log = console_log
        self.started = capture.moving_s
        self.names = [joint.name for joint in cell.joint]
        self.units = [joint.unit for joint in cell.joint]
        rows = [feedback for _, feedback in capture.feedback]
        self.t = np.array([t for t, _ in capture.feedback]) - capture.moving_s
        self.cut = capture.cut_s - capture.moving_s
        self.position = np.array([row.position for row in rows])
        self.setpoint = np.array([row.setpoint for row in rows])
        self.velocity = np.array([row.velocity for row in rows])
        self.boards = np.array([row.boards for row in rows])
        ticks = self.boards[:, 0, 0]
        self.board_t = (ticks - ticks[int(np.argmax(self.t >= 0))]) / load_board_type(cell.board[0].type).tick_hz
        self.board_cut = float(np.interp(self.cut, self.t, self.board_t))
        self.first, self.last = rows[0], rows[-1]
        self.running = (self.boards[:, :, 2] == RUN).all(axis=1) & (self.t >= 0) & (self.t <= self.cut)
        self.rows = rows
        self.command_t = np.array([t for t, _ in capture.commands]) - capture.moving_s
        self.command = np.array([command.position for _, command in capture.commands])
        self.notices = capture.notices

    def round_trips_ms(self) -> Any:
        """Return (time, milliseconds) of each command while the arm moved, as the console itself measured them."""
        np = self.np
        t = np.array([float(row["t_s"]) for row in self.console_log]) - self.started
        ms = np.array([float(row["round_trip_us"]) / 1000 for row in self.console_log])
        moving = (t >= 0) & (t <= self.cut)
        return t[moving], ms[moving]

    def lag_ms(self, joint: int) -> float:
        """Return the delay that best lays the measured position over the commanded one, to 0.5 ms."""
        np = self.np
        inside = self.running & (self.t > 0.2)
        if not inside.any() or len(self.command_t) < 2:
            return math.nan
        t, measured = self.t[inside], self.position[inside, joint]
        lags = np.arange(0, _LAG_MAX_MS, 0.5)
        misses = [
            np.mean((measured - np.interp(t - lag / 1000, self.command_t, self.command[:, joint])) ** 2) for lag in lags
        ]
        return float(lags[int(np.argmin(misses))])

    def stop(self) -> dict[str, Any]:
        """Return how the arm stopped; travel and standstill count from the last command, latency in board ticks."""
        np = self.np
        travels, standstills, latencies = {}, {}, []
        for board, slot in enumerate(self.cell.board):
            ticks, phases, ages = (self.boards[:, board, column] for column in (0, 2, 4))
            ramp = int(np.argmax((self.t > self.cut) & (phases >= RAMP)))
            row = int(np.argmax(ticks >= ticks[ramp] - ages[ramp]))
            tick_ms = 1000 / load_board_type(slot.type).tick_hz
            latency = self._latency_ticks(board)
            if latency is not None:
                latencies.append(latency * tick_ms)
            for index, joint in self.cell.joints_of(slot.name):
                travel = float(abs(self.position[-1, index] - self.position[row, index]))
                travels[joint.name] = {"value": travel, "unit": joint.unit}
                away = abs(self.position[:, index] - self.position[-1, index])
                moving = np.nonzero(away > _STANDSTILL[joint.unit])[0]
                standstills[joint.name] = (
                    max(0.0, float(ticks[moving[-1]] - ticks[row]) * tick_ms) if len(moving) else 0.0
                )
        if not latencies:
            raise BedsideError("no board reported its stop, so it cannot be measured; run the demo again")
        return {
            "cause": causes.name_of(max(int(board[3]) for board in self.last.boards)),
            "timeout_ms": self.cell.arm.operator_timeout_ms,
            "latency_ms": max(latencies),
            "standstill_ms": standstills,
            "travel": travels,
        }

    def _latency_ticks(self, board: int) -> int | None:
        """Return the age of the last command, in ticks, at which ``board`` began its ramp: its own event says it.

        None for a board that another one's stop reached before its own clock ran out.
        """
        label = f"board '{self.cell.board[board].name}': operator-timeout"
        for notice in reversed(self.notices):
            if notice.startswith(label):
                return int(notice.split(" ticks")[0].rsplit(" ", 1)[1])
        return None

    def summary(self, motion: str) -> dict[str, Any]:
        """Return the figures of the run."""
        np = self.np
        error = self.position[self.running] - self.setpoint[self.running]
        rms = np.sqrt((error**2).mean(axis=0))
        _, trips = self.round_trips_ms()
        ticks = self.boards[self.running][:, :, 0]
        seconds = float(self.t[self.running][-1] - self.t[self.running][0])
        late = np.array(self.last.boards)[:, 5] - np.array(self.rows[int(np.argmax(self.t >= 0))].boards)[:, 5]
        return {
            "motion": motion,
            "boards": len(self.cell.board),
            "joints": len(self.names),
            "loop_hz": round(float(((ticks[-1] - ticks[0]) / seconds).mean()), 1),
            "duration_s": round(self.cut, 2),
            "tracking_rms": {
                name: {"value": float(f"{value:.4g}"), "unit": unit}
                for name, value, unit in zip(self.names, rms, self.units, strict=True)
            },
            "lag_ms": {name: self.lag_ms(index) for index, name in enumerate(self.names)},
            "round_trip_ms": {
                "p50": round(float(np.percentile(trips, 50)), 3),
                "p99": round(float(np.percentile(trips, 99)), 3),
            },
            "missed_cycles": self.last.missed - self.first.missed,
            "late_ticks": int(late.sum()),
            "stop": self.stop(),
        }


def _plain(value: float, unit: str) -> str:
    return f"{value * 1000:.3f} {'mrad' if unit == 'rad' else 'mm'}"


def _print(summary: dict[str, Any], output: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"{summary['joints']} joints on {summary['boards']} boards, {summary['motion']}", title_justify="left"
    )
    for heading in ("joint", "tracking RMS", "lag", "standstill after", "travel"):
        table.add_column(heading, justify="left" if heading == "joint" else "right")
    stop = summary["stop"]
    for name, rms in summary["tracking_rms"].items():
        travel = stop["travel"][name]
        table.add_row(
            name,
            _plain(rms["value"], rms["unit"]),
            f"{summary['lag_ms'][name]:.1f} ms",
            f"{stop['standstill_ms'][name]:.0f} ms",
            _plain(travel["value"], travel["unit"]),
        )
    console = Console()
    console.print(table)
    trips = summary["round_trip_ms"]
    console.print(
        f"loop {summary['loop_hz']} Hz · round trip p50 {trips['p50']} ms, p99 {trips['p99']} ms · "
        f"missed cycles {summary['missed_cycles']} · late ticks {summary['late_ticks']}\n"
        f"stop: {stop['cause']}, ramp {stop['latency_ms']:.0f} ms after the last command "
        f"(timeout {stop['timeout_ms']:g} ms)\nreport: {output / 'report.html'}",
        highlight=False,
    )


def _scale(unit: str) -> tuple[float, str]:
    return (1.0, "rad") if unit == "rad" else (1000.0, "mm")


def _overview(data: _Data) -> Figure:
    """Three joints of the arm before, during and after the cut: the picture for a first screen."""
    chosen = sorted({0, 2 % len(data.names), len(data.names) // 2 + 1 if len(data.names) > 3 else len(data.names) - 1})
    figure, axes = column(len(chosen), 6)
    shown = (data.board_t > data.board_cut - 6) & (data.board_t < data.board_cut + 1.5)
    for axis, index in zip(axes, chosen, strict=True):
        scale, unit = _scale(data.units[index])
        axis.plot(data.board_t[shown], data.setpoint[shown, index] * scale, color=ORANGE, linewidth=3, label="setpoint")
        axis.plot(data.board_t[shown], data.position[shown, index] * scale, color=BLUE, linewidth=1.2, label="measured")
        axis.axvline(data.board_cut, color=RED, linewidth=1.2)
        axis.set_ylabel(f"{data.names[index]}\n{unit}")
    axes[0].text(data.board_cut, axes[0].get_ylim()[1], " cable pulled", color=RED, va="top")
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=2)
    axes[-1].set_xlabel("seconds")
    figure.suptitle(
        "A seven-joint arm follows, and stops when the cable is pulled" if len(data.names) == 7 else "The arm"
    )
    return figure


def _joints(data: _Data) -> Figure:
    figure, axes = column(len(data.names), 1.7 * len(data.names) + 0.6)
    for index, axis in enumerate(axes):
        scale, unit = _scale(data.units[index])
        axis.plot(data.board_t, data.setpoint[:, index] * scale, color=ORANGE, linewidth=2.4, label="setpoint")
        axis.plot(data.board_t, data.position[:, index] * scale, color=BLUE, linewidth=0.9, label="measured")
        axis.axvline(data.board_cut, color=RED, linewidth=1)
        axis.set_ylabel(f"{data.names[index]}\n{unit}")
    axes[0].legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, ncols=2)
    axes[-1].set_xlabel("seconds")
    return figure


def _errors(data: _Data) -> Figure:
    figure, axes = column(len(data.names), 1.3 * len(data.names) + 0.6)
    inside = data.running
    for index, axis in enumerate(axes):
        scale, unit = (1000.0, "mrad") if data.units[index] == "rad" else (1e6, "um")
        error = (data.position - data.setpoint)[inside, index] * scale
        axis.plot(data.board_t[inside], error, color=BLUE, linewidth=0.5)
        axis.set_ylabel(f"{data.names[index]}\n{unit}")
    axes[-1].set_xlabel("seconds")
    return figure


def _round_trips(data: _Data) -> Figure:
    figure, axes = column(1, 3.2)
    t, ms = data.round_trips_ms()
    axes[0].plot(t, ms, ".", color=BLUE, markersize=2)
    axes[0].set_yscale("log")
    axes[0].set_ylabel("ms")
    axes[0].set_xlabel("seconds")
    return figure


def _stop(data: _Data) -> Figure:
    figure, axes = column(3, 8)
    shown = data.board_t > data.board_cut - 0.15
    t = (data.board_t[shown] - data.board_cut) * 1000
    for index, joint in enumerate(data.cell.joint):
        axes[0].plot(t, data.velocity[shown, index] / joint.limits.velocity * 100, linewidth=1, label=joint.name)
        moved = data.position[shown, index] - data.position[shown, index][-1]
        axes[1].plot(t, moved * 1000, linewidth=1)
    for board, slot in enumerate(data.cell.board):
        axes[2].step(t, data.boards[shown, board, 2] + 0.06 * board, where="post", linewidth=1.2, label=slot.name)
    axes[0].set_ylabel("speed, % of limit")
    axes[1].set_ylabel("to standstill, mrad (mm)")
    axes[2].set_yticks(range(len(PHASES)), PHASES)
    axes[2].set_xlabel("ms after the cable was pulled")
    for axis in axes:
        axis.axvline(0, color=RED, linewidth=1)
        axis.axvline(data.cell.arm.operator_timeout_ms, color=GRAY, linewidth=1, linestyle=":")
    axes[0].legend(loc="upper right", frameon=False, ncols=2, fontsize="small")
    axes[2].legend(loc="upper right", frameon=False, fontsize="small")
    return figure


def _page(summary: dict[str, Any], figures: dict[str, Figure]) -> str:
    stop, trips = summary["stop"], summary["round_trip_ms"]
    rows = "".join(
        f"<tr><td>{name}<td>{_plain(rms['value'], rms['unit'])}<td>{summary['lag_ms'][name]:.1f} ms"
        f"<td>{stop['standstill_ms'][name]:.0f} ms<td>{_plain(stop['travel'][name]['value'], rms['unit'])}"
        for name, rms in summary["tracking_rms"].items()
    )
    plots = ""
    for title, figure in figures.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100)
        picture = base64.b64encode(buffer.getvalue()).decode()
        plots += f'<h2>{title}</h2><img alt="{title}" src="data:image/png;base64,{picture}">'
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Bedside demo</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:1120px;margin:2em auto;padding:0 1em;color:#222}}
img{{width:100%}}td,th{{padding:.2em 1em;text-align:right;border-bottom:1px solid #ddd}}
td:first-child{{text-align:left}}
table{{border-collapse:collapse}}</style>
<h1>{summary["joints"]} joints on {summary["boards"]} boards: {summary["motion"]}</h1>
<p>Control loop {summary["loop_hz"]} Hz for {summary["duration_s"]} s. Round trip from console to boards and back:
p50 {trips["p50"]} ms, p99 {trips["p99"]} ms. Missed cycles {summary["missed_cycles"]}, late ticks
{summary["late_ticks"]}.</p>
<p>Then the cable between console and bridge was pulled. Cause: <b>{stop["cause"]}</b>; the ramp began
{stop["latency_ms"]:.0f} ms after the last command (timeout {stop["timeout_ms"]:g} ms).</p>
<table><tr><th>joint<th>tracking RMS<th>lag, console to joint<th>standstill after<th>travel</tr>{rows}</table>
{plots}</html>
"""
