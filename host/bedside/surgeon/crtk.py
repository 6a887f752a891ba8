"""CRTK's motion commands as streams of absolute setpoints: what a console sends in each command period.

Names and meanings are those of the Collaborative Robotics Toolkit: ``servo`` is direct and pre-emptive, ``interpolate``
a slower stream between whose goals is interpolated, ``move`` a plan that ends at rest in its goal; ``jp`` positions,
``jr`` relative to the newest setpoint, ``jv`` velocities. Any command takes the place of the one before. Only absolute
setpoints go over the network: a lost one costs nothing.
"""

from __future__ import annotations

from typing import Protocol

from bedside.errors import SurgeonError
from bedside.surgeon.motion import Motion, Sample
from bedside.surgeon.protocol import JointFacts

# A servo_jv that is not said again for so long has ended: the joints slow down.
_SERVO_JV_S = 0.1


class Stream(Protocol):
    """A motion without an end known beforehand."""

    @property
    def is_busy(self) -> bool:
        """Whether it has a goal that it has not reached."""

    def at(self, t_s: float) -> Sample:
        """Return positions and speeds at ``t_s`` on the console's clock; calls come with growing times."""


class Hold:
    """Stay at ``position``."""

    is_busy = False

    def __init__(self, position: list[float]) -> None:
        self._sample: Sample = (position, [0.0] * len(position))

    def at(self, _: float) -> Sample:
        """Return the position."""
        return self._sample


class Servo:
    """servo_jp: the setpoint that was given last; its speed is given, too, or taken from the one before."""

    is_busy = False

    def __init__(self, position: list[float], velocity: list[float], period_s: float, t_s: float) -> None:
        self._position = position
        self._velocity = velocity
        self._until_s = t_s + 1.5 * period_s

    def at(self, t_s: float) -> Sample:
        """Return the setpoint; one that is not followed by another is where the joints are to stay."""
        return self._position, self._velocity if t_s < self._until_s else [0.0] * len(self._position)


class Velocity:
    """servo_jv: speeds, from ``position`` on, as long as they are said again; then the joints slow down."""

    is_busy = False

    def __init__(self, position: list[float], velocity: list[float], joints: list[JointFacts], t_s: float) -> None:
        self._position = list(position)
        self._wanted = velocity
        self._speed = [0.0] * len(position)
        self._joints = joints
        self._t_s = t_s
        self._until_s = t_s + _SERVO_JV_S

    def say(self, velocity: list[float], t_s: float) -> None:
        """Go on with ``velocity``."""
        self._wanted = velocity
        self._until_s = t_s + _SERVO_JV_S

    def at(self, t_s: float) -> Sample:
        """Return positions and speeds, both within what the joints can do."""
        step_s, self._t_s = t_s - self._t_s, t_s
        wanted = self._wanted if t_s < self._until_s else [0.0] * len(self._wanted)
        for index, (joint, to) in enumerate(zip(self._joints, wanted, strict=True)):
            most = joint.acceleration / 2 * step_s
            before = self._speed[index]
            speed = before + min(max(to - before, -most), most)
            place = self._position[index] + (before + speed) / 2 * step_s
            inside = min(max(place, joint.position_min), joint.position_max)
            self._position[index] = inside
            self._speed[index] = speed if inside == place else 0.0
        return list(self._position), list(self._speed)


class Play:
    """A motion from beginning to end, begun at ``t_s``; then the joints stay where it ends."""

    def __init__(self, motion: Motion, t_s: float) -> None:
        self._motion = motion
        self._begun_s = t_s
        self.done_s = 0.0
        self.is_busy = True

    def at(self, t_s: float) -> Sample:
        """Return positions and speeds."""
        self.done_s = min(t_s - self._begun_s, self._motion.duration_s)
        self.is_busy = self.done_s < self._motion.duration_s
        return self._motion.at(self.done_s)


class Interpolation:
    """interpolate_jp: joints head for the newest goal, at half of their speed at most, and come to rest there."""

    is_busy = False

    def __init__(self, position: list[float], joints: list[JointFacts], t_s: float) -> None:
        self._position = list(position)
        self._speed = [0.0] * len(position)
        self._goal = list(position)
        self._joints = joints
        self._t_s = t_s

    def say(self, goal: list[float]) -> None:
        """Head for ``goal`` from now on."""
        self._goal = goal

    def at(self, t_s: float) -> Sample:
        """Return positions and speeds: each joint as fast as lets it still come to rest at its goal."""
        step_s, self._t_s = t_s - self._t_s, t_s
        for index, (joint, goal) in enumerate(zip(self._joints, self._goal, strict=True)):
            acceleration = joint.acceleration / 4
            away = goal - self._position[index]
            # The speed from which it stops within the distance, a step of it kept back: v^2 = 2 a s.
            reserve = acceleration * step_s
            top = min(joint.velocity / 2, (reserve * reserve + 2 * acceleration * abs(away)) ** 0.5 - reserve)
            wanted = top if away > 0 else -top
            before = self._speed[index]
            speed = before + min(max(wanted - before, -reserve), reserve)
            move = (before + speed) / 2 * step_s
            if abs(move) >= abs(away) and before * away >= 0 and abs(speed) <= 2 * reserve:
                self._position[index], self._speed[index] = goal, 0.0
            else:
                # At a goal on the edge of its range a joint must not swing beyond.
                place = self._position[index] + move
                inside = min(max(place, joint.position_min), joint.position_max)
                self._position[index] = inside
                self._speed[index] = speed if inside == place else 0.0
        return list(self._position), list(self._speed)


def check_joints(values: list[float], joints: list[JointFacts], what: str) -> None:
    """Raise SurgeonError unless there is one value of ``what`` a joint, as CRTK asks."""
    if len(values) != len(joints):
        names = ", ".join(joint.name for joint in joints)
        raise SurgeonError(f"{len(values)} {what}; give one for each joint: {names}")


def check_limits(position: list[float], joints: list[JointFacts]) -> None:
    """Raise SurgeonError if a joint is to leave its limits."""
    for at, joint in zip(position, joints, strict=True):
        if not joint.position_min <= at <= joint.position_max:
            raise SurgeonError(
                f"joint '{joint.name}': {at:g} {joint.unit} is outside its limits {joint.position_min:g} to "
                f"{joint.position_max:g}"
            )
