"""What a board says, as plain data, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bedside.errors import LinkError
from bedside.link import schema

STATES = ("DISABLED", "ENABLED", "PAUSED", "FAULT")
PHASES = ("off", "brake opening", "run", "ramp", "hold", "brake closing")
DISABLED, ENABLED, PAUSED, FAULT = range(4)
OFF, OPENING, RUN, RAMP, HOLDING, CLOSING = range(6)

FLAGS = {
    1: "brake closed",
    2: "drive on",
    4: "output limited",
    8: "speed limited",
    16: "acceleration limited",
    32: "position limited",
    64: "slowing",
}

_HEAD, _JOINT = 10, 5


@dataclass(slots=True)
class JointIdentity:
    """A joint as its board knows it: limits in urad and urad/s, zero until configured."""

    name: str
    position_min: int
    position_max: int
    velocity_max: int


@dataclass(slots=True)
class Identity:
    """Who a board is."""

    link_seq: int
    schema: int
    firmware: str
    tick_hz: int
    name: str
    uid: str
    joints: list[JointIdentity]


@dataclass(slots=True)
class Feedback:
    """A board's state at its latest tick: urad (or um), urad/s, outputs Q15; lists run over its channels.

    ``errors`` are setpoint minus position at that tick, so that position plus error is the setpoint.
    """

    link_seq: int
    operator_seq: int
    tick: int
    state: int
    phase: int
    cause: int
    operator_age: int
    late_ticks: int
    refused: int
    positions: list[int]
    errors: list[int]
    velocities: list[int]
    outputs: list[int]
    flags: list[int]


@dataclass(slots=True)
class Event:
    """A fault or a refusal: ``code`` is explained by ``bedside.link.causes``; ``channel`` -1 means the board."""

    tick: int
    code: int
    channel: int
    value: int


Message = Identity | Feedback | Event


def parse(message: list[Any]) -> Message:
    """Return what a decoded ``message`` says. Raises LinkError if it is none that a board of this schema sends."""
    kind = message[0]
    if kind == schema.FEEDBACK and len(message) > _HEAD and not (len(message) - _HEAD) % _JOINT:
        if all(type(value) is int for value in message):
            joints = message[_HEAD:]
            return Feedback(*message[1:_HEAD], *(joints[field::_JOINT] for field in range(_JOINT)))
    elif kind == schema.EVENT and len(message) == 5 and all(type(value) is int for value in message):
        return Event(*message[1:])
    elif kind == schema.IDENTITY and len(message) >= 11 and not (len(message) - 7) % 4:
        kinds = [int, int, int, str, int, str, str, *([str, int, int, int] * ((len(message) - 7) // 4))]
        if all(type(value) is kind for value, kind in zip(message, kinds, strict=True)):
            joints = [JointIdentity(*message[at : at + 4]) for at in range(7, len(message), 4)]
            _, seq, schema_hash, firmware, tick_hz, name, uid = message[:7]
            return Identity(seq, schema_hash, firmware, tick_hz, name, uid, joints)
    raise LinkError(
        f"the board sent a message of type {kind} with {len(message)} fields that this schema does not have"
    )
