"""The cell file: an arm, the boards it is made of, and what each joint may do. Physical units throughout."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from bedside.boardfile import Bench, BoardType, UsbLink, load_board_type
from bedside.config import load_toml
from bedside.errors import CellError, SurgeonError
from bedside.joint import Absolute, AtIndex, Joint, Name, check_joint

# What a board waits between a ramp and its brakes, takes to hand the load over to them, and some ticks to notice that
# the loop has died.
_SETTLE_MS = 240
# Of a link; the rest is for proof (3 % of a megabaud), events, identities and frames that are sent again.
_LINK_SHARE = 0.7
# A byte on a serial line has a start and a stop bit.
_BITS_PER_BYTE = 10
# How often the bridge speaks to each board: unless the cell says otherwise, and at least.
CYCLE_HZ, CYCLE_HZ_MIN = 250, 100


class BoardSlot(Struct, forbid_unknown_fields=True):
    """A board of the arm: ``type`` is a file in ``boards/``, or the path of one beside the cell file, ending in .toml.

    ``port`` is a serial port, ``socket://HOST:PORT``, or ``sim:NAME``; ``console`` is the port of the board's own REPL,
    where its link has another.
    """

    name: Name
    type: str
    port: Annotated[
        str,
        Meta(
            pattern=r"^(sim:[A-Za-z0-9_-]+|(?!sim:).+)\Z",
            description="a serial port, socket://HOST:PORT or sim:NAME in quotes",
        ),
    ]
    console: str | None = None


class RunLoop(Struct, forbid_unknown_fields=True):
    """A wire through a contact on every board of the arm, to a relay that feeds the drives while the wire is alive.

    ``relay_off_ms`` is how long after the wire died the relay takes the drives' supply away, which must leave time for
    the longest stop.
    """

    relay_off_ms: Annotated[float, Meta(ge=50, le=5000)]


class Network(Struct, forbid_unknown_fields=True):
    """What the bridge asks of the network between it and a console, and how it is reached.

    A command that is older than ``command_max_age_ms`` is not acted on; a round trip above ``round_trip_max_ms``, or a
    share of lost commands above ``loss_max``, pauses the arm. Commands wait for ``playout_max_ms`` at most to come out
    as evenly as they went in. ``relay`` is a host where bridge and consoles meet that cannot reach each other, ``dial``
    are consoles that wait for the bridge; both as HOST:PORT.
    """

    command_max_age_ms: Annotated[float, Meta(ge=20, le=2000)] = 400
    round_trip_max_ms: Annotated[float, Meta(ge=20, le=2000)] = 1000
    loss_max: Annotated[float, Meta(gt=0, le=1)] = 0.3
    playout_max_ms: Annotated[float, Meta(ge=0, le=200)] = 20
    relay: str | None = None
    dial: list[str] = []


class Arm(Struct, forbid_unknown_fields=True):
    """The arm as a whole.

    Two missing commands make the setpoint slow down; ``operator_timeout_ms`` without one pauses the arm, which then
    holds for ``hold_ms`` before its brakes close; ``link_timeout_ms`` without a word from the bridge stops it for good.
    A console's proof that it sees the arm counts if what it saw is younger than ``proof_max_age_ms``.
    """

    name: Name
    command_hz: Annotated[float, Meta(ge=10, le=2000)] = 200
    operator_timeout_ms: Annotated[float, Meta(ge=10, le=500)] = 100
    link_timeout_ms: Annotated[float, Meta(ge=5, le=200)] = 30
    proof_max_age_ms: Annotated[float, Meta(ge=10, le=1000)] = 500
    hold_ms: Annotated[int, Meta(ge=0, le=60_000)] = 2000
    cycle_hz: Annotated[float, Meta(ge=CYCLE_HZ_MIN, le=2000)] = CYCLE_HZ
    listen: str = "127.0.0.1:36010"
    plants: str | None = None
    run_loop: RunLoop | None = None
    network: Network = msgspec.field(default_factory=Network)


class Cell(Struct, forbid_unknown_fields=True):
    """An arm, its boards and its joints, in the order in which consoles speak of them."""

    arm: Arm
    board: Annotated[list[BoardSlot], Meta(min_length=1, max_length=16)]
    joint: Annotated[list[Joint], Meta(min_length=1, max_length=64)]

    @property
    def homing_order(self) -> list[int]:
        """The joints that need homing, by index in the arm, in the order in which they home."""
        needy = [index for index, joint in enumerate(self.joint) if not isinstance(joint.homing, Absolute)]
        return sorted(needy, key=lambda index: self.joint[index].homing.order)  # type: ignore[union-attr]

    def joints_of(self, board: str) -> list[tuple[int, Joint]]:
        """Return (index in the arm, joint) of each joint on ``board``, by channel."""
        mine = [(index, joint) for index, joint in enumerate(self.joint) if joint.board == board]
        return sorted(mine, key=lambda item: item[1].channel)


def load_cell(path: Path) -> Cell:
    """Read and check a cell file. Raises CellError, which names the key, the value and what is allowed."""
    cell = load_toml(path, Cell)
    for slot in cell.board:
        if slot.type.endswith(".toml"):
            slot.type = str(path.parent / slot.type)
    try:
        _check(cell)
    except CellError as error:
        raise CellError(f"{path}: {error}") from None
    return cell


def check_command_rate(arm: Arm, command_hz: float) -> None:
    """Raise CellError unless two command periods at ``command_hz`` fit into the arm's operator timeout."""
    slowest = 2000 / arm.operator_timeout_ms
    if not slowest <= command_hz <= 2000:
        raise CellError(
            f"command rate {command_hz:g} Hz: allowed are {slowest:g} to 2000 Hz, so that two missing commands are "
            f"noticed before the operator timeout of {arm.operator_timeout_ms:g} ms; stream faster or raise "
            "operator_timeout_ms"
        )


