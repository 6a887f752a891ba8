"""The cell file: an arm, the boards it is made of, and what each joint may do. Physical units throughout."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from bedside.boardfile import Bench, BoardType, UsbLink, load_board_type
from bedside.config import load_toml
from bedside.errors import CellError

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,24}$")]
Share = Annotated[float, Meta(gt=0, le=1)]
Gain = Annotated[float, Meta(ge=0, le=100_000)]
Place = Annotated[float, Meta(ge=-1000, le=1000)]
HomingSpeed = Annotated[float, Meta(ge=-30, le=30)]
# What a board waits between a ramp and its brakes, takes to hand the load over to them, and some ticks to notice that
# the loop has died.
_SETTLE_MS = 240
# Of a link; the rest is for events, identities and frames that are sent again.
_LINK_SHARE = 0.7
# A byte on a serial line has a start and a stop bit.
_BITS_PER_BYTE = 10


class Limits(Struct, forbid_unknown_fields=True):
    """What a joint may do, in rad or m and seconds.

    ``stop_deceleration`` is that of every stop; ``step`` is the largest distance of a command from the present
    setpoint; ``following`` the largest distance of the joint from its setpoint; ``engage`` that of the first command
    from the joint, when an arm begins to follow; ``standstill`` how far a joint may move that holds, or whose brake is
    closed.
    """

    position: tuple[float, float]
    velocity: Annotated[float, Meta(gt=0, le=30)]
    acceleration: Annotated[float, Meta(ge=0.001, le=2000)]
    stop_deceleration: Annotated[float, Meta(ge=0.001, le=2000)]
    step: Annotated[float, Meta(gt=0, le=1)]
    following: Annotated[float, Meta(gt=0, le=1)]
    engage: Annotated[float, Meta(gt=0, le=1)]
    standstill: Annotated[float, Meta(gt=0, le=1)]


class Gains(Struct, forbid_unknown_fields=True):
    """The controller, as a share of full drive.

    ``kp`` is per rad (or m), ``ki`` per rad and second, ``kd`` and ``velocity_forward`` per rad/s. ``filter_shift``
    sets the speed filter to 2^shift ticks. ``gravity_bias`` is the output that carries the joint's weight; ``slew_ms``
    the time in which the output may go from nothing to full drive.
    """

    kp: Gain
    ki: Gain
    kd: Gain
    velocity_forward: Gain
    integral_max: Share = 0.5
    output_max: Share = 1.0
    filter_shift: Annotated[int, Meta(ge=0, le=6)] = 2
    gravity_bias: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    slew_ms: Annotated[float, Meta(ge=0.25, le=1000)] = 5.0


class Encoder(Struct, forbid_unknown_fields=True):
    """``counts_per_unit`` is the number of counts per rad (or m) of the joint; negative if it counts backwards."""

    counts_per_unit: Annotated[float, Meta(ge=-1e9, le=1e9)]


class Absolute(Struct, tag_field="method", tag="absolute", forbid_unknown_fields=True):
    """The encoder tells where the joint is; ``position`` is where its count is 0."""

    position: Place = 0.0


class AtIndex(Struct, tag_field="method", tag="index", forbid_unknown_fields=True):
    """The encoder's index, or a home switch, is at ``position``, and is the only one in the joint's range.

    Until it is homed the joint moves with ``speed`` (rad/s or m/s, towards the index) and ``output`` (share of full
    drive) at most. Then it parks at ``park``, or at the index. Joints home in the order of ``order``, then of the file.
    """

    position: Place
    speed: HomingSpeed
    output: Share
    park: Place | None = None
    order: Annotated[int, Meta(ge=0, le=1000)] = 0


class AtEndStop(Struct, tag_field="method", tag="end-stop", forbid_unknown_fields=True):
    """As at an index, but where the joint gets no further; it is beside its limits, so ``park`` must be given."""

    position: Place
    speed: HomingSpeed
    output: Share
    park: Place
    order: Annotated[int, Meta(ge=0, le=1000)] = 0


class BySensor(Struct, tag_field="method", tag="sensor", forbid_unknown_fields=True):
    """The second sensor tells where the joint is, without a motion; ``speed`` and ``output`` as at an index."""

    speed: HomingSpeed
    output: Share
    order: Annotated[int, Meta(ge=0, le=1000)] = 0


Homing = Absolute | AtIndex | AtEndStop | BySensor


class Sensor(Struct, forbid_unknown_fields=True):
    """A second sensor of the joint itself, such as a potentiometer.

    ``counts_per_unit`` are its counts per rad (or m), negative if it counts backwards; ``zero`` is where the joint is
    when it reads 0. Once the joint is homed, encoder and sensor further apart than ``tolerance`` are a fault.
    """

    counts_per_unit: Annotated[float, Meta(ge=-1e6, le=1e6)]
    zero: Place
    tolerance: Annotated[float, Meta(gt=0, le=10)]


class Drive(Struct, forbid_unknown_fields=True):
    """The motor's drive. More than ``current_max_a`` is a fault.

    The motor bears ``continuous_a`` for ever, and ``current_max_a`` for ``hot_after_s``; then its output is limited to
    ``output_continuous``, the share of full drive that draws the continuous current at standstill. A joint that does
    not count for ``stuck_ms`` although its output is above ``stuck_output`` is stuck.
    """

    current_max_a: Annotated[float, Meta(gt=0, le=65)]
    continuous_a: Annotated[float, Meta(gt=0, le=65)]
    hot_after_s: Annotated[float, Meta(gt=0, le=60)]
    output_continuous: Share
    stuck_output: Share
    stuck_ms: Annotated[int, Meta(ge=1, le=10_000)] = 20
    current_off_a: Annotated[float, Meta(ge=0.001, le=65)] = 0.1
    reversed: bool = False


class Brake(Struct, forbid_unknown_fields=True):
    """How long the brake takes; the joint is held by its motor meanwhile."""

    open_ms: Annotated[int, Meta(ge=0, le=1000)]
    close_ms: Annotated[int, Meta(ge=0, le=1000)]


class Joint(Struct, forbid_unknown_fields=True):
    """One joint of the arm, and where it is wired.

    ``without_brake`` says why a joint that has none does not fall.
    """

    name: Name
    board: str
    channel: Annotated[int, Meta(ge=0, le=7)]
    unit: Literal["rad", "m"]
    limits: Limits
    gains: Gains
    encoder: Encoder
    homing: Homing
    drive: Drive
    sensor: Sensor | None = None
    brake: Brake | None = None
    without_brake: Literal["balanced", "not-back-drivable", "shorted-winding"] | None = None


class BoardSlot(Struct, forbid_unknown_fields=True):
    """A board of the arm: ``type`` is a file in ``boards/``, or the path of one beside the cell file, ending in .toml.

    ``port`` is a serial port, ``socket://HOST:PORT``, or ``sim:NAME``; ``console`` is the port of the board's own REPL,
    where its link has another.
    """

    name: Name
    type: str
    port: Annotated[str, Meta(pattern=r"^(sim:[A-Za-z0-9_-]+|(?!sim:).+)$")]
    console: str | None = None


class RunLoop(Struct, forbid_unknown_fields=True):
    """A wire through a contact on every board of the arm, to a relay that feeds the drives while the wire is alive.

    ``relay_off_ms`` is how long after the wire died the relay takes the drives' supply away, which must leave time for
    the longest stop.
    """

    relay_off_ms: Annotated[float, Meta(ge=50, le=5000)]


class Arm(Struct, forbid_unknown_fields=True):
    """The arm as a whole.

    Two missing commands make the setpoint slow down; ``operator_timeout_ms`` without one pauses the arm, which then
    holds for ``hold_ms`` before its brakes close; ``link_timeout_ms`` without a word from the bridge stops it for good.
    """

    name: Name
    command_hz: Annotated[float, Meta(ge=10, le=2000)] = 200
    operator_timeout_ms: Annotated[float, Meta(ge=10, le=500)] = 100
    link_timeout_ms: Annotated[float, Meta(ge=5, le=200)] = 30
    hold_ms: Annotated[int, Meta(ge=0, le=60_000)] = 2000
    cycle_hz: Annotated[float, Meta(ge=100, le=2000)] = 250
    listen: str = "127.0.0.1:36010"
    plants: str | None = None
    run_loop: RunLoop | None = None


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
        frame = needed / rate / _BITS_PER_BYTE
        raise CellError(
            f"board '{name}': {joints} joint{'s' * (joints > 1)} at {rate:g} Hz need {needed / 1000:.0f} kbaud, "
            f"{needed / baud:.0%} of a link of {baud / 1000:g}, where {_LINK_SHARE:.0%} is allowed; raise link.baud of "
            f"board file '{slot.type}' to {needed / _LINK_SHARE:.0f} or more, give the board fewer joints, or lower "
            f"arm.cycle_hz and the command rate to {int(_LINK_SHARE * baud / frame / _BITS_PER_BYTE)} Hz"
        )


def link_share(cell: Cell, slot: BoardSlot, command_hz: float) -> float | None:
    """Return the share of a board's link that the largest frames at ``command_hz`` fill; None if it has no wire."""
    kind = load_board_type(slot.type)
    if not _is_real(slot, kind) or isinstance(kind.link, UsbLink):
        return None
    from bedside.link.largest import command_bytes, feedback_bytes

    joints = len(cell.joints_of(slot.name))
    rate, frame = max(command_hz, cell.arm.cycle_hz), max(command_bytes(joints), feedback_bytes(joints))
    return rate * frame * _BITS_PER_BYTE / kind.link.baud


