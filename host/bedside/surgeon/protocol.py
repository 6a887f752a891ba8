"""Datagrams between a console and the bridge: CBOR arrays, CRTK names, SI units.

Positions are rad (m), speeds rad/s (m/s), joints in the order of the cell file.
"""

from __future__ import annotations

import math
import struct
from typing import Annotated, Any, Literal

import cbor2
import msgspec
from msgspec import Meta, Struct

from bedside.errors import SurgeonError
from bedside.link.messages import NOT_HOMED

Count = Annotated[int, Meta(ge=0, le=0x7FFFFFFF)]
# Longer than any datagram for 64 joints, shorter than what could cost time to parse.
DATAGRAM_MAX = 4096
BOARD_FIELDS = 7
JOINT_FIELDS = 5


class ServoJp(Struct, array_like=True, tag=1, frozen=True):
    """servo_jp: be at ``position`` moving at ``velocity``. ``seq`` grows by one with each command of a session."""

    session: Count
    seq: Count
    position: list[float]
    velocity: list[float]


class StateCommand(Struct, array_like=True, tag=2, frozen=True):
    """state_command; 'attach' to receive feedback, 'detach' to leave the arm; ``command_hz`` counts for enable.

    'home' is held to run: the arm homes, one joint after another, as long as newer ones come as often as commands.
    """

    session: Count
    seq: Count
    command: Literal["attach", "detach", "enable", "disable", "pause", "resume", "home", "unhome"]
    command_hz: float


class Feedback(Struct, array_like=True, tag=3):
    """What the arm does, as its boards said it.

    ``seq`` is the newest command that every board has taken, ``round_us`` the time from the frames out to all answers
    in, ``missed`` the number of cycles in which a board did not answer. The two packed fields are little-endian 32-bit
    integers, several times cheaper to write and read than as many CBOR items: for each board tick, state, phase, cause,
    operator age, late ticks and refused frames; for each joint position, setpoint minus position, velocity (all in
    millionths), output (Q15) and flags. The properties give SI units.
    """

    session: int
    seq: int
    cycle: int
    missed: int
    round_us: int
    state: int
    packed_boards: bytes
    packed_joints: bytes

    @property
    def boards(self) -> list[list[int]]:
        """The fields of each board, see above."""
        flat = unpack(self.packed_boards)
        return [flat[at : at + BOARD_FIELDS] for at in range(0, len(flat), BOARD_FIELDS)]

    @property
    def position(self) -> list[float]:
        """Measured positions, rad or m."""
        return [value / 1e6 for value in self._joints(0)]

    @property
    def setpoint(self) -> list[float]:
        """Where the joints should be at the same tick, rad or m."""
        return [(here + error) / 1e6 for here, error in zip(self._joints(0), self._joints(1), strict=True)]

    @property
    def velocity(self) -> list[float]:
        """Measured speeds, rad/s or m/s."""
        return [value / 1e6 for value in self._joints(2)]

    @property
    def output(self) -> list[float]:
        """Shares of full drive, -1 to 1."""
        return [value / 32768 for value in self._joints(3)]

    @property
    def flags(self) -> list[int]:
        """Flags of each joint, see ``bedside.link.messages.FLAGS``."""
        return self._joints(4)

    @property
    def is_homed(self) -> bool:
        """Whether every joint knows where it is."""
        return not any(flags & NOT_HOMED for flags in self.flags)

    def _joints(self, field: int) -> list[int]:
        return unpack(self.packed_joints)[field::JOINT_FIELDS]


def pack(numbers: list[int]) -> bytes:
    """Return little-endian 32-bit integers."""
    return struct.pack(f"<{len(numbers)}i", *numbers)


def unpack(data: bytes) -> list[int]:
    """Return what ``pack`` packed. Raises SurgeonError."""
    if len(data) % 4:
        raise SurgeonError(f"{len(data)} bytes of packed integers; they take four each")
    return list(struct.unpack(f"<{len(data) // 4}i", data))


class Notice(Struct, array_like=True, tag=4):
    """A fault or a refusal, for a person to read."""

    text: str


def encode(message: ServoJp | StateCommand | Feedback | Notice) -> bytes:
    """Return ``message`` as a datagram."""
    data: bytes = cbor2.dumps([message.__struct_config__.tag, *msgspec.structs.astuple(message)])
    return data


def to_bridge(data: bytes) -> ServoJp | StateCommand:
    """Read a console's datagram. Raises SurgeonError for anything that is not one."""
    message = _read(data, _FROM_CONSOLE)
    if isinstance(message, ServoJp):
        if len(message.position) != len(message.velocity):
            raise SurgeonError(
                f"{len(message.position)} positions but {len(message.velocity)} velocities; send one of each a joint"
            )
        if not all(map(math.isfinite, message.position)) or not all(map(math.isfinite, message.velocity)):
            raise SurgeonError("a position or velocity is NaN or infinite; send finite numbers")
    return message  # type: ignore[no-any-return]


def to_console(data: bytes) -> Feedback | Notice:
    """Read a bridge's datagram. Raises SurgeonError for anything that is not one."""
    return _read(data, _FROM_BRIDGE)  # type: ignore[no-any-return]


_FROM_CONSOLE: dict[object, type[Struct]] = {1: ServoJp, 2: StateCommand}
_FROM_BRIDGE: dict[object, type[Struct]] = {3: Feedback, 4: Notice}


def _read(data: bytes, kinds: dict[object, type[Struct]]) -> Any:
    if len(data) > DATAGRAM_MAX:
        raise SurgeonError(f"a datagram of {len(data)} bytes; no message is longer than {DATAGRAM_MAX}")
    try:
        raw = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, RecursionError):
        raise SurgeonError("a datagram that is not CBOR") from None
    kind = kinds.get(raw[0]) if type(raw) is list and raw and type(raw[0]) is int else None
    if kind is None:
        numbers = " or ".join(map(str, kinds))
        raise SurgeonError(
            f"a datagram that is no message of this protocol: expected an array that begins with {numbers}"
        )
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise SurgeonError(f"a datagram that is no message of this protocol: {error}") from None
