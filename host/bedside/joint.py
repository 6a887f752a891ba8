"""What a cell file says of one joint: what it may do, how it is controlled, homed, sensed and braked."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from bedside.errors import CellError

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,24}\Z", description="1 to 24 letters, digits, - and _ in quotes")]
Share = Annotated[float, Meta(gt=0, le=1)]
Gain = Annotated[float, Meta(ge=0, le=100_000)]
Place = Annotated[float, Meta(ge=-1000, le=1000)]
HomingSpeed = Annotated[float, Meta(ge=-30, le=30)]


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


def check_joint(joint: Joint) -> None:
    """Raise CellError, which names the key, its value and what is allowed, unless the joint makes sense."""
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
