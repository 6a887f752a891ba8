"""Which boards count as there, cycle by cycle."""

from __future__ import annotations

import pytest

from bedside.bridge.presence import Presence

pytestmark = pytest.mark.requirement("stop-group")

MS = 1_000_000


@pytest.fixture
def presence() -> Presence:
    presence = Presence(2, MS)
    presence.cycle(0, True)
    return presence


def cycles(presence: Presence, begin_ms: int, end_ms: int, answering: tuple[int, ...], engaged: bool) -> list[int]:
    """Run cycles in which only some boards answer; return those that were lost."""
    lost = []
    for ms in range(begin_ms, end_ms):
        for board in (0, 1):
            presence.asked(board, ms * MS)
            if board in answering:
                presence.answered(board)
        lost += presence.cycle(ms * MS, engaged)
    return lost


def test_a_board_that_is_silent_for_a_tenth_of_a_second_is_lost_once(presence: Presence) -> None:
    assert cycles(presence, 1, 100, (0,), True) == []
    assert cycles(presence, 100, 300, (0,), True) == [1]
    assert presence.lost == [False, True]


def test_time_in_which_the_bridge_itself_stood_still_is_no_silence(presence: Presence) -> None:
    for begin_ms in range(1, 5000, 500):
        assert cycles(presence, begin_ms, begin_ms + 1, (), True) == []
    assert cycles(presence, 5000, 5070, (), True) == []


def test_one_that_was_lost_at_rest_is_there_when_it_answers(presence: Presence) -> None:
    cycles(presence, 1, 200, (0,), False)
    assert presence.answered(1)
    assert presence.lost == [False, False]
    assert not presence.answered(1)


def test_one_that_was_lost_in_motion_stays_so_until_a_person_forgives_it(presence: Presence) -> None:
    cycles(presence, 1, 200, (0,), True)
    presence.asked(1, 200 * MS)
    presence.forgive()
    assert presence.lost == [False, True], "it has not answered yet"
    assert not presence.answered(1)
    assert presence.lost == [False, True]
    presence.forgive()
    assert presence.lost == [False, False]


def test_an_answer_that_takes_longer_than_a_cycle_is_late(presence: Presence) -> None:
    presence.asked(0, 10 * MS)
    assert not presence.is_late(11 * MS - 1)
    assert presence.is_late(11 * MS)
    presence.answered(0)
    assert not presence.is_late(12 * MS)
