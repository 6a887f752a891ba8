"""Harm, measured at the plants: where each joint truly is, against what its surgeon has asked for.

A joint may be between the smallest and the largest of its authentic setpoints so far, wherever delays have left it. It
may be beyond them by its following error, and by what it takes to stop: v^2/2a at the highest speed that its surgeon
has asked for lately, and how far it goes at that speed until a board notices that commands are missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from bedside.cell import Cell

# What may be under way when a row begins: the oldest command that the bridge still takes, and the playout's delay.
_LATELY_S = 1.0
# A board slows down after two missing commands; it and the simulation may be late by so much.
_PERIODS, _SLACK_S = 2, 0.015


class Harm:
    """Of one arm. ``wrong`` says which joint was where it must not be, one line each, and is empty if none was."""

    def __init__(self, cell: Cell) -> None:
        self.wrong: dict[str, str] = {}
        self._joints = cell.joint
        self._reaction_s = _PERIODS / cell.arm.command_hz + _SLACK_S
        self._lately: deque[tuple[float, Sequence[float], Sequence[float]]] = deque()
        self._low = [float("inf")] * len(cell.joint)
        self._high = [float("-inf")] * len(cell.joint)
        self._speed = [0.0] * len(cell.joint)

    def begin(self, positions: Sequence[float]) -> None:
        """Measure from here on: the joints are at ``positions``, and what was asked lately may still be carried out."""
        self.wrong = {}
        self._low, self._high = list(positions), list(positions)
        self._speed = [0.0] * len(positions)
        for _, position, velocity in self._lately:
            self._widen(position, velocity)

    def asked(self, now_s: float, position: Sequence[float], velocity: Sequence[float]) -> None:
        """Note what the surgeon has asked for."""
        self._lately.append((now_s, position, velocity))
        while now_s - self._lately[0][0] > _LATELY_S:
            self._lately.popleft()
        self._widen(position, velocity)

    @property
    def lately(self) -> list[Sequence[float]]:
        """Where the joints were to be within the last second."""
        return [position for _, position, _ in self._lately]

    def see(self, positions: Sequence[float]) -> None:
        """Hold the joints' true ``positions`` against that."""
        for index, (joint, at) in enumerate(zip(self._joints, positions, strict=True)):
            limits, speed = joint.limits, self._speed[index]
            margin = limits.following + speed**2 / 2 / limits.stop_deceleration + speed * self._reaction_s
            low, high = self._low[index] - margin, self._high[index] + margin
            if not low <= at <= high:
                self.wrong.setdefault(joint.name, f"{joint.name} at {at:.4f}, allowed {low:.4f} to {high:.4f}")

    def _widen(self, position: Sequence[float], velocity: Sequence[float]) -> None:
        for index, (at, speed) in enumerate(zip(position, velocity, strict=True)):
            self._low[index] = min(self._low[index], at)
            self._high[index] = max(self._high[index], at)
            self._speed[index] = max(self._speed[index], abs(speed))
