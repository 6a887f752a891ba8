"""What a board says, as plain data, and what it means."""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import Any

from bedside.errors import LinkError
from bedside.link import schema

STATES = ("DISABLED", "ENABLED", "PAUSED", "FAULT")
PHASES = ("off", "output building", "brake opening", "run", "ramp", "hold", "brake closing", "brake released")
DISABLED, ENABLED, PAUSED, FAULT = range(4)
OFF, BUILDING, OPENING, RUN, RAMP, HOLDING, CLOSING, RELEASED = range(8)
RESET_CAUSES = ("power on", "watchdog", "program ended", "unknown")

# The fault at which a board goes on holding, until a person says that the load is supported.
BRAKE_FAILED = 21
NOT_HOMED = 512  # a flag of a joint
# Codes of events below are faults, which latch; from here on they are refusals, which change nothing.
FIRST_REFUSAL = 32
# A joint that cannot be homed; its board says so again until the arm is enabled anew.
HOME_REFUSALS = (49, 50, 52)
# A console's token that proves nothing: wrong, or too old.
PROOF_REFUSALS = (54, 55)

FLAGS = {
    1: "brake closed",
    2: "drive on",
    4: "output limited",
    8: "speed limited",
    16: "acceleration limited",
    32: "position limited",
    64: "slowing",
    128: "current limited",
    256: "slew limited",
    512: "not homed",
}

_HEAD, _JOINT = 10, 5
_BOX_HEAD = 9
_WITNESS_HEAD = 10
_INTEGERS = {int}
_BOARD_FIELDS = ("tick", "state", "phase", "cause", "operator_age", "late_ticks", "refused")
_JOINT_FIELDS = ("positions", "errors", "velocities", "outputs", "flags")


@dataclass(slots=True)
class JointIdentity:
    """A joint as its board knows it: limits in urad and urad/s, zero until configured."""

    name: str
    position_min: int
    position_max: int
    velocity_max: int


@dataclass(slots=True)
class Identity:
    """Who a board is. ``build`` names firmware and configuration, ``arm`` its arm, if it was flashed.

    With one or more ``keys`` it asks for proof.
    """

    link_seq: int
    schema: int
    firmware: str
    tick_hz: int
    reset_cause: int
    name: str
    uid: str
    build: str
    arm: str
    keys: int
    joints: list[JointIdentity]

    @property
    def role(self) -> str:
        """What it was flashed to be, ARM/BOARD; of a simulated board that was not, its name."""
        return f"{self.arm}/{self.name}" if self.arm else self.name


@functools.cache
def _packing(fields: int) -> struct.Struct:
    return struct.Struct(f"<{fields}i")


class Feedback:
    """A board's state at its latest tick: urad (or um), urad/s, outputs Q15; lists run over its channels.

    ``errors`` are setpoint minus position at that tick, so that position plus error is the setpoint. The bridge takes
    thousands of these a second and asks each for little, so a feedback is its message, and fields are read when asked;
    ``packed_board`` and ``packed_joints`` are its fields as ``bedside.surgeon.protocol`` passes them on. Raises
    struct.error for a number beyond 32 bits.
    """

    __slots__ = ("_message", "_packed", "link_seq", "operator_seq", "phase", "state", "tick")

    def __init__(self, message: list[int]) -> None:
        self._message = message
        self._packed = _packing(len(message)).pack(*message)
        self.link_seq = message[1]
        self.operator_seq = message[2]
        self.tick = message[3]
        self.state = message[4]
        self.phase = message[5]

    def __repr__(self) -> str:
        names = ("link_seq", "operator_seq", *_BOARD_FIELDS, *_JOINT_FIELDS)
        return "Feedback({})".format(", ".join(f"{name}={getattr(self, name)}" for name in names))

    @property
    def joints(self) -> int:
        """How many joints it tells of."""
        return (len(self._message) - _HEAD) // _JOINT

    board_fields = property(lambda self: self._message[3:_HEAD])
    packed_board = property(lambda self: self._packed[12 : 4 * _HEAD])
    packed_joints = property(lambda self: self._packed[4 * _HEAD :])
    cause = property(lambda self: self._message[6], doc="The first fault since the last clear, 0 if none.")
    operator_age = property(lambda self: self._message[7], doc="Ticks since the last newer operator sequence.")
    late_ticks = property(lambda self: self._message[8], doc="Ticks that began late.")
    refused = property(lambda self: self._message[9], doc="Frames and messages refused.")
    positions = property(lambda self: self._message[_HEAD + 0 :: _JOINT])
    errors = property(lambda self: self._message[_HEAD + 1 :: _JOINT])
    velocities = property(lambda self: self._message[_HEAD + 2 :: _JOINT])
    outputs = property(lambda self: self._message[_HEAD + 3 :: _JOINT])
    flags = property(lambda self: self._message[_HEAD + 4 :: _JOINT])


