"""A black box as files: all of its numbers, and a picture with fault, ramp, standstill and brakes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from bedside.errors import BedsideError
from bedside.link import causes
from bedside.link.blackbox import BlackBox
from bedside.link.messages import PHASES, STATES
from bedside.pictures import BLUE, GRAY, ORANGE, RED, column

_FULL_DRIVE = 32768
# An age beyond this is of no interest: the clocks stop at half a second at the latest.
_AGE_MAX_MS = 200
# So much is drawn of the time after everything has ended.
_REST_MS = 100


def write_csv(box: BlackBox, path: Path) -> None:
    """Write a line a tick. Raises BedsideError when the file cannot be written."""
    names = [joint.name for joint in box.board.joints]
    head = ["time_ms", "tick", "state", "phase", "cause", "operator_age_ticks", "link_age_ticks"]
    for name in names:
        head += [f"{name}_position", f"{name}_setpoint", f"{name}_output_q15", f"{name}_flags"]
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(head)
            for line in box.lines:
                row: list[object] = [f"{box.time_ms(line.tick):g}", line.tick, STATES[line.state], PHASES[line.phase]]
                row += [causes.name_of(line.cause), line.operator_age, line.link_age]
                for joint in zip(line.positions, line.setpoints, line.outputs, line.flags, strict=True):
                    row += joint
                writer.writerow(row)
    except OSError as error:
        raise BedsideError(
            f"{path}: cannot be written ({error.strerror}); the board still keeps its black box"
        ) from None


def draw(box: BlackBox, path: Path) -> None:
    """Draw the joints, their drives and the two clocks over time. Raises BedsideError."""
    names = [joint.name for joint in box.board.joints]
    figure, axes = column(len(names) + 2, 1.7 * len(names) + 3.6)
    t = [box.time_ms(line.tick) for line in box.lines]
    for index, (axis, name) in enumerate(zip(axes, names, strict=False)):
        axis.plot(t, [line.setpoints[index] / 1000 for line in box.lines], color=ORANGE, linewidth=3, label="setpoint")
        axis.plot(t, [line.positions[index] / 1000 for line in box.lines], color=BLUE, linewidth=1.2, label="measured")
        axis.set_ylabel(f"{name}\nmrad (mm)")
    for index, name in enumerate(names):
        share = [100 * line.outputs[index] / _FULL_DRIVE for line in box.lines]
        axes[-2].plot(t, share, linewidth=1, label=name)
    axes[-2].set_ylabel("drive, %")
    tick_ms = 1000 / box.board.tick_hz
    for name, ages, colour, width in (
        ("operator", [line.operator_age for line in box.lines], ORANGE, 3),
        ("link", [line.link_age for line in box.lines], BLUE, 1.2),
    ):
        axes[-1].plot(t, [min(_AGE_MAX_MS, age * tick_ms) for age in ages], color=colour, linewidth=width, label=name)
    axes[-1].set_ylabel("silence, ms")
    axes[-1].set_xlabel("ms after the fault" if box.cause else "ms before the end")
    for axis in (axes[0], *axes[-2:]):
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")
    _mark(box, axes)
    what = f"{causes.name_of(box.cause)}" if box.cause else "no fault"
    figure.suptitle(f"Black box of {box.board.name}: {what}")
    try:
        figure.savefig(path, dpi=110)
    except OSError as error:
        raise BedsideError(
            f"{path}: cannot be written ({error.strerror}); the board still keeps its black box"
        ) from None


def _mark(box: BlackBox, axes: Any) -> None:
    """Mark what happened when, each name in a row of its own above the plots."""
    marks = box.marks()
    top = axes[0]
    for row, (name, at) in enumerate(reversed(marks.items())):
        colour = RED if name == "fault" else GRAY
        for axis in axes:
            axis.axvline(at, color=colour, linewidth=1.1)
        text = f" {name} {at:.0f} ms" if at else f" {name}"
        top.text(at, 1.03 + 0.13 * row, text, color=colour, fontsize="small", transform=top.get_xaxis_transform())
    if marks:
        axes[-1].set_xlim(right=max(marks.values()) + _REST_MS)


def summary(box: BlackBox) -> str:
    """Say in a few lines what the board has kept."""
    lines = []
    if box.cause:
        marks = ", ".join(f"{name} {at:.0f} ms" for name, at in box.marks().items() if name != "fault")
        lines.append(f"{box.board.name}: kept for '{causes.name_of(box.cause)}'; after it: {marks or 'nothing'}")
    else:
        lines.append(f"{box.board.name}: no fault is kept; this is its last {len(box.lines)} lines")
    joints = [joint.name for joint in box.board.joints]
    for event in box.events:
        where = f"joint '{joints[event.channel]}'" if 0 <= event.channel < len(joints) else "the board"
        lines.append(f"  tick {event.tick}: {causes.explain(event, where)}")
    return "\n".join(lines)
