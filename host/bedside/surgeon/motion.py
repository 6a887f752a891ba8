"""Motions for a console to stream: a built-in one, or a recording. Joint positions rad (m), speeds rad/s (m/s)."""

from __future__ import annotations

import csv
import gzip
import math
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bedside.errors import SurgeonError
from bedside.surgeon.protocol import JointFacts

Sample = tuple[list[float], list[float]]


class Motion(Protocol):
    """A motion of every joint over ``duration_s``."""

    @property
    def duration_s(self) -> float:
        """Seconds from start to end."""

    def at(self, t: float) -> Sample:
        """Return positions and speeds at ``t`` seconds."""


class Weave:
    """The built-in motion: each joint swings about the middle of its range at a frequency of its own.

    Swings are as wide as a surgeon's (at most 0.35 rad or 25 mm to each side, never more than a quarter of the range)
    and stay below a third of the joint's speed limit.
    """

    def __init__(self, joints: list[JointFacts], duration_s: float) -> None:
        self.duration_s = duration_s
        self._swings = []
        for index, joint in enumerate(joints):
            low, high = joint.position_min, joint.position_max
            widest = 0.35 if joint.unit == "rad" else 0.025
            # Frequencies in golden-ratio steps never line up, so the arm does not repeat itself.
            omega = 2 * math.pi * (0.18 + 0.22 * ((index * 0.618034) % 1.0))
            amplitude = min(widest, (high - low) / 4, joint.velocity / 3 / omega, joint.acceleration / 8 / omega**2)
            self._swings.append(((low + high) / 2, amplitude, omega, index * 0.9))

    def at(self, t: float) -> Sample:
        """Return positions and speeds at ``t`` seconds."""
        positions, speeds = [], []
        for middle, amplitude, omega, phase in self._swings:
            positions.append(middle + amplitude * math.sin(omega * t + phase))
            speeds.append(amplitude * omega * math.cos(omega * t + phase))
        return positions, speeds


@dataclass
class Recording:
    """A recorded motion, interpolated by the cubic through positions and speeds (Hermite)."""

    times: list[float]
    positions: list[list[float]]
    speeds: list[list[float]]

    @property
    def duration_s(self) -> float:
        """Seconds from the first row to the last."""
        return self.times[-1]

    def at(self, t: float) -> Sample:
        """Return positions and speeds at ``t`` seconds."""
        k = min(max(bisect_right(self.times, t) - 1, 0), len(self.times) - 2)
        span = self.times[k + 1] - self.times[k]
        u = min(max((t - self.times[k]) / span, 0.0), 1.0)
        h00, h10, h01, h11 = (1 + 2 * u) * (1 - u) ** 2, u * (1 - u) ** 2, u * u * (3 - 2 * u), u * u * (u - 1)
        d00, d10, d01, d11 = 6 * u * (u - 1) / span, (1 - u) * (1 - 3 * u), 6 * u * (1 - u) / span, u * (3 * u - 2)
        positions, speeds = [], []
        rows = zip(self.positions[k], self.speeds[k], self.positions[k + 1], self.speeds[k + 1], strict=True)
        for p0, v0, p1, v1 in rows:
            positions.append(h00 * p0 + h10 * span * v0 + h01 * p1 + h11 * span * v1)
            speeds.append(d00 * p0 + d10 * v0 + d01 * p1 + d11 * v1)
        return positions, speeds


