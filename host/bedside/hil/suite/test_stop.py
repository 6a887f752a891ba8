"""The stop, in virtual time, on the whole path that a stop takes: wire, clocks, profile, controller, motor, brake."""

from __future__ import annotations

import math
import random

import pytest

from bedside.cell import Cell
from bedside.hil.lockstep import BoardBench
from bedside.link import causes, schema
from bedside.link.messages import CLOSING, DISABLED, ENABLED, FAULT, HOLDING, OFF, PAUSED, RAMP, RUN, Event, Feedback
from bedside.sim.world import World

pytestmark = pytest.mark.requirement("stop")

# Cuts by board: a hundred in all, and every joint of the arm among them.
CUTS = {"psm1-base": 33, "psm1-slide": 33, "psm1-wrist": 34}
# What is still heard after the last command, and which clock must notice.
KINDS = {
    "silence": "link-timeout",
    "the last frame again": "link-timeout",
    "the last command again": "operator-timeout",
    "keep-alives only": "operator-timeout",
}
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


class Cut:
    """What a board hears after its last command, tick by tick, and when its ramp began."""

    def __init__(self, bench: BoardBench, kind: str) -> None:
        self.bench = bench
        self.kind = kind
        self.last_frame = b""
        self.ramp = 0

    def tick(self) -> None:
        bench, link = self.bench, self.bench.link
        bench.world.advance(1)
        if self.kind == "the last frame again":
            link.port.write(self.last_frame)
        elif self.kind == "the last command again":
            bench.command_again()
        elif self.kind == "keep-alives only":
            bench.talk([schema.KEEP_ALIVE, 0])
        for message in link.receive():
            if isinstance(message, Event):
                bench.events.append(message)
        for event in bench.events:
            if causes.name_of(event.code) == KINDS[self.kind] and not self.ramp:
                self.ramp = event.tick


@pytest.mark.requirement("link-clock")
# An emulated chip takes its time over a hundred starts.
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CUTS)
def test_each_of_100_cuts_ends_in_time_at_standstill_and_braked(world: World, cell: Cell, name: str) -> None:
    bench = BoardBench(world, cell, name)
    bench.configure()
    rng = random.Random(7)
    limits = [joint.limits for joint in bench.joints]
    timeouts = {"operator-timeout": cell.arm.operator_timeout_ms, "link-timeout": cell.arm.link_timeout_ms}
    for number in range(CUTS[name]):
        kind = list(KINDS)[number % len(KINDS)]
        timeout = round(timeouts[KINDS[kind]])
        moment = rng.randrange(20, 220)
        where = f"{kind}, cut at {moment}"
        bench.enable()
        last, speeds = drive_until(bench, moment)
        places = [plant.position for plant in bench.plants]
        bench.events.clear()
        cut = Cut(bench, kind)
        cut.last_frame = bench.last_frame
        at_rest = 0
        ticks = world.ticks
        while not all(plant.brake_closed for plant in bench.plants):
            cut.tick()
            if cut.ramp and not at_rest and standstill(bench):
                at_rest = last + world.ticks - ticks
            assert world.ticks - ticks < 2000, where
        assert 0 < cut.ramp - last <= timeout + 1, where
        # The setpoint began to slow down before the ramp, so v/a counted from the ramp on is the longest it may take.
        longest = max(v / limit.stop_deceleration for v, limit in zip(speeds, limits, strict=True)) * 1000
        assert at_rest - cut.ramp <= longest + RAMP_SETTLE_MS, f"{where} at {speeds}"
        for plant, place, v, limit in zip(bench.plants, places, speeds, limits, strict=True):
            travel = abs(plant.position - place)
            unit = 0.1 if plant.load.kind == "prismatic" else 1.0
            assert travel <= 1.1 * (v * timeout / 1000 + v * v / 2 / limit.stop_deceleration) + 0.002 * unit, where
        feedback = bench.until_off()
        assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, KINDS[kind]), where
        assert all(plant.brake_closed and plant.current == 0 for plant in bench.plants)
        bench.state_command(schema.DISABLE)
        assert bench.tick().state == DISABLED


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
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "operator-timeout")
    assert closed_with_torque >= 5, "the brakes have closed before the torque goes off"


@pytest.mark.requirement("operator-clock")
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


@pytest.mark.requirement("operator-clock")
def test_repeated_operator_sequences_do_not_keep_the_arm_moving(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    positions = [p / 1e6 for p in wrist.tick().positions]
    for _ in range(22):
        wrist.operator_seq -= 1
        wrist.command(positions, [0.0] * 3)
        wrist.world.advance(5)
    after = wrist.tick()
    assert after.state == PAUSED
    assert after.phase in (RAMP, HOLDING)
    assert "old-operator-sequence" in {causes.name_of(event.code) for event in wrist.events}


@pytest.mark.requirement("latch")
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


@pytest.mark.requirement("no-motion-at-restart")
def test_a_command_from_while_the_brakes_opened_is_not_carried_out_later(wrist: BoardBench) -> None:
    wrist.operator_seq += 1
    wrist.state_command(schema.ENABLE)
    wrist.tick()
    wrist.command([0.1, 0.1, 0.1], [0.0] * 3)
    feedback = wrist.until_off()
    assert [p + e for p, e in zip(feedback.positions, feedback.errors, strict=True)] == [0, 0, 0]
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "operator-timeout")


@pytest.mark.requirement("operator-clock")
def test_enabling_needs_a_newer_operator_sequence(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.state_command(schema.DISABLE)
    wrist.until_off()
    wrist.state_command(schema.ENABLE)
    assert wrist.tick(3).state == DISABLED
    assert causes.name_of(wrist.events[-1].code) == "old-operator-sequence"


def blocked(bench: BoardBench, monkeypatch: pytest.MonkeyPatch) -> Feedback:
    """Let the first joint run into an end stop; return the feedback when the board has noticed."""
    plant = bench.plants[0]
    monkeypatch.setattr(plant.load, "end_stops", (plant.position - 0.01, plant.position + 0.01))
    at, feedback = 0.0, bench.tick()
    for tick in range(400):
        if tick % 5 == 0:
            at += 0.005
            bench.command([at, 0.0, 0.0], [1.0, 0.0, 0.0])
        feedback = bench.tick()
        if feedback.state != ENABLED:
            return feedback
    raise AssertionError(f"not noticed: {feedback}")


@pytest.mark.requirement("follow")
def test_the_joint_that_does_not_follow_loses_its_torque_at_once_and_the_others_ramp(
    wrist: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrist.enable()
    feedback = blocked(wrist, monkeypatch)
    assert (feedback.state, feedback.phase) == (FAULT, RAMP)
    assert causes.name_of(feedback.cause) in ("following-error", "encoder-stuck")
    assert [flag & 3 for flag in feedback.flags] == [1, 2, 2], "its brake is closed, theirs are not"
    assert wrist.until_off().state == FAULT
