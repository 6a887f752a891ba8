"""How the person beside an arm stops and clears it, against a bridge that says what the test wants."""

from __future__ import annotations

import contextlib
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedside.cell import load_cell
from bedside.errors import SurgeonError
from bedside.hil.lockstep import PSM
from bedside.link.messages import BRAKE_FAILED, CLOSING, DISABLED, FAULT, HOLDING, OFF
from bedside.surgeon import protocol
from bedside.surgeon.beside import Beside
from bedside.surgeon.link import Link
from bedside.surgeon.local import LocalListener, call, socket_path
from bedside.surgeon.welcome import welcome
from core import faults

LINK_TIMEOUT = 3
Board = tuple[int, int, int]
FAILING = (FAULT, CLOSING, BRAKE_FAILED)


class Bridge:
    """Shows the first of ``boards`` (state, phase and cause of one), and the next at each ``clear``."""

    def __init__(self, boards: list[Board]) -> None:
        self.cleared: list[Board] = []
        self._boards = boards
        self._listener = LocalListener(socket_path("psm1"))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not (line := self._listener.accept()):
            if self._over.wait(0.001):
                return
        with contextlib.closing(line), contextlib.suppress(SurgeonError):
            while not self._over.is_set():
                select.select([line], [], [], 0.005)
                for message in map(protocol.to_bridge, line.receive()):
                    if isinstance(message, protocol.Hello):
                        facts = welcome(load_cell(PSM), [0, 0, 0])
                        facts.session = 1
                        line.send(protocol.encode(facts))
                        line.send(protocol.encode(protocol.Figures(0, 0, 0, 0, 0, 0, 0)))
                    elif isinstance(message, protocol.StateCommand) and message.command == "clear":
                        self.cleared.append(self._board)
                state, phase, cause = self._board
                fields = protocol.pack([0, state, phase, cause, 0, 0, 0])
                line.send(protocol.encode(protocol.Feedback(0, 0, 0, 0, state, fields, b"")))

    @property
    def _board(self) -> Board:
        return self._boards[min(len(self.cleared), len(self._boards) - 1)]

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Beside, Bridge]]]:
    monkeypatch.setenv("BEDSIDE_RUN", str(tmp_path))
    with contextlib.ExitStack() as opened:

        def build(*boards: Board) -> tuple[Beside, Bridge]:
            bridge = opened.enter_context(contextlib.closing(Bridge(list(boards))))
            link = opened.enter_context(contextlib.closing(Link(call("psm1"), 50.0)))
            return Beside(link), bridge

        yield build


def test_the_host_knows_the_fault_by_the_boards_number() -> None:
    assert BRAKE_FAILED == faults.BRAKE_FAILED


def test_a_fault_whose_cause_is_gone_is_cleared(beside: Callable[..., tuple[Beside, Bridge]]) -> None:
    operator, bridge = beside((FAULT, OFF, LINK_TIMEOUT), (DISABLED, OFF, 0))
    operator.clear()
    assert bridge.cleared == [(FAULT, OFF, LINK_TIMEOUT)]


def test_an_alarm_that_comes_while_the_arm_is_cleared_is_told_and_not_answered_for_the_person(
    beside: Callable[..., tuple[Beside, Bridge]],
) -> None:
    operator, bridge = beside((FAULT, HOLDING, LINK_TIMEOUT), FAILING)
    with pytest.raises(SurgeonError, match="support the joint"):
        operator.clear()
    assert bridge.cleared == [(FAULT, HOLDING, LINK_TIMEOUT)]


def test_a_person_who_knows_of_the_alarm_takes_the_torque_away(
    beside: Callable[..., tuple[Beside, Bridge]],
) -> None:
    operator, bridge = beside(FAILING, (FAULT, OFF, BRAKE_FAILED), (DISABLED, OFF, 0))
    operator.clear()
    assert bridge.cleared == [FAILING, (FAULT, OFF, BRAKE_FAILED)]


def test_an_arm_that_stays_on_is_told(
    beside: Callable[..., tuple[Beside, Bridge]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bedside.surgeon.beside._DISABLE_S", 0.3)
    operator, _ = beside((FAULT, HOLDING, LINK_TIMEOUT))
    with pytest.raises(SurgeonError, match="does not become DISABLED"):
        operator.clear()


def test_a_bridge_that_ends_is_told(beside: Callable[..., tuple[Beside, Bridge]]) -> None:
    operator, bridge = beside((DISABLED, OFF, 0))
    bridge._over.set()
    with pytest.raises(SurgeonError, match="the bridge has ended"):
        operator.arm()
