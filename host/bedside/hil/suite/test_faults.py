"""Each fault, injected where it happens: at the encoder, the motor, the supply, the switches, the clock."""

from __future__ import annotations

import pytest

from bedside.cell import Cell
from bedside.hil.lockstep import BoardBench, bend_encoder
from bedside.link import causes, schema
from bedside.link.messages import (
    CLOSING,
    DISABLED,
    ENABLED,
    FAULT,
    HOLDING,
    OFF,
    PAUSED,
    RAMP,
    RELEASED,
    RUN,
    Event,
    Feedback,
)
from bedside.sim.board import BRAKE_RELEASE, DRIVE_FAULT, E_STOP, SimBoard
from bedside.sim.world import World

SPEEDS = [1.0, -0.8, 0.6]
BRAKE_CLOSED, DRIVE_ON, CURRENT_LIMITED = 1, 2, 128


@pytest.fixture
def moving(wrist: BoardBench) -> BoardBench:
    wrist.enable()
    wrist.sweep(60, SPEEDS)
    return wrist


@pytest.fixture
def board(world: World) -> SimBoard:
    return next(board for board in world.boards if board.name == "psm1-wrist")


def next_fault(bench: BoardBench, ticks: int = 400) -> Feedback:
    """Go on with the motion until the board reports a fault; return the feedback of that tick."""
    at = [position / 1e6 for position in bench.tick(0).positions]
    for tick in range(ticks):
        if tick % 5 == 0:
            at = [place + 0.005 * speed for place, speed in zip(at, SPEEDS, strict=True)]
            bench.command(at, SPEEDS)
        feedback = bench.tick()
        if feedback.state != ENABLED:
            return feedback
    raise AssertionError(f"no fault: {feedback}")


def push(bench: BoardBench, joint: int, distance: float, step: float = 0.0005) -> Feedback:
    """Move a joint by hand, ``step`` rad a tick, until something happens or ``distance`` is gone."""
    before = feedback = bench.tick(0)
    for _ in range(round(distance / step)):
        bench.plants[joint].position += step
        feedback = bench.tick()
        if (feedback.state, feedback.phase) != (before.state, before.phase):
            break
    return feedback


def cause(feedback: Feedback) -> str:
    return causes.name_of(feedback.cause)


def assert_tripped(bench: BoardBench, feedback: Feedback) -> None:
    """The first joint is without torque and braked in the same tick; the others ramp, hold, then brake."""
    assert (feedback.state, feedback.phase) == (FAULT, RAMP)
    assert [flag & (BRAKE_CLOSED | DRIVE_ON) for flag in feedback.flags] == [BRAKE_CLOSED, DRIVE_ON, DRIVE_ON]
    phases = {feedback.phase}
    while feedback.phase != OFF:
        feedback = bench.tick()
        phases.add(feedback.phase)
    assert phases == {RAMP, HOLDING, CLOSING, OFF}
    assert feedback.state == FAULT


