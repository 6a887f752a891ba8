"""``bedside boards`` and ``bedside doctor``: their arguments, and what they call."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedside.cell import Cell
    from bedside.doctor.findings import Report
    from bedside.doctor.ports import Port

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parsers(commands: Commands) -> None:
    """Add both commands to the ``bedside`` command."""
    boards = commands.add_parser("boards", help="list serial ports and the boards that answer there")
    boards.add_argument("cell", type=Path, nargs="?", metavar="CELL.toml", help="also its boards' ports")
    boards.set_defaults(run=_boards)

    doctor = commands.add_parser("doctor", help="check this computer, a cell file and its boards, and say what to do")
    doctor.add_argument("cell", type=Path, nargs="?", metavar="CELL.toml")
    doctor.add_argument("--board-file", type=Path, metavar="FILE", help="check a board file and show what goes where")
    doctor.add_argument("--port", metavar="PORT", help="only the board behind it, with or without a cell file")
    doctor.add_argument("--baud", type=int, default=1_000_000, help="of a --port without a cell file, default 1000000")
    look = doctor.add_mutually_exclusive_group()
    look.add_argument("--deep", action="store_true", help="look into the boards, too; each is started again afterwards")
    look.add_argument("--turn", action="store_true", help="show the joints' positions while you turn them by hand")
    look.add_argument("--brakes", action="store_true", help="watch the brakes while you press the brake release")
    doctor.set_defaults(run=_doctor)


def _boards(arguments: argparse.Namespace) -> None:
    from bedside.cell import load_cell
    from bedside.doctor.listing import write_ports
    from bedside.doctor.ports import all_ports
    from bedside.doctor.probe import ask_all

    ports = all_ports(load_cell(arguments.cell) if arguments.cell else None)
    write_ports(ports, ask_all(ports))


def _doctor(arguments: argparse.Namespace) -> None:
    from bedside.boardsheet import check_board_file
    from bedside.cell import load_cell
    from bedside.doctor.findings import Report, failed
    from bedside.doctor.ports import all_ports
    from bedside.errors import BedsideError

    report = Report()
    if arguments.board_file:
        for line in check_board_file(arguments.board_file):
            report.say(line)
        if not arguments.cell and not arguments.port:
            return
    if arguments.turn or arguments.brakes:
        _by_hand(arguments, report)
        return
    cell = None
    try:
        cell = load_cell(arguments.cell) if arguments.cell else None
    except BedsideError as error:
        report.take([failed("cell file", error)])
    ports = all_ports(cell)
    _examine(arguments, cell, ports, report)
    report.end()


def _examine(arguments: argparse.Namespace, cell: Cell | None, ports: list[Port], report: Report) -> None:
    """Check this computer, the cell file, and each board that was asked for."""
    from bedside.doctor.boards import Place, board_findings, cell_findings, places_of
    from bedside.doctor.deep import deep_findings
    from bedside.doctor.host import host_findings
    from bedside.doctor.ports import named
    from bedside.doctor.probe import Kind, ask

    report.take(host_findings(ports))
    places = places_of(cell, arguments.cell, ports) if cell else []
    if cell:
        report.take(cell_findings(cell))
    if arguments.port:
        here = [place for place in places if place.port.name == arguments.port]
        places = here or [Place(arguments.port, named(arguments.port, ports, arguments.baud))]
    uids: dict[str, str] = {}
    for place in places:
        answer = ask(place.port)
        rested = arguments.deep and answer.kind is Kind.REPL
        if rested:
            # A look into a board brings back one that was left in its REPL.
            report.take(deep_findings(place, answer))
            answer = ask(place.port)
        report.take(board_findings(place, answer, uids))
        if arguments.deep and not rested:
            report.take(deep_findings(place, answer))


def _by_hand(arguments: argparse.Namespace, report: Report) -> None:
    """Check what takes a person's hands. Raises BedsideError when there is no cell file to check by."""
    from bedside.cell import load_cell
    from bedside.doctor import hands
    from bedside.errors import BedsideError

    if not arguments.cell:
        option = "--turn" if arguments.turn else "--brakes"
        raise BedsideError(f"{option} needs a cell file, which says how joints count: doctor CELL.toml {option}")
    cell = load_cell(arguments.cell)
    with hands.of(cell, arguments.port, report.say) as boards:
        report.take(hands.turn(boards, report.say) if arguments.turn else hands.brakes(boards, report.say))
    report.end()
