from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedside.surgeon.playout import Playout
from bedside.surgeon.protocol import ServoJp

pytestmark = pytest.mark.requirement("bad-network")

MS = 1000
PERIOD = 5 * MS
MOST = 40 * MS


def command(seq: int, stamp_us: int) -> ServoJp:
    return ServoJp(1, seq, stamp_us, True, [], [])


def played(delays_us: list[int], most_us: int = MOST) -> list[tuple[int, int]]:
    """Send a command each period, each with its delay; return (when, which) was played."""
    playout = Playout(most_us)
    arrivals = sorted((PERIOD * seq + delay, seq) for seq, delay in enumerate(delays_us, start=1))
    came: list[tuple[int, int]] = []
    while arrivals or playout.due_us is not None:
        due = playout.due_us
        if arrivals and (due is None or arrivals[0][0] <= due):
            now = arrivals[0][0]
            # What comes at once is taken at once, as from a socket.
            while arrivals and arrivals[0][0] == now:
                seq = arrivals.pop(0)[1]
                playout.offer(command(seq, PERIOD * seq), now)
        else:
            assert due is not None
            now = due
        if found := playout.take(now):
            came.append((now, found.seq))
    return came


def gaps(came: list[tuple[int, int]]) -> list[int]:
    return [b - a for (a, _), (b, _) in pairwise(came)]


def test_without_jitter_a_command_goes_on_at_once() -> None:
    came = played([20 * MS] * 500)
    assert [now - PERIOD * seq for now, seq in came] == [20 * MS] * 500


def test_jitter_is_evened_out_within_the_bound() -> None:
    noise = random.Random(4)
    delays = [20 * MS + noise.randrange(15 * MS) for _ in range(1000)]
    came = played(delays)[200:]
    raw = gaps(played(delays, most_us=0)[200:])
    assert max(gaps(came)) < 2 * PERIOD < max(raw)
    assert max(now - PERIOD * seq for now, seq in came) <= 20 * MS + MOST


def test_what_is_played_grows_newer_and_what_is_overtaken_is_never_played() -> None:
    noise = random.Random(5)
    came = played([noise.choice([5, 60, 200]) * MS for _ in range(400)])
    seqs = [seq for _, seq in came]
    assert seqs == sorted(set(seqs))


def test_what_bunched_up_behind_a_delay_comes_out_nearly_as_it_went_in() -> None:
    bunch = [20 * MS] * 50 + [20 * MS + late * MS for late in (18, 13, 8, 3)] + [20 * MS] * 20
    came = [now for now, seq in played(bunch) if 50 < seq <= 70]
    assert all(0.9 * PERIOD <= gap <= PERIOD for gap in gaps([(now, 0) for now in came]))


def test_what_follows_a_delay_falls_back_to_the_present() -> None:
    late = [20 * MS] * 50 + [38 * MS, 33 * MS, 28 * MS, 23 * MS] + [20 * MS] * 100
    waited = [now - PERIOD * seq - 20 * MS for now, seq in played(late) if seq > 54]
    assert waited == sorted(waited, reverse=True)
    assert waited[0] > 15 * MS
    assert waited[-1] == 0


def test_a_delay_beyond_the_bound_is_not_waited_for_again() -> None:
    late = [20 * MS] * 50 + [20 * MS + PERIOD * k for k in range(40, 0, -1)] + [20 * MS] * 100
    waited = [now - PERIOD * seq - 20 * MS for now, seq in played(late, 20 * MS) if seq > 90]
    assert 15 * MS < waited[0] <= 20 * MS
    assert waited[-1] == 0


def test_a_path_that_has_become_longer_for_good_is_evened_out_again() -> None:
    noise = random.Random(8)
    delays = [20 * MS] * 100 + [70 * MS + noise.randrange(15 * MS) for _ in range(6000)]
    assert max(gaps(played(delays, 20 * MS)[-200:])) < 2 * PERIOD


def test_after_an_outage_only_the_newest_of_the_flood_is_played() -> None:
    delays = [10 * MS] * 100 + [10 * MS + PERIOD * (60 - k) for k in range(60)] + [10 * MS] * 100
    came = [seq for _, seq in played(delays)]
    assert len([seq for seq in came if 100 < seq <= 160]) <= 1 + MOST // PERIOD


def test_the_delay_goes_when_the_jitter_does() -> None:
    playout = Playout(MOST)
    noise = random.Random(6)
    for seq in range(1, 900):
        delay = 20 * MS + (noise.randrange(20 * MS) if seq < 400 else 0)
        playout.offer(command(seq, PERIOD * seq), PERIOD * seq + delay)
        playout.take(PERIOD * seq + delay)
        if seq == 399:
            assert playout.delay_us > 10 * MS
    assert playout.delay_us == 0


@given(st.lists(st.integers(0, 500 * MS), min_size=1, max_size=300), st.integers(0, MOST))
def test_nothing_waits_longer_than_the_bound(delays: list[int], most: int) -> None:
    base = min(delays)
    for now, seq in played(delays, most):
        assert now <= max(PERIOD * seq + delays[seq - 1], PERIOD * seq + max(delays) + most)
        assert now >= PERIOD * seq + base
        assert now - (PERIOD * seq + delays[seq - 1]) <= most


def test_a_flood_holds_no_more_than_it_may() -> None:
    playout = Playout(MOST)
    for seq in range(1, 5000):
        playout.offer(command(seq, 10**9), 0)
    assert len(playout._held) <= 256
    playout.clear()
    assert playout.due_us is None