@pytest.mark.requirement("encoder")
def test_an_encoder_that_jumps_trips_its_joint_in_the_same_tick(
    moving: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bend_encoder(monkeypatch, moving.plants[0], lambda count: count + 5000)
    tick = moving.tick(0).tick
    feedback = next_fault(moving, 1)
    assert cause(feedback) == "encoder-jump"
    assert feedback.tick == tick + 1
    assert_tripped(moving, feedback)


@pytest.mark.requirement("encoder")
def test_an_encoder_that_stands_still_while_the_joint_is_driven_trips_it(
    moving: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = moving.plants[0].count
    bend_encoder(monkeypatch, moving.plants[0], lambda _: stuck)
    place = moving.plants[0].position
    feedback = next_fault(moving)
    assert cause(feedback) == "encoder-stuck"
    assert_tripped(moving, feedback)
    assert abs(moving.plants[0].position - place) < 0.25


@pytest.mark.requirement("encoder")
def test_an_encoder_that_counts_backwards_trips_its_joint_before_it_runs_away(
    moving: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned_at = moving.plants[0].count
    bend_encoder(monkeypatch, moving.plants[0], lambda count: 2 * turned_at - count)
    place = moving.plants[0].position
    feedback = next_fault(moving)
    assert cause(feedback) in ("wrong-direction", "overspeed", "following-error")
    assert_tripped(moving, feedback)
    assert abs(moving.plants[0].position - place) < 0.3


@pytest.mark.requirement("follow")
def test_a_joint_that_is_too_fast_is_tripped(moving: BoardBench) -> None:
    moving.plants[0].velocity = 16.0
    feedback = next_fault(moving)
    assert cause(feedback) == "overspeed"
    assert_tripped(moving, feedback)


@pytest.mark.requirement("drive")
def test_too_much_current_trips_the_joint(moving: BoardBench, board: SimBoard) -> None:
    board.stray_ma[0] = 5000
    feedback = next_fault(moving, 5)
    assert cause(feedback) == "overcurrent"
    board.stray_ma[0] = 0
    assert_tripped(moving, feedback)


@pytest.mark.requirement("drive")
def test_current_that_goes_on_through_a_tripped_joint_takes_the_torque_off_all(
    moving: BoardBench, board: SimBoard
) -> None:
    board.stray_ma[0] = 5000
    tripped = next_fault(moving, 5).tick
    feedback = moving.until_off()
    assert feedback.tick - tripped < 60, "the brake's closing time, not the hold's"
    assert [flag & 3 for flag in feedback.flags] == [BRAKE_CLOSED] * 3
    assert cause(feedback) == "overcurrent", "the first cause is kept"


@pytest.mark.requirement("tick")
def test_ticks_that_come_slowly_do_not_stretch_the_clocks(moving: BoardBench) -> None:
    """Each is within what a tick may be late; the timeouts are times all the same."""
    last = moving.talk([schema.KEEP_ALIVE, 0]).tick
    moving.events.clear()
    world = moving.world
    time_us = 1000 * (world.ticks - 1)
    while not moving.events:
        time_us += 1490
        world.step(time_us)
        moving.events += [message for message in moving.link.receive() if isinstance(message, Event)]
    event = moving.events[0]
    assert causes.name_of(event.code) == "link-timeout"
    assert 1490 * (event.tick - last) <= 1000 * (moving.cell.arm.link_timeout_ms + 2)


def jump_and_clear(moving: BoardBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first joint's encoder jump, wait for the stop and clear it."""
    bend_encoder(monkeypatch, moving.plants[0], lambda count: count + 5000)
    next_fault(moving, 1)
    moving.until_off()
    moving.state_command(schema.DISABLE)
    moving.tick(2)


@pytest.mark.requirement("encoder")
def test_a_joint_whose_encoder_jumped_must_be_configured_before_it_is_enabled(
    moving: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump_and_clear(moving, monkeypatch)
    moving.operator_seq += 1
    moving.state_command(schema.ENABLE)
    assert moving.tick().state == DISABLED
    assert causes.name_of(moving.events[-1].code) == "not-configured"
    # It jumps back.
    monkeypatch.undo()
    moving.tick(2)
    moving.state_command(schema.DISABLE)
    moving.tick(2)
    moving.configure()
    assert moving.enable().state == ENABLED


@pytest.mark.requirement("encoder")
def test_a_joint_that_is_configured_with_an_encoder_off_its_place_is_caught_by_the_second_sensor(
    moving: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump_and_clear(moving, monkeypatch)
    moving.configure()
    feedback = moving.tick(3 * 8)
    assert (feedback.state, cause(feedback)) == (FAULT, "sensor-disagrees")


@pytest.mark.requirement("latch")
def test_a_fault_in_a_pause_is_told_as_what_it_is(moving: BoardBench, board: SimBoard) -> None:
    moving.tick(150)
    assert moving.tick().state == PAUSED
    board.switches = DRIVE_FAULT
    feedback = moving.tick(2)
    assert (feedback.state, cause(feedback)) == (FAULT, "drive-fault")
    assert causes.name_of(moving.events[-1].code) == "drive-fault"


@pytest.mark.requirement("drive")
def test_a_drive_that_reports_a_fault_trips_its_joint(moving: BoardBench, board: SimBoard) -> None:
    board.switches = DRIVE_FAULT
    feedback = next_fault(moving, 2)
    assert cause(feedback) == "drive-fault"
    assert_tripped(moving, feedback)


@pytest.mark.requirement("drive")
def test_a_motor_that_gets_hot_is_limited_and_says_so_without_a_fault(moving: BoardBench, board: SimBoard) -> None:
    board.stray_ma[0] = 1900
    flags = 0
    for _ in range(100):
        moving.command([p / 1e6 for p in moving.tick(40).positions], [0.0] * 3)
        feedback = moving.tick()
        assert feedback.state == ENABLED
        flags = feedback.flags[0]
        if flags & CURRENT_LIMITED:
            break
    assert flags & CURRENT_LIMITED
    assert not feedback.flags[1] & CURRENT_LIMITED


@pytest.mark.requirement("switches")
def test_the_emergency_stop_ramps_and_brakes_and_cannot_be_cleared_while_it_is_pressed(
    moving: BoardBench, board: SimBoard
) -> None:
    board.switches = E_STOP
    feedback = moving.tick()
    assert (feedback.state, feedback.phase, cause(feedback)) == (FAULT, RAMP, "e-stop")
    moving.until_off()
    moving.state_command(schema.DISABLE)
    assert moving.tick(2).state == FAULT
    board.switches = 0
    moving.state_command(schema.DISABLE)
    assert moving.tick(2).state == DISABLED
    assert moving.enable().state == ENABLED


@pytest.mark.requirement("supply")
def test_a_supply_that_breaks_down_brakes_at_once_with_torque_until_the_brakes_are_closed(
    moving: BoardBench, board: SimBoard
) -> None:
    board.supply_mv = 15_000
    feedback = moving.tick(3)
    assert (feedback.state, feedback.phase, cause(feedback)) == (FAULT, CLOSING, "undervoltage")
    assert [flag & 3 for flag in feedback.flags] == [BRAKE_CLOSED | DRIVE_ON] * 3


@pytest.mark.requirement("supply")
def test_a_supply_that_rises_too_far_takes_the_torque_at_once(moving: BoardBench, board: SimBoard) -> None:
    board.supply_mv = 33_000
    feedback = moving.tick(3)
    assert (feedback.state, feedback.phase, cause(feedback)) == (FAULT, OFF, "overvoltage")
    assert [flag & 3 for flag in feedback.flags] == [BRAKE_CLOSED] * 3


@pytest.mark.requirement("supply")
def test_two_ticks_of_a_bad_supply_are_no_fault(moving: BoardBench, board: SimBoard) -> None:
    board.supply_mv = 15_000
    moving.tick(2)
    board.supply_mv = 24_000
    assert moving.tick(2).state == ENABLED


@pytest.mark.requirement("brake")
def test_a_joint_that_moves_although_its_brake_is_closed_is_a_fault(wrist: BoardBench) -> None:
    feedback = push(wrist, 1, 0.05)
    assert (feedback.state, feedback.phase, cause(feedback)) == (FAULT, OFF, "moved-while-off")
    wrist.operator_seq += 1
    assert wrist.state_command(schema.ENABLE).state == FAULT


@pytest.mark.requirement("drive")
def test_current_without_torque_is_a_fault(wrist: BoardBench, board: SimBoard) -> None:
    board.stray_ma[2] = 300
    feedback = wrist.tick(4)
    assert (feedback.state, cause(feedback)) == (FAULT, "current-while-off")


@pytest.mark.requirement("tick")
def test_a_tick_that_comes_far_too_late_ramps_and_brakes(moving: BoardBench) -> None:
    moving.world.ticks += 1100
    feedback = moving.tick()
    assert (feedback.state, feedback.phase, cause(feedback)) == (FAULT, RAMP, "tick-late")


@pytest.mark.requirement("standstill")
def test_a_joint_that_drifts_while_it_holds_is_braked(moving: BoardBench) -> None:
    moving.state_command(schema.PAUSE)
    while moving.tick().phase != HOLDING:
        pass
    assert moving.tick(60).state == PAUSED
    feedback = push(moving, 0, 0.4, 0.004)
    assert (feedback.state, feedback.phase) == (FAULT, CLOSING)
    assert cause(feedback) == "standstill"


@pytest.mark.requirement("switches")
def test_an_unconfigured_boards_brakes_can_be_released_by_hand(world: World, board: SimBoard) -> None:
    """After a power cycle without a bridge, staff can still take the instrument out."""
    board.switches = BRAKE_RELEASE
    world.advance(50)
    assert not any(plant.brake_closed for plant in board.plants)
    board.switches = 0
    world.advance(50)
    assert all(plant.brake_closed for plant in board.plants)


@pytest.mark.requirement("switches")
def test_a_joint_in_motion_when_the_release_is_let_go_is_no_fault(wrist: BoardBench, board: SimBoard) -> None:
    board.switches = BRAKE_RELEASE
    wrist.tick(40)
    for tick in range(60):
        if tick == 30:
            board.switches = 0
        if not wrist.plants[0].brake_closed:
            wrist.plants[0].position += 0.0006
        feedback = wrist.tick()
    assert (feedback.state, feedback.phase) == (DISABLED, OFF)


@pytest.mark.requirement("switches")
def test_an_enable_that_the_brake_release_overtakes_is_refused_aloud(wrist: BoardBench, board: SimBoard) -> None:
    board.switches = BRAKE_RELEASE
    wrist.operator_seq += 1
    wrist.state_command(schema.ENABLE)
    assert not wrist.events, "no tick has seen the release yet"
    assert wrist.tick(2).phase == RELEASED
    assert causes.name_of(wrist.events[-1].code) == "brake-released"


@pytest.mark.requirement("switches")
def test_brakes_can_be_released_by_hand_only_while_disabled(wrist: BoardBench, board: SimBoard) -> None:
    board.switches = BRAKE_RELEASE
    assert wrist.tick(30).phase == RELEASED
    assert not any(plant.brake_closed for plant in wrist.plants)
    push(wrist, 0, 0.2)
    wrist.operator_seq += 1
    wrist.state_command(schema.ENABLE)
    assert wrist.tick().phase == RELEASED
    assert causes.name_of(wrist.events[-1].code) == "brake-released"
    board.switches = 0
    feedback = wrist.tick(40)
    assert (feedback.state, feedback.phase) == (DISABLED, OFF), "moved by hand is no fault"
    assert all(plant.brake_closed for plant in wrist.plants)
    wrist.enable()
    board.switches = BRAKE_RELEASE
    wrist.sweep(3, [0.0] * 3)
    assert wrist.tick().phase == RUN
    board.switches = BRAKE_RELEASE | E_STOP
    assert wrist.until_off().phase == OFF
    assert wrist.tick(30).phase == OFF
    assert all(plant.brake_closed for plant in wrist.plants)
    board.switches = BRAKE_RELEASE
    assert wrist.tick(30).phase == OFF, "nobody has cleared the fault"
    assert all(plant.brake_closed for plant in wrist.plants)


@pytest.mark.requirement("brake")
@pytest.mark.parametrize(
    ("name", "joint", "place", "allowed"), [("psm1-base", 1, 0.8, 2e-3), ("psm1-slide", 0, 0.12, 1e-4)]
)
def test_a_loaded_joint_hardly_sags_when_its_brake_opens_and_closes(
    world: World, cell: Cell, name: str, joint: int, place: float, allowed: float
) -> None:
    bench = BoardBench(world, cell, name)
    plant = bench.plants[joint]
    plant.position = place
    bench.tick()
    bench.configure()
    for _ in range(2):
        places = [plant.position]
        bench.operator_seq += 1
        bench.state_command(schema.ENABLE)
        while bench.tick().phase != RUN:
            places.append(plant.position)
        bench.engage()
        for _ in range(10):
            bench.command([p / 1e6 for p in bench.tick(20).positions], [0.0] * len(bench.plants))
            places.append(plant.position)
        bench.state_command(schema.DISABLE)
        for _ in range(400):
            bench.tick()
            places.append(plant.position)
        assert bench.tick().phase == OFF
        assert max(places) - min(places) <= allowed


@pytest.mark.requirement("operator-clock")
def test_time_stamps_that_wrap_make_no_command_fresh_and_none_stale(world: World, cell: Cell) -> None:
    world.ticks = 2**30 // 1000 - 400
    world.advance(2)
    bench = BoardBench(world, cell, "psm1-wrist")
    bench.configure()
    bench.enable()
    assert bench.sweep(120, SPEEDS).state == ENABLED, "fresh commands through the wrap"
    assert world.ticks > 2**30 // 1000
    last = bench.tick(0).tick
    late = bench.tick(0).late_ticks
    while bench.tick().state == ENABLED:
        assert bench.tick().tick - last <= 110
    assert bench.events[-1].value == round(cell.arm.operator_timeout_ms) + 1
    assert bench.tick().late_ticks == late
