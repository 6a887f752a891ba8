"""Finds the cell's boards, makes sure that they are the right ones, and configures them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import chain, zip_longest

from bedside.boardfile import board_config, canonical, load_board_type
from bedside.cell import BoardSlot, Cell
from bedside.errors import BedsideError, LinkError
from bedside.link import blackbox, causes, scale
from bedside.link.board import BoardLink, ask_all
from bedside.link.messages import RESET_CAUSES, Identity
from bedside.link.port import SerialPort


def connect(cell: Cell, tell: Callable[[str], None] = lambda _: None) -> list[BoardLink]:
    """Open and identify every board of ``cell``, in its order. Raises LinkError with cause and remedy.

    ``tell`` gets lines on boards that did not start because they were switched on, or keep the record of a fault.
    """
    links: list[BoardLink] = []
    uids: dict[str, str] = {}
    try:
        for slot in cell.board:
            port = SerialPort(slot.port, load_board_type(slot.type).link.baud)
            links.append(BoardLink(port, f"board '{slot.name}'"))
            identity = links[-1].identify()
            if identity.uid in uids:
                raise LinkError(
                    f"ports {uids[identity.uid]} and {slot.port} lead to the same board '{identity.name}' "
                    f"({identity.uid}); "
                    "give each board of the cell a port of its own"
                )
            uids[identity.uid] = slot.port
            _check(cell, slot, identity)
            _tell_of_the_past(cell, slot.name, links[-1], identity, tell)
    except BedsideError:
        close(links)
        raise
    return links


def _tell_of_the_past(cell: Cell, name: str, link: BoardLink, identity: Identity, tell: Callable[[str], None]) -> None:
    """Tell why the board has started, if it did so by itself, and what its black box keeps."""
    try:
        cause, events = blackbox.kept(link)
    except LinkError:
        return  # a board that is on; it stops soon, having lost its bridge
    if identity.reset_cause:
        why = RESET_CAUSES[identity.reset_cause]
        tell(f"{link.label} has started by itself ({why}); find out why before you enable the arm")
        joints = [joint.name for _, joint in cell.joints_of(name)]
        for event in events:
            joint = f", joint '{joints[event.channel]}'" if 0 <= event.channel < len(joints) else ""
            tell(f"before that, at tick {event.tick}: {causes.explain(event, link.label + joint)}")
    if cause:
        tell(
            f"{link.label} keeps the black box of '{causes.name_of(cause)}'; without the bridge, "
            f"'bedside blackbox {link.port.name}' fetches it"
        )


def check_identity(cell: Cell, name: str, port: str, identity: Identity) -> None:
    """Raise LinkError unless ``identity`` is the board ``name`` with the joints that the cell file puts on it."""
    if identity.name != name:
        raise LinkError(
            f"port {port}: this is board '{identity.name}', the cell file expects '{name}' here; "
            "swap the cables or correct board.port"
        )
    if identity.arm not in ("", cell.arm.name):
        raise LinkError(
            f"port {port}: this is {identity.role}, the cell file expects {cell.arm.name}/{name} here; swap the "
            f"cables, correct board.port, or let 'bedside flash CELL.toml {name}' change it, which asks first"
        )
    wanted = [joint.name for _, joint in cell.joints_of(name)]
    found = [joint.name for joint in identity.joints]
    if wanted != found:
        raise LinkError(
            f"board '{name}': it drives {', '.join(found)}, the cell file expects {', '.join(wanted)}; "
            "correct joint.board and joint.channel, or flash the board's configuration"
        )
    slot = next(slot for slot in cell.board if slot.name == name)
    tick_hz = load_board_type(slot.type).tick_hz
    if identity.tick_hz != tick_hz:
        raise LinkError(
            f"board '{name}': it ticks at {identity.tick_hz} Hz, the board file '{slot.type}' says {tick_hz}; "
            "correct board.type or flash the board again"
        )


def build_fault(cell: Cell, name: str, identity: Identity) -> str:
    """Return why the board does not run this computer's firmware with this cell file's configuration; "" if it does.

    A simulated board that was not flashed runs the firmware's sources, which are this computer's.
    """
    kind = load_board_type(next(slot.type for slot in cell.board if slot.name == name))
    if not identity.build:
        return "its firmware was not put there by 'bedside flash', so nobody checked it" if kind.channel else ""
    # Only here, because it brings the compiler along.
    from bedside.flash.package import expected_build

    expected = expected_build(kind.chip, canonical(board_config(cell, name)))
    if identity.build == expected:
        return ""
    return (
        f"it runs build {identity.build} (firmware {identity.firmware}), this computer and its cell file make build "
        f"{expected}"
    )


def _check(cell: Cell, slot: BoardSlot, identity: Identity) -> None:
    check_identity(cell, slot.name, slot.port, identity)
    if fault := build_fault(cell, slot.name, identity):
        raise LinkError(f"board '{slot.name}': {fault}; run 'bedside flash CELL.toml {slot.name}'")


def configure(cell: Cell, links: list[BoardLink], command_hz: float, boards: Collection[int] | None = None) -> None:
    """Identify each board again (it may have restarted) and configure it, or only ``boards``, by their places.

    Raises LinkError or CellError.
    """
    asked_for = range(len(links)) if boards is None else sorted(boards)
    links = [links[board] for board in asked_for]
    of_boards: list[list[list[int]]] = []
    for slot, link in zip([cell.board[board] for board in asked_for], links, strict=True):
        identity = link.identify()
        _check(cell, slot, identity)
        of_joints = (scale.joint_messages(joint, identity.tick_hz) for _, joint in cell.joints_of(slot.name))
        of_boards.append([*chain.from_iterable(of_joints), scale.board_message(cell, slot.name, command_hz)])
    # A board takes one at a time, but need not wait for the others.
    for at_once in zip_longest(*of_boards):
        asked = [(link, message) for link, message in zip(links, at_once, strict=True) if message]
        ask_all([link for link, _ in asked], [message for _, message in asked])


def close(links: list[BoardLink]) -> None:
    """Give every port back."""
    for link in links:
        link.port.close()
