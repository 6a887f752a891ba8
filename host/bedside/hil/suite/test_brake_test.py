"""Torque goes bit by bit behind closed brakes; where the brake does not hold what it leaves, the motor goes on."""

from __future__ import annotations

import itertools

import pytest

from bedside.cell import Cell
from bedside.hil.lockstep import BoardBench
from bedside.link import causes, schema
from bedside.link.messages import CLOSING, DISABLED, FAULT, OFF, RAMP
from bedside.sim.world import World

pytestmark = pytest.mark.requirement("brake")

BRAKE_CLOSED, DRIVE_ON = 1, 2
# The two joints that carry weight: where they hang most heavily, and how far they may sag.
LOADED = [("psm1-base", 1, 0.8, 2e-3), ("psm1-slide", 0, 0.12, 1e-4)]


def holding(world: World, cell: Cell, name: str, joint: int, place: float) -> BoardBench:
    """A board whose loaded joint has been held for a while."""
    bench = BoardBench(world, cell, name)
    bench.plants[joint].position = place
    bench.tick()
    bench.configure()
    bench.enable()
    for _ in range(20):
        bench.engage()
        bench.tick(5)
    return bench


def fail(bench: BoardBench, joint: int, monkeypatch: pytest.MonkeyPatch, grip: float = 0.0) -> float:
    """Disable with a brake that grips with ``grip`` and without friction; return where the joint is."""
    monkeypatch.setattr(bench.plants[joint].load, "brake", grip)
    monkeypatch.setattr(bench.plants[joint].load, "coulomb", 0.0)
    place = bench.plants[joint].position
    bench.state_command(schema.DISABLE)
    return place


def told(bench: BoardBench) -> list[str]:
    return [causes.name_of(event.code) for event in bench.events]


@pytest.mark.parametrize(("name", "joint", "place", "sag"), LOADED)
@pytest.mark.parametrize("heavier", [1.0, 1.5])
def test_a_joint_whose_brake_does_not_hold_is_held_by_its_motor(
    world: World,
    cell: Cell,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    joint: int,
    place: float,
    sag: float,
    heavier: float,
) -> None:
    bench = holding(world, cell, name, joint, place)
    monkeypatch.setattr(bench.plants[joint].load, "gravity", heavier * bench.plants[joint].load.gravity)
    for _ in range(40):
        bench.engage()
        bench.tick(5)
    at = fail(bench, joint, monkeypatch)
    worst = 0.0
    for _ in range(1000):
        feedback = bench.tick()
        worst = max(worst, abs(bench.plants[joint].position - at))
    assert (feedback.state, feedback.phase, causes.name_of(feedback.cause)) == (FAULT, CLOSING, "brake-failed")
    assert all(flags & (BRAKE_CLOSED | DRIVE_ON) == BRAKE_CLOSED | DRIVE_ON for flags in feedback.flags)
    assert worst <= sag
    bench.pass_ticks(1000)
    assert abs(bench.plants[joint].position - at) <= sag, "without a bridge, too"
    assert told(bench).count("brake-failed") == 1


def test_only_a_person_ends_it_and_once_more_clears_it(
    world: World, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, joint, place, _ = LOADED[1]
    bench = holding(world, cell, name, joint, place)
    fail(bench, joint, monkeypatch)
    while "brake-failed" not in told(bench):
        bench.tick()
    bench.state_command(schema.DISABLE)
    assert bench.tick(900).phase == CLOSING, "what comes within a second was not said knowing it"
    bench.tick(100)
    bench.state_command(schema.STOP)
    bench.operator_seq += 1
    bench.state_command(schema.ENABLE)
    assert bench.tick(100).phase == CLOSING
    monkeypatch.setattr(bench.plants[joint].load, "brake", 30.0)
    bench.state_command(schema.DISABLE)
    feedback = bench.tick(2)
    assert (feedback.state, feedback.phase, causes.name_of(feedback.cause)) == (FAULT, OFF, "brake-failed")
    bench.operator_seq += 1
    bench.state_command(schema.ENABLE)
    assert told(bench)[-1] == "fault-latched"
    bench.state_command(schema.DISABLE)
    assert bench.tick().state == DISABLED


@pytest.mark.parametrize(("name", "joint", "place", "sag"), LOADED)
def test_a_brake_that_holds_raises_no_alarm(
    world: World, cell: Cell, name: str, joint: int, place: float, sag: float
) -> None:
    bench = holding(world, cell, name, joint, place)
    at = bench.plants[joint].position
    bench.state_command(schema.DISABLE)
    shares = []
    while (feedback := bench.tick()).phase != OFF:
        shares.append(feedback.outputs[joint])
    assert (feedback.state, feedback.cause, told(bench)) == (DISABLED, 0, [])
    assert abs(bench.plants[joint].position - at) <= sag
    closing = shares[-230:]
    steps = [abs(b - a) for a, b in itertools.pairwise(closing)]
    assert abs(closing[0]) > 50
    # The first step is to what held the joint before its brake closed, the others are a 64th of that.
    assert sorted(steps)[-2] <= abs(closing[0]) / 64 + 3
    assert max(steps) <= abs(closing[0]) / 4
    assert closing[-100] == 0


def test_a_fault_of_the_stop_before_it_gives_way_to_the_brakes(
    world: World, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, joint, place, _ = LOADED[1]
    bench = holding(world, cell, name, joint, place)
    monkeypatch.setattr(bench.plants[joint].load, "brake", 0.0)
    monkeypatch.setattr(bench.plants[joint].load, "coulomb", 0.0)
    bench.pass_ticks(40)
    assert bench.tick().phase >= RAMP
    bench.tick(500)
    feedback = bench.tick()
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "brake-failed")
    assert told(bench) == ["link-timeout", "brake-failed"]
