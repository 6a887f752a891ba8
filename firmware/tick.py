"""One control tick: the parts of core in their order, between the port's ``begin`` and its ``commit``."""

import micropython
from micropython import const

from blackbox import note
from core import layout as L
from core.actuate import actuate
from core.faults import FOLLOWING_ERROR, HOMING_BLOCKED, POSITION_LOST, REACTIONS
from core.homing import shift
from core.joint import tick_joints
from core.loop import exercise
from core.profile import plan
from core.stops import react, step
from core.watch import watch

_NEW_COMMAND = const(8)
_REQUEST = const(26)
_REQUEST_SHIFT = const(6)
_MOVING = const(30)
_NOT_BUILT = const(31)
_WATCH_VALUE = const(34)
_MODE = const(37)
_LOOP_WAITS = const(52)
_FOLLOW = const(3)
_JOINT_MOVING = const(1)
_JOINT_NOT_BUILT = const(2)
_JOINT_FAULT = const(4)
_TICKS = const(42)
_COUNTER_MASK = const(0x3FFFFFFF)


@micropython.viper
def tick(records, inputs, outputs, box, begin, commit):  # type: ignore[no-untyped-def]
    """One control tick, from the encoders to the drives, from the port's ``begin`` to its ``commit``.

    Allocates nothing. ``records`` are the board's and its joints', ``inputs`` and ``outputs`` the port's, ``box`` the
    black box's ring.
    """
    b = ptr32(records)
    begin()
    fault = int(watch(records, inputs))
    if b[_LOOP_WAITS] and fault == 0:
        fault = int(exercise(records, inputs))
    if fault:
        react(records, REACTIONS, fault, -1, b[_WATCH_VALUE])
        note(records, outputs)
    if b[_REQUEST] >= _REQUEST_SHIFT:
        _go_on_homing(records)
        note(records, outputs)
    step(records)
    if b[_NEW_COMMAND] and b[_MODE] == _FOLLOW:
        b[_NEW_COMMAND] = 0
        plan(records)
    results = int(tick_joints(records, inputs))
    if results & _JOINT_FAULT:
        _react_to_joints(records)
        note(records, outputs)
    b[_MOVING] = results & _JOINT_MOVING
    b[_NOT_BUILT] = results & _JOINT_NOT_BUILT
    actuate(records, outputs, box)
    commit()
    b[_TICKS] = (b[_TICKS] + 1) & _COUNTER_MASK


def _go_on_homing(records) -> None:  # type: ignore[no-untyped-def]
    request = records[L.REQUEST]
    records[L.REQUEST] = 0
    if request == L.REQUEST_SHIFT:
        shift(records)
    else:
        _fail(records, records[L.SHIFT_CHANNEL], HOMING_BLOCKED, records[L.SHIFT])


def _react_to_joints(records) -> None:  # type: ignore[no-untyped-def]
    for channel in range(records[L.JOINTS]):
        at = L.BOARD_SIZE + L.JOINT_SIZE * channel
        fault = records[at + L.FAULT_CODE]
        if fault:
            _fail(records, channel, fault, records[at + L.FAULT_VALUE])


def _fail(records, channel: int, fault: int, value: int) -> None:  # type: ignore[no-untyped-def]
    """React to a joint's ``fault``; after some of them nobody knows where it is."""
    at = L.BOARD_SIZE + L.JOINT_SIZE * channel
    if react(records, REACTIONS, fault, channel, value):
        records[at + L.TRIPPED] = 1
    # What is too far from its setpoint without having counted may be an encoder that stands still, too.
    if fault in POSITION_LOST or (fault == FOLLOWING_ERROR and records[at + L.STUCK]):
        records[at + L.CONFIGURED] = L.POSITION_LOST
        records[at + L.NOT_HOMED] = L.FLAG_NOT_HOMED
        records[at + L.SENSOR_SCALE] = 0
