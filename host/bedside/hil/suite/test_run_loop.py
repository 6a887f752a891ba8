"""The run loop: a wire through every board's contact, which stops the arm wherever it is opened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bedside.errors import BedsideError
from bedside.hil.failures import SABOTAGE_NOW
from bedside.hil.rig import Rig, rig
from bedside.link import schema
from bedside.link.messages import DISABLED, PAUSED
from bedside.sim.board import BRAKES_OPEN, E_STOP, RUN_CONTACT, WATCHDOG_RESET
from bedside.sim.run_loop import SimRunLoop

pytestmark = pytest.mark.requirement("together")

BOARDS = ["psm1-base", "psm1-slide", "psm1-wrist"]


@pytest.fixture
def arm(tmp_path: Path) -> Iterator[Rig]:
    """The arm, enabled, in its run loop."""
    with rig(tmp_path, run_loop=True) as arm:
        yield arm


@pytest.fixture
def loop(arm: Rig) -> SimRunLoop:
    assert arm.world.run_loop
    return arm.world.run_loop


@pytest.fixture
def off(arm: Rig) -> Rig:
    """The arm, disabled again."""
    arm.commanding = False
    arm.arm.disable()
    arm.finish()
    assert arm.states() == [DISABLED] * 3
    arm.record.notices.clear()
    return arm


def outputs(arm: Rig, index: int) -> list[int]:
    return [arm.boards[name].outputs[index] for name in BOARDS]


def refused(arm: Rig) -> set[tuple[str, str]]:
    """Enable in vain; return which boards told what. No brake may have opened."""
    opened: set[str] = set()
    advance = arm.world.advance

    def watched(ticks: int = 1) -> None:
        advance(ticks)
        opened.update(name for name in BOARDS if arm.boards[name].outputs[BRAKES_OPEN])

    arm.world.advance = watched  # type: ignore[method-assign]
    with pytest.raises((BedsideError, AssertionError)):
        arm.enable()
    arm.tick(100)
    assert not opened
    return {(name, what) for _, name, what in arm.record.notices}


def test_every_enable_opens_each_contact_in_its_turn_before_a_brake_opens(off: Rig) -> None:
    seen = []
    advance = off.world.advance

    def watched(ticks: int = 1) -> None:
        advance(ticks)
        seen.append((outputs(off, RUN_CONTACT), any(outputs(off, BRAKES_OPEN))))

    off.world.advance = watched  # type: ignore[method-assign]
    off.enable()
    closed = [contacts for contacts, _ in seen]
    begin = closed.index([1, 1, 1])
    opened = [tuple(contacts) for contacts in closed[begin:] if contacts != [1, 1, 1]]
    assert list(dict.fromkeys(opened)) == [(0, 1, 1), (1, 0, 1), (1, 1, 0)]
    first_brake = next(k for k, (_, brake) in enumerate(seen) if brake)
    assert first_brake > max(k for k, contacts in enumerate(closed) if contacts != [1, 1, 1])


@pytest.mark.parametrize("name", BOARDS)
def test_a_welded_contact_is_found_by_its_board_at_the_next_enable(off: Rig, loop: SimRunLoop, name: str) -> None:
    loop.welded = {name}
    assert (name, "run-loop-stuck") in refused(off)


def test_a_wire_around_all_contacts_is_found_by_every_board(off: Rig, loop: SimRunLoop) -> None:
    loop.welded = set(BOARDS)
    told = refused(off)
    assert "run-loop-stuck" in {what for _, what in told}


def test_an_arm_whose_loop_is_cut_cannot_be_enabled(off: Rig, loop: SimRunLoop) -> None:
    loop.cut = True
    assert "run-loop" in {what for _, what in refused(off)}


def test_a_loop_that_does_not_come_back_in_the_exercise_ends_it(off: Rig, loop: SimRunLoop) -> None:
    advance = off.world.advance

    def cut_in_the_exercise(ticks: int = 1) -> None:
        loop.cut = loop.cut or outputs(off, RUN_CONTACT) == [1, 0, 1]
        advance(ticks)

    off.world.advance = cut_in_the_exercise  # type: ignore[method-assign]
    assert "run-loop" in {what for _, what in refused(off)}


def test_an_arm_of_which_one_board_is_not_enabled_opens_no_brake(off: Rig) -> None:
    off.arm.links[0].ask([schema.STATE_COMMAND, 0, 1000, schema.ENABLE])
    for _ in range(400):
        off.tick()
        assert outputs(off, BRAKES_OPEN) == [0, 0, 0]
    assert ("psm1-base", "run-loop") in {(name, what) for _, name, what in off.record.notices}


@pytest.mark.parametrize("what", ["wire", *BOARDS])
def test_a_cut_wire_or_a_dead_board_stops_every_board_within_two_ticks(arm: Rig, loop: SimRunLoop, what: str) -> None:
    arm.move(30)
    if what == "wire":
        loop.cut = True
    else:
        arm.boards[what].kill()
    arm.serving = False
    arm.tick(3)
    assert set(arm.record.left_run) == set(BOARDS)
    assert max(arm.record.left_run.values()) - arm.begun <= 2


def test_a_fault_on_one_board_stops_the_others_within_two_ticks_of_it_without_a_bridge(arm: Rig) -> None:
    arm.move(30)
    arm.serving = False
    arm.boards["psm1-slide"].switches = E_STOP
    arm.tick(5)
    left = arm.record.left_run
    assert set(left) == set(BOARDS)
    assert max(left.values()) - left["psm1-slide"] <= 2


def test_a_dead_bridge_stops_every_board_by_its_link_clock(arm: Rig) -> None:
    arm.move(30)
    arm.serving = False
    arm.tick(40)
    assert max(arm.record.left_run.values()) - arm.begun <= arm.cell.arm.link_timeout_ms + 1


def test_a_stop_by_command_is_no_fault_and_a_pause_keeps_the_loop(arm: Rig) -> None:
    arm.move(30)
    arm.commanding = False
    arm.arm.pause()
    arm.tick(190)
    assert (arm.states(), outputs(arm, RUN_CONTACT)) == ([PAUSED] * 3, [1, 1, 1])
    arm.arm.disable()
    arm.finish()
    assert arm.states() == [DISABLED] * 3
    assert [cause.cause for cause in arm.arm.latest if cause] == [0, 0, 0]


def test_a_board_that_is_off_sooner_than_the_others_makes_no_fault_of_their_stop(off: Rig) -> None:
    off.cell.joint[0].limits.stop_deceleration = 8
    off.enable()
    off.commanding = True
    off.move(30)
    off.commanding = False
    off.arm.disable()
    off.finish()
    assert off.states() == [DISABLED] * 3
    assert off.record.notices == []


def test_the_relay_takes_the_drives_supply_once_the_brakes_have_closed(arm: Rig, loop: SimRunLoop) -> None:
    arm.move(30)
    loop.cut = True
    closed_before = None
    for _ in range(600):
        arm.tick()
        if closed_before is None and not arm.boards[BOARDS[0]].drives_fed:
            closed_before = all(plant.brake_closed for plant in arm.plants)
    assert closed_before


def test_a_board_that_hangs_loses_its_torque_with_the_others_when_the_watchdog_bites(tmp_path: Path) -> None:
    with rig(tmp_path, "hang", run_loop=True) as arm:
        arm.move(30)
        arm.boards["psm1-wrist"].switches = SABOTAGE_NOW
        arm.lossy = True
        arm.tick(80)
        assert arm.boards["psm1-wrist"].reset_cause == WATCHDOG_RESET
        assert {what for _, _, what in arm.record.notices} >= {"run-loop"}
