"""Motions that a suite asks of a board, small and slow by the joints' own limits, and what is recorded of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from bedside.hil.bench import Bench
from bedside.joint import Joint
from bedside.link.messages import NOT_HOMED, RUN, Feedback
from bedside.link.scale import MICRO

# How far a joint is moved at most, whatever its range: enough to see it, little enough to stand beside.
_REACH = {"rad": 0.15, "m": 0.015}
_OF_RANGE = 0.2
# Limits are left this part of a joint's range away.
_MARGIN = 0.05
# Of a joint's limits of speed and acceleration.
_SPEED_SHARE, _ACCELERATION_SHARE = 0.3, 0.3
# A joint with less room than this part of its reach is not moved.
_ROOM = 0.25
Place = Callable[[float], tuple[list[float], list[float]]]


@dataclass
class Recording:
    """What a board answered to a stream of commands: of each answer its seconds, and of each joint what it said.

    ``positions`` and ``setpoints`` are in rad or m, ``outputs`` shares of full drive; lists run over time, then joints.
    """

    seconds: list[float] = field(default_factory=list)
    positions: list[list[float]] = field(default_factory=list)
    setpoints: list[list[float]] = field(default_factory=list)
    outputs: list[list[float]] = field(default_factory=list)
    last: Feedback | None = None

    def add(self, seconds: float, feedback: Feedback) -> None:
        """Note an answer."""
        self.seconds.append(seconds)
        self.positions.append([position / MICRO for position in feedback.positions])
        pairs = zip(feedback.positions, feedback.errors, strict=True)
        self.setpoints.append([(position + error) / MICRO for position, error in pairs])
        self.outputs.append([output / 32768 for output in feedback.outputs])
        self.last = feedback

    def rms_error(self, index: int) -> float:
        """Return how far a joint was from its setpoint, root mean square."""
        errors = [at[index] - to[index] for at, to in zip(self.positions, self.setpoints, strict=True)]
        return math.sqrt(sum(error * error for error in errors) / len(errors))


def joint_of(rows: list[list[float]], index: int) -> list[float]:
    """Return one joint's column of a recording's ``rows``."""
    return [row[index] for row in rows]


def reaches(bench: Bench) -> list[float]:
    """Return how far each joint may be moved from where it is, negative where there is more room below; 0: not at all.

    A joint that does not know where it is, is not moved.
    """
    feedback = bench.tick()
    found = []
    for joint, at, flags in zip(bench.joints, feedback.positions, feedback.flags, strict=True):
        found.append(0.0 if flags & NOT_HOMED else _reach(joint, at / MICRO))
    return found


def reach_max(joint: Joint) -> tuple[float, float]:
    """Return how far a joint is moved at most, and how fast, rad or m and seconds."""
    low, high = joint.limits.position
    return min(_REACH[joint.unit], _OF_RANGE * (high - low)), _SPEED_SHARE * joint.limits.velocity


def step_of(joint: Joint, reach: float, share: float) -> float:
    """Return a step towards ``reach`` that a board takes no faster than motions are here; ``share`` is of its limit.

    A board accelerates, then decelerates as much, so that over a distance s it gets as fast as sqrt(s a).
    """
    limits = joint.limits
    top = _SPEED_SHARE * limits.velocity
    return math.copysign(min(share * limits.step, abs(reach), top * top / limits.acceleration), reach)


def _reach(joint: Joint, at: float) -> float:
    low, high = joint.limits.position
    margin = _MARGIN * (high - low)
    wish, _ = reach_max(joint)
    above, below = high - margin - at, at - low - margin
    room = min(wish, max(above, below))
    if room < _ROOM * wish:
        return 0.0
    return room if above >= below else -room


def seconds_for(joint: Joint, distance: float) -> float:
    """Return how long ``there_and_back`` over ``distance`` takes at the share of the limits that is allowed here."""
    limits = joint.limits
    by_speed = math.pi * abs(distance) / (_SPEED_SHARE * limits.velocity)
    most = min(limits.acceleration, limits.stop_deceleration)
    return max(by_speed, math.pi * math.sqrt(2 * abs(distance) / (_ACCELERATION_SHARE * most)), 0.2)


def there_and_back(begin: list[float], distances: list[float], periods_s: list[float]) -> Place:
    """Return a motion from ``begin`` by ``distances`` and back, over and over, at rest at both ends."""

    def place(t: float) -> tuple[list[float], list[float]]:
        positions, velocities = [], []
        for at, distance, period in zip(begin, distances, periods_s, strict=True):
            phase = 2 * math.pi * t / period
            positions.append(at + distance * (1 - math.cos(phase)) / 2)
            velocities.append(distance * math.pi / period * math.sin(phase))
        return positions, velocities

    return place


def stream(bench: Bench, place: Place, seconds: float) -> Recording:
    """Command ``place`` for ``seconds``, or until the board no longer runs; return what it answered."""
    record = Recording()
    period = round(bench.tick_hz / bench.cell.arm.command_hz)
    steps = round(seconds * bench.tick_hz / period)
    bench.pace(0)
    for step in range(steps):
        t = step * period / bench.tick_hz
        feedback = bench.command(*place(t))
        record.add(t, feedback)
        if feedback.phase != RUN:
            break
        bench.pace(period)
    return record


def begin(bench: Bench) -> list[float]:
    """Enable, engage, and return where the joints are."""
    bench.enable()
    return [position / MICRO for position in bench.tick().positions]