def check_link_load(cell: Cell, name: str, command_hz: float) -> None:
    """Raise CellError if commands at ``command_hz`` would fill board ``name``'s link, as the largest frames would.

    A USB link has no baud rate that could be too low, and a simulated board no wire.
    """
    slot = next(slot for slot in cell.board if slot.name == name)
    share = link_share(cell, slot, command_hz)
    if share is not None and share > _LINK_SHARE:
        joints, baud = len(cell.joints_of(name)), load_board_type(slot.type).link.baud
        rate, needed = max(command_hz, cell.arm.cycle_hz), share * baud
        raise CellError(
            f"board '{name}': {joints} joint{'s' * (joints > 1)} at {rate:g} Hz need {needed / 1000:.0f} kbaud, "
            f"{needed / baud:.0%} of a link of {baud / 1000:g}, where {_LINK_SHARE:.0%} is allowed; raise link.baud of "
            f"board file '{slot.type}' to {needed / _LINK_SHARE:.0f} or more, give the board fewer joints, or lower "
            f"arm.cycle_hz and the command rate to {int(carried_hz(joints, baud))} Hz"
        )


def link_share(cell: Cell, slot: BoardSlot, command_hz: float) -> float | None:
    """Return the share of a board's link that the largest frames at ``command_hz`` fill; None if it has no wire."""
    kind = load_board_type(slot.type)
    if not _is_real(slot, kind) or isinstance(kind.link, UsbLink):
        return None
    rate = max(command_hz, cell.arm.cycle_hz)
    return _LINK_SHARE * rate / carried_hz(len(cell.joints_of(slot.name)), kind.link.baud)


def carried_hz(joints: int, baud: int) -> float:
    """Return how often a second commands and feedback of ``joints`` joints fit into their share of a link at ``baud``.

    Counted are the largest frames; each way has a wire of its own.
    """
    from bedside.link.largest import command_bytes, feedback_bytes

    return _LINK_SHARE * baud / _BITS_PER_BYTE / max(command_bytes(joints), feedback_bytes(joints))


def _check(cell: Cell) -> None:
    _check_addresses(cell.arm)
    check_command_rate(cell.arm, cell.arm.command_hz)
    if cell.arm.link_timeout_ms * cell.arm.cycle_hz < 3000:
        raise CellError(
            f"arm.link_timeout_ms = {cell.arm.link_timeout_ms:g}: the bridge speaks every "
            f"{1000 / cell.arm.cycle_hz:g} ms; allow it to be late twice: {3000 / cell.arm.cycle_hz:g} or more"
        )
    _no_twins("board name", [board.name for board in cell.board])
    _no_twins("board port", [board.port for board in cell.board])
    _no_twins("joint name", [joint.name for joint in cell.joint])
    types = {board.name: _type_of(board) for board in cell.board}
    there: dict[tuple[str, int], str] = {}
    for joint in cell.joint:
        if joint.board not in types:
            raise CellError(
                f"joint[{joint.name}].board = '{joint.board}': no such board; there are: {', '.join(types)}"
            )
        if joint.channel >= types[joint.board].channels:
            raise CellError(
                f"joint[{joint.name}].channel = {joint.channel}: board '{joint.board}' has channels "
                f"0 to {types[joint.board].channels - 1}"
            )
        other = there.setdefault((joint.board, joint.channel), joint.name)
        if other != joint.name:
            raise CellError(
                f"joint[{other}] and joint[{joint.name}] are both on channel {joint.channel} of board '{joint.board}'; "
                "give each a channel of its own"
            )
        check_joint(joint)
    for board in cell.board:
        if _is_real(board, types[board.name]):
            _check_wiring(cell, board.name, types[board.name])
    if cell.arm.run_loop:
        _check_run_loop(cell.arm.run_loop, cell.joint)
    for board in cell.board:
        channels = [joint.channel for _, joint in cell.joints_of(board.name)]
        if channels != list(range(len(channels))) or not channels:
            raise CellError(
                f"board '{board.name}': its joints use channels {channels}; they must be 0, 1, 2 … without gaps"
            )
        _check_identity(cell.arm.name, board.name, [joint.name for _, joint in cell.joints_of(board.name)])
        check_link_load(cell, board.name, cell.arm.command_hz)


