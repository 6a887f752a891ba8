"""A bridge as anyone would start it, armed, and the consoles' ends of it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bedside.cell import Cell
from bedside.errors import SurgeonError
from bedside.surgeon.authority import BRIDGE, SURGEON
from bedside.surgeon.beside import Beside
from bedside.surgeon.credentials import Credentials, load_credentials
from bedside.surgeon.find import issue_for_once
from bedside.surgeon.link import Link
from bedside.surgeon.local import call
from bedside.surgeon.proof import key_file
from bedside.surgeon.remote import Remote, Route

_START_S = 20.0


def credentials_of(cell: Cell, directory: Path, consoles: Sequence[str] = ("console",)) -> list[Credentials]:
    """Return those of surgeons' consoles, whose keys the cell's boards get; the bridge's are issued beside them."""
    keys = directory / "keys"
    if not keys.exists():
        issue_for_once(keys, {"bridge": BRIDGE, **dict.fromkeys(consoles, SURGEON)})
    found = [load_credentials(keys / console) for console in consoles]
    of_consoles = {each.name: each.proof_key for each in found if each.proof_key}
    for slot in cell.board:
        flash = directory / f"{slot.name}.flash"
        flash.mkdir(exist_ok=True)
        (flash / "keys.json").write_text(key_file(f"{cell.arm.name}/{slot.name}", of_consoles))
    return found


@contextlib.contextmanager
def bridge(cell_path: Path, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``bedside bridge`` for the cell, with the credentials that ``credentials_of`` has issued.

    Raises SurgeonError if it does not start; its log is bridge.log in ``directory``.
    """
    os.environ["BEDSIDE_RUN"] = str(directory)
    log = directory / "bridge.log"
    own = ["--credentials", str(directory / "keys" / "bridge")]
    command = [sys.executable, "-P", "-m", "bedside.cli", "bridge", str(cell_path), *own]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + _START_S
        while b"listening on" not in log.read_bytes():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SurgeonError(f"the bridge did not start: {log.read_text(errors='replace').strip()}")
            time.sleep(0.05)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def let_consoles_in(arm: str) -> None:
    """Do what the person beside the arm does, so that consoles may enable it. Raises SurgeonError."""
    with contextlib.closing(Link(call(arm), 10.0)) as link:
        Beside(link).arm()


def console_of(cell: Cell, credentials: Credentials, feedback_hz: float) -> Link:
    """Return a console's session with the cell's bridge. Raises SurgeonError."""
    link = Link(Remote(credentials, Route(bridge=cell.arm.listen)), feedback_hz)
    try:
        link.begin()
    except SurgeonError:
        link.close()
        raise
    return link