def _check(cell: Cell) -> None:
    check_command_rate(cell.arm, cell.arm.command_hz)
    if cell.arm.link_timeout_ms * cell.arm.cycle_hz < 3000:
        raise CellError(
            f"arm.link_timeout_ms = {cell.arm.link_timeout_ms:g}: the bridge speaks every "
            f"{1000 / cell.arm.cycle_hz:g} ms; allow it to be late twice: {3000 / cell.arm.cycle_hz:g} or more"
        )
    _no_twins("board name", [board.name for board in cell.board])
    _no_twins("board port", [board.port for board in cell.board])
    _no_twins("joint name", [joint.name for joint in cell.joint])
    _no_twins("channel", [f"{joint.board} channel {joint.channel}" for joint in cell.joint])
    types = {board.name: load_board_type(board.type) for board in cell.board}
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
        _check_joint(joint)
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
        _check_identity(board.name, [joint.name for _, joint in cell.joints_of(board.name)])
        check_link_load(cell, board.name, cell.arm.command_hz)


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
    if cell.arm.run_loop and (kind.pins.run_loop is None or kind.pins.run_contact is None):
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


def _check_identity(board: str, joints: list[str]) -> None:
    """Check that what the board tells of itself fits one frame of 252 bytes: its id, and the build that was flashed."""
    identifier = max(16, len(board) + 4)  # a chip's, or a simulated board's name again
    size = 58 + len(board) + identifier + sum(17 + len(joint) for joint in joints)
    if size > 252:
        over = f"its name and those of its {len(joints)} joints are {size - 252} letters too long"
        raise CellError(f"board '{board}': {over}")


