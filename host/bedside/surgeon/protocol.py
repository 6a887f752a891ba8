"""Messages between a console and the bridge: CBOR arrays, CRTK names, SI units.

Positions are rad (m), speeds rad/s (m/s), joints in the order of the cell file. A ``stamp_us`` is the sender's own
monotonic clock in microseconds; ``session`` is the number that the bridge gave this session; ``seq`` is the operator
sequence, which grows with each thing that a console asks for.
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

# What both sides must have alike.
VERSION = 2
Count = Annotated[int, Meta(ge=0, le=0x7FFFFFFF)]
Stamp = Annotated[int, Meta(ge=0, le=0x3FFFFFFFFFFFFFFF)]
Word = Annotated[int, Meta(ge=-0x80000000, le=0x7FFFFFFF)]
Text = Annotated[str, Meta(max_length=64)]
# Longer than any message for 64 joints, shorter than what could cost time to parse.
DATAGRAM_MAX = 4096
BOARD_FIELDS = 7
JOINT_FIELDS = 5

# ---- console to bridge


class ServoJp(Struct, array_like=True, tag=1, frozen=True):
    """servo_jp: be at ``position`` moving at ``velocity``; with ``pedal`` (or clutch) released, hold instead."""

    session: Count
    seq: Count
    stamp_us: Stamp
    pedal: bool
    position: list[float]
    velocity: list[float]


class StateCommand(Struct, array_like=True, tag=2, frozen=True):
    """state_command; ``command_hz`` is how many commands a second follow, and counts for enable and resume.

    'home' is held to run: the arm homes, one joint after another, as long as newer ones come as often as commands.
    'clear' takes a fault away whose cause is gone.
    """

    session: Count
    seq: Count
    stamp_us: Stamp
    command: Literal["enable", "disable", "pause", "resume", "home", "unhome", "clear", "release_brakes"]
    command_hz: float


class Hello(Struct, array_like=True, tag=5, frozen=True):
    """Asks for a session, with feedback as often as ``feedback_hz``."""

    version: Count
    feedback_hz: Annotated[float, Meta(gt=0, le=2000)]


class Pong(Struct, array_like=True, tag=6, frozen=True):
    """Answers a Ping at once: its ``sent_us``, and the console's own clock."""

    session: Count
    sent_us: Stamp
    stamp_us: Stamp


class Ask(Struct, array_like=True, tag=7, frozen=True):
    """Asks for a change of authority; ``to`` is the console that 'grant' and 'hand_over' name.

    'arm' and 'stop' are the local operator's: to let remote consoles enable the arm, and to stop it and let nobody.
    """

    session: Count
    seq: Count
    act: Literal["request", "release", "hand_over", "grant", "take_back", "arm", "stop"]
    to: Text


class Proof(Struct, array_like=True, tag=8, frozen=True):
    """A token for each board, as the fields of its prove message from key_id on; see protocol.cddl."""

    session: Count
    tokens: Annotated[list[Annotated[list[Word], Meta(min_length=7, max_length=7)]], Meta(max_length=16)]


class Bye(Struct, array_like=True, tag=9, frozen=True):
    """Ends the session."""

    session: Count


# ---- both ways


class Part(Struct, array_like=True, tag=15, frozen=True):
    """A piece of a message that is longer than a datagram may be; see ``bedside.surgeon.parts``."""

    number: Count
    index: Count
    count: Count
    data: bytes


# ---- bridge to console


class Feedback(Struct, array_like=True, tag=3):
    """What the arm does, as its boards said it.

    ``seq`` is the newest command that every board has taken, ``round_us`` the time from the frames out to all answers
    in, ``missed`` the number of cycles in which a board did not answer, ``late`` of those that the bridge began more
    than a millisecond late. The two packed fields are little-endian 32-bit integers, several times cheaper to write and
    read than as many CBOR items: for each board tick, state, phase, cause, operator age, late ticks and refused frames;
    for each joint position, setpoint minus position, velocity (all in millionths), output (Q15) and flags. The
    properties give SI units.
    """

    seq: int
    cycle: int
    missed: int
    round_us: int
    state: int
    packed_boards: bytes
    packed_joints: bytes
    late: int = 0

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
    """For a person to read: a fault, or, with the ``seq`` of what was asked, why it is refused."""

    text: str
    seq: int = 0


