"""The way back from a pause: at standstill, by the console's word, from where the arm is."""

from __future__ import annotations

import pytest

from bedside.hil.lockstep import BoardBench
from bedside.link import causes, schema
from bedside.link.messages import ENABLED, FAULT, HOLDING, OFF, PAUSED, RAMP, RUN

pytestmark = pytest.mark.requirement("no-motion-at-restart")

SPEEDS = [1.0, -0.8, 0.6]


@pytest.fixture
def paused(wrist: BoardBench) -> BoardBench:
    """A board whose operator fell silent while it moved."""
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    while wrist.tick().phase != HOLDING:
        pass
    wrist.tick(40)
    return wrist


def resume(bench: BoardBench) -> None:
    bench.operator_seq += 1
    bench.state_command(schema.RESUME)


def names(bench: BoardBench) -> list[str]:
    return [causes.name_of(event.code) for event in bench.events]


@pytest.mark.requirement("operator-clock")
def test_an_operator_that_falls_silent_pauses_the_board_with_torque_and_open_brakes(paused: BoardBench) -> None:
    feedback = paused.tick()
    assert (feedback.state, feedback.phase, causes.name_of(feedback.cause)) == (PAUSED, HOLDING, "operator-timeout")
    assert [flag & 3 for flag in feedback.flags] == [2, 2, 2]


def test_commands_alone_do_not_end_a_pause(paused: BoardBench) -> None:
    here = [p / 1e6 for p in paused.tick().positions]
    for _ in range(5):
        paused.command([p + 0.01 for p in here], [0.0] * 3)
        paused.tick(2)
    feedback = paused.tick()
    assert feedback.state == PAUSED
    assert [p / 1e6 for p in feedback.positions] == pytest.approx(here, abs=1e-3)
    assert names(paused)[-1] == "not-enabled"


def test_a_pause_that_is_said_again_is_no_refusal(paused: BoardBench) -> None:
    paused.events.clear()
    paused.state_command(schema.PAUSE)
    assert paused.tick().state == PAUSED
    assert names(paused) == []


def test_nothing_moves_at_resume_nor_at_the_first_command(paused: BoardBench) -> None:
    places = [plant.position for plant in paused.plants]
    resume(paused)
    assert paused.tick().state == ENABLED
    paused.engage()
    for _ in range(10):
        feedback = paused.tick()
    assert (feedback.state, feedback.phase, feedback.cause) == (ENABLED, RUN, 0)
    assert [plant.position for plant in paused.plants] == pytest.approx(places, abs=1e-3)
    assert paused.sweep(40, SPEEDS).state == ENABLED
    assert abs(paused.plants[0].velocity) > 0.5


@pytest.mark.parametrize("away", [0.03, -0.03])
def test_a_first_command_away_from_the_arm_is_refused_and_feeds_no_clock(paused: BoardBench, away: float) -> None:
    resume(paused)
    at = [p / 1e6 for p in paused.tick().positions]
    places = [plant.position for plant in paused.plants]
    for _ in range(25):
        paused.command([at[0], at[1] + away, at[2]], [0.0] * 3)
        paused.tick(5)
    assert "engage" in names(paused)
    assert paused.tick().state == PAUSED, "the operator's clock has run out"
    assert [plant.position for plant in paused.plants] == pytest.approx(places, abs=1e-3)


def test_resume_is_refused_with_an_old_operator_sequence(paused: BoardBench) -> None:
    paused.state_command(schema.RESUME)
    assert paused.tick().state == PAUSED
    assert names(paused)[-1] == "old-operator-sequence"


def test_resume_is_refused_before_standstill_and_when_nothing_is_paused(wrist: BoardBench) -> None:
    resume(wrist)
    wrist.enable()
    resume(wrist)
    wrist.sweep(60, SPEEDS)
    while wrist.tick().phase != RAMP:
        pass
    resume(wrist)
    assert wrist.tick().state == PAUSED
    assert names(wrist).count("not-paused") == 3


@pytest.mark.requirement("stop")
def test_a_pause_that_lasts_ends_in_brakes_and_a_fault(paused: BoardBench) -> None:
    feedback = paused.until_off()
    assert feedback.state == FAULT
    assert all(plant.brake_closed for plant in paused.plants)
    resume(paused)
    assert paused.tick().phase == OFF
    assert names(paused)[-1] == "fault-latched"


@pytest.mark.requirement("stop")
def test_a_pause_can_be_asked_for(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    wrist.state_command(schema.PAUSE)
    feedback = wrist.tick()
    assert (feedback.state, feedback.phase, feedback.cause) == (PAUSED, RAMP, 0)
    while wrist.tick().phase != HOLDING:
        pass
    wrist.tick(40)
    resume(wrist)
    assert wrist.tick().state == ENABLED


@pytest.mark.requirement("stop")
def test_a_stop_is_not_put_aside_by_what_comes_after_it(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    wrist.state_command(schema.STOP)
    wrist.state_command(schema.PAUSE)
    assert wrist.tick().state != PAUSED
    assert wrist.until_off().cause == 0


@pytest.mark.requirement("latch")
def test_stop_never_clears_a_fault(paused: BoardBench) -> None:
    paused.until_off()
    paused.state_command(schema.STOP)
    assert paused.tick(3).state == FAULT


@pytest.mark.requirement("link-clock")
def test_the_link_falling_silent_during_a_pause_brakes(paused: BoardBench) -> None:
    paused.world.advance(60)
    feedback = paused.tick()
    assert feedback.state == FAULT
    assert causes.name_of(feedback.cause) == "link-timeout"
    assert all(flag & 1 for flag in paused.tick(20).flags)
