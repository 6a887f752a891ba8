"""A console holds what the bridge shows against what boards have signed."""

from __future__ import annotations

import struct

import pytest

from bedside.cell import load_cell
from bedside.errors import SurgeonError
from bedside.hil.lockstep import PSM
from bedside.surgeon import protocol
from bedside.surgeon.proof import board_key, cmac
from bedside.surgeon.protocol import Feedback
from bedside.surgeon.seeing import Sight
from bedside.surgeon.welcome import welcome

KEY = bytes(range(16))
WRIST = 2
PROVEN, ENABLED, RUN = 1 << 28, 1 << 24, 3 << 16


def sight() -> Sight:
    return Sight(KEY, welcome(load_cell(PSM), [1, 1, 1]))


def signed(board: int, tick: int, positions: list[int], word: int = PROVEN | ENABLED | RUN) -> list[int]:
    role = welcome(load_cell(PSM), [1, 1, 1]).boards[board].role
    data = struct.pack(">4I", 11, 22, tick, 1 << 31 | word) + struct.pack(f">{len(positions)}i", *positions)
    return [11, 22, tick, word, *struct.unpack(">4i", cmac(board_key(KEY, role), data)), *positions]


def shown(tick: int, positions: list[int]) -> Feedback:
    """Feedback in which every board is at ``tick`` and the arm's seven joints are at ``positions``."""
    boards = protocol.pack([tick, 1, 3, 0, 0, 0, 0] * 3)
    joints = [field for position in positions for field in (position, 0, 0, 0, 0)]
    return Feedback(1, 0, 0, 0, 1, boards, protocol.pack(joints))


def test_what_agrees_leaves_no_doubt_and_every_board_is_proven() -> None:
    eyes = sight()
    for board, positions in ((0, [1, 2]), (1, [3, 4]), (WRIST, [5, 6, 7])):
        assert not eyes.is_proven
        eyes.see(board, signed(board, 1000, positions), shown(1000, [1, 2, 3, 4, 5, 6, 7]))
    assert eyes.is_proven
    assert eyes.doubt == ""
    assert [token[1] for token in eyes.tokens(9)] == [1000] * 3


def test_feedback_that_shows_another_place_ends_the_proofs_and_names_the_joint() -> None:
    eyes = sight()
    eyes.see(WRIST, signed(WRIST, 1000, [5, 6, 90_000]), shown(1000, [1, 2, 3, 4, 5, 6, 7]))
    assert "joint 'jaw' is 0.089993 rad from where feedback shows it" in eyes.doubt
    with pytest.raises(SurgeonError, match="the bridge is not to be trusted"):
        eyes.tokens(10)


def test_a_joint_that_moves_may_have_got_further_between_the_two() -> None:
    eyes = sight()
    eyes.see(WRIST, signed(WRIST, 1000, [5, 6, 90_000]), shown(1015, [1, 2, 3, 4, 5, 6, 7]))
    assert eyes.doubt == "", "at 6 rad/s it may be"
    eyes.see(WRIST, signed(WRIST, 2000, [5, 6, 9_000_000]), shown(1500, [1, 2, 3, 4, 5, 6, 7]))
    assert eyes.doubt == "", "half a second apart they say nothing of each other"


def test_a_witness_that_was_changed_on_its_way_counts_for_nothing() -> None:
    eyes = sight()
    fields = signed(WRIST, 1000, [5, 6, 7])
    for at in range(len(fields)):
        changed = list(fields)
        changed[at] ^= 1
        with pytest.raises(SurgeonError):
            eyes.see(WRIST, changed, None)
    assert [token[1] for token in eyes.tokens(1)] == [-1] * 3, "it still only asks"


def test_a_board_that_has_taken_no_proof_says_so() -> None:
    eyes = sight()
    for board, positions in ((0, [1, 2]), (1, [3, 4]), (WRIST, [5, 6, 7])):
        eyes.see(board, signed(board, 1000, positions, ENABLED), None)
    assert not eyes.is_proven


def test_boards_without_keys_need_no_proof() -> None:
    assert Sight(KEY, welcome(load_cell(PSM), [0, 0, 0])).is_proven


def test_a_board_that_this_arm_has_not_is_none() -> None:
    with pytest.raises(SurgeonError, match="a witness of board 3; this arm has 3"):
        sight().see(3, signed(0, 1, [1, 2]), None)