class BoardFacts(Struct, array_like=True):
    """A board of the arm: what it was flashed to be, its ticks a second, how many consoles' keys it has, its joints.

    ``joints`` are those of its channels, by their places in the arm.
    """

    role: str
    tick_hz: int
    keys: int
    joints: list[int]


class JointFacts(Struct, array_like=True):
    """A joint of the arm, its unit ("rad" or "m") and its limits."""

    name: str
    unit: str
    position_min: float
    position_max: float
    velocity: float
    acceleration: float


class Welcome(Struct, array_like=True, tag=10):
    """Begins a session: what the arm is, and what it expects of a stream of commands."""

    session: int
    arm: str
    name: str
    role: str
    command_hz: float
    operator_timeout_ms: float
    boards: list[BoardFacts]
    joints: list[JointFacts]


class Ping(Struct, array_like=True, tag=11):
    """Asks what time it is on the console."""

    session: int
    sent_us: int


class Authority(Struct, array_like=True, tag=12):
    """Who may move the arm: whether the local operator lets anyone, who has it, who is there, who asks for it.

    ``seq`` is the newest operator sequence that the arm has been sent: who takes it up counts on from there.
    """

    armed: bool
    holder: str
    present: dict[str, str]
    waiting: list[str]
    seq: int


class Witness(Struct, array_like=True, tag=13):
    """What a board says of itself under a console's key: the fields of its witness message from nonce_hi on."""

    board: int
    fields: list[int]


class Figures(Struct, array_like=True, tag=14):
    """How the network has treated the session's commands lately; times in milliseconds, loss a share."""

    round_trip_ms: float
    age_ms: float
    jitter_ms: float
    loss: float
    playout_ms: float
    late: int
    stale: int


FromConsole = ServoJp | StateCommand | Hello | Pong | Ask | Proof | Bye | Part
FromBridge = Feedback | Notice | Welcome | Ping | Authority | Witness | Figures | Part


def encode(message: FromConsole | FromBridge) -> bytes:
    """Return ``message`` as bytes."""
    data: bytes = cbor2.dumps([message.__struct_config__.tag, *map(_plain, msgspec.structs.astuple(message))])
    return data


def to_bridge(data: bytes) -> FromConsole:
    """Read a console's message. Raises SurgeonError for anything that is not one."""
    message = _read(data, _FROM_CONSOLE)
    if isinstance(message, ServoJp):
        if len(message.position) != len(message.velocity):
            raise SurgeonError(
                f"{len(message.position)} positions but {len(message.velocity)} velocities; send one of each a joint"
            )
        if not all(map(math.isfinite, message.position)) or not all(map(math.isfinite, message.velocity)):
            raise SurgeonError("a position or velocity is NaN or infinite; send finite numbers")
    elif isinstance(message, StateCommand) and not math.isfinite(message.command_hz):
        raise SurgeonError("a command rate that is NaN or infinite; send a finite number")
    return message  # type: ignore[no-any-return]


def to_console(data: bytes) -> FromBridge:
    """Read a bridge's message. Raises SurgeonError for anything that is not one."""
    return _read(data, _FROM_BRIDGE)  # type: ignore[no-any-return]


def _kinds(*kinds: type[Struct]) -> dict[object, type[Struct]]:
    return {kind.__struct_config__.tag: kind for kind in kinds}


_FROM_CONSOLE = _kinds(ServoJp, StateCommand, Hello, Pong, Ask, Proof, Bye, Part)
_FROM_BRIDGE = _kinds(Feedback, Notice, Welcome, Ping, Authority, Witness, Figures, Part)


def _plain(value: Any) -> Any:
    """Return a field as CBOR takes it: structs in lists as arrays."""
    if isinstance(value, list) and value and isinstance(value[0], Struct):
        return [msgspec.structs.astuple(each) for each in value]
    return value


def _read(data: bytes, kinds: dict[object, type[Struct]]) -> Any:
    if len(data) > DATAGRAM_MAX:
        raise SurgeonError(f"a message of {len(data)} bytes; none is longer than {DATAGRAM_MAX}")
    try:
        raw = cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError, RecursionError):
        raise SurgeonError("a message that is not CBOR") from None
    kind = kinds.get(raw[0]) if type(raw) is list and raw and type(raw[0]) is int else None
    if kind is None:
        numbers = ", ".join(map(str, kinds))
        raise SurgeonError(f"no message of this protocol: expected an array that begins with one of {numbers}")
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise SurgeonError(f"no message of this protocol: {error}") from None
