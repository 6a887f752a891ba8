"""What a fixture makes possible: outputs that are wired to inputs, and a supply that is taken away in motion."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest

from bedside.cell import RunLoop
from bedside.hil.bench import Bench
from bedside.hil.fixture import Fixture
from bedside.hil.lockstep import alone
from bedside.hil.measures import Measures
from bedside.hil.motion import begin, reaches, seconds_for, stream, there_and_back
from bedside.link import causes, schema
from bedside.link.messages import DISABLED, OFF, OPENING, RUN, Feedback

BRAKE_CLOSED, DRIVE_ON = 1, 2
RELAY_OFF_MS = 450


def enabled_until_off(bench: Bench) -> tuple[set[int], Feedback, list[str]]:
    """Enable; return the phases that the board went through, how it ended, and what it told."""
    bench.events.clear()
    bench.operator_seq += 1
    bench.state_command(schema.ENABLE)
    phases: set[int] = set()
    for _ in range(3000):
        feedback = bench.tick()
        phases.add(feedback.phase)
        if feedback.phase == OFF and len(phases) > 1:
            break
    bench.tick(5)
    return phases, feedback, [causes.name_of(event.code) for event in bench.events]


@pytest.fixture
def looped(bench: Bench, fixture: Fixture | None) -> Iterator[Bench]:
    """A board whose first brake's output opens its local switch."""
    if fixture is None or not fixture.has("brake", "local"):
        pytest.skip("no jumper from brake to local: name a fixture that has one with --fixture")
    bench.plug(fixture.jumper)
    yield bench
    bench.plug([])


@pytest.mark.requirement("switches", "brake")
def test_a_brake_that_opens_the_local_switch_is_closed_again_at_once(looped: Bench, measures: Measures) -> None:
    phases, last, told = enabled_until_off(looped)
    assert OPENING in phases, f"the brake's output was never asked for: {told}"
    assert told == ["local-switch"], "the output has switched, and the input was heard"
    assert (last.state, last.phase) == (DISABLED, OFF)
    assert all(flags & (BRAKE_CLOSED | DRIVE_ON) == BRAKE_CLOSED for flags in last.flags)
    measures.figure("jumpers found", 1, "")


@pytest.mark.requirement("together")
def test_the_contact_in_the_run_loop_is_exercised_at_every_enable(looped: Bench, fixture: Fixture | None) -> None:
    if fixture is None or not fixture.has("run_contact", "run_loop"):
        pytest.skip("no jumper from run_contact to run_loop: name a fixture that has one with --fixture")
    whole = looped.cell
    looped.cell = deepcopy(alone(whole, looped.name))
    looped.cell.arm.run_loop = RunLoop(RELAY_OFF_MS)
    looped.configure()
    try:
        phases, _, told = enabled_until_off(looped)
        assert told == ["local-switch"], "the loop was alive, died and came back as its contact did"
        assert OPENING in phases
        looped.plug([jumper for jumper in fixture.jumper if jumper.input != "run_loop"])
        if looped.unplugs:
            _, _, told = enabled_until_off(looped)
            assert "run-loop" in told, "without the wire it is dead"
            looped.state_command(schema.DISABLE)
            looped.tick()
    finally:
        looped.cell = whole
        looped.configure()


@pytest.mark.requirement("watchdog", "no-motion-at-restart")
def test_a_board_whose_supply_is_taken_away_in_motion_comes_back_off(
    mover: Bench, fixture: Fixture | None, measures: Measures
) -> None:
    if fixture is None or fixture.power is None:
        pytest.skip("no relay in its supply: name a fixture that has one with --fixture")
    found = reaches(mover)
    start = begin(mover)
    seconds = max(seconds_for(joint, reach) for joint, reach in zip(mover.joints, found, strict=True))
    record = stream(mover, there_and_back(start, found, [seconds] * len(found)), seconds / 4)
    assert record.last
    assert record.last.phase == RUN
    began = mover.now_s()
    try:
        mover.power(fixture.power, False)
        began = mover.now_s()
    finally:
        mover.power(fixture.power, True)
    feedback = mover.talk([schema.KEEP_ALIVE, 0])
    measures.figure("answers again after", mover.now_s() - began, "s", fixture.power.boot_s)
    assert (feedback.state, feedback.phase) == (DISABLED, OFF)
    assert not any(flags & DRIVE_ON for flags in feedback.flags)
    mover.events.clear()
    mover.operator_seq += 1
    mover.state_command(schema.ENABLE)
    assert mover.tick(20).phase == OFF
    assert "not-configured" in [causes.name_of(event.code) for event in mover.events]
    mover.configure()
