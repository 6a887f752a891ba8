"""What a person's hands are needed for: turning joints while their encoders count, and releasing brakes.

Nothing here enables a board, and nothing opens a brake: over the link there is no way to, on purpose.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bedside.boardfile import load_board_type
from bedside.bridge.connect import close, configure, connect
from bedside.cell import Cell
from bedside.doctor.findings import Finding, fail, failed, ok, warn
from bedside.doctor.probe import state_text
from bedside.errors import BedsideError, LinkError
from bedside.joint import Joint
from bedside.link import causes, schema
from bedside.link.board import BoardLink
from bedside.link.messages import DISABLED, OFF, RELEASED, Event, Feedback
from bedside.link.scale import MICRO

if TYPE_CHECKING:
    from rich.table import Table

# As often as an eye can follow.
_LOOK_S = 0.05
# How long somebody may take to reach the switch, and to let go of it.
_PATIENCE_S = 30.0
# What a joint must turn to count as turned: sixteen counts, which no jitter of an encoder at rest makes.
_COUNTS = 16
_BRAKE_CLOSED = 1

Say = Callable[[str], None]


@dataclass
class Travel:
    """How far a joint has gone since it was looked at first, in urad (or um): now, and furthest each way."""

    joint: Joint
    start: int | None = None
    now: int = 0
    highest: int = 0
    lowest: int = 0

    def take(self, position: int) -> None:
        """Note that the joint is at ``position``."""
        if self.start is None:
            self.start = position
        self.now = position - self.start
        self.highest = max(self.highest, self.now)
        self.lowest = min(self.lowest, self.now)

    @property
    def turned(self) -> bool:
        """Whether it has moved, further than an encoder flickers."""
        return max(self.highest, -self.lowest) >= MICRO * _COUNTS / abs(self.joint.encoder.counts_per_unit)


@dataclass
class Board:
    """A board of the cell that is off, and configured so that its joints count."""

    name: str
    link: BoardLink
    joints: list[Joint]
    has_switch: bool
    travels: list[Travel] = field(default_factory=list)

    def look(self, say: Say) -> Feedback:
        """Return how the board is; say what faults it tells. Raises LinkError."""
        feedback = self.link.ask([schema.KEEP_ALIVE, 0])
        for message in self.link.receive():
            if isinstance(message, Event) and message.is_fault:
                where = self.name
                if 0 <= message.channel < len(self.joints):
                    where += f", joint '{self.joints[message.channel].name}'"
                say(causes.explain(message, where))
        return feedback


@contextlib.contextmanager
def of(cell: Cell, port: str | None, say: Say) -> Iterator[list[Board]]:
    """Yield the boards of ``cell``, or the one behind ``port``, configured as the bridge does, never enabled.

    Raises LinkError or CellError, also when a board is not DISABLED.
    """
    cell = _only(cell, port)
    links = connect(cell, say)
    try:
        for slot, link in zip(cell.board, links, strict=True):
            feedback = link.ask([schema.KEEP_ALIVE, 0])
            if feedback.state != DISABLED:
                raise LinkError(
                    f"board '{slot.name}' is {state_text(feedback)}, not DISABLED; disable it first, with "
                    "'bedside local CELL.toml clear' after a fault"
                )
        configure(cell, links, cell.arm.command_hz)
        boards = []
        for slot, link in zip(cell.board, links, strict=True):
            kind = load_board_type(slot.type)
            has_switch = kind.pins.brake_release is not None or not kind.facts.gpios
            boards.append(Board(slot.name, link, [joint for _, joint in cell.joints_of(slot.name)], has_switch))
        yield boards
    finally:
        close(links)


def turn(boards: list[Board], say: Say) -> Iterator[Finding]:
    """Show how far each joint is turned until Ctrl-C; then tell which moved, and which way."""
    for board in boards:
        board.travels = [Travel(joint) for joint in board.joints]
        if any(joint.brake for joint in board.joints):
            say(f"{board.name} has brakes: hold its brake release pressed while you turn its joints")
    say("turn each joint by hand, then press Ctrl-C")
    lost: list[Finding] = []
    with _live() as show, contextlib.suppress(KeyboardInterrupt):
        while not lost:
            for board in boards:
                try:
                    for travel, position in zip(board.travels, board.look(say).positions, strict=False):
                        travel.take(position)
                except LinkError as error:
                    lost.append(failed(f"{board.name}: link", error))
            show(boards)
            time.sleep(_LOOK_S)
    yield from lost
    for board in boards:
        for travel in board.travels:
            yield _turned(board, travel)


def brakes(boards: list[Board], say: Say) -> Iterator[Finding]:
    """Let a person press each board's brake release, and tell whether the board saw it and closed its brakes again."""
    for board in boards:
        braked = [joint.name for joint in board.joints if joint.brake]
        what = f"{board.name}: brake release"
        if not braked:
            yield ok(what, "no joint has a brake")
            continue
        if not board.has_switch:
            yield warn(
                what,
                "its board file has no pins.brake_release, so its brakes open only when the arm is enabled",
                "wire a button to ground and add the pin, or listen for the clicks at the next enable",
            )
            continue
        say(f"{board.name}: support what can fall; press and hold its brake release: {', '.join(braked)} will click")
        try:
            yield _clicked(board, say)
        except LinkError as error:
            yield failed(what, error)
        except KeyboardInterrupt:
            yield warn(what, "not tested, you pressed Ctrl-C")
            return