def _check_addresses(arm: Arm) -> None:
    """Check, as the bridge does, where it is to listen and whom it is to reach."""
    from bedside.surgeon.address import parse_address, split

    network = arm.network
    for key, address in (("listen", arm.listen), ("network.relay", network.relay)):
        try:
            if address is not None:
                (parse_address if key == "listen" else split)(address)
        except SurgeonError as error:
            raise CellError(f"arm.{key}: {error}") from None
    for address in network.dial:
        try:
            split(address)
        except SurgeonError as error:
            raise CellError(f"arm.network.dial: {error}") from None


def _type_of(slot: BoardSlot) -> BoardType:
    try:
        return load_board_type(slot.type)
    except CellError as error:
        raise CellError(f"board[{slot.name}].type: {error}") from None


def _is_real(slot: BoardSlot, kind: BoardType) -> bool:
    """Whether the board has pins and a wire: neither simulated behind its port nor of a simulated chip."""
    return bool(kind.facts.gpios) and not slot.port.startswith("sim:")


def _check_wiring(cell: Cell, name: str, kind: BoardType) -> None:
    """Check that what the cell file asks of a board's joints is wired on that kind of board."""
    for _, joint in cell.joints_of(name):
        channel = kind.channel[joint.channel]
        if isinstance(channel.drive, Bench):
            continue
        lacking = {
            "brake": joint.brake is not None and channel.brake is None,
            "sensor": joint.sensor is not None and channel.sensor is None,
            "encoder.index": isinstance(joint.homing, AtIndex) and channel.encoder and channel.encoder.index is None,
        }
        for key in (key for key, lacks in lacking.items() if lacks):
            raise CellError(
                f"joint[{joint.name}]: it needs a pin for its {key}, but channel[{joint.channel}] of board '{name}' "
                f"({kind.description}) has none; add {key} to the board file, or use another channel or board"
            )
        if isinstance(joint.homing, Absolute):
            raise CellError(
                f'joint[{joint.name}].homing.method = "absolute": the encoder on channel[{joint.channel}] of board '
                f"'{name}' counts from wherever it is switched on; home by index, end-stop or sensor"
            )
    if cell.arm.run_loop and kind.pins.run_loop is None:
        raise CellError(
            f"board '{name}' ({kind.description}): the arm has a run loop, but the board file has no "
            "pins.run_loop and pins.run_contact; add them, or remove arm.run_loop"
        )


def _check_run_loop(loop: RunLoop, joints: list[Joint]) -> None:
    """Check that every joint stands and is braked before the relay takes its torque."""
    close_ms = max(joint.brake.close_ms if joint.brake else 0 for joint in joints)
    for joint in joints:
        ramp_ms = 1000 * joint.limits.velocity / joint.limits.stop_deceleration
        needed_ms = ramp_ms + _SETTLE_MS + close_ms
        if loop.relay_off_ms < needed_ms:
            raise CellError(
                f"arm.run_loop.relay_off_ms = {loop.relay_off_ms:g}: joint '{joint.name}' takes {ramp_ms:.0f} ms to "
                f"stop and the slowest brake {close_ms} ms to close; use a relay that waits {needed_ms:.0f} ms or more"
            )


def _check_identity(arm: str, board: str, joints: list[str]) -> None:
    """Check that what the board tells of itself fits one frame of 252 bytes: its id, and the build that was flashed."""
    identifier = max(16, len(board) + 4)  # a chip's, or a simulated board's name again
    size = 61 + len(arm) + len(board) + identifier + sum(17 + len(joint) for joint in joints)
    if size > 252:
        over = f"its name and those of its {len(joints)} joints are {size - 252} letters too long"
        raise CellError(f"board '{board}': {over}")


def _no_twins(what: str, names: list[str]) -> None:
    twins = [name for name, times in Counter(names).items() if times > 1]
    if twins:
        raise CellError(f"{what} '{twins[0]}' is used twice")
