from __future__ import annotations

from array import array
from types import SimpleNamespace

import pytest

from blackbox import BlackBox, Ring, note
from core import layout as L
from ports import INPUTS_SIZE, OUTPUTS_SIZE, TO_KEEP, TO_REST


def kept_of(*faults: tuple[int, int, int, int]) -> list[tuple[int, ...]]:
    """Note ``faults`` (tick, code, channel, value) one after another; return what a black box tells of them."""
    board = array("i", [0] * L.BOARD_SIZE)
    board[L.JOINTS] = 1
    port = SimpleNamespace(inputs=array("i", [0] * INPUTS_SIZE), outputs=array("i", [0] * OUTPUTS_SIZE))
    for tick, code, channel, value in faults:
        board[L.EVENT_TICK], board[L.EVENT], board[L.EVENT_CHANNEL], board[L.EVENT_VALUE] = tick, code, channel, value
        note(board, port.outputs)
        note(board, port.outputs)
    assert not any(port.outputs[:TO_KEEP])
    assert not port.outputs[TO_REST]
    reply = array("i", [0] * 40)
    assert BlackBox(board, port, Ring(1, 1000)).head(reply) == 21
    return [tuple(reply[at : at + 4]) for at in (9, 13, 17)]


@pytest.mark.parametrize("fault", [(0, 1, -1, 0), (0x3FFFFFFF, 23, 7, -2_000_000), (5, 4, 0, 2_097_151)])
def test_a_kept_fault_is_told_as_it_was(fault: tuple[int, int, int, int]) -> None:
    assert kept_of(fault) == [fault, (0, 0, -1, 0), (0, 0, -1, 0)]


@pytest.mark.parametrize(("value", "told"), [(2**31 - 1, 2_097_151), (-(2**31), -2_097_151)])
def test_a_kept_faults_value_is_told_as_far_as_it_goes(value: int, told: int) -> None:
    assert kept_of((9, 3, 2, value))[0] == (9, 3, 2, told)


def test_the_newest_three_faults_are_kept_each_once() -> None:
    faults = [(k, k + 1, k, -k) for k in range(5)]
    assert kept_of(*faults) == faults[:1:-1]
