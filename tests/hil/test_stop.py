"""The stop, in virtual time, on the whole path that a stop takes: wire, clocks, profile, controller, motor, brake."""

from __future__ import annotations

import math
import random

import pytest

from bedside.cell import Cell
from bedside.link import causes, schema
from bedside.link.messages import CLOSING, DISABLED, FAULT, HOLDING, OFF, RAMP, RUN
from bedside.sim.world import World
from lockstep import BoardBench

# Cuts by board: a hundred in all, and every joint of the arm among them.
CUTS = {"psm1-base": 33, "psm1-slide": 33, "psm1-wrist": 34}
SPEEDS = [1.2, -1.0, 0.8]
RAMP_SETTLE_MS = 20


def standstill(bench: BoardBench) -> bool:
    """Whether every joint, by its plant and not by its own word, is below 0.2 % of its speed limit."""
    return all(abs(p.velocity) < 0.002 * j.limits.velocity for p, j in zip(bench.plants, bench.joints, strict=True))


def drive_until(bench: BoardBench, moment: int) -> tuple[int, list[float]]:
    """Weave for ``moment`` ticks at the command rate; return the tick of the last command and the speeds then."""
    at = [p / 1e6 for p in bench.tick().positions]
    speeds = []
    for joint, here in zip(bench.joints, at, strict=True):
        # Towards the middle of the range, so that a hundred cuts stay inside it.
        speeds.append(math.copysign(0.25 * joint.limits.velocity, sum(joint.limits.position) / 2 - here))
    last = 0
    for tick in range(moment):
        if tick % 5 == 0:
            t = (tick + 5) / 1000
            swing = [(s / 12) * (1 - math.cos(12 * t)) for s in speeds]
            speed = [s * math.sin(12 * t) for s in speeds]
            last = bench.command([a + b for a, b in zip(at, swing, strict=True)], speed).tick
        bench.world.advance(1)
    return last, [abs(plant.velocity) for plant in bench.plants]


@pytest.mark.parametrize("name", CUTS)
def test_each_of_100_cuts_ends_in_time_at_standstill_and_braked(world: World, cell: Cell, name: str) -> None:
    bench = BoardBench(world, cell, name)
    bench.configure()
    rng = random.Random(7)
    timeout = round(bench.cell.arm.operator_timeout_ms)
    deceleration = [joint.limits.stop_deceleration for joint in bench.joints]
    latencies = []
    for _ in range(CUTS[name]):
        moment = rng.randrange(20, 220)
        bench.enable()
        last, speeds = drive_until(bench, moment)
        ramp = at_rest = 0
        for _ in range(1000):
            feedback = bench.tick()
            if feedback.phase >= RAMP and not ramp:
                ramp = feedback.tick
            if ramp and not at_rest and standstill(bench):
                at_rest = feedback.tick
            if feedback.phase == OFF:
                break
        assert 0 < ramp - last <= timeout + 1, f"cut at {moment}"
        # The setpoint began to slow down before the ramp, so v/a counted from the ramp on is the longest it may take.
        longest = max(v / a for v, a in zip(speeds, deceleration, strict=True)) * 1000 + RAMP_SETTLE_MS
        assert at_rest - ramp <= longest, f"cut at {moment} at {speeds}"
        assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "operator-timeout")
        bench.tick(2)
        assert all(plant.brake_closed and plant.current == 0 for plant in bench.plants)
        latencies.append(ramp - last)
        bench.state_command(schema.DISABLE)
        assert bench.tick().state == DISABLED
    assert max(latencies) == timeout + 1
    assert [event.value for event in bench.events] == latencies, "each event tells the age at which the ramp began"


