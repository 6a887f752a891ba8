from __future__ import annotations

import pytest

from bedside.surgeon.quality import Limits, Quality

pytestmark = pytest.mark.requirement("bad-network")

MS = 1000
LIMITS = Limits(age_us=400 * MS, round_trip_us=1000 * MS, loss=0.3)


@pytest.fixture
def quality() -> Quality:
    return Quality(LIMITS)


def stream(quality: Quality, seqs: list[int], age_us: int = 20 * MS) -> list[bool]:
    return [quality.arrived(seq, 5 * MS * seq, age_us, 5 * MS * seq + age_us) for seq in seqs]


def test_a_good_network_has_no_trip(quality: Quality) -> None:
    assert all(stream(quality, list(range(1, 200))))
    assert quality.trip(40 * MS, 100 * MS) == ""
    assert quality.loss == 0.0


def test_reordering_is_no_loss(quality: Quality) -> None:
    stream(quality, [seq ^ 1 for seq in range(2, 200)])
    assert quality.loss < 0.02


def test_too_much_loss_is_told_with_both_shares(quality: Quality) -> None:
    stream(quality, [seq for seq in range(1, 200) if seq % 5 < 3])
    assert quality.trip(0, 0) == "40% of the commands are lost; 30% are allowed"


def test_one_late_command_is_dropped_and_three_in_a_row_are_the_network(quality: Quality) -> None:
    stream(quality, list(range(1, 50)))
    for late, why in ((50, ""), (51, ""), (52, "commands come 401 ms late; 400 are allowed")):
        assert stream(quality, [late], 401 * MS) == [False]
        assert quality.trip(0, 0) == why
    assert quality.late == 3
    assert stream(quality, [53]) == [True]
    assert quality.trip(0, 0) == ""


def test_a_console_that_answers_no_ping_may_be_blind(quality: Quality) -> None:
    assert "heard nothing for 1100 ms" in quality.trip(0, 1100 * MS)


def test_a_round_trip_has_an_absolute_limit(quality: Quality) -> None:
    assert quality.trip(1001 * MS, 0) == "the round trip takes 1001 ms; 1000 are allowed"


def test_jitter_is_that_of_transits(quality: Quality) -> None:
    for seq in range(1, 500):
        quality.arrived(seq, 5 * MS * seq, 0, 5 * MS * seq + (20 * MS if seq % 2 else 24 * MS))
    assert quality.jitter_us == pytest.approx(4 * MS, rel=0.05)


def test_what_is_forgotten_is_judged_anew_and_the_counts_go_on(quality: Quality) -> None:
    stream(quality, [1, 2, 3], 500 * MS)
    quality.forget()
    assert quality.trip(0, 0) == ""
    assert quality.late == 3


def test_a_leap_of_a_console_that_counts_on_from_another_is_no_loss(quality: Quality) -> None:
    stream(quality, [*range(1, 60), *range(1100, 1160)])
    assert quality.loss == 0.0