def _check_joint(joint: Joint) -> None:
    low, high = joint.limits.position
    where = f"joint[{joint.name}].limits.position = [{low}, {high}]"
    if not low < high:
        raise CellError(f"{where}: the lower limit must be below the upper one")
    if max(-low, high) > 1000:
        raise CellError(f"{where}: allowed are -1000 to 1000 {joint.unit}")
    if joint.unit == "m" and high - low > 5:
        raise CellError(
            f"{where}: a prismatic joint of {high - low:g} m; were these millimetres? Lengths are in metres"
        )
    if joint.unit == "rad" and high - low > 60:
        raise CellError(f"{where}: a range of {high - low:g} rad; were these degrees? Angles are in radians")
    if (joint.brake is None) == (joint.without_brake is None):
        raise CellError(
            f"joint[{joint.name}]: give its brake = {{ open_ms, close_ms }}, or say why it does not fall without one: "
            'without_brake = "balanced", "not-back-drivable" or "shorted-winding"'
        )
    if joint.drive.continuous_a >= joint.drive.current_max_a:
        raise CellError(
            f"joint[{joint.name}].drive.continuous_a = {joint.drive.continuous_a:g}: must be below current_max_a "
            f"({joint.drive.current_max_a:g})"
        )
    if joint.encoder.counts_per_unit == 0:
        raise CellError(f"joint[{joint.name}].encoder.counts_per_unit = 0: must not be zero")
    if joint.sensor and joint.sensor.counts_per_unit == 0:
        raise CellError(f"joint[{joint.name}].sensor.counts_per_unit = 0: must not be zero")
    if not isinstance(joint.homing, Absolute):
        _check_homing(joint, joint.homing)