def test_the_stop_is_staged_ramp_hold_brake_torque_off(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    phases: list[int] = []
    closed_with_torque = 0
    for _ in range(600):
        feedback = wrist.tick()
        phases += [feedback.phase] if feedback.phase not in phases[-1:] else []
        closed_with_torque += all(p.brake_closed for p in wrist.plants) and feedback.phase == CLOSING
        if feedback.phase == OFF:
            break
        assert all(flags & 2 for flags in feedback.flags), "torque until the brakes are closed"
    assert phases == [RUN, RAMP, HOLDING, CLOSING, OFF]
    assert closed_with_torque >= 5, "the brakes have closed before the torque goes off"


def test_between_commands_the_setpoint_slows_and_resumes_without_a_fault(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    feedback = wrist.tick(20)
    assert feedback.phase == RUN
    assert all(flags & 64 for flags in feedback.flags), "slowing"
    slowed = [plant.velocity for plant in wrist.plants]
    assert abs(slowed[0]) < 0.9 * SPEEDS[0]
    resumed = wrist.sweep(40, SPEEDS)
    assert resumed.phase == RUN
    assert resumed.cause == 0
    assert resumed.velocities[0] / 1e6 == pytest.approx(SPEEDS[0], rel=0.1)


def test_repeated_operator_sequences_do_not_keep_the_arm_moving(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    positions = [p / 1e6 for p in wrist.tick().positions]
    for _ in range(10):
        wrist.operator_seq -= 1
        wrist.command(positions, [0.0] * 3)
        wrist.world.advance(5)
    assert wrist.tick().phase >= RAMP
    assert "old-operator-sequence" in {causes.name_of(event.code) for event in wrist.events}


def test_the_fault_latches_until_it_is_cleared(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    assert wrist.until_off().state == FAULT
    places = [plant.position for plant in wrist.plants]
    wrist.operator_seq += 1
    assert wrist.state_command(schema.ENABLE).state == FAULT
    wrist.tick()
    wrist.operator_seq += 5
    wrist.command([0.0] * 3, [0.0] * 3)
    assert wrist.tick(20).state == FAULT
    names = [causes.name_of(event.code) for event in wrist.events]
    assert names == ["operator-timeout", "fault-latched", "not-enabled"]
    wrist.state_command(schema.DISABLE)
    assert wrist.tick().state == DISABLED
    assert wrist.enable().phase == RUN
    assert [plant.position for plant in wrist.plants] == pytest.approx(places, abs=2e-4)


def test_disable_while_moving_is_a_staged_stop_without_a_fault(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    wrist.state_command(schema.DISABLE)
    assert wrist.tick().phase == RAMP
    feedback = wrist.until_off()
    assert (feedback.state, feedback.cause) == (DISABLED, 0)


def test_a_joint_that_does_not_follow_is_braked_at_once(wrist: BoardBench, monkeypatch: pytest.MonkeyPatch) -> None:
    wrist.enable()
    plant = wrist.plants[0]
    monkeypatch.setattr(plant.load, "end_stops", (plant.position - 0.01, plant.position + 0.01))
    wrist.sweep(60, [1.0, 0.0, 0.0])
    feedback = wrist.until_off()
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "following-error")


def test_a_command_from_while_the_brakes_opened_is_not_carried_out_later(wrist: BoardBench) -> None:
    wrist.operator_seq += 1
    wrist.state_command(schema.ENABLE)
    wrist.tick()
    wrist.command([0.1, 0.1, 0.1], [0.0] * 3)
    feedback = wrist.until_off()
    assert [p + e for p, e in zip(feedback.positions, feedback.errors, strict=True)] == [0, 0, 0]
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "operator-timeout")


def test_enabling_needs_a_newer_operator_sequence(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.state_command(schema.DISABLE)
    wrist.until_off()
    wrist.state_command(schema.ENABLE)
    assert wrist.tick(3).state == DISABLED
    assert causes.name_of(wrist.events[-1].code) == "old-operator-sequence"


def test_the_joint_that_does_not_follow_loses_its_torque_at_once(
    wrist: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrist.enable()
    plant = wrist.plants[0]
    monkeypatch.setattr(plant.load, "end_stops", (plant.position - 0.01, plant.position + 0.01))
    at, feedback = 0.0, wrist.tick()
    for tick in range(400):
        if tick % 5 == 0:
            at += 0.005
            wrist.command([at, 0.0, 0.0], [1.0, 0.0, 0.0])
        feedback = wrist.tick()
        if feedback.phase == CLOSING:
            break
    flags = wrist.tick(1).flags
    assert feedback.phase == CLOSING
    assert [flag & 2 for flag in flags] == [0, 2, 2]
