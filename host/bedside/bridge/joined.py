"""What an arm's boards said last, joined to one arm: its state, its joints, and the feedback that consoles get."""

from __future__ import annotations

from bedside.bridge.presence import Presence
from bedside.cell import Cell
from bedside.link import schema
from bedside.link.messages import DISABLED, ENABLED, FAULT, NOT_HOMED, OFF, PAUSED, Feedback
from bedside.link.scale import MICRO
from bedside.surgeon import protocol
from bedside.surgeon.protocol import JOINT_FIELDS

_JOINT_BYTES = 4 * JOINT_FIELDS
_UNHEARD = protocol.pack([0, 0, 0, 0, NOT_HOMED])


def _slot(joint: int) -> slice:
    """Where a joint's fields stand among packed ones."""
    return slice(_JOINT_BYTES * joint, _JOINT_BYTES * (joint + 1))


class Joined:
    """The boards of ``cell``, of which ``presence`` says who is there.

    ``latest`` is what each board said last, None if it was never heard; ``order`` has each board's joints by channel,
    ``drives`` each joint's board and channel.
    """

    def __init__(self, cell: Cell, presence: Presence) -> None:
        self.order = [[index for index, _ in cell.joints_of(slot.name)] for slot in cell.board]
        self.drives = {
            index: (board, channel) for board, order in enumerate(self.order) for channel, index in enumerate(order)
        }
        self.latest: list[Feedback | None] = [None] * len(cell.board)
        self._presence = presence
        # Where each board's channels stand in its packed feedback, and in the arm's.
        self._places = [[(_slot(channel), _slot(index)) for channel, index in enumerate(order)] for order in self.order]

    @property
    def state(self) -> int:
        """The arm's operating state: FAULT if any board is or has gone silent, PAUSED if any is, ENABLED if all are."""
        states = [feedback.state if feedback else DISABLED for feedback in self.latest]
        if any(self._presence.lost) or FAULT in states:
            return FAULT
        if PAUSED in states:
            return PAUSED
        return ENABLED if all(state == ENABLED for state in states) else DISABLED

    @property
    def is_off(self) -> bool:
        """Whether no board that answers has torque."""
        return all(
            f is None or f.phase == OFF or lost for f, lost in zip(self.latest, self._presence.lost, strict=True)
        )

    def is_homed(self, joint: int) -> bool:
        """Return whether the joint with this index knows where it is."""
        board, channel = self.drives[joint]
        latest = self.latest[board]
        return latest is not None and not latest.flags[channel] & NOT_HOMED

    def setpoints(self) -> list[float]:
        """Return where the boards said last that their setpoints are, rad or m; each must have been heard."""
        setpoints = [0.0] * len(self.drives)
        for order, latest in zip(self.order, self.latest, strict=True):
            assert latest, "an enabled board has answered"
            for index, position, error in zip(order, latest.positions, latest.errors, strict=True):
                setpoints[index] = (position + error) / MICRO
        return setpoints

    def feedback(self, cycle: int, missed: int, round_us: int, late: int) -> protocol.Feedback:
        """Return what the console is told; a board that was never heard is at 0 and not homed."""
        joints = bytearray(_UNHEARD * len(self.drives))
        boards = b""
        seq = schema.SEQ_MAX
        for places, latest, lost in zip(self._places, self.latest, self._presence.lost, strict=True):
            if latest is None:
                boards += protocol.pack([0, FAULT, OFF, 0, 0, 0, 0])
                seq = 0
                continue
            fields = latest.board_fields
            boards += protocol.pack([fields[0], FAULT, *fields[2:]]) if lost else latest.packed_board
            seq = min(seq, latest.operator_seq)
            packed = latest.packed_joints
            for at, to in places:
                joints[to] = packed[at]
        return protocol.Feedback(seq, cycle, missed, round_us, self.state, boards, bytes(joints), late)