def _check_homing(joint: Joint, homing: AtIndex | AtEndStop | BySensor) -> None:
    where = f"joint[{joint.name}].homing"
    low, high = joint.limits.position
    if not 0 < abs(homing.speed) <= joint.limits.velocity:
        raise CellError(
            f"{where}.speed = {homing.speed:g}: its sign says which way to search; allowed are up to limits.velocity "
            f"({joint.limits.velocity:g}) either way"
        )
    most = min(joint.gains.output_max, joint.drive.stuck_output)
    if not abs(joint.gains.gravity_bias) <= homing.output <= most:
        raise CellError(
            f"{where}.output = {homing.output:g}: allowed are gains.gravity_bias ({joint.gains.gravity_bias:g}), which "
            f"holds the joint, to {most:g}, the lesser of drive.stuck_output and gains.output_max: it presses on stops"
        )
    way_to_stop = homing.speed**2 / 2 / min(joint.limits.acceleration, joint.limits.stop_deceleration)
    if way_to_stop > joint.limits.standstill:
        raise CellError(
            f"{where}.speed = {homing.speed:g}: it would stop {way_to_stop:.2g} {joint.unit} behind where it parks, "
            f"more than limits.standstill ({joint.limits.standstill:g}); home more slowly"
        )
    if isinstance(homing, BySensor):
        if not joint.sensor:
            raise CellError(
                f'{where}.method = "sensor": the joint has no sensor = {{ counts_per_unit, zero, tolerance }}'
            )
        return
    park = homing.position if homing.park is None else homing.park
    if not low <= park <= high:
        raise CellError(f"{where}.park = {park:g}: must be within limits.position = [{low}, {high}]")
    if isinstance(homing, AtEndStop) and (homing.position - park) * homing.speed <= 0:
        raise CellError(
            f"{where}.park = {park:g}: must be behind the stop at {homing.position:g}, seen with homing.speed = "
            f"{homing.speed:g}"
        )
    if isinstance(homing, AtEndStop) and low < homing.position < high:
        raise CellError(f"{where}.position = {homing.position:g}: an end stop lies outside limits.position")
    if isinstance(homing, AtEndStop) and abs(homing.position - park) <= 2 * joint.limits.standstill:
        raise CellError(
            f"{where}.park = {park:g}: must be further from the stop at {homing.position:g} than twice "
            f"limits.standstill ({joint.limits.standstill:g}), or the second touch would prove nothing"
        )


def _no_twins(what: str, names: list[str]) -> None:
    twins = [name for name, times in Counter(names).items() if times > 1]
    if twins:
        raise CellError(f"{what} '{twins[0]}' is used twice")
