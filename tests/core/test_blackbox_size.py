from __future__ import annotations

from array import array
from types import SimpleNamespace

import pytest

from blackbox import BlackBox, Ring
from core import layout as L
from ports import INPUTS_SIZE, OUTPUTS_SIZE


@pytest.mark.parametrize("joints", [1, 3, 4, 8])
@pytest.mark.parametrize("tick_hz", [500, 1000, 1500, 4000])
def test_it_holds_a_second_in_64_kilobytes_whatever_the_board(joints: int, tick_hz: int) -> None:
    board = array("i", [0] * L.BOARD_SIZE)
    board[L.JOINTS] = joints
    port = SimpleNamespace(
        tick_hz=tick_hz, inputs=array("i", [0] * INPUTS_SIZE), outputs=array("i", [0] * OUTPUTS_SIZE)
    )
    ring = BlackBox(board, port, Ring(joints, tick_hz)).ring
    every = board[L.BOX_MASK] + 1
    lines = board[L.BOX_SIZE] // board[L.BOX_STRIDE]
    assert lines * every >= tick_hz
    assert tick_hz / every <= 1000
    assert lines * every == pytest.approx(1.024 * tick_hz, abs=2 * every)
    assert board[L.BOX_SIZE] % board[L.BOX_STRIDE] == 0
    assert len(ring) == 4 * (board[L.BOX_SIZE] + board[L.BOX_STRIDE])
    assert len(ring) <= 65536 + 4 * board[L.BOX_STRIDE] * 26
    assert board[L.BOX_TAIL] == pytest.approx(0.75 * lines, abs=1)
