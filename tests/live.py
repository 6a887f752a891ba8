"""A board that is really there, behind any port: time passes as it does."""

from __future__ import annotations

import time

from bedside.cell import Arm, BoardSlot, Cell, load_cell
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.link.messages import Feedback
from bedside.link.port import SerialPort
from bedside.link.scale import board_message, joint_messages
from lockstep import KEEP_ALIVE_TICKS, PSM, BoardBench

# Whatever hangs on the board is moved by no more than this share of its drives.
_OUTPUT_MAX = 0.05
# As long as a board allows, because this computer has other things to do.
_OPERATOR_TIMEOUT_MS, _LINK_TIMEOUT_MS = 500, 200
_ANYWHERE = (-1000.0, 1000.0)
# How much a count is on a board that nobody knows is a guess, so a joint that settles may seem to have gone far.
_STANDSTILL = 0.2
_ANY_SUPPLY_MV = (0, 100_000)
_LATE_MAX_US = 100_000
_SUPPLY, _LATE = slice(6, 8), 8


class LiveBench(BoardBench):
    """A board by its port. It is asked what it is; its joints are configured to hold where they are, gently."""

    def __init__(self, port: str, baud: int) -> None:
        self.link = BoardLink(SerialPort(port, baud), f"port {port}")
        self.identity = self.link.identify()
        self.name = self.identity.name
        self.tick_hz = self.identity.tick_hz
        self.joints = []
        for channel, joint in enumerate(self.identity.joints):
            gentle = load_cell(PSM).joint[-1]
            gentle.name, gentle.channel, gentle.board = joint.name, channel, self.name
            gentle.gains.output_max = _OUTPUT_MAX
            gentle.limits.position = _ANYWHERE
            gentle.limits.standstill = _STANDSTILL
            gentle.sensor = None
            self.joints.append(gentle)
        arm = Arm(self.name, operator_timeout_ms=_OPERATOR_TIMEOUT_MS, link_timeout_ms=_LINK_TIMEOUT_MS, hold_ms=200)
        self.cell = Cell(arm, [BoardSlot(self.name, "sim", port)], self.joints)
        self.operator_seq = 0
        self.events = []
        self.last_frame = b""
        self.last = []

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

    def tick(self, ticks: int = 1) -> Feedback:
        """Keep the link alive until the board has counted ``ticks`` more: it may be late, as this computer may."""
        begun = latest = self.talk([schema.KEEP_ALIVE, 0])
        while latest.tick < begun.tick + ticks:
            self.pass_ticks(min(KEEP_ALIVE_TICKS, begun.tick + ticks - latest.tick))
            latest = self.talk([schema.KEEP_ALIVE, 0])
        return latest

    def configure(self) -> None:
        for joint in self.joints:
            for message in joint_messages(joint, self.tick_hz):
                self.link.ask(message)
        message = board_message(self.cell, self.name, self.cell.arm.command_hz)
        message[_SUPPLY] = _ANY_SUPPLY_MV
        message[_LATE] = _LATE_MAX_US
        self.link.ask(message)
