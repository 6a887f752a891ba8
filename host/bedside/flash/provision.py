"""Gives a board the keys of the consoles that may move it: of each a key that is good for this board alone.

This is done where the consoles' own keys are, and not on the computer that runs the bridge: what proves that a surgeon
is there is worth nothing if the bridge could say it.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from bedside.boardfile import load_board_type
from bedside.cell import BoardSlot, Cell
from bedside.errors import FlashError, LinkError, SurgeonError
from bedside.flash.deploy import put, reset
from bedside.flash.update import Person
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.link.messages import Identity
from bedside.link.port import SerialPort, device_of
from bedside.surgeon.credentials import load_credentials
from bedside.surgeon.proof import key_file

KEYS = "keys.json"
_KEYS_MAX = 8
# As for an update: it leaves its program behind a reset, and loads it again.
_READY_S = 30.0
_POLL_S = 0.5
_RESET_AGAIN_S = 8.0


def console_keys(folders: list[Path]) -> dict[str, bytes]:
    """Return the proof keys in consoles' credentials, by name. Raises SurgeonError."""
    keys: dict[str, bytes] = {}
    for folder in folders:
        credentials = load_credentials(folder)
        if credentials.proof_key is None:
            raise SurgeonError(f"{folder}: '{credentials.name}' is a {credentials.role}, and never moves an arm")
        keys[credentials.name] = credentials.proof_key
    if len(keys) > _KEYS_MAX:
        raise SurgeonError(f"{len(keys)} consoles; a board keeps the keys of {_KEYS_MAX}")
    return keys


def provision(
    cell: Cell, slot: BoardSlot, consoles: dict[str, bytes], person: Person, console_port: str | None = None
) -> None:
    """Let the board in ``slot`` know these consoles and no others; with none it asks for no proof any more.

    ``console_port`` is the port of its REPL, where its link has another. Raises FlashError or LinkError; a board that
    was interrupted has either the keys from before or all of the new ones.
    """
    role = f"{cell.arm.name}/{slot.name}"
    port = console_port or device_of(slot.port)
    _give_repl(slot)
    try:
        _put(port, key_file(role, consoles).encode() if consoles else b"")
    finally:
        reset(port)
    found = _see(slot, port)
    if found.keys != len(consoles):
        raise FlashError(
            f"board '{slot.name}': tells of {found.keys} keys, not of {len(consoles)}; run the same command again"
        )
    names = ", ".join(sorted(consoles)) or "none: it asks for no proof that a surgeon is there"
    person.tell(f"board '{slot.name}': has the keys of {names}")


def _give_repl(slot: BoardSlot) -> None:
    """Let the board, which must be off and the one that is meant, give its REPL the port."""
    with contextlib.closing(SerialPort(slot.port, load_board_type(slot.type).link.baud)) as port:
        link = BoardLink(port, f"board '{slot.name}'")
        identity = link.identify()
        if identity.name != slot.name:
            raise FlashError(f"port {slot.port}: this is board '{identity.name}', not '{slot.name}'; check the cables")
        link.ask([schema.MAINTENANCE, 0])


def _put(port: str, content: bytes) -> None:
    end = time.monotonic() + _READY_S
    while True:
        time.sleep(_POLL_S)
        try:
            return put(port, KEYS, content)
        except FlashError:
            if time.monotonic() > end:
                raise


def _see(slot: BoardSlot, port_of_repl: str) -> Identity:
    """Wait until the board runs again, and return what it tells of itself."""
    end = time.monotonic() + _READY_S
    reset_s = time.monotonic()
    while True:
        if time.monotonic() - reset_s > _RESET_AGAIN_S:
            # A REPL that was busy may have missed it.
            reset_s = time.monotonic()
            reset(port_of_repl)
        try:
            with contextlib.closing(SerialPort(slot.port, load_board_type(slot.type).link.baud)) as port:
                return BoardLink(port, f"board '{slot.name}'").identify()
        except LinkError:
            if time.monotonic() > end:
                raise
        time.sleep(_POLL_S)