@dataclass(slots=True)
class Event:
    """A fault or a refusal: ``code`` is explained by ``bedside.link.causes``; ``channel`` -1 means the board."""

    tick: int
    code: int
    channel: int
    value: int

    @property
    def is_fault(self) -> bool:
        """Whether it latches; a refusal changes nothing."""
        return self.code < FIRST_REFUSAL


@dataclass(slots=True)
class BoxHead:
    """What a black box holds: ``size`` words, ``stride`` a line, the oldest at ``first``; ``after`` are still to come.

    It is kept for the fault ``cause`` at ``fault_tick``, unless that is 0. ``events`` are three, code 0 for none.
    """

    link_seq: int
    size: int
    stride: int
    every: int
    first: int
    after: int
    cause: int
    fault_tick: int
    events: list[Event]


@dataclass(slots=True)
class BoxPart:
    """Words of a black box from ``place`` on."""

    link_seq: int
    place: int
    words: list[int]


@dataclass(slots=True)
class Witness:
    """What a board has signed for a console: ``fields`` from the nonce on, as ``bedside.surgeon.proof`` reads them."""

    link_seq: int
    fields: list[int]


Message = Identity | Feedback | Event | BoxHead | BoxPart | Witness


def parse(message: list[Any]) -> Message:
    """Return what a decoded ``message`` says. Raises LinkError if it is none that a board of this schema sends."""
    kind = message[0]
    if kind == schema.FEEDBACK and len(message) > _HEAD and not (len(message) - _HEAD) % _JOINT:
        if set(map(type, message)) == _INTEGERS:
            try:
                return Feedback(message)
            except struct.error:
                pass  # a number beyond 32 bits: none of this schema, see below
    elif kind == schema.EVENT and len(message) == 5 and all(type(value) is int for value in message):
        return Event(*message[1:])
    elif kind == schema.BOX and len(message) == _BOX_HEAD + 12 and set(map(type, message)) == _INTEGERS:
        events = [Event(*message[at : at + 4]) for at in range(_BOX_HEAD, len(message), 4)]
        _, seq, size, stride, every, first, after, cause, fault_tick = message[:_BOX_HEAD]
        return BoxHead(seq, size, stride, every, first, after, cause, fault_tick, events)
    elif kind == schema.BOX_PART and len(message) > 3 and set(map(type, message)) == _INTEGERS:
        return BoxPart(message[1], message[2], message[3:])
    elif (
        kind == schema.WITNESS
        and _WITNESS_HEAD < len(message) <= _WITNESS_HEAD + 8
        and set(map(type, message)) == _INTEGERS
    ):
        return Witness(message[1], message[2:])
    elif kind == schema.IDENTITY and len(message) >= 15 and not (len(message) - 11) % 4:
        kinds = [int, int, int, str, int, int, str, str, str, str, int]
        kinds += [str, int, int, int] * ((len(message) - 11) // 4)
        if all(type(value) is kind for value, kind in zip(message, kinds, strict=True)):
            joints = [JointIdentity(*message[at : at + 4]) for at in range(11, len(message), 4)]
            _, seq, schema_hash, firmware, tick_hz, reset_cause, name, uid, build, arm, keys = message[:11]
            return Identity(seq, schema_hash, firmware, tick_hz, reset_cause, name, uid, build, arm, keys, joints)
    raise LinkError(
        f"the board sent a message of type {kind} with {len(message)} fields that this schema does not have"
    )