def _clicked(board: Board, say: Say) -> Finding:
    what = f"{board.name}: brake release"
    if not _until_phase(board, RELEASED, say):
        return fail(what, f"not seen for {_PATIENCE_S:g} s", "check the switch, its wire and pins.brake_release")
    opened = _braked(board, closed=False, say=say)
    say(f"{board.name}: seen; did every brake click? Let go")
    if not _until_phase(board, OFF, say):
        return fail(what, f"still pressed after {_PATIENCE_S:g} s", "check the switch: it must open when let go")
    closed = _braked(board, closed=True, say=say)
    if opened and closed:
        return ok(what, "seen; the board opened its brakes and closed them again")
    wrong = "did not close them again" if opened else "did not open its brakes"
    return fail(what, f"seen, but the board {wrong}", "flash the firmware again")


def _until_phase(board: Board, phase: int, say: Say) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if board.look(say).phase == phase:
            return True
        time.sleep(_LOOK_S)
    return False


def _braked(board: Board, closed: bool, say: Say) -> bool:
    """Return whether every brake becomes ``closed``, by what the board does with it, in the time that brakes take."""
    slowest_ms = max(max(joint.brake.open_ms, joint.brake.close_ms) for joint in board.joints if joint.brake)
    deadline = time.monotonic() + slowest_ms / 1000 + 0.5
    while time.monotonic() < deadline:
        flags = board.look(say).flags
        braked = [flag for flag, joint in zip(flags, board.joints, strict=False) if joint.brake]
        if all(bool(flag & _BRAKE_CLOSED) == closed for flag in braked):
            return True
        time.sleep(_LOOK_S)
    return False


def _turned(board: Board, travel: Travel) -> Finding:
    what = f"{board.name}: {travel.joint.name}"
    unit = travel.joint.unit
    highest, lowest, now = (f"{number / MICRO:+.4f}" for number in (travel.highest, travel.lowest, travel.now))
    found = f"went {highest} and {lowest} {unit}, is at {now}"
    if travel.turned:
        return ok(what, found)
    return warn(what, "did not move", "turn it, or check its encoder's cable, supply and pins; a closed brake holds it")


def _only(cell: Cell, port: str | None) -> Cell:
    """Return ``cell`` with no board but the one behind ``port``. Raises BedsideError if there is none."""
    if port is None:
        return cell
    from msgspec.structs import replace

    boards = [slot for slot in cell.board if slot.port == port]
    if not boards:
        ports = ", ".join(slot.port for slot in cell.board)
        raise BedsideError(f"--port {port}: no board of the cell file has it; there are {ports}")
    return replace(cell, board=boards, joint=[joint for joint in cell.joint if joint.board == boards[0].name])


@contextlib.contextmanager
def _live() -> Iterator[Callable[[list[Board]], None]]:
    """Yield what shows the boards' joints: a table on a terminal, nothing elsewhere."""
    if not sys.stdout.isatty():
        yield lambda boards: None
        return
    from rich.live import Live

    with Live(auto_refresh=False, transient=True) as live:
        yield lambda boards: live.update(_table(boards), refresh=True)


def _table(boards: list[Board]) -> Table:
    from rich.table import Table

    table = Table(box=None)
    table.add_column("joint")
    for column in ("turned", "furthest +", "furthest -"):
        table.add_column(column, justify="right")
    for board in boards:
        for travel in board.travels:
            numbers = (travel.now, travel.highest, travel.lowest)
            table.add_row(travel.joint.name, *(f"{number / MICRO:+.4f} {travel.joint.unit}" for number in numbers))
    return table
