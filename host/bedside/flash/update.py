"""Brings a board of a cell to what its cell file and a package say it should run.

A board that runs Bedside is asked to give its REPL the port, which it refuses while its arm is on. Then the new
firmware goes to the slot that does not run, and the board is reset. Wherever this is interrupted, the same command goes
on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bedside.boardfile import BoardType, UartLink, board_config, canonical, load_board_type
from bedside.cell import BoardSlot, Cell
from bedside.errors import FlashError, LinkError, NoPortError
from bedside.flash.deploy import Survey, deploy, is_there, reset, survey
from bedside.flash.package import BoardImage, Package, board_image
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.link.messages import Identity
from bedside.link.port import SerialPort, device_of

# A board that leaves its program behind a reset, and whose USB port comes back, takes some seconds; one that was asked
# for its identity in vain has a REPL that got nonsense to read.
_REPL_S = 30.0
# It hashes its firmware and loads it; an emulated one is slow.
_BOOT_S = 30.0
_POLL_S = 0.5


@dataclass(frozen=True)
class Person:
    """Who sits before the computer: is told what happens, and asked before something is lost."""

    tell: Callable[[str], None]
    ask: Callable[[str], bool]
    progress: Callable[[float, float], None]


def update_board(cell: Cell, slot: BoardSlot, package: Package, person: Person, console: str | None = None) -> None:
    """Let the board in ``slot`` run ``package`` with the configuration that ``cell`` gives it.

    ``console`` is the port of its REPL, where its link has another. Raises FlashError, LinkError or CellError.
    """
    kind = load_board_type(slot.type)
    image = image_for(package, cell, slot)
    port = console or device_of(slot.port)
    identity = _interrupt(slot, kind, image, console is not None)
    if identity and identity.build == image.build:
        person.tell(f"board '{slot.name}': runs build {image.build} already")
        return
    try:
        found = replace(_survey(port, package, kind), build=identity.build if identity else "")
        _ask_before_another_role(slot, found, identity, cell, person)
        if is_there(found, package.loader, image.manifest):
            person.tell(f"board '{slot.name}': has build {image.build} already; it is started anew")
        else:
            person.tell(f"board '{slot.name}': writing build {image.build} to {port}")
            deploy(port, found, package.loader, image.files, image.manifest, person.progress)
    except KeyboardInterrupt:
        person.tell(f"board '{slot.name}': interrupted; it goes on with what it had, and the same command completes it")
        raise
    finally:
        # Whatever has happened: it was taken out of its work for this.
        reset(port)
    _see_it_run(slot, kind, image, person)


def image_for(package: Package, cell: Cell, slot: BoardSlot) -> BoardImage:
    """Return what ``slot`` of ``cell`` is to hold of ``package``. Raises CellError; FlashError for another chip's."""
    kind = load_board_type(slot.type)
    if package.chip != kind.chip:
        raise FlashError(
            f"board '{slot.name}': its type '{slot.type}' says {kind.chip}, the package is for {package.chip}; take "
            "that chip's package, or correct board.type in the cell file"
        )
    config = canonical(board_config(cell, slot.name))
    return board_image(package.chip, package.version, package.loader, package.files, config)


def ask_before_erasing(port: str, baud: int, wanted: BoardImage | None, person: Person) -> None:
    """Ask before all that is on a board goes, its role too. Raises FlashError when the answer is no, or its arm is on.

    Only a board that runs Bedside, its link at ``port``, can be asked who it is; one that is ``wanted`` may go.
    """
    try:
        line = SerialPort(port, baud)
    except NoPortError:
        return
    with contextlib.closing(line):
        try:
            identity = BoardLink(line, f"port {port}").identify()
        except LinkError as error:
            if "nothing there answers" not in str(error):
                raise
            return
    runs = f"runs build {identity.build}" if identity.build else "was not flashed"
    if wanted and identity.build == wanted.build:
        return
    if not person.ask(f"This board is {identity.role}, and {runs}. Shall all that is on it be erased?"):
        raise FlashError(f"port {port}: board {identity.role} stays as it is; does the cable lead to the right one?")


