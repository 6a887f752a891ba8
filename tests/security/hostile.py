"""A bridge that serves well until a file appears, and is hostile from then on.

python hostile.py WAY FILE bridge CELL.toml --credentials FOLDER
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from typing import Any

from bedside import cli
from bedside.bridge import process
from bedside.bridge.arm import Arm
from bedside.bridge.loop import Bridge
from bedside.cell import Cell
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.surgeon import protocol

MICRO = 1e6
# How far it leads a joint astray: in a period, and in all; and in a cycle of 4 ms when it goes on by itself.
CREEP, ASTRAY, ALONE = 0.0005, 0.2, 0.00012
JUMP = 0.4
# How long it keeps tokens back: as long as boards take them, but for what else delays them.
KEPT_BACK_NS = 400_000_000
MAKES_UP = ("repeats", "goes on by itself", "hoards")
Words = list[int]


class Hostile(Arm):
    """An arm that lies to its boards, or to its consoles, once ``now`` says so."""

    now: Callable[[], bool]
    way: str

    def __init__(self, cell: Cell, links: list[BoardLink], tell: Callable[[str], None]) -> None:
        told: set[str] = set()

        def tell_once(text: str) -> None:
            """Tell of a kind of refusal once: boards refuse hundreds a second of what this makes up."""
            kind = "".join(letter for letter in text if not letter.isdigit())
            if kind not in told:
                told.add(kind)
                tell(text)

        super().__init__(cell, links, tell_once)
        self.astray = 0.0
        self.sent: list[Words] = [[] for _ in self.links]
        self.hoard: deque[tuple[int, list[Words]]] = deque()
        self.newest: list[Words] = []

    # ---- what it passes on ---------------------------------------------------------------------

    def command(self, message: protocol.ServoJp, now_ns: int) -> None:
        if self.now():
            if self.way in MAKES_UP:
                return
            if self.way in ("leads astray", "leads astray and hides it"):
                self.astray = min(self.astray + CREEP, ASTRAY)
                message = protocol.ServoJp(*_but(message, self.astray))
            if self.way == "jumps":
                message = protocol.ServoJp(*_but(message, JUMP))
                # Its own checks are the first thing that such a bridge does without.
                self._follower.follow = lambda asked, *_: (asked.position, asked.velocity)  # type: ignore[method-assign]
        super().command(message, now_ns)

    def prove(self, tokens: list[Words], now_ns: int) -> None:
        if not self.now() or self.way == "repeats":
            self.newest = tokens
        if self.way == "hoards":
            self.hoard.append((now_ns, tokens))
        elif not (self.now() and self.way in MAKES_UP):
            super().prove(tokens, now_ns)

    def feedback(self) -> protocol.Feedback:
        feedback = super().feedback()
        if self.now() and self.way in ("leads astray and hides it", "shows another arm"):
            off = round(MICRO * (self.astray or 0.05))
            joints = protocol.unpack(feedback.packed_joints)
            joints[0] -= off
            feedback.packed_joints = protocol.pack(joints)
        return feedback

    # ---- what it makes up ----------------------------------------------------------------------

    def _send(self, board: int, message: list[int]) -> None:
        if message[0] == schema.COMMAND:
            self.sent[board] = list(message)
        super()._send(board, message)

    def cycle(self, now_ns: int) -> None:
        if self.now() and self.way in MAKES_UP:
            self._go_on(now_ns)
        while self.hoard and now_ns - self.hoard[0][0] > KEPT_BACK_NS:
            super().prove(self.hoard.popleft()[1], now_ns)
        super().cycle(now_ns)

    def _go_on(self, now_ns: int) -> None:
        """Move the arm although no surgeon does; every frame is a valid one."""
        counts = self.way != "repeats"
        self.operator_seq += counts
        self.astray += ALONE
        self._begin_round(now_ns)
        for board, last in enumerate(self.sent):
            frame = [schema.COMMAND, 0, self.operator_seq, *last[3:]]
            if counts:
                # All at rest but for one joint.
                frame[4::2] = [0] * len(frame[4::2])
                frame[3] += round(MICRO * self.astray) if board == 0 else 0
            super()._send(board, frame)
        if not self.hoard:
            for board, token in enumerate(self.newest):
                self._send_frame(board, [schema.PROVE, 0, *token])

    def _tell_all(self, command: int) -> None:
        if not (self.now() and self.way in ("goes on by itself", "hoards")):
            super()._tell_all(command)

    def _check_enabled(self) -> None:
        if not self.now():
            super()._check_enabled()


def _but(message: protocol.ServoJp, off: float) -> tuple[Any, ...]:
    """Return the fields of ``message`` with its first joint elsewhere."""
    position = [message.position[0] + off, *message.position[1:]]
    return message.session, message.seq, message.stamp_us, message.pedal, position, message.velocity


def main() -> int:
    way, path, *arguments = sys.argv[1:]
    Hostile.way = way
    Hostile.now = lambda self: os.path.exists(path)  # type: ignore[method-assign,assignment,misc] # noqa: PTH110
    process.Arm = Hostile  # type: ignore[misc]
    if way in ("goes on by itself", "hoards"):
        # What would stop the arm for the network, or when hands change.
        Bridge._bring_to_rest = lambda self: None  # type: ignore[method-assign]
    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
