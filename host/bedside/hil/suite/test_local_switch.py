"""The local switch: a person beside the arm allows motion, and takes that back at any moment."""

from __future__ import annotations

import math

import pytest

from bedside.hil.lockstep import BoardBench
from bedside.link import causes, schema
from bedside.link.messages import CLOSING, DISABLED, HOLDING, OFF, PAUSED, RAMP, RUN
from bedside.sim.board import LOCAL_OFF, SimBoard

pytestmark = pytest.mark.requirement("switches")

SPEEDS = [1.2, -1.0, 0.8]
BRAKES_OPEN = 9


@pytest.fixture
def board(wrist: BoardBench) -> SimBoard:
    """The wrist board's surroundings."""
    return next(board for board in wrist.world.boards if board.name == wrist.name)


def told(bench: BoardBench) -> list[str]:
    names = [causes.name_of(event.code) for event in bench.events]
    bench.events.clear()
    return names


def test_while_it_is_open_nothing_is_enabled_or_homed(wrist: BoardBench, board: SimBoard) -> None:
    board.switches = LOCAL_OFF
    wrist.tick()
    wrist.operator_seq += 1
    assert wrist.state_command(schema.ENABLE).phase == OFF
    assert wrist.tick(5).state == DISABLED
    assert told(wrist) == ["local-switch"]
    wrist.talk([schema.HOME, 0, wrist.operator_seq + 1, 0])
    assert told(wrist) == ["local-switch"]
    board.switches = 0
    wrist.tick()
    assert wrist.enable().phase == RUN
    assert told(wrist) == []


def test_opened_in_motion_it_is_a_staged_stop_without_a_fault(wrist: BoardBench, board: SimBoard) -> None:
    wrist.enable()
    wrist.sweep(40, SPEEDS)
    speeds = [abs(plant.velocity) for plant in wrist.plants]
    assert min(speeds) > 0.5
    board.switches = LOCAL_OFF
    phases = [wrist.tick().phase]
    slowest = max(s / j.limits.stop_deceleration for s, j in zip(speeds, wrist.joints, strict=True))
    for _ in range(math.ceil(1000 * slowest) + 20):
        feedback = wrist.tick()
        phases.append(feedback.phase)
    assert phases[0] == RAMP
    assert all(abs(plant.velocity) < 0.01 for plant in wrist.plants)
    while feedback.phase != OFF:
        feedback = wrist.tick()
        phases.append(feedback.phase)
    assert list(dict.fromkeys(phases)) == [RAMP, HOLDING, CLOSING, OFF]
    assert (feedback.state, feedback.cause) == (DISABLED, 0)
    assert board.outputs[BRAKES_OPEN] == 0
    assert told(wrist) == ["local-switch"], "it is told once"
    board.switches = 0
    wrist.tick()
    assert wrist.enable().phase == RUN


@pytest.mark.parametrize("moment", [1, 15, 40])
def test_opened_while_the_arm_is_being_enabled_it_ends_that(wrist: BoardBench, board: SimBoard, moment: int) -> None:
    wrist.operator_seq += 1
    wrist.state_command(schema.ENABLE)
    wrist.tick(moment)
    board.switches = LOCAL_OFF
    feedback = wrist.until_off()
    assert (feedback.state, feedback.cause) == (DISABLED, 0)
    assert told(wrist) == ["local-switch"]


def test_opened_in_a_pause_it_ends_the_pause_in_brakes(wrist: BoardBench, board: SimBoard) -> None:
    wrist.enable()
    wrist.state_command(schema.PAUSE)
    while wrist.tick(5).phase != HOLDING:
        pass
    assert wrist.tick(40).state == PAUSED
    board.switches = LOCAL_OFF
    wrist.operator_seq += 1
    wrist.state_command(schema.RESUME)
    feedback = wrist.until_off()
    assert (feedback.state, feedback.cause) == (DISABLED, 0)
    assert "local-switch" in told(wrist)


def test_it_clears_no_fault(wrist: BoardBench, board: SimBoard) -> None:
    wrist.enable()
    board.switches = 1  # the emergency stop
    wrist.tick(5)
    board.switches = LOCAL_OFF
    feedback = wrist.until_off()
    assert causes.name_of(feedback.cause) == "e-stop"
    wrist.operator_seq += 1
    wrist.state_command(schema.ENABLE)
    assert "fault-latched" in told(wrist)