def load_recording(path: Path, joints: list[JointFacts]) -> Recording:
    """Read a CSV (or .csv.gz) with columns ``t_s``, ``pos_NAME``, ``vel_NAME``. Raises SurgeonError."""
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise SurgeonError(f"{path}: no such file") from None
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise SurgeonError(f"{path}: cannot be read as CSV: {error}") from None
    if len(rows) < 2:
        raise SurgeonError(f"{path}: {len(rows)} rows; a motion needs at least two")
    wanted = ["t_s", *(f"{kind}_{joint.name}" for kind in ("pos", "vel") for joint in joints)]
    missing = [column for column in wanted if column not in rows[0]]
    if missing:
        raise SurgeonError(f"{path}: no column '{missing[0]}'; a recording for this arm has: {', '.join(wanted)}")
    recording = Recording([], [], [])
    for line, row in enumerate(rows, start=2):
        try:
            numbers = [float(row[column]) for column in wanted]
        except (TypeError, ValueError):
            raise SurgeonError(f"{path}, line {line}: a value is missing or is not a number") from None
        if not all(map(math.isfinite, numbers)):
            raise SurgeonError(f"{path}, line {line}: a value is NaN or infinite")
        t = numbers[0] - (float(rows[0]["t_s"]))
        if recording.times and t <= recording.times[-1]:
            raise SurgeonError(f"{path}, line {line}: t_s does not grow")
        recording.times.append(t)
        recording.positions.append(numbers[1 : 1 + len(joints)])
        recording.speeds.append(numbers[1 + len(joints) :])
    _check_limits(path, recording, joints)
    return recording


def _check_limits(path: Path, recording: Recording, joints: list[JointFacts]) -> None:
    for index, joint in enumerate(joints):
        low, high = joint.position_min, joint.position_max
        for line, (positions, speeds) in enumerate(zip(recording.positions, recording.speeds, strict=True), start=2):
            if not low <= positions[index] <= high:
                raise SurgeonError(
                    f"{path}, line {line}: {joint.name} at {positions[index]:g} {joint.unit} is outside its limits "
                    f"{low:g} to {high:g}"
                )
            if abs(speeds[index]) > joint.velocity:
                raise SurgeonError(
                    f"{path}, line {line}: {joint.name} at {speeds[index]:g} {joint.unit}/s is above its limit "
                    f"{joint.velocity:g}"
                )


class Eased:
    """A motion that starts and ends at rest: time itself speeds up from zero, and slows down to zero.

    Over ``ease_s`` at either end the pace follows a smooth step, so half of ``ease_s`` is added there to the duration.
    """

    def __init__(self, motion: Motion, ease_s: float = 1.0) -> None:
        self._motion = motion
        self._ease_s = min(ease_s, motion.duration_s)
        self.duration_s = motion.duration_s + self._ease_s

    def at(self, t: float) -> Sample:
        """Return positions and speeds at ``t`` seconds."""
        ease, total = self._ease_s, self.duration_s
        if t < ease:
            inner, pace = _eased(t, ease)
        elif t > total - ease:
            left, pace = _eased(max(total - t, 0.0), ease)
            inner = self._motion.duration_s - left
        else:
            inner, pace = t - ease / 2, 1.0
        positions, speeds = self._motion.at(inner)
        return positions, [speed * pace for speed in speeds]


def _eased(t: float, ease: float) -> tuple[float, float]:
    """Return the integral of the smooth step 3u^2 - 2u^3 over ``ease`` seconds, and its value."""
    u = t / ease
    return ease * (u**3 - u**4 / 2), u * u * (3 - 2 * u)


class Approach:
    """From where the joints are to where a motion starts, at rest at both ends (minimum jerk, Flash and Hogan 1985)."""

    def __init__(self, start: list[float], goal: list[float], joints: list[JointFacts]) -> None:
        self._start = start
        self._change = [b - a for a, b in zip(start, goal, strict=True)]
        # A minimum-jerk move peaks at 1.875 times its mean speed and 5.77 times its length over its time squared.
        self.duration_s = 0.5
        for change, joint in zip(self._change, joints, strict=True):
            by_speed = 1.875 * abs(change) / (joint.velocity / 4)
            by_acceleration = math.sqrt(5.774 * abs(change) / (joint.acceleration / 4))
            self.duration_s = max(self.duration_s, by_speed, by_acceleration)

    def at(self, t: float) -> Sample:
        """Return positions and speeds at ``t`` seconds."""
        u = min(max(t / self.duration_s, 0.0), 1.0)
        share = u**3 * (10 - 15 * u + 6 * u * u)
        pace = 30 * u * u * (1 - u) ** 2 / self.duration_s
        positions = [a + share * change for a, change in zip(self._start, self._change, strict=True)]
        return positions, [pace * change for change in self._change]
