"""A board that is really there, behind any port: time passes as it does."""

from __future__ import annotations

import time
from pathlib import Path

from bedside.cell import Arm, BoardSlot, Cell, load_cell
from bedside.errors import LinkError
from bedside.hil.bench import KEEP_ALIVE_TICKS, Bench
from bedside.hil.fixture import Power, switch
from bedside.hil.lockstep import PSM
from bedside.hil.target import TargetError
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.link.messages import Feedback, Identity
from bedside.link.port import SerialPort

# Whatever hangs on a board that nobody knows is moved by no more than this share of its drives.
_OUTPUT_MAX = 0.05
# As long as a board allows, because this computer has other things to do.
_OPERATOR_TIMEOUT_MS, _LINK_TIMEOUT_MS = 500, 200
_HOLD_MS = 200
_ANYWHERE = (-1000.0, 1000.0)
# How much a count is on a board that nobody knows is a guess, so a joint that settles may seem to have gone far.
_STANDSTILL = 0.2
_ANY_SUPPLY_MV = (0, 100_000)
_LATE_MAX_US = 100_000
_SUPPLY, _LATE = slice(6, 8), 8


class LiveBench(Bench):
    """A board by its port, which is asked what it is.

    With the cell file of its arm, its joints are those of the cell and ``may_move``; without, they are configured to
    hold where they are, gently. Raises BedsideError when nothing answers, or the cell has no such board.
    """

    def __init__(self, port: str, baud: int, cell: Path | None = None) -> None:
        self._port, self._baud = port, baud
        self._take(self._open(), cell)

    def _open(self) -> BoardLink:
        return BoardLink(SerialPort(self._port, self._baud), f"port {self._port}")

    def _take(self, link: BoardLink, cell: Path | None) -> None:
        identity = link.identify()
        known = _its_own(cell, identity) if cell else _anybodys(identity, link.port.name)
        self._own = known.arm.operator_timeout_ms, known.arm.link_timeout_ms
        known.arm.operator_timeout_ms, known.arm.link_timeout_ms = _OPERATOR_TIMEOUT_MS, _LINK_TIMEOUT_MS
        known.arm.hold_ms = _HOLD_MS
        self.may_move = cell is not None
        self._due = 0.0
        super().__init__(known, identity.name, link, identity.tick_hz)

    def now_s(self) -> float:
        """Return this computer's time, seconds."""
        return time.monotonic()

    def reopen(self) -> None:
        """Take the port again that was given back, and ask who is there. Raises LinkError."""
        self.link = self._open()
        self.link.identify()

    def power(self, power: Power, is_on: bool) -> None:
        """Switch the board's supply; when it comes on, wait until the board answers. Raises BedsideError."""
        switch(power, is_on)
        if not is_on:
            # A port of the board's own goes with its supply.
            self.link.port.close()
            return None
        end = time.monotonic() + power.boot_s
        while True:
            try:
                return self.reopen()
            except LinkError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def take_own_clocks(self) -> None:
        """Configure the timeouts of the cell, in the place of those that let this computer be late."""
        self.cell.arm.operator_timeout_ms, self.cell.arm.link_timeout_ms = self._own
        self.configure()

    def recover(self) -> None:
        """Bring the board off and clear whatever it has."""
        self.state_command(schema.STOP)
        self.until_off()
        self.state_command(schema.DISABLE)
        self.tick()
        self.events.clear()

    def pass_ticks(self, ticks: int) -> None:
        """Let about as much time pass."""
        time.sleep(ticks / self.tick_hz)

    def pace(self, ticks: int) -> None:
        """Let pass what is left of ``ticks`` since the last call; a stream that fell behind does not catch up."""
        now = time.monotonic()
        due = self._due + ticks / self.tick_hz
        self._due = due if due > now else now
        time.sleep(max(0.0, due - now))

    def tick(self, ticks: int = 1) -> Feedback:
        """Keep the link alive until the board has counted ``ticks`` more: it may be late, as this computer may."""
        begun = latest = self.talk([schema.KEEP_ALIVE, 0])
        while latest.tick < begun.tick + ticks:
            self.pass_ticks(min(KEEP_ALIVE_TICKS, begun.tick + ticks - latest.tick))
            latest = self.talk([schema.KEEP_ALIVE, 0])
        return latest

    def board_message(self) -> list[int]:
        """Return what the board is told of itself: however late its ticks are, it stays on.

        So it does with whatever supply it has, if nobody knows what it should be.
        """
        message = super().board_message()
        if not self.may_move:
            message[_SUPPLY] = _ANY_SUPPLY_MV
        message[_LATE] = _LATE_MAX_US
        return message


def _its_own(path: Path, identity: Identity) -> Cell:
    """Return the cell of which the board is one. Raises BedsideError."""
    cell = load_cell(path)
    if identity.name not in [slot.name for slot in cell.board]:
        names = ", ".join(slot.name for slot in cell.board)
        raise TargetError(f"{path}: has no board '{identity.name}', which answers at the port; it has {names}")
    return cell


def _anybodys(identity: Identity, port: str) -> Cell:
    """Return a cell with joints as the board names them, that hold gently wherever they are."""
    joints = []
    for channel, joint in enumerate(identity.joints):
        gentle = load_cell(PSM).joint[-1]
        gentle.name, gentle.channel, gentle.board = joint.name, channel, identity.name
        gentle.gains.output_max = _OUTPUT_MAX
        gentle.limits.position = _ANYWHERE
        gentle.limits.standstill = _STANDSTILL
        gentle.sensor = None
        joints.append(gentle)
    return Cell(Arm(identity.name), [BoardSlot(identity.name, "sim", port)], joints)
