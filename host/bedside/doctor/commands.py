"""``bedside boards`` and ``bedside doctor``: their arguments, and what they call."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parsers(commands: Commands) -> None:
    """Add both commands to the ``bedside`` command."""
    boards = commands.add_parser("boards", help="list serial ports and the boards that answer there")
    boards.add_argument("cell", type=Path, nargs="?", metavar="CELL.toml", help="also its boards' ports")
    boards.set_defaults(run=_boards)


def _boards(arguments: argparse.Namespace) -> None:
    from bedside.cell import load_cell
    from bedside.doctor.listing import write_ports
    from bedside.doctor.ports import all_ports
    from bedside.doctor.probe import ask_all

    ports = all_ports(load_cell(arguments.cell) if arguments.cell else None)
    write_ports(ports, ask_all(ports))
