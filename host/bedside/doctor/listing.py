"""The ports and who answers there, as a table for people or aligned lines for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bedside.doctor.ports import Port
from bedside.doctor.probe import Answer, Kind

if TYPE_CHECKING:
    from rich.table import Table

_HEAD = ("port", "chip", "serial number", "role", "joints", "firmware", "build", "state")
_NOTHING = (
    "no serial port and no simulated board here: check that the cable carries data (some only charge), that the board "
    "has power, and that this user may open serial ports ('bedside doctor' says)"
)
_REPL = "; 'bedside flash' finishes an interrupted update, a reset starts what it has"


def write_ports(ports: list[Port], answers: list[Answer]) -> None:
    """Write a line for each of ``ports`` and who ``answers`` there."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    rows = [_row(port, answer) for port, answer in zip(ports, answers, strict=True)]
    if not rows:
        console.print(_NOTHING)
    elif console.is_terminal:
        console.print(_table(rows), soft_wrap=False)
    else:
        widths = [max(len(row[column]) for row in [_HEAD, *rows]) for column in range(len(_HEAD))]
        for row in [_HEAD, *rows]:
            console.print("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())


def _row(port: Port, answer: Answer) -> tuple[str, ...]:
    who = answer.identity
    if not who:
        remedy = _REPL if answer.kind is Kind.REPL else ""
        return (port.name, port.chip, port.uid or "-", "-", "-", "-", "-", answer.text + remedy)
    joints = ",".join(joint.name for joint in who.joints)
    return (port.name, port.chip, port.uid or who.uid, who.role, joints, who.firmware, who.build or "-", answer.text)


def _table(rows: list[tuple[str, ...]]) -> Table:
    """Return ``rows`` as a table that fits a terminal of 80 columns: what belongs together shares one."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("port", "chip,\nserial number", "role: joints", "firmware,\nbuild", "state"):
        # Half a port, number or build is of no use to anybody.
        table.add_column(title, overflow="fold", no_wrap=title not in ("role: joints", "state"))
    for port, chip, uid, board, joints, firmware, build, state in rows:
        who = f"{board}: {joints.replace(',', ', ')}" if board != "-" else "-"
        # What a board says of itself is text, not markup.
        cells = (port, _joined(chip, uid), who, _joined(firmware, build), state)
        table.add_row(*map(Text, cells))
    return table


def _joined(*texts: str) -> str:
    return ",\n".join(text for text in texts if text != "-") or "-"
