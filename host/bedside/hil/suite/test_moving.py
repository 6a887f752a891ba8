"""Motion, from small to larger: each joint alone, a step, all together, and nothing beyond what is allowed."""

from __future__ import annotations

from copy import deepcopy

import pytest

from bedside.hil.bench import Bench
from bedside.hil.lockstep import BoardBench
from bedside.hil.measures import Measures
from bedside.hil.motion import Recording, begin, joint_of, reaches, seconds_for, step_of, stream, there_and_back
from bedside.link import causes, schema
from bedside.link.blackbox import fetch, release
from bedside.link.messages import ENABLED, RUN
from bedside.link.scale import MICRO, joint_message

# Of a joint's reach, for the first motion of all.
SMALL = 0.2
# Slow enough for a person to see which joint it is, and to stop it.
FIRST_S = 2.0
# Of what a joint was told to move, how far off it may be at its farthest, and how far another joint may be moved by it.
FAR, OTHERS = 0.2, 0.25
STEP_SHARE, OVERSHOOT = 0.8, 0.1
# Of 300 mrad; an integral that winds up while the output is at its most takes 2 mrad.
SATURATED_OVERSHOOT = 5e-4
TRACKING_S = 3.0
# Of the following error at which a joint loses its torque.
ERROR_SHARE = 0.33
BEYOND = 0.01
SHOWN = {"rad": (1000.0, "mrad"), "m": (1000.0, "mm")}


def room(mover: Bench) -> list[float]:
    found = reaches(mover)
    if not any(found):
        pytest.skip("no joint has room to move: each is not homed, or near both its limits")
    return found


def draw(measures: Measures, title: str, mover: Bench, record: Recording, joints: list[int]) -> None:
    lines = {}
    for index in joints:
        scale, unit = SHOWN[mover.joints[index].unit]
        name = mover.joints[index].name
        start = record.positions[0][index]
        lines[f"{name} setpoint, {unit}"] = [scale * (x - start) for x in joint_of(record.setpoints, index)]
        lines[f"{name} measured, {unit}"] = [scale * (x - start) for x in joint_of(record.positions, index)]
    measures.curve(title, record.seconds, lines, x_label="s", y_label="from the start")


@pytest.mark.requirement("follow")
def test_each_joint_alone_moves_a_little_where_it_is_told_and_no_other_moves(mover: Bench, measures: Measures) -> None:
    found = room(mover)
    start = begin(mover)
    for index, distance in enumerate(found):
        if not distance:
            continue
        small = [SMALL * distance if each == index else 0.0 for each in range(len(found))]
        seconds = max(FIRST_S, seconds_for(mover.joints[index], SMALL * distance))
        record = stream(mover, there_and_back(start, small, [seconds] * len(found)), seconds)
        name, unit = mover.joints[index].name, mover.joints[index].unit
        assert record.last
        assert record.last.phase == RUN, f"{name}: {causes.name_of(record.last.cause)}"
        moved = [max((row[each] - start[each] for row in record.positions), key=abs) for each in range(len(found))]
        measures.figure(f"{name}: told to move by {SMALL * distance:.4f} {unit}, moved", moved[index], unit)
        assert moved[index] == pytest.approx(SMALL * distance, rel=FAR), name
        for other, by in enumerate(moved):
            limits = mover.joints[other].limits
            assert other == index or abs(by) <= OTHERS * limits.standstill, f"{mover.joints[other].name} moved, too"
        draw(measures, f"{name} alone", mover, record, [index])


@pytest.mark.requirement("follow")
def test_a_step_is_taken_under_the_joints_limits_and_hardly_overshot(mover: Bench, measures: Measures) -> None:
    found = room(mover)
    start = begin(mover)
    steps = [
        step_of(joint, reach, STEP_SHARE) if reach else 0.0 for joint, reach in zip(mover.joints, found, strict=True)
    ]
    goal = [at + step for at, step in zip(start, steps, strict=True)]
    still = [0.0] * len(start)
    stream(mover, lambda t: (start if t < 0.1 else goal, still), 0.5)
    # Off, the board tells of each tick of its last second.
    mover.state_command(schema.STOP)
    mover.until_off()
    box = fetch(mover.link, wait=lambda seconds: mover.pass_ticks(round(seconds * mover.tick_hz)))
    release(mover.link)
    lines = [line for line in box.lines if line.phase == RUN]
    times = [line.tick / mover.tick_hz for line in lines]
    for index, (joint, step) in enumerate(zip(mover.joints, steps, strict=True)):
        if not step:
            continue
        ways = [(line.positions[index] / MICRO - start[index]) / step for line in lines]
        overshoot = max(0.0, max(ways) - 1)
        rise = sum(0.1 <= way < 0.9 for way in ways) / mover.tick_hz
        measures.figure(f"{joint.name}: overshoot of a step of {step:.4f} {joint.unit}", 100 * overshoot, "%", 10)
        measures.figure(f"{joint.name}: 10 to 90 % in", 1000 * rise, "ms")
        assert overshoot <= OVERSHOOT, joint.name
        assert ways[-1] == pytest.approx(1, abs=0.1), f"{joint.name} does not arrive"
        told = [(line.setpoints[index] / MICRO - start[index]) / step for line in lines]
        measures.curve(
            f"Step of {joint.name}, {step:.4f} {joint.unit}",
            [1000 * (t - times[0]) for t in times],
            {"setpoint": told, "measured": ways, "drive": [line.outputs[index] / 32768 for line in lines]},
            x_label="ms",
            y_label="of the step; of full drive",
        )


