"""An arm of two boards whose joints do not know where they are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedside.bridge.arm import Arm
from bedside.bridge.connect import close, configure, connect
from bedside.cell import BoardSlot, Cell, load_cell
from bedside.errors import SurgeonError
from bedside.link.messages import DISABLED, ENABLED, NOT_HOMED, PAUSED, RUN
from bedside.places import BOARDS
from bedside.sim.board import Chip
from bedside.sim.plant import Plant
from bedside.sim.world import World
from bedside.surgeon.protocol import ServoJp
from lockstep import Operator

TRAINER = BOARDS / "cells" / "trainer.toml"
YAW, PITCH, INSERTION = range(3)


@pytest.fixture
def cell() -> Cell:
    """The training arm with its slide on a board of its own."""
    cell = load_cell(TRAINER)
    cell.arm.hold_ms = 200
    cell.board.append(BoardSlot("slide", "sim", "sim:slide"))
    cell.joint[INSERTION].board, cell.joint[INSERTION].channel = "slide", 0
    return cell


@pytest.fixture
def world(cell: Cell, chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    with World(cell, TRAINER, tmp_path, chip=chip) as world:
        for name, place in (("yaw", 0.25), ("pitch", -0.95)):
            world.plants[name].position = place
            world.plants[name].power_on()
        world.advance(3)
        yield world


@pytest.fixture
def operator(cell: Cell, world: World, told: list[str]) -> Iterator[Operator]:
    links = connect(cell)
    configure(cell, links, cell.arm.command_hz)
    yield Operator(Arm(cell, links, told.append), world)
    close(links)


def enable(operator: Operator) -> None:
    """Enable, saying home until the brakes are open."""
    operator.serve(1)
    operator.seq += 1
    operator.arm.enable(operator.seq, 200.0)
    operator.serve(2)
    while any(board[2] != RUN for board in operator.arm.feedback().boards):
        operator.say_home()


def test_joints_home_one_after_another_in_the_cells_order(operator: Operator, world: World) -> None:
    enable(operator)
    order: list[int] = []
    assert not operator.arm.feedback().is_homed
    while len(order) < 3:
        operator.say_home()
        flags = operator.arm.feedback().flags
        order += [joint for joint in range(3) if joint not in order and not flags[joint] & NOT_HOMED]
    assert order == [INSERTION, PITCH, YAW]
    operator.serve(5)
    feedback = operator.arm.feedback()
    assert feedback.state == ENABLED
    for here, plant in zip(feedback.position, world.plants.values(), strict=True):
        assert abs(here - plant.position) < 1e-3


def test_after_homing_the_console_takes_the_arm_over_where_it_is_with_its_full_limits(operator: Operator) -> None:
    enable(operator)
    here = operator.arm.feedback().position
    with pytest.raises(SurgeonError, match=r"joint 'yaw': velocity 1 rad/s is above 0\.2, because it is not homed"):
        operator.arm.command(ServoJp(0, operator.seq + 1, 0, True, here, [1.0, 0.0, 0.0]), operator.now)
    operator.home()
    for _ in range(4):
        operator.say_home()
    assert not operator.arm.is_following
    here = operator.arm.feedback().position
    with pytest.raises(SurgeonError, match="joint 'yaw': the first command is"):
        operator.arm.command(
            ServoJp(0, operator.seq + 1, 0, True, [here[0] + 0.05, *here[1:]], [0.0] * 3), operator.now
        )
    while not operator.arm.is_following:
        operator.command(here, [0.0] * 3)
    for k in range(60):
        here = [here[0] + 0.005 * min(1.0, k / 20), *here[1:]]
        operator.command(here, [min(1.0, k / 20), 0.0, 0.0])
    assert operator.arm.state == ENABLED
    assert abs(operator.arm.feedback().position[YAW] - here[YAW]) < 0.02


def test_an_arm_that_is_homed_needs_it_no_more_when_it_is_enabled_again(operator: Operator) -> None:
    enable(operator)
    operator.home()
    operator.arm.disable()
    operator.serve(500)
    assert operator.arm.state == DISABLED
    operator.enable()
    assert operator.arm.feedback().is_homed


def test_unhome_forgets_while_the_arm_is_off(operator: Operator) -> None:
    enable(operator)
    operator.home()
    with pytest.raises(SurgeonError, match="in DISABLED only"):
        operator.arm.unhome()
    operator.arm.disable()
    operator.serve(500)
    operator.arm.unhome()
    operator.serve(5)
    assert all(flags & NOT_HOMED for flags in operator.arm.feedback().flags)


def test_the_arm_homes_only_while_it_is_enabled_and_with_newer_words(operator: Operator) -> None:
    operator.serve(1)
    with pytest.raises(SurgeonError, match="not enabled"):
        operator.arm.home(5, operator.now)
    enable(operator)
    with pytest.raises(SurgeonError, match="is not newer than"):
        operator.arm.home(operator.seq, operator.now)


def test_what_is_not_sure_is_told_to_the_console_and_the_arm_pauses(
    operator: Operator, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = itertools.count()
    monkeypatch.setattr(Plant, "sensor", property(lambda _: next(reading) % 7 * 100))
    enable(operator)
    with pytest.raises(SurgeonError, match="joint 'insertion': home-unsure: what was found differs by"):
        operator.home()
    assert sum("home-unsure" in line for line in told) == 1
    operator.serve(120)
    assert operator.arm.state != ENABLED


def test_a_board_that_was_never_heard_is_not_homed(operator: Operator) -> None:
    assert all(flags & NOT_HOMED for flags in operator.arm.feedback().flags)


def test_words_that_stop_pause_the_whole_arm(operator: Operator) -> None:
    enable(operator)
    for _ in range(30):
        operator.say_home()
    operator.serve(120)
    assert [board[1] for board in operator.arm.feedback().boards] == [PAUSED, PAUSED]
