"""The commands ``bedside flash``, and of what it needs: ``bedside keys signing`` and ``bedside package``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_keys(kinds: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the kind that signs packages to those of ``bedside keys``."""
    signing = kinds.add_parser("signing", help="make the key that signs packages")
    signing.add_argument("--output", type=Path, metavar="FILE", help="default: ~/.config/bedside/signing.key")
    signing.set_defaults(run=_signing)

    board = kinds.add_parser("board", help="give boards the keys of the consoles that may move them")
    board.add_argument("cell", type=Path, metavar="CELL.toml")
    board.add_argument("board", nargs="?", metavar="BOARD", help="default: every board of the cell")
    board.add_argument(
        "--console",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a console's credentials; may be given again; all that are not named are forgotten",
    )
    board.add_argument("--none", action="store_true", help="forget every console: the boards ask for no proof any more")
    board.add_argument("--port", metavar="PORT", help="of the board's USB console, if its link has another")
    board.set_defaults(run=_board)


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands to those of ``bedside``."""
    package = commands.add_parser("package", help="compile the firmware for a chip, and sign it")
    package.add_argument("--chip", required=True, help="unix, mps2, rp2040, rp2350, esp32 or esp32s3")
    package.add_argument("--micropython", type=Path, metavar="FILE", help="the image to put onto boards without one")
    package.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    package.add_argument("--key", type=Path, metavar="FILE", help="default: the one that 'bedside keys signing' made")
    package.set_defaults(run=_package)

    flash = commands.add_parser("flash", help="put MicroPython, firmware and configuration on a board")
    flash.add_argument(
        "cell", type=Path, nargs="?", metavar="CELL.toml", help="without it, MicroPython alone is written"
    )
    flash.add_argument(
        "board", nargs="?", metavar="BOARD", help="which of the cell's boards; may be left out if it has one"
    )
    flash.add_argument("--all", action="store_true", help="every board of the cell")
    flash.add_argument("--port", metavar="PORT", help="of the board's USB console, if its link has another")
    flash.add_argument("--package", type=Path, metavar="FOLDER", help="default: made here, with your signing key")
    flash.add_argument(
        "--micropython", type=Path, metavar="FILE", help="write this image first; all on the board is erased"
    )
    flash.add_argument("--volume", type=Path, metavar="FOLDER", help="where an RP2 board in BOOTSEL mode is mounted")
    flash.add_argument("--yes", action="store_true", help="give a board another role without asking")
    flash.add_argument("--dry-run", action="store_true", help="print the equivalent commands, and do nothing")
    flash.set_defaults(run=_flash)


def _signing(arguments: argparse.Namespace) -> None:
    from bedside.flash.keys import make_key, public_path, signing_key_path, trusted_folder

    path = arguments.output or signing_key_path()
    fingerprint = make_key(path)
    public = public_path(path)
    own = "" if path == signing_key_path() else ", this one included"
    sys.stdout.write(
        f"signing key: {path}\n"
        f"public key:  {public}\n"
        f"fingerprint: {fingerprint}\n"
        "Keep a copy of the signing key offline, and let nobody have it: whoever has it decides what boards run.\n"
        f"Give {public.name} to the computers that flash your packages{own}; they keep it in {trusted_folder()}.\n"
    )


def _board(arguments: argparse.Namespace) -> None:
    from bedside.cell import load_cell
    from bedside.errors import FlashError
    from bedside.flash.provision import console_keys, provision
    from bedside.flash.update import Person

    cell = load_cell(arguments.cell)
    if bool(arguments.console) == arguments.none:
        raise FlashError("name the consoles that may move the arm with --console FOLDER, or none of them with --none")
    slots = [slot for slot in cell.board if arguments.board in (None, slot.name)]
    if not slots:
        names = ", ".join(slot.name for slot in cell.board)
        raise FlashError(f"no board '{arguments.board}' in {arguments.cell}; there are: {names}")
    if arguments.port and len(slots) > 1:
        raise FlashError("--port is of one board: name that board, too")
    keys = console_keys(arguments.console)

    def tell(text: str) -> None:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    person = Person(tell, lambda _: False, lambda *_: None)
    for slot in slots:
        provision(cell, slot, keys, person, arguments.port or slot.console)


def _package(arguments: argparse.Namespace) -> None:
    from rich.progress import Progress

    from bedside.flash.keys import fingerprint, load_signing_key, signing_key_path
    from bedside.flash.package import build_package

    key = load_signing_key(arguments.key or signing_key_path())
    # Without a terminal it would leave an empty line.
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task("compiling", total=None)
        build_package(
            arguments.chip,
            arguments.output,
            arguments.micropython,
            key,
            lambda done, of: bar.update(task, completed=done, total=of),
        )
    sys.stdout.write(f"{arguments.output}: for {arguments.chip}, signed by {fingerprint(key.public_key())}\n")


def _flash(arguments: argparse.Namespace) -> None:
    from bedside.flash.command import run

    run(arguments)