@pytest.mark.requirement("follow", "saturation")
def test_all_joints_follow_a_smooth_motion_together(mover: Bench, measures: Measures) -> None:
    found = room(mover)
    start = begin(mover)
    before = mover.tick()
    periods = [max(0.5, seconds_for(j, reach)) for j, reach in zip(mover.joints, found, strict=True)]
    record = stream(mover, there_and_back(start, found, periods), TRACKING_S)
    assert record.last
    assert record.last.state == ENABLED, causes.name_of(record.last.cause)
    errors = {}
    for index, joint in enumerate(mover.joints):
        rms, (scale, unit) = record.rms_error(index), SHOWN[joint.unit]
        limit = ERROR_SHARE * joint.limits.following
        measures.figure(f"{joint.name}: tracking error, RMS", scale * rms, unit, scale * limit)
        assert rms <= limit, joint.name
        outputs = joint_of(record.outputs, index)
        assert max(map(abs, outputs)) <= joint.gains.output_max + 1e-3, joint.name
        errors[f"{joint.name}, {unit}"] = [
            scale * (to[index] - at[index]) for at, to in zip(record.positions, record.setpoints, strict=True)
        ]
    draw(measures, "All joints together", mover, record, list(range(len(mover.joints))))
    measures.curve("Tracking error, all joints together", record.seconds, errors, x_label="s", y_label="error")
    measures.figure("ticks that were late meanwhile", mover.tick().late_ticks - before.late_ticks, "")


@pytest.mark.requirement("limits")
def test_what_is_beyond_a_limit_is_refused_and_moves_nothing(mover: Bench) -> None:
    start = begin(mover)
    still = [0.0] * len(start)
    for index, joint in enumerate(mover.joints):
        low, high = joint.limits.position
        beyond = [
            ("position-limit", high + BEYOND, 0.0),
            ("position-limit", low - BEYOND, 0.0),
            ("velocity-limit", start[index], 1.01 * joint.limits.velocity),
            ("velocity-limit", start[index], -1.01 * joint.limits.velocity),
        ]
        inside = start[index] + 1.5 * joint.limits.step
        if low <= inside <= high:
            beyond.append(("step-limit", inside, 0.0))
        for why, position, velocity in beyond:
            mover.events.clear()
            at, speed = list(start), list(still)
            at[index], speed[index] = position, velocity
            mover.command(at, speed)
            mover.tick(5)
            feedback = mover.command(start, still)
            assert why in [causes.name_of(event.code) for event in mover.events], f"{joint.name}: {position} {velocity}"
            assert feedback.phase == RUN
    after = [position / MICRO for position in mover.tick().positions]
    for joint, was, now in zip(mover.joints, start, after, strict=True):
        assert abs(now - was) <= joint.limits.standstill, joint.name


@pytest.mark.requirement("saturation")
def test_a_joint_whose_output_is_at_its_most_comes_back_without_overshoot(
    wrist: BoardBench, measures: Measures
) -> None:
    joint = wrist.joints[0] = deepcopy(wrist.joints[0])
    joint.gains.output_max = 0.12
    joint.limits.following = 1.0
    wrist.configure_joint(joint_message(joint, wrist.tick_hz))
    start = begin(wrist)
    goal = start[0] + 0.3
    speed = 0.9 * joint.limits.velocity

    def ramp(t: float) -> tuple[list[float], list[float]]:
        at = min(goal, start[0] + speed * t)
        return [at, *start[1:]], [speed if at < goal else 0.0, 0.0, 0.0]

    record = stream(wrist, ramp, 1.5)
    outputs = joint_of(record.outputs, 0)
    draw(measures, "A joint whose output is limited to 12 %", wrist, record, [0])
    assert max(outputs) == pytest.approx(0.12, abs=2e-3), "it has saturated"
    overshoot = max(0.0, max(joint_of(record.positions, 0)) - goal)
    measures.figure("overshoot after saturation", 1000 * overshoot, "mrad", 1000 * SATURATED_OVERSHOOT)
    assert overshoot <= SATURATED_OVERSHOOT
    assert record.positions[-1][0] == pytest.approx(goal, abs=5e-3)


@pytest.mark.requirement("follow", "configuration")
def test_each_joint_has_the_gains_that_are_its_own(wrist: BoardBench, measures: Measures) -> None:
    joint = wrist.joints[0] = deepcopy(wrist.joints[0])
    gains = joint.gains
    gains.kp, gains.ki, gains.kd, gains.velocity_forward = gains.kp / 8, gains.ki / 8, gains.kd / 8, 0.0
    wrist.configure_joint(joint_message(joint, wrist.tick_hz))
    start = begin(wrist)
    record = stream(wrist, there_and_back(start, [0.1] * 3, [1.0] * 3), 2.0)
    weak, *others = [1000 * record.rms_error(index) for index in range(3)]
    measures.figure("the joint with an eighth of the gains: tracking error, RMS", weak, "mrad")
    measures.figure("the others", max(others), "mrad", weak / 3)
    assert weak > 3 * max(others)
