"""What a console is told of an arm when its session begins, from the arm's cell file."""

from __future__ import annotations

from bedside.boardfile import load_board_type
from bedside.cell import Cell
from bedside.joint import Joint
from bedside.surgeon.protocol import BoardFacts, JointFacts, Welcome


def welcome(cell: Cell, keys: list[int]) -> Welcome:
    """Return the arm's facts; ``keys`` is how many consoles' keys each board has. Session, name and role are empty."""
    arm = cell.arm
    boards = [
        BoardFacts(
            f"{arm.name}/{slot.name}",
            load_board_type(slot.type).tick_hz,
            count,
            [index for index, _ in cell.joints_of(slot.name)],
        )
        for slot, count in zip(cell.board, keys, strict=True)
    ]
    return Welcome(0, arm.name, "", "", arm.command_hz, arm.operator_timeout_ms, boards, joint_facts(cell.joint))


def joint_facts(joints: list[Joint]) -> list[JointFacts]:
    """Return what a console needs to know of each joint."""
    return [
        JointFacts(joint.name, joint.unit, *joint.limits.position, joint.limits.velocity, joint.limits.acceleration)
        for joint in joints
    ]
