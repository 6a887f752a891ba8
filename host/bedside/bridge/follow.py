"""What becomes of a console's commands before the boards get them: checked, and smooth over what the network did.

A command that is beyond the envelope is refused. One that comes after a gap is approached under the joints' limits, so
that no outage ends in a jump; one with the pedal released slows the arm down and holds it.
"""

from __future__ import annotations

from bedside.bridge.envelope import Envelope
from bedside.cell import Cell
from bedside.errors import SurgeonError
from bedside.surgeon.protocol import ServoJp

# Two missing commands make a board slow down; what comes after more has a way to go.
_GAP_PERIODS = 2.5
# A command that catches up may step this far in a period: as much as a joint's speed allows, and half of its step.
_STEP_SHARE = 0.5
# Boards accelerate as their joints may, so their setpoints lag behind a hand that has gone on. They refuse what is more
# than a step ahead, and would refuse all that follows: so they are led by less.
_LEAD_SHARE = 0.8
Setpoint = tuple[list[float], list[float]]


class Follower:
    """The setpoint of the arm, in SI units. ``last`` is what the boards were sent last."""

    def __init__(self, cell: Cell) -> None:
        self.last: list[float] = []
        self._envelope = Envelope(cell.joint)
        self._limits = [joint.limits for joint in cell.joint]
        self._n = len(cell.joint)
        self._velocity = [0.0] * self._n
        self._period_s = 1 / cell.arm.command_hz
        self._at_ns = 0
        self._is_held = False
        self._is_behind = False

    def begin(self, position: list[float], homed: list[bool], command_hz: float) -> None:
        """Take the arm as it stands, for a stream of ``command_hz``."""
        self._envelope.update(homed)
        self.last = position
        self._velocity = [0.0] * self._n
        self._period_s = 1 / command_hz
        self._at_ns = 0
        self._is_held = False
        self._is_behind = False

    def engage(self, message: ServoJp) -> Setpoint:
        """Check a command to an arm that is still to be taken up; return where it stands. Raises SurgeonError."""
        self._check_joints(message)
        self._envelope.check(message.position, message.velocity, self.last)
        self._envelope.check_engagement(message.position, self.last)
        return self.last, [0.0] * self._n

    def follow(self, message: ServoJp, now_ns: int, boards: list[float]) -> Setpoint:
        """Return what the boards are to be sent for ``message``, ``boards`` being their setpoints as they said last.

        Raises SurgeonError; then nothing has changed.
        """
        self._check_joints(message)
        silent_s = (now_ns - self._at_ns) / 1e9 if self._at_ns else 0.0
        step_s = min(max(silent_s, self._period_s), 2 * self._period_s)
        if not message.pedal:
            position, velocity = self._slowed(step_s)
            self._is_held, self._is_behind = True, False
        else:
            behind = self._is_behind or silent_s > _GAP_PERIODS * self._period_s
            if self._is_held:
                self._envelope.check_engagement(message.position, self.last)
            self._envelope.check(message.position, message.velocity, message.position if behind else self.last)
            position, velocity = message.position, message.velocity
            if behind or self._is_far(position, boards):
                position, velocity, behind = self._nearer(position, velocity, step_s, boards)
            self._is_held, self._is_behind = False, behind
        self.last, self._velocity, self._at_ns = position, velocity, now_ns
        return position, velocity

    def _check_joints(self, message: ServoJp) -> None:
        if len(message.position) != self._n:
            raise SurgeonError(f"{len(message.position)} joints; this arm has {self._n}")

    def _slowed(self, step_s: float) -> Setpoint:
        """Return the setpoint that slows down as fast as a stop does, and stays where it comes to rest."""
        position, velocity = [], []
        for at, speed, limits in zip(self.last, self._velocity, self._limits, strict=True):
            less = limits.stop_deceleration * step_s
            slower = max(0.0, speed - less) if speed > 0 else min(0.0, speed + less)
            low, high = limits.position
            # A joint that is not homed may seem to be outside.
            position.append(min(max(at + (speed + slower) / 2 * step_s, min(low, at)), max(high, at)))
            velocity.append(slower)
        return position, velocity

    def _is_far(self, position: list[float], boards: list[float]) -> bool:
        return any(
            abs(to - at) > _LEAD_SHARE * limits.step
            for to, at, limits in zip(position, boards, self._limits, strict=True)
        )

    def _nearer(
        self, wanted: list[float], velocity: list[float], step_s: float, boards: list[float]
    ) -> tuple[list[float], list[float], bool]:
        """Return a setpoint on the straight way to ``wanted`` that every board takes and reaches; if it falls short."""
        share = 1.0
        begin = []
        for last, to, limits, board in zip(self.last, wanted, self._limits, boards, strict=True):
            lead = _LEAD_SHARE * limits.step
            at = min(max(last, board - lead), board + lead)
            begin.append(at)
            room = lead - (at - board if to > at else board - at)
            most = min(limits.velocity * step_s, _STEP_SHARE * limits.step, max(0.0, room))
            share = min(share, most / abs(to - at)) if to != at else share
        if share >= 1.0:
            return wanted, velocity, False
        position = [at + share * (to - at) for at, to in zip(begin, wanted, strict=True)]
        return position, [share * (to - at) / step_s for at, to in zip(begin, wanted, strict=True)], True
