"""The ``bedside`` command. Each subcommand imports what it needs, so that ``--help`` is instant."""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import signal
import sys
from pathlib import Path

from bedside import __version__
from bedside.doctor.commands import add_parsers as add_doctor
from bedside.errors import BedsideError
from bedside.flash.commands import add_keys as add_signing_key
from bedside.flash.commands import add_parsers as add_flash
from bedside.hil.commands import add_parsers as add_hil
from bedside.progress import positive
from bedside.sim.commands import add_parsers as add_sim
from bedside.surgeon.commands import add_keys as add_site_keys
from bedside.surgeon.console_commands import add_parsers as add_consoles
from bedside.surgeon.relay_commands import add_parsers as add_relay


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit status: 0 done, 1 an error that was explained, 130 interrupted."""
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        pass  # who has read enough, as "head" has, needs no words
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stderr.write(f"bedside: {error.filename or 'its output'} cannot be written, the disk is full; make room\n")
    # Python flushes once more at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _run(argv: list[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        with contextlib.suppress(ValueError):  # not in the main thread, as in a test
            for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts background jobs with SIGINT ignored
                signal.signal(number, signal.default_int_handler)
        arguments.run(arguments)
    except BedsideError as error:
        sys.stderr.write(f"bedside {arguments.command}: {error}\n")
        return 1
    except KeyboardInterrupt as interrupt:
        for note in getattr(interrupt, "__notes__", []):
            sys.stderr.write(f"bedside {arguments.command}: {note}\n")
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bedside", description="The patient's end of a telesurgery robot.")
    parser.add_argument("--version", action="version", version=f"bedside {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    sim = commands.add_parser("sim", help="run a cell's simulated boards in real time, until Ctrl-C")
    sim.add_argument("cell", type=Path, metavar="CELL.toml")
    sim.set_defaults(run=_sim)

    bridge = commands.add_parser("bridge", help="run an arm: its boards on one side, a console on the other")
    bridge.add_argument("cell", type=Path, metavar="CELL.toml")
    bridge.add_argument("--credentials", type=Path, metavar="FOLDER", help="default: the only bridge's issued here")
    bridge.add_argument("--copy-to", action="append", default=[], metavar="HOST:PORT", help="also send feedback there")
    bridge.set_defaults(run=_bridge)

    box = commands.add_parser("blackbox", help="fetch and draw what a board has kept of its last fault")
    box.add_argument("port", metavar="PORT", help="a serial port, socket://HOST:PORT or sim:NAME; end its bridge first")
    box.add_argument("--baud", type=int, default=1_000_000, help="default 1000000")
    box.add_argument(
        "--output", type=Path, default=Path(), metavar="FOLDER", help="for the CSV and the PNG (default .)"
    )
    box.add_argument("--keep", action="store_true", help="leave it on the board; else it begins to record anew")
    box.set_defaults(run=_blackbox)

    add_doctor(commands)

    demo = commands.add_parser("demo", help="all of it: boards, bridge, motion, a cut cable, a report")
    demo.add_argument(
        "--recording", type=Path, metavar="FILE.csv[.gz]", help="play this instead of the built-in motion"
    )
    demo.add_argument(
        "--cell", type=Path, metavar="CELL.toml", help="default: the seven-joint arm that comes with Bedside"
    )
    demo.add_argument("--seconds", type=positive, default=20.0, help="motion before the cable is pulled (default 20)")
    demo.add_argument("--output", type=Path, default=Path("build/demo"), metavar="FOLDER")
    demo.set_defaults(run=_demo)

    keys = commands.add_parser("keys", help="make keys and certificates").add_subparsers(required=True, metavar="KIND")
    add_signing_key(keys)
    add_site_keys(keys)
    add_sim(commands)
    add_relay(commands)
    add_consoles(commands)
    add_flash(commands)
    add_hil(commands)
    return parser


def _sim(arguments: argparse.Namespace) -> None:
    from bedside.cell import load_cell
    from bedside.clock import be_on_time
    from bedside.sim.world import World

    cell = load_cell(arguments.cell)
    be_on_time(priority=5)
    with World(cell, arguments.cell) as world:
        for board in world.boards:
            sys.stdout.write(f"{board.name}: {board.port}\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            world.run(lambda: False)


def _bridge(arguments: argparse.Namespace) -> None:
    from bedside.bridge.process import run_bridge
    from bedside.cell import load_cell
    from bedside.surgeon.address import parse_loopback
    from bedside.surgeon.find import find_credentials

    cell = load_cell(arguments.cell)
    credentials = find_credentials(arguments.credentials, is_bridge=True)
    run_bridge(cell, credentials, [parse_loopback(text) for text in arguments.copy_to])


def _blackbox(arguments: argparse.Namespace) -> None:
    from rich.progress import Progress

    from bedside import blackbox
    from bedside.link.blackbox import fetch, release
    from bedside.link.board import BoardLink
    from bedside.link.port import SerialPort

    link = BoardLink(SerialPort(arguments.port, arguments.baud), f"port {arguments.port}")
    with contextlib.closing(link.port):
        with Progress(transient=True) as bar:
            task = bar.add_task("reading", total=None)
            box = fetch(link, lambda done, of: bar.update(task, completed=done, total=of))
        sys.stdout.write(blackbox.summary(box) + "\n")
        files = [arguments.output / f"{box.board.name}-blackbox.{ending}" for ending in ("csv", "png")]
        try:
            arguments.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BedsideError(f"{arguments.output}: cannot be made ({error.strerror}); nothing is lost") from None
        blackbox.write_csv(box, files[0])
        blackbox.draw(box, files[1])
        if not arguments.keep:
            release(link)
        sys.stdout.write("".join(f"{file}\n" for file in files))


def _demo(arguments: argparse.Namespace) -> None:
    from bedside.demo import run_demo
    from bedside.places import BOARDS

    run_demo(arguments.cell or BOARDS / "cells" / "psm.toml", arguments.recording, arguments.seconds, arguments.output)


if __name__ == "__main__":
    sys.exit(main())
