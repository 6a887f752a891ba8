"""The ports and who answers there, as a table for people or aligned lines for programs."""

from __future__ import annotations

import sys

from bedside.doctor.ports import Port
from bedside.doctor.probe import Answer

_HEAD = ("port", "chip", "serial number", "board", "joints", "firmware", "build", "state")
NOTHING = (
    "no serial port and no simulated board here: check that the cable carries data (some only charge), that the board "
    "has power, and that this user may open serial ports ('bedside doctor' says)\n"
)


def write_ports(ports: list[Port], answers: list[Answer]) -> None:
    """Write a line for each of ``ports`` and who ``answers`` there."""
    if not ports:
        sys.stdout.write(NOTHING)
        return
    rows = [_row(port, answer) for port, answer in zip(ports, answers, strict=True)]
    if sys.stdout.isatty():
        _draw(rows)
        return
    widths = [max(len(row[column]) for row in [_HEAD, *rows]) for column in range(len(_HEAD))]
    for row in [_HEAD, *rows]:
        sys.stdout.write("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip() + "\n")


def _row(port: Port, answer: Answer) -> tuple[str, ...]:
    who = answer.identity
    if not who:
        return (port.name, port.chip, port.uid or "-", "-", "-", "-", "-", answer.text)
    joints = ",".join(joint.name for joint in who.joints)
    return (port.name, port.chip, port.uid or who.uid, who.name, joints, who.firmware, who.build or "-", answer.text)


def _draw(rows: list[tuple[str, ...]]) -> None:
    """Draw ``rows`` so that they fit a terminal of 80 columns: what belongs together shares one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column("port", no_wrap=True)
    for title in ("chip, serial number", "board: joints", "firmware, build", "state"):
        table.add_column(title)
    for port, chip, uid, board, joints, firmware, build, state in rows:
        who = f"{board}: {joints.replace(',', ', ')}" if board != "-" else "-"
        # What a board says of itself is text, not markup.
        cells = (port, _joined(chip, uid), who, _joined(firmware, build), state)
        table.add_row(*map(Text, cells))
    Console().print(table)


def _joined(*texts: str) -> str:
    return ", ".join(text for text in texts if text != "-") or "-"
