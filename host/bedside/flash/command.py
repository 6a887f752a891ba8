"""``bedside flash``: which boards, with which package, in which order; and what a person is told and asked."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bedside.boardfile import load_board_type
from bedside.cell import BoardSlot, Cell, load_cell
from bedside.chips import EspImage, chip_called
from bedside.errors import BedsideError, FlashError
from bedside.flash import deploy, esp, uf2
from bedside.flash.keys import load_signing_key, signing_key_path, trusted_keys
from bedside.flash.lent import lent
from bedside.flash.package import Package, build_package, load_package
from bedside.flash.update import Person, ask_before_erasing, image_for, update_board
from bedside.link.port import device_of

# MicroPython's own on an ESP32, where a link that shares it is as fast.
_ESP_CONSOLE_BAUD = 115_200


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line says. Raises BedsideError."""
    if arguments.package and arguments.micropython:
        raise FlashError("--package and --micropython: a package has its own MicroPython; leave one out")
    if arguments.cell is None:
        _micropython_alone(arguments)
        return
    cell = load_cell(arguments.cell)
    slots = _slots(cell, arguments)
    if len(slots) > 1 and (arguments.port or arguments.micropython):
        raise FlashError("--port and --micropython are for one board at a time; name the board instead of --all")
    done: list[str] = []
    for slot in slots:
        try:
            _flash(cell, slot, arguments)
        except BedsideError as error:
            if len(slots) == 1:
                raise
            left = [other.name for other in slots if other.name not in done]
            raise FlashError(
                f"{error}\nDone: {', '.join(done) or 'none'}; not done: {', '.join(left)}. The same command goes on"
            ) from None
        done.append(slot.name)


def _flash(cell: Cell, slot: BoardSlot, arguments: argparse.Namespace) -> None:
    kind = load_board_type(slot.type)
    console = arguments.port or slot.console
    port = console or device_of(slot.port)
    with _package(kind.chip, arguments) as package, _person(arguments, f"flashing {slot.name}") as person:
        if arguments.dry_run:
            _print_commands(cell, slot, package, port, arguments)
            return
        if arguments.micropython:
            ask_before_erasing(slot.port, kind.link.baud, image_for(package, cell, slot), person)
            _write_micropython(package, port, arguments, person)
        update_board(cell, slot, package, person, console)


def _slots(cell: Cell, arguments: argparse.Namespace) -> list[BoardSlot]:
    names = [slot.name for slot in cell.board]
    if arguments.all:
        if arguments.board:
            raise FlashError(f"'{arguments.board}' and --all: leave one of them out")
        return cell.board
    if arguments.board is None and len(names) == 1:
        return cell.board
    chosen = [slot for slot in cell.board if slot.name == arguments.board]
    if not chosen:
        what = f"no board '{arguments.board}' in" if arguments.board else "which board? there are several in"
        raise FlashError(f"{what} {arguments.cell}; name one of {', '.join(names)}, or give --all")
    return chosen


def _micropython_alone(arguments: argparse.Namespace) -> None:
    """Write MicroPython to the board behind --port, or in BOOTSEL mode, whatever it is to become."""
    if arguments.package is None:
        raise FlashError("give CELL.toml and BOARD, or, for MicroPython alone, --package FOLDER and --port PORT")
    package = load_package(arguments.package, trusted_keys())
    is_esp = isinstance(chip_called(package.chip).image, EspImage)
    if is_esp and arguments.port is None:
        raise FlashError(f"--port is missing: where is the {package.chip}? 'bedside boards' lists what is connected")
    if arguments.dry_run:
        commands = esp.commands(arguments.port, package) if is_esp else uf2.commands(package, arguments.volume)
        sys.stdout.write("".join(f"{line}\n" for line in commands))
        return
    with _person(arguments, "writing MicroPython") as person:
        if is_esp:
            ask_before_erasing(arguments.port, _ESP_CONSOLE_BAUD, None, person)
        _write_micropython(package, arguments.port, arguments, person)


def _write_micropython(package: Package, port: str, arguments: argparse.Namespace, person: Person) -> None:
    if package.micropython is None:
        raise FlashError("this package has no MicroPython; give --micropython FILE, or make the package with it")

    def progress(share: float) -> None:
        person.progress(share, 1.0)

    if isinstance(chip_called(package.chip).image, EspImage):
        esp.write_micropython(port, package, progress)
        person.tell(f"port {port}: {package.micropython.name} written, its hash verified")
    else:
        volume = uf2.wait_for_volume(package.chip, person.tell, arguments.volume)
        uf2.write_micropython(volume, package, progress)
        person.tell(f"{volume}: {package.micropython.name} written, the board has started from it")


@contextlib.contextmanager
def _package(chip: str, arguments: argparse.Namespace) -> Iterator[Package]:
    """Yield the package that was named, or one that is made and signed here; verified in any case."""
    if arguments.package:
        yield load_package(arguments.package, trusted_keys())
        return
    key = load_signing_key(signing_key_path())
    with lent({}) as scratch:
        folder = scratch / chip
        build_package(chip, folder, arguments.micropython, key)
        yield load_package(folder, trusted_keys())


@contextlib.contextmanager
def _person(arguments: argparse.Namespace, what: str) -> Iterator[Person]:
    from rich.progress import Progress

    # Without a terminal it would leave empty lines.
    with Progress(transient=True, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(what, total=None)

        def ask(question: str) -> bool:
            if arguments.yes:
                return True
            if not sys.stdin.isatty():
                raise FlashError(f"{question} Nobody is there to answer; say --yes if you are sure")
            bar.stop()
            try:
                answer = input(f"{question} [y/N] ")
            except EOFError:
                answer = ""
            bar.start()
            return answer.strip().lower() in ("y", "yes")

        def tell(text: str) -> None:
            bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

        yield Person(tell, ask, lambda done, of: bar.update(task, completed=done, total=of))


def _print_commands(cell: Cell, slot: BoardSlot, package: Package, port: str, arguments: argparse.Namespace) -> None:
    """Print what does the same to a board that does not run slot a, and leave the files that it is done with."""
    image = image_for(package, cell, slot)
    folder = Path(tempfile.mkdtemp(prefix="bedside-dry-run-"))
    kept = {f"{deploy.SLOTS[0]}/{path}": content for path, content in image.files.items()}
    kept |= {f"{deploy.SLOTS[0]}/{deploy.MANIFEST}": image.manifest, deploy.LOADER: package.loader}
    lines = [f"# board '{slot.name}', unless it runs slot {deploy.SLOTS[0]}; the files stand in {folder}"]
    if arguments.micropython and package.micropython:
        kept[package.micropython.name] = package.micropython.data
        here = replace(package, folder=folder)
        is_esp = isinstance(chip_called(package.chip).image, EspImage)
        lines += esp.commands(port, here) if is_esp else uf2.commands(here, arguments.volume)
    for path, content in kept.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    lines += deploy.commands(port, folder)
    sys.stdout.write("".join(f"{line}\n" for line in lines))
