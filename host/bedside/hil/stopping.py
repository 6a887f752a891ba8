"""What a failure did to the arm: when it was noticed, when all stood still, how far they went, and the way back."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from bedside.errors import BedsideError
from bedside.hil.failures import Failure
from bedside.hil.rig import Rig, rig
from bedside.link.messages import FAULT, STATES
from bedside.sim.board import Chip, unix_port

# Ticks at full speed before the failure: several times each, none in the same place of a command's period.
MOMENTS = (31, 44, 57)
# How long a failure that need not stop the arm is watched; the motion ends at a joint's limit.
GOING_ON = 200
# A joint that is slower than this part of its highest speed for so long stands; what it does later is sag.
STILL = 0.002
STILL_MS = 50
# What a stop is held to: standstill v/a and this after its board began to stop, travel of so many times
# v * t + v^2 / 2a, and at most so much more until the end.
STANDSTILL_MS = 20
TRAVEL = 1.1
# One takes the torque from a brake that does not hold, one clears the fault.
DISABLES_MAX = 2
SAG = {"rad": 2e-3, "m": 1e-4}


@dataclass
class Result:
    """One failure, once. Times in ms after it; of travel and sag the worst joint's part of what is allowed.

    ``wrong`` says which limits were exceeded; ``course`` is the fastest joint's part of its speed limit, by ms.
    """

    noticed_by: str
    noticed_ms: int
    ramp_ms: int
    standstill_ms: int
    travel: float
    sag: float
    ends_in: str
    again: str
    wrong: list[str]
    course: list[float] = field(default_factory=list)


def inject(failure: Failure, moment: int, chip: Chip = unix_port) -> Result:
    """Let ``failure`` happen ``moment`` ticks into the motion, mend it, and use the arm again."""
    with (
        tempfile.TemporaryDirectory(prefix="bedside-") as folder,
        rig(
            Path(folder),
            failure.sabotage,
            run_loop=failure.run_loop,
            keyed=failure.keyed,
            first_tick=failure.first_tick,
            chip=chip,
        ) as arm,
    ):
        arm.move(moment)
        failure.inject(arm)
        if failure.goes_on:
            arm.tick(GOING_ON)
            failure.mend(arm)
            states = _states(arm)
            wrong = [] if states == "ENABLED" else [f"the arm stopped: {arm.record.notices}"]
            return Result("–", 0, 0, 0, 0.0, 0.0, states, "nothing", wrong)
        arm.finish()
        result = _measured(arm)
        arm.commanding = False
        failure.mend(arm)
        arm.tick(60)
        result.ends_in = _states(arm)
        _use_again(arm, result)
        return result


def _states(arm: Rig) -> str:
    return ", ".join(sorted({STATES[state] for state in arm.states()}))


def _measured(arm: Rig) -> Result:
    record = arm.record
    noticed_tick, _, noticed_by = min(record.notices, default=(arm.begun, "", "–"))
    result = Result(noticed_by, noticed_tick - arm.begun, 0, 0, 0.0, 0.0, "", "", [])
    tops = [joint.limits.velocity for joint in arm.cell.joint]
    result.course = [max(abs(v) / top for v, top in zip(tick, tops, strict=True)) for tick in record.speeds]
    for slot in arm.cell.board:
        if slot.name not in record.left_run:
            result.wrong.append(f"{slot.name} did not stop")
            continue
        ramp_ms = record.left_run[slot.name] - arm.begun
        result.ramp_ms = max(result.ramp_ms, ramp_ms)
        for index, joint in arm.cell.joints_of(slot.name):
            places = [tick[index] for tick in record.places]
            speeds = [abs(tick[index]) for tick in record.speeds]
            v, a = speeds[0], joint.limits.stop_deceleration
            stands_ms = _standstill_ms(speeds, STILL * joint.limits.velocity)
            most_ms = ramp_ms + 1000 * v / a + STANDSTILL_MS
            travel = max(abs(place - places[0]) for place in places)
            most = TRAVEL * (v * ramp_ms / 1000 + v * v / (2 * a))
            sag = max((abs(place - places[stands_ms]) for place in places[stands_ms:]), default=0.0)
            result.standstill_ms = max(result.standstill_ms, stands_ms)
            result.travel = max(result.travel, travel / most)
            result.sag = max(result.sag, sag / SAG[joint.unit])
            if stands_ms > most_ms:
                result.wrong.append(f"{joint.name} stands after {stands_ms} ms, {most_ms:.0f} allowed")
            if travel > most:
                result.wrong.append(f"{joint.name} travels {travel:.4f} {joint.unit}, {most:.4f} allowed")
            if sag > SAG[joint.unit]:
                result.wrong.append(f"{joint.name} sags {sag:.5f} {joint.unit}, {SAG[joint.unit]} allowed")
    return result


def _standstill_ms(speeds: list[float], still: float) -> int:
    """Return from when on no speed of STILL_MS in a row, or until the end, is above ``still``."""
    quiet = 0
    for at, speed in enumerate(speeds):
        quiet = quiet + 1 if speed <= still else 0
        if quiet == STILL_MS:
            return at + 1 - STILL_MS
    return len(speeds) - quiet


def _use_again(arm: Rig, result: Result) -> None:
    """Find out what it takes to move again, and that nothing moves before."""
    before = [plant.position for plant in arm.plants]
    steps: list[str] = []
    while True:
        try:
            arm.enable()
            break
        except (BedsideError, AssertionError):
            if len(steps) == DISABLES_MAX:
                raise
        steps.append("disable")
        arm.arm.disable()
        arm.tick(60)
    result.again = ", ".join([*steps, "enable", "engage"])
    for joint, was, plant in zip(arm.cell.joint, before, arm.plants, strict=True):
        if abs(plant.position - was) > SAG[joint.unit]:
            result.wrong.append(f"{joint.name} moved by {plant.position - was:g} {joint.unit} at the restart")
    if FAULT in arm.states():
        result.wrong.append("still in FAULT")
