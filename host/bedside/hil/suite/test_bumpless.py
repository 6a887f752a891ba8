"""Brakes open behind an output that holds, whatever happened before; if it does not hold, they close again."""

from __future__ import annotations

import pytest

from bedside.cell import Cell
from bedside.hil.lockstep import BoardBench
from bedside.link import causes, schema
from bedside.link.messages import ENABLED, FAULT, HOLDING, OFF, RUN, Feedback
from bedside.link.scale import joint_message
from bedside.sim.board import SimBoard
from bedside.sim.world import World

pytestmark = pytest.mark.requirement("no-motion-at-restart", "brake")

# The most that a joint may move when its brake opens: 2 mrad, 0.1 mm.
SAG = {"rad": 2e-3, "m": 1e-4}
# Where a configure-joint message holds these.
OUTPUT_MAX, DRIVE_SIGN, BIAS, CURRENT_OFF, BRAKE_OPEN_MS = 21, 23, 24, 31, 39


def loaded(world: World, cell: Cell, name: str, joint: int, place: float) -> BoardBench:
    """A board, configured with this joint at ``place``."""
    bench = BoardBench(world, cell, name)
    bench.plants[joint].position = place
    bench.tick()
    bench.configure()
    return bench


def clear(bench: BoardBench) -> None:
    bench.tick(60)
    bench.state_command(schema.DISABLE)
    bench.tick(3)


def dip(board: SimBoard, bench: BoardBench) -> None:
    """Let the supply sag for long enough to be noticed; it is over before the brakes are closed."""
    board.supply_mv = 15_000
    bench.tick(4)
    board.supply_mv = 24_000


def enable_and_watch(bench: BoardBench, joint: int) -> tuple[float, Feedback]:
    """Enable without engaging; return how far the joint went until it had run for a while or was off, and the last."""
    plant = bench.plants[joint]
    start = plant.position
    bench.operator_seq += 1
    bench.state_command(schema.ENABLE)
    moved, left = 0.0, 80
    while left:
        feedback = bench.tick()
        moved = max(moved, abs(plant.position - start))
        left -= feedback.phase in (RUN, OFF)
    return moved, feedback


@pytest.mark.parametrize(
    ("name", "joint", "place", "speed"),
    [
        ("psm1-base", 0, -0.5, 2.8),
        ("psm1-base", 1, -0.5, 2.5),
        ("psm1-slide", 0, 0.05, 0.5),
        ("psm1-slide", 1, -0.5, 5),
    ],
)
def test_after_a_stop_by_brakes_in_full_motion_the_next_enable_moves_nothing(
    world: World, cell: Cell, name: str, joint: int, place: float, speed: float
) -> None:
    board = next(board for board in world.boards if board.name == name)
    bench = loaded(world, cell, name, joint, place)
    bench.enable()
    bench.sweep(50, [speed if index == joint else 0.0 for index in range(len(bench.plants))])
    dip(board, bench)
    assert bench.until_off().state == FAULT
    clear(bench)
    moved, feedback = enable_and_watch(bench, joint)
    assert (feedback.state, feedback.phase) == (ENABLED, RUN)
    assert moved <= SAG[bench.joints[joint].unit]


def test_what_somebody_leaned_with_when_the_arm_was_braked_is_not_what_holds_it(
    world: World, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell.arm, "hold_ms", 5000)
    board = next(board for board in world.boards if board.name == "psm1-slide")
    bench = loaded(world, cell, "psm1-slide", 0, 0.12)
    bench.enable()
    bench.state_command(schema.PAUSE)
    while bench.tick().phase != HOLDING:
        pass
    bench.tick(40)
    plant = bench.plants[0]
    alone = plant.gravity
    # So slowly that the integral takes it up without an error; then the supply breaks down for a moment.
    begun = world.ticks
    monkeypatch.setattr(plant, "gravity", lambda: alone() + 0.004 * (world.ticks - begun))
    assert abs(bench.tick(800).errors[0]) < 100
    dip(board, bench)
    assert causes.name_of(bench.until_off().cause) == "undervoltage"
    monkeypatch.setattr(plant, "gravity", alone)
    clear(bench)
    moved, feedback = enable_and_watch(bench, 0)
    assert feedback.state == ENABLED
    assert moved <= SAG["m"]


@pytest.mark.parametrize("open_ms", [20, 300])
def test_a_joint_that_moves_as_its_brake_opens_is_braked_again_and_says_so(
    world: World, cell: Cell, open_ms: int
) -> None:
    """Also if the brake opens sooner than its board was told."""
    bench = loaded(world, cell, "psm1-slide", 0, 0.12)
    message = joint_message(bench.joints[0], world.tick_hz)
    message[BIAS], message[BRAKE_OPEN_MS] = -6000, open_ms
    bench.configure_joint(message)
    begun = bench.tick().tick
    moved, feedback = enable_and_watch(bench, 0)
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "standstill")
    assert bench.events[-1].tick - begun < 100
    assert moved < 3 * bench.joints[0].limits.standstill


def test_an_output_that_may_not_rise_to_what_holds_keeps_the_brakes_closed(world: World, cell: Cell) -> None:
    """A hot motor gets its continuous output only, which is less than what holds this load."""
    bench = loaded(world, cell, "psm1-base", 1, 0.8)
    board = next(board for board in world.boards if board.name == "psm1-base")
    message = joint_message(bench.joints[1], world.tick_hz)
    message[BIAS] = 3000
    # Heat it while it is off, so that nothing else happens.
    message[CURRENT_OFF] = 60_000
    bench.configure_joint(message)
    board.stray_ma[1] = 3000
    bench.tick(1500)
    board.stray_ma[1] = 0
    moved, feedback = enable_and_watch(bench, 1)
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "output-not-built")
    assert moved == 0


def test_a_bias_that_the_drive_may_not_give_is_refused(world: World, cell: Cell) -> None:
    bench = loaded(world, cell, "psm1-base", 1, 0.8)
    message = joint_message(bench.joints[1], world.tick_hz)
    message[BIAS], message[OUTPUT_MAX] = 1145, 100
    bench.talk(message)
    assert causes.name_of(bench.events[-1].code) == "configuration"
    assert bench.events[-1].value == BIAS


def test_what_held_a_joint_is_forgotten_when_its_drive_is_turned_round(world: World, cell: Cell) -> None:
    bench = loaded(world, cell, "psm1-base", 1, 0.8)
    bench.plants[1].load.gravity = 1.6
    bench.enable()
    for _ in range(20):
        bench.command([place / 1e6 for place in bench.tick(5).positions], [0.0, 0.0])
    held = bench.tick().outputs[1]
    bench.state_command(schema.DISABLE)
    bench.until_off()
    message = joint_message(bench.joints[1], world.tick_hz)
    message[DRIVE_SIGN] = -1
    bench.configure_joint(message)
    bench.operator_seq += 1
    assert bench.state_command(schema.ENABLE).refused == 0
    outputs = [bench.tick().outputs[1] for _ in range(10)]
    assert abs(held) > 100
    assert max(map(abs, outputs)) < abs(held) // 2
