"""The envelope: what a command to the arm may say. The boards check it again, each its own part."""

from __future__ import annotations

import math

from bedside.errors import SurgeonError
from bedside.joint import Absolute, Joint

Limits = tuple[float, float, float, float]


class Envelope:
    """The limits of all joints, in SI units; those of a joint that is not homed are narrower."""

    def __init__(self, joints: list[Joint]) -> None:
        self._joints = joints
        self._engage = [joint.limits.engage for joint in joints]
        self._limits: list[Limits] = []
        self.update([False] * len(joints))

    def update(self, homed: list[bool]) -> None:
        """Take the limits that hold now that each joint is homed, or is not."""
        self._limits = [_limits_of(joint, known) for joint, known in zip(self._joints, homed, strict=True)]

    def check(self, position: list[float], velocity: list[float], last: list[float]) -> None:
        """Raise SurgeonError unless a command is within every limit, ``last`` being the one before."""
        for limits, q, v, before in zip(self._limits, position, velocity, last, strict=True):
            low, high, fastest, step = limits
            if not (low <= q <= high and -fastest <= v <= fastest and -step <= q - before <= step):
                raise self._beyond(position, velocity, last)

    def check_engagement(self, position: list[float], here: list[float]) -> None:
        """Raise SurgeonError unless a command to ``position`` begins where the arm is."""
        for joint, at, wanted, most in zip(self._joints, here, position, self._engage, strict=True):
            if not abs(wanted - at) <= most:
                raise SurgeonError(
                    f"joint '{joint.name}': the first command is {abs(wanted - at):g} {joint.unit} off the arm, "
                    f"more than {most:g}; begin at its measured position"
                )

    def _beyond(self, position: list[float], velocity: list[float], last: list[float]) -> SurgeonError:
        """Say which joint is commanded beyond which of its limits."""
        wrong = []
        for index, (joint, (low, high, fastest, step)) in enumerate(zip(self._joints, self._limits, strict=True)):
            q, v, unit = position[index], velocity[index], joint.unit
            jump = abs(q - last[index])
            if not low <= q <= high:
                wrong.append(f"joint '{joint.name}': position {q:g} {unit} is outside {low:g} to {high:g}")
            elif not abs(v) <= fastest:
                slow = "" if fastest == joint.limits.velocity else ", because it is not homed"
                wrong.append(f"joint '{joint.name}': velocity {v:g} {unit}/s is above {fastest:g}{slow}")
            elif not jump <= step:
                wrong.append(
                    f"joint '{joint.name}': a step of {jump:g} {unit} is above {step:g}; approach in smaller steps"
                )
        return SurgeonError("; ".join(wrong))


def _limits_of(joint: Joint, homed: bool) -> Limits:
    """Return lowest and highest position, speed and step."""
    low, high = joint.limits.position
    if homed or isinstance(joint.homing, Absolute):
        return low, high, joint.limits.velocity, joint.limits.step
    # Where it is nobody knows, so only the board can say where it must end.
    return -math.inf, math.inf, abs(joint.homing.speed), joint.limits.step
