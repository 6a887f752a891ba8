"""Joint and board records for tests, and the port's inputs that go with them."""

from __future__ import annotations

from array import array

from core import layout as L
from core.joint import tick_joints
from core.profile import plan
from ports import COUNT, CURRENT, INPUTS_SIZE

# A joint that no check stops, no limit holds and no gain moves, until a test says otherwise.
_PATIENT = {
    "CONFIGURED": 1,
    "POSITION_MIN": -(2**30) + 1,
    "POSITION_MAX": 2**30 - 1,
    "SPEED_MAX": 2**21,
    "ACCELERATION": 1,
    "STOP_DECELERATION": 1,
    "STEP_MAX": 2**30,
    "FOLLOWING_MAX": 2**31 - 1,
    "OUTPUT_MAX": 32767,
    "INTEGRAL_MAX": 32767,
    "DRIVE_SIGN": 1,
    "SLEW": 65535,
    "CURRENT_MAX": 65535,
    "CURRENT_SCALE": 1,
    "CURRENT_SHIFT": 24,
    "HEAT_MAX": 2**30,
    "OUTPUT_CONTINUOUS": 32767,
    "CURRENT_OFF": 65535,
    "STEPS_MAX": 2**30,
    "OVERSPEED_MAX": 2**30,
    "STUCK_OUTPUT": 32768,
    "STUCK_MAX": 1000,
    "STANDSTILL_MAX": 2**31 - 1,
    "ENGAGE_MAX": 2**30,
}


def joint_with(**fields: int) -> array[int]:
    """Return a joint record with these fields."""
    joint = array("i", [0] * L.JOINT_SIZE)
    for name, value in {**_PATIENT, **fields}.items():
        joint[getattr(L, name)] = value
    return joint


def board_of(*joints: array[int], **fields: int) -> array[int]:
    """Return the records of a board that has these fields and copies of these joints."""
    board = array("i", [0] * L.BOARD_SIZE)
    board[L.JOINTS] = len(joints)
    for name, value in fields.items():
        board[getattr(L, name)] = value
    return sum(joints, board)


def plan_joint(joint: array[int], period: int) -> None:
    """Let the joint plan the way to its command, to be reached in ``period`` ticks."""
    records = board_of(joint, COMMAND_PERIOD=period)
    plan(records)
    joint[:] = records[L.BOARD_SIZE :]


def tick(joint: array[int], mode: int, count: int | None = None, current_ma: int = 0) -> int:
    """Tick the joint with its encoder at ``count`` (where it was, if None); return the tick's result."""
    inputs = array("i", [0] * INPUTS_SIZE)
    inputs[COUNT] = joint[L.COUNT] if count is None else count
    inputs[CURRENT] = current_ma
    records = board_of(joint, MODE=mode)
    result: int = tick_joints(records, inputs)
    joint[:] = records[L.BOARD_SIZE :]
    return result