def _interrupt(slot: BoardSlot, kind: BoardType, image: BoardImage, other_console: bool) -> Identity | None:
    """Let the board give its REPL the port, unless it runs ``image`` or no firmware; return who it was."""
    try:
        port = SerialPort(slot.port, kind.link.baud)
    except NoPortError:
        if other_console:
            return None  # its link is not connected, its REPL is
        raise
    link = BoardLink(port, f"board '{slot.name}'")
    with contextlib.closing(port):
        try:
            identity = link.identify()
        except LinkError as error:
            if "nothing there answers" in str(error):
                return None  # its REPL has the port already, or there is no firmware on it
            if "another protocol" not in str(error):
                raise
            identity = None
        if identity and identity.build == image.build:
            return identity
        try:
            link.ask([schema.MAINTENANCE, 0])
        except LinkError:
            # One of another protocol is not understood, but has done it, or it will not have a REPL.
            if identity:
                raise
    return identity


def _survey(port: str, package: Package, kind: BoardType) -> Survey:
    """Ask the REPL what is there, once it has the port; raise FlashError if the package is not for this board."""
    end = time.monotonic() + _REPL_S
    time.sleep(_POLL_S)
    while True:
        try:
            found = survey(port)
            break
        except FlashError:
            if time.monotonic() > end:
                raise
            time.sleep(_POLL_S)
    if found.chip != package.chip:
        raise FlashError(
            f"port {port}: this board is of chip {found.chip} ({found.machine}), and the package is for "
            f"{package.chip}; check the port, or take that chip's package"
        )
    # An .mpy file begins with "M", its version, and in two bits its sub-version, where it holds machine code.
    needed = max(module[1] | (module[2] & 3) << 8 for module in package.files.values())
    if found.mpy != needed:
        raise FlashError(
            f"port {port}: this board's MicroPython loads .mpy files of version {found.mpy & 0xFF}.{found.mpy >> 8}, "
            f"the package has {needed & 0xFF}.{needed >> 8}; put another MicroPython on it, with --micropython FILE, "
            "or make the package with the mpy-cross of that version"
        )
    oldest = tuple(int(part) for part in (kind.micropython or "0").split("."))
    if found.version < oldest:
        has = ".".join(map(str, found.version))
        raise FlashError(
            f"port {port}: this board has MicroPython {has}, and needs {kind.micropython} or newer; download it from "
            "MicroPython's page of this board, and put it on with --micropython FILE"
        )
    return found


def _ask_before_another_role(
    slot: BoardSlot, found: Survey, identity: Identity | None, cell: Cell, person: Person
) -> None:
    wanted = f"{cell.arm.name}/{slot.name}"
    has = identity.role if identity else found.role()
    if has not in ("", wanted, slot.name) and not person.ask(f"This board is {has}. Shall it become {wanted}?"):
        raise FlashError(
            f"board '{slot.name}': the board there is {has}, and stays so; check that the cable leads to the right one"
        )


def _see_it_run(slot: BoardSlot, kind: BoardType, image: BoardImage, person: Person) -> None:
    """Wait until the board says that it runs ``image``. Raises FlashError if it does not."""
    end = time.monotonic() + _BOOT_S
    said = "it does not answer"
    while time.monotonic() < end:
        try:
            port = SerialPort(slot.port, kind.link.baud)
        except LinkError as error:
            said = str(error)
        else:
            with contextlib.closing(port), contextlib.suppress(LinkError):
                build = BoardLink(port, f"board '{slot.name}'").identify().build
                if build == image.build:
                    person.tell(f"board '{slot.name}': runs build {build}")
                    return
                said = f"it runs {f'build {build}' if build else 'what was not flashed'}"
        time.sleep(_POLL_S)
    cables = "; is its link's cable connected?" if isinstance(kind.link, UartLink) else ""
    raise FlashError(
        f"board '{slot.name}': build {image.build} is on it, but it has not been seen running: {said}{cables} Run the "
        "same command again"
    )
