"""Every stop that the link alone can provoke, in motion: when the ramp began, how far, how long, by the black box."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bedside.hil.bench import Bench
from bedside.hil.measures import Measures
from bedside.hil.motion import begin, reaches, seconds_for, stream, there_and_back
from bedside.link import schema
from bedside.link.blackbox import BlackBox, fetch, release
from bedside.link.messages import HOLDING, OFF, RAMP
from bedside.link.scale import MICRO

# As the stop table holds stops: standstill this long after v/a, travel of so many times v^2 / 2a.
STANDSTILL_MS, TRAVEL = 20, 1.1
# A joint that is slower than this part of its highest speed for so long stands; what it does later is sag.
STILL = 0.002
STILL_MS = 50
# An encoder at rest between two counts says one or the other.
FLICKER = 2.5
# Of commands, until a board slows down without them; and what a joint must move with for a stop to show something.
PERIODS, MOVES = 3, 0.02
ROUNDING = 2e-3


def fall_silent(mover: Bench) -> None:
    """Say nothing until the link's clock has run out and the ramp is over."""
    mover.pass_ticks(round((mover.cell.arm.link_timeout_ms + 400) * mover.tick_hz / 1000))


def only_keep_alive(mover: Bench) -> None:
    """Say that the bridge is there, and no more."""


def repeat(mover: Bench) -> None:
    """Send the last command again and again, as a bridge would that hangs in a loop."""
    for _ in range(round((mover.cell.arm.operator_timeout_ms + 50) * mover.tick_hz / 1000 / 5)):
        mover.pass_ticks(5)
        mover.command_again()


def pause_then_stop(mover: Bench) -> None:
    """Pause, and stop before the hold has run out, so that what is kept is the pause."""
    mover.state_command(schema.PAUSE)
    while mover.tick(5).phase != HOLDING:
        pass
    mover.state_command(schema.STOP)


def say(command: int) -> Callable[[Bench], None]:
    def act(mover: Bench) -> None:
        mover.state_command(command)

    return act


STOPS = {
    "the operator falls silent": (only_keep_alive, "operator"),
    "the bridge repeats its last command": (repeat, "operator"),
    "the link falls silent": (fall_silent, "link"),
    "stop": (say(schema.STOP), ""),
    "disable": (say(schema.DISABLE), ""),
    "pause": (pause_then_stop, ""),
}


@pytest.mark.requirement("stop", "operator-clock", "link-clock")
@pytest.mark.parametrize("what", STOPS)
def test_it_ramps_in_time_and_stands_within_its_deceleration(mover: Bench, measures: Measures, what: str) -> None:
    found = reaches(mover)
    if not any(found):
        pytest.skip("no joint has room to move: each is not homed, or near both its limits")
    act, clock = STOPS[what]
    mover.take_own_clocks()
    start = begin(mover)
    slowest = max(seconds_for(joint, reach) for joint, reach in zip(mover.joints, found, strict=True))
    # At a quarter of the way there and back a joint is at its fastest.
    stream(mover, there_and_back(start, found, [slowest] * len(found)), slowest * 0.25)
    act(mover)
    mover.until_off(6000)
    box = fetch(mover.link, wait=lambda seconds: mover.pass_ticks(round(seconds * mover.tick_hz)))
    release(mover.link)
    ramp = judge_ramp(mover, measures, box, what, clock)
    judge_travel(mover, measures, box, what, ramp)
    mover.state_command(schema.DISABLE)
    mover.tick()


def judge_ramp(mover: Bench, measures: Measures, box: BlackBox, what: str, clock: str) -> int:
    """Hold when the ramp began against the clock that ran out; return the index of its first line."""
    ramp = next((index for index, line in enumerate(box.lines) if line.phase == RAMP), 0)
    assert ramp, f"no ramp is in the record: phases {sorted({line.phase for line in box.lines})}"
    tick_ms = 1000 / mover.tick_hz
    if clock:
        arm, line = mover.cell.arm, box.lines[ramp]
        timeout_ms = arm.operator_timeout_ms if clock == "operator" else arm.link_timeout_ms
        age_ms = tick_ms * (line.operator_age if clock == "operator" else line.link_age)
        name = f"{what}: ramp after, by a timeout of {timeout_ms:g} ms"
        measures.figure(name, age_ms, "ms", timeout_ms + 2 * tick_ms)
        assert timeout_ms <= age_ms <= timeout_ms + 2 * tick_ms
    return ramp


def judge_travel(mover: Bench, measures: Measures, box: BlackBox, what: str, ramp: int) -> None:
    """Hold each joint's way from the last command to standstill against its speed and deceleration.

    Without commands a joint slows down after two of their periods, at the latest when the ramp begins.
    """
    tick_ms = 1000 / mover.tick_hz
    lines = box.lines
    last = max(0, ramp - lines[ramp].operator_age)
    goes_on_s = min((ramp - last) / mover.tick_hz, PERIODS / mover.cell.arm.command_hz)
    curves, fastest = {}, 0.0
    for index, joint in enumerate(mover.joints):
        places = [line.positions[index] / MICRO for line in lines]
        limits, count = joint.limits, 1 / abs(joint.encoder.counts_per_unit)
        before = max(0, last - 10)
        speed = abs(places[last + 1] - places[before]) * mover.tick_hz / (last + 1 - before)
        fastest = max(fastest, speed / limits.velocity)
        allowed_ms = 1000 * (goes_on_s + speed / limits.stop_deceleration) + STANDSTILL_MS
        still = max(STILL * limits.velocity / mover.tick_hz * 10, FLICKER * count)
        stands = standstill(places, last, still, round(STILL_MS / tick_ms))
        stands_ms = tick_ms * (stands - last)
        travel = abs(places[stands] - places[last])
        sag = max(abs(place - places[stands]) for place in places[stands:])
        most = TRAVEL * (speed * goes_on_s + speed * speed / (2 * limits.stop_deceleration))
        most += speed * 2 / mover.tick_hz + (ROUNDING if joint.unit == "rad" else ROUNDING / 10)
        unit = f"m{joint.unit}"
        measures.figure(f"{what}, {joint.name}: stands after the last command", stands_ms, "ms", allowed_ms)
        measures.figure(f"{what}, {joint.name}: travel from there", 1000 * travel, unit, 1000 * most)
        measures.figure(f"{what}, {joint.name}: moves after that", 1000 * sag, unit, 1000 * limits.standstill)
        assert travel <= most, joint.name
        assert stands_ms <= allowed_ms, joint.name
        assert sag <= limits.standstill, joint.name
        curves[f"{joint.name}, {unit}"] = [1000 * (place - places[-1]) for place in places]
    assert fastest > MOVES, "no joint moved when the stop began, so nothing was shown"
    off = next((k for k, line in enumerate(lines) if k > ramp and line.phase == OFF), None)
    marks = {"last command": 0.0, "ramp": tick_ms * (ramp - last)}
    marks |= {"torque off": tick_ms * (off - last)} if off is not None else {}
    shown = [tick_ms * (k - last) for k in range(len(lines))]
    measures.curve(
        f"Stop: {what}",
        shown,
        curves,
        x_label="ms from the last command",
        y_label="to standstill, mrad (mm)",
        marks=marks,
    )


def standstill(places: list[float], begin: int, still: float, ticks: int) -> int:
    """Return from when on a joint moves by no more than ``still`` in ten ticks, over ``ticks`` of them."""
    quiet = 0
    for k in range(begin, len(places) - 10):
        quiet = quiet + 1 if abs(places[k + 10] - places[k]) <= still else 0
        if quiet == ticks:
            return k + 1 - ticks
    return len(places) - 1
