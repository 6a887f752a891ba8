"""The arms that `make scale` makes up."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedside.cell import load_cell
from bedside.sim.plant import load_plants
from scale.cells import CYCLE_HZ, write_cell


@pytest.mark.parametrize("boards", [1, 2, 8])
def test_an_arm_of_any_size_is_a_cell_like_any_other(boards: int, tmp_path: Path) -> None:
    cell = load_cell(write_cell(tmp_path, boards, 36123))
    assert len(cell.board) == boards
    assert cell.arm.cycle_hz == CYCLE_HZ
    assert cell.arm.listen == "127.0.0.1:36123"
    for slot in cell.board:
        assert [joint.channel for _, joint in cell.joints_of(slot.name)] == [0, 1, 2, 3]


def test_each_joint_has_a_motor_behind_it(tmp_path: Path) -> None:
    cell = load_cell(write_cell(tmp_path, 2, 36123))
    names = [joint.name for joint in cell.joint]
    assert len(set(names)) == 8
    assert cell.arm.plants
    plants = load_plants(tmp_path / cell.arm.plants, names, 0.001)
    # What the board is told of its encoder is what the encoder does.
    assert all(plants[joint.name].load.counts_per_unit == joint.encoder.counts_per_unit for joint in cell.joint)
