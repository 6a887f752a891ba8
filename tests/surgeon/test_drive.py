"""How a person stops and clears an arm from the terminal, against a bridge that says what the test wants."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from bedside.cell import Cell
from bedside.errors import SurgeonError
from bedside.link.messages import BRAKE_FAILED, CLOSING, DISABLED, FAULT, HOLDING, OFF
from bedside.surgeon import protocol
from bedside.surgeon.console import Console
from bedside.surgeon.drive import Drive, Log
from core import faults

LINK_TIMEOUT = 3
Board = tuple[int, int, int]


class Bridge:
    """Answers the n-th thing that a console says with the n-th of ``boards``: state, phase and cause of one."""

    def __init__(self, boards: list[Board]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.heard: list[tuple[str, Board]] = []
        self._boards = boards
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, console = self.socket.recvfrom(protocol.DATAGRAM_MAX)
                message = protocol.to_bridge(data)
                state, phase, cause = board = self._boards[min(len(self.heard), len(self._boards) - 1)]
                self.heard.append((getattr(message, "command", ""), board))
                fields = protocol.pack([0, state, phase, cause, 0, 0, 0])
                feedback = protocol.Feedback(message.session, message.seq, 0, 0, 0, state, fields, b"")
                self.socket.sendto(protocol.encode(feedback), console)

    def disables(self) -> list[Board]:
        """Return what each ``disable`` was answered with."""
        return [board for command, board in self.heard if command == "disable"]


@pytest.fixture
def drive_with(cell: Cell) -> Iterator[object]:
    opened: list[contextlib.AbstractContextManager[object]] = []

    def build(*boards: Board) -> tuple[Drive, Bridge]:
        bridge = Bridge(list(boards))
        console = Console(bridge.socket.getsockname())
        opened.extend((contextlib.closing(console), contextlib.closing(bridge.socket)))
        console.attach()
        drive = Drive(cell, console, 200.0, Log(None, []), lambda done, of: None)
        opened.append(contextlib.closing(drive))
        return drive, bridge

    yield build
    for end in opened:
        with end:
            pass


def test_the_host_knows_the_fault_by_the_boards_number() -> None:
    assert BRAKE_FAILED == faults.BRAKE_FAILED


def test_an_alarm_that_comes_while_the_arm_is_disabled_is_told_and_not_answered_for_the_person(drive_with) -> None:  # type: ignore[no-untyped-def]
    failing = (FAULT, CLOSING, BRAKE_FAILED)
    drive, bridge = drive_with((FAULT, HOLDING, LINK_TIMEOUT), (FAULT, HOLDING, LINK_TIMEOUT), failing)
    with pytest.raises(SurgeonError, match="support the joint"):
        drive.disable()
    assert bridge.disables() == [(FAULT, HOLDING, LINK_TIMEOUT), failing]


def test_a_person_who_knows_of_the_alarm_takes_the_torque_away(drive_with) -> None:  # type: ignore[no-untyped-def]
    failing = (FAULT, CLOSING, BRAKE_FAILED)
    drive, bridge = drive_with(failing, (FAULT, OFF, BRAKE_FAILED), (DISABLED, OFF, 0))
    drive.disable()
    assert len(bridge.disables()) == 2


def test_an_arm_that_stays_on_is_told(drive_with, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("bedside.surgeon.drive._DISABLE_S", 0.3)
    drive, _ = drive_with((FAULT, HOLDING, LINK_TIMEOUT))
    with pytest.raises(SurgeonError, match="does not become DISABLED"):
        drive.disable()
