"""Whatever ends or stops the program, the outputs end safe; a hardware watchdog resets what hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedside.cell import Cell
from bedside.hil.failures import SABOTAGE_NOW
from bedside.hil.lockstep import PSM, BoardBench
from bedside.hil.rig import SABOTAGE
from bedside.link import schema
from bedside.link.messages import DISABLED, ENABLED, OFF, RESET_CAUSES
from bedside.sim.board import MAINTENANCE_STRAP, SimBoard
from bedside.sim.world import World

pytestmark = pytest.mark.requirement("watchdog")

SPEEDS = [1.0, -0.8, 0.6]
DRIVES, BRAKES_OPEN, WATCHDOG = 8, 9, 10
WATCHDOG_TICKS = 50

Sabotage = Callable[[str], tuple[BoardBench, SimBoard]]


@pytest.fixture
def sabotage(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sabotage]:
    """Return a function that starts a moving wrist board whose program is about to break in the way that it is told."""
    worlds: list[World] = []
    benches: list[BoardBench] = []

    def start(kind: str) -> tuple[BoardBench, SimBoard]:
        monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
        monkeypatch.setenv("SABOTAGE", kind)
        world = World(cell, PSM, tmp_path, SABOTAGE).__enter__()
        worlds.append(world)
        world.advance(3)
        bench = BoardBench(world, cell, "psm1-wrist")
        benches.append(bench)
        bench.configure()
        bench.enable()
        return bench, next(board for board in world.boards if board.name == "psm1-wrist")

    yield start
    for bench in benches:
        bench.link.port.close()
    for world in worlds:
        world.__exit__()


def move_until_dead(bench: BoardBench, board: SimBoard, ticks: int) -> int:
    """Command a motion and let ticks pass until the program is gone; return how many that took."""
    here = [p / 1e6 for p in bench.tick(0).positions]
    bench.operator_seq += 1
    setpoints = [x for place, speed in zip(here, SPEEDS, strict=True) for x in (place + speed * 0.01, speed)]
    board.switches = SABOTAGE_NOW
    bench.link.send([schema.COMMAND, 0, bench.operator_seq, *(round(1e6 * x) for x in setpoints)])
    for tick in range(ticks):
        if not board.alive:
            board.switches = 0
            return tick
        bench.world.advance(1)
        if tick < 3:
            bench.link.send([schema.KEEP_ALIVE, 0])
    raise AssertionError("the program goes on")


@pytest.mark.parametrize("kind", ["tick", "background", "memory", "exit"])
def test_a_program_that_ends_leaves_its_outputs_safe_and_moves_nothing_when_it_is_back(
    sabotage: Sabotage, kind: str
) -> None:
    bench, board = sabotage(kind)
    move_until_dead(bench, board, 20)
    assert (board.outputs[DRIVES], board.outputs[BRAKES_OPEN]) == (0, 0)
    bench.world.advance(100)
    assert all(plant.brake_closed and plant.velocity == 0 for plant in bench.plants)
    places = [plant.position for plant in bench.plants]
    board.start()
    bench.world.advance(3)
    identity = bench.link.identify()
    assert RESET_CAUSES[identity.reset_cause] == "program ended"
    feedback = bench.tick(50)
    assert (feedback.state, feedback.phase) == (DISABLED, OFF)
    assert [plant.position for plant in bench.plants] == places


def test_a_board_that_falls_to_its_repl_has_made_its_outputs_safe_before(sabotage: Sabotage) -> None:
    bench, board = sabotage("repl")
    with pytest.raises(AssertionError, match="goes on"):
        move_until_dead(bench, board, WATCHDOG_TICKS - 10)
    assert board.alive
    assert (board.outputs[DRIVES], board.outputs[BRAKES_OPEN]) == (0, 0)
    assert all(plant.brake_closed and plant.velocity == 0 for plant in bench.plants)


@pytest.mark.parametrize("kind", ["dead background", "dead timer"])
def test_the_watchdog_resets_a_board_on_which_only_one_of_tick_and_background_goes_on(
    sabotage: Sabotage, kind: str
) -> None:
    bench, board = sabotage(kind)
    assert move_until_dead(bench, board, 2 * WATCHDOG_TICKS) <= WATCHDOG_TICKS + 10
    board.start()
    bench.world.advance(3)
    assert RESET_CAUSES[bench.link.identify().reset_cause] == "watchdog"


def test_the_watchdog_resets_a_board_that_hangs(sabotage: Sabotage) -> None:
    bench, board = sabotage("hang")
    assert move_until_dead(bench, board, 2 * WATCHDOG_TICKS) > WATCHDOG_TICKS - 10, "until then nothing changes"
    assert (board.outputs[DRIVES], board.outputs[BRAKES_OPEN]) == (0, 0)
    board.start()
    bench.world.advance(3)
    assert RESET_CAUSES[bench.link.identify().reset_cause] == "watchdog"


def test_collections_in_the_background_disturb_no_tick(sabotage: Sabotage) -> None:
    bench, board = sabotage("collections")
    board.switches = SABOTAGE_NOW
    feedback = bench.sweep(40, SPEEDS)
    assert (feedback.state, feedback.late_ticks) == (ENABLED, 0)


def test_the_first_enable_starts_the_watchdog_and_a_silent_link_does_not_reset_the_board(
    wrist: BoardBench, world: World
) -> None:
    board = next(board for board in world.boards if board.name == "psm1-wrist")
    world.advance(2 * WATCHDOG_TICKS)
    assert board.outputs[WATCHDOG] == 0
    wrist.enable()
    assert board.outputs[WATCHDOG] > 0
    world.advance(5 * WATCHDOG_TICKS)
    assert board.alive


def test_interrupt_bytes_on_the_wire_are_data(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.sweep(20, SPEEDS)
    for _ in range(5):
        wrist.link.port.write(b"\x03\x03\x04\x00")
        assert wrist.sweep(1, SPEEDS).state == ENABLED


def test_the_reset_cause_of_a_board_that_was_switched_on_is_power_on(wrist: BoardBench) -> None:
    assert RESET_CAUSES[wrist.link.identify().reset_cause] == "power on"


def test_maintenance_is_refused_while_the_arm_is_on(wrist: BoardBench, world: World) -> None:
    wrist.enable()
    wrist.talk([schema.MAINTENANCE, 0])
    assert wrist.tick().state == ENABLED


def wait_for_maintenance(world: World, board: SimBoard) -> None:
    """Let ticks pass until the REPL has the port; the outputs are safe by then."""
    deadline = time.monotonic() + 20
    while not board.in_maintenance:
        world.advance(1)
        time.sleep(0.005)
        assert time.monotonic() < deadline
    assert (board.outputs[DRIVES], board.outputs[BRAKES_OPEN]) == (0, 0)


def test_a_board_that_boots_with_its_strap_closed_has_its_repl_at_once(wrist: BoardBench, world: World) -> None:
    board = next(board for board in world.boards if board.name == "psm1-wrist")
    board.kill()
    board.switches = MAINTENANCE_STRAP
    board.start()
    wait_for_maintenance(world, board)


def test_maintenance_gives_the_port_to_mpremote_until_the_board_is_switched_on_again(
    wrist: BoardBench, world: World
) -> None:
    board = next(board for board in world.boards if board.name == "psm1-wrist")
    wrist.link.send([schema.MAINTENANCE, 0])
    wait_for_maintenance(world, board)
    over = threading.Event()

    def tick_on() -> None:
        while not over.wait(0.001):
            world.advance(1)

    clock = threading.Thread(target=tick_on)
    clock.start()
    try:
        command = [sys.executable, "-m", "mpremote", "connect", os.path.realpath(board.port), "exec", "print(6*7)"]
        wrist.link.port.close()
        done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    finally:
        over.set()
        clock.join()
    assert done.stdout.split() == [b"42"], done
    board.kill()
    board.start()
    world.advance(3)
    assert BoardBench(world, wrist.cell, "psm1-wrist").tick().state == DISABLED
