"""Bad networks, in virtual time: what a profile says is what datagrams suffer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import quantiles

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.errors import CellError
from bedside.sim.impairment import Direction, Impairment
from bedside.sim.network import load_network, names

MS, S = 1_000_000, 1_000_000_000
COUNT = 20_000


def stream(
    direction: Direction, seed: int = 1, count: int = COUNT, every_ns: int = MS, size: int = 128
) -> list[list[int]]:
    """Offer a datagram each ``every_ns``; return how long the copies of each take."""
    path = Impairment(direction, seed)
    return [[at - n * every_ns for at in path.offer(size, n * every_ns)] for n in range(count)]


def bursts(delays: list[list[int]]) -> list[int]:
    """Return the lengths of the runs of lost datagrams."""
    runs = "".join("." if copies else "x" for copies in delays).split(".")
    return [len(run) for run in runs if run]


def share_lost(delays: list[list[int]]) -> float:
    return sum(not copies for copies in delays) / len(delays)


def test_a_clear_network_delivers_everything_at_once() -> None:
    assert stream(load_network("clear").up, count=100) == [[0]] * 100


def test_the_lab_network_delays_by_20_ms_and_loses_one_in_a_hundred() -> None:
    delays = stream(load_network("lab").up)
    assert {delay for copies in delays for delay in copies} == {20 * MS}
    assert share_lost(delays) == pytest.approx(0.01, abs=0.003)
    assert sum(bursts(delays)) / len(bursts(delays)) < 1.1


def test_burst_loss_has_the_share_and_the_mean_length_that_it_is_given() -> None:
    delays = stream(Direction(burst_loss=0.05, burst_length=8.0), count=100_000)
    lengths = bursts(delays)
    assert share_lost(delays) == pytest.approx(0.05, abs=0.008)
    assert sum(lengths) / len(lengths) == pytest.approx(8, abs=1)


@pytest.mark.parametrize("every_ns", [MS, 20 * MS])
@pytest.mark.parametrize("memory_ms", [0.0, 100.0])
def test_jitter_has_its_median_and_its_tail_at_any_rate(every_ns: int, memory_ms: float) -> None:
    bad = Direction(delay_ms=10, jitter_ms=4, jitter_p99_ms=40, jitter_memory_ms=memory_ms, keeps_order=False)
    percentiles = quantiles((copies[0] for copies in stream(bad, count=100_000, every_ns=every_ns)), n=100)
    assert percentiles[49] == pytest.approx(14 * MS, rel=0.1)
    assert percentiles[98] == pytest.approx(50 * MS, rel=0.2)


def test_jitter_with_a_memory_changes_little_from_one_datagram_to_the_next() -> None:
    steps = {}
    for memory_ms in (0.0, 100.0):
        bad = Direction(jitter_ms=4, jitter_p99_ms=40, jitter_memory_ms=memory_ms, keeps_order=False)
        steps[memory_ms] = sum(abs(b[0] - a[0]) for a, b in pairwise(stream(bad)))
    assert steps[100.0] < steps[0.0] / 4


def test_jitter_overtakes_only_where_it_may() -> None:
    for keeps_order in (True, False):
        path = Impairment(Direction(jitter_ms=4, jitter_p99_ms=40, keeps_order=keeps_order), 1)
        arrivals = [path.offer(128, n * MS)[0] for n in range(1000)]
        assert (arrivals == sorted(arrivals)) == keeps_order


def test_a_share_is_held_back_and_overtaken() -> None:
    delays = stream(Direction(delay_ms=10, reorder=0.02, reorder_ms=5))
    held = [copies for copies in delays if copies == [15 * MS]]
    assert len(held) / COUNT == pytest.approx(0.02, abs=0.005)
    assert all(copies in ([10 * MS], [15 * MS]) for copies in delays)


def test_a_share_comes_twice() -> None:
    delays = stream(Direction(duplicate=0.03))
    assert sum(len(copies) == 2 for copies in delays) / COUNT == pytest.approx(0.03, abs=0.005)


def test_a_full_queue_delays_by_its_length_and_loses_the_rest() -> None:
    # 128 bytes a millisecond are twice what passes, and the queue holds half a second's.
    delays = stream(Direction(rate_kbit_s=512, queue_bytes=32_000))
    assert share_lost(delays[5000:]) == pytest.approx(0.5, abs=0.01)
    assert max(copies[0] for copies in delays if copies) == pytest.approx(500 * MS, rel=0.01)


def test_what_others_send_delays_us_and_passes_again() -> None:
    alone = Direction(rate_kbit_s=8000, queue_bytes=100_000)
    busy = msgspec.structs.replace(alone, others_kbit_s=4000.0, others_burst_bytes=20_000.0)
    assert max(copies[0] for copies in stream(alone)) < MS
    waits = sorted(copies[0] for copies in stream(busy) if copies)
    assert waits[len(waits) // 20] < MS
    assert waits[len(waits) // 2] > 3 * MS
    assert max(waits) <= 100.2 * MS


def test_what_others_send_in_vain_does_not_wait_either() -> None:
    # A megabyte a second in one burst, of which 10 kB, or 10 ms, find room.
    bad = Direction(rate_kbit_s=8000, queue_bytes=10_000, others_kbit_s=8000, others_burst_bytes=1e6)
    assert 0 < share_lost(stream(bad)) < 0.05


def test_a_long_silence_costs_nothing() -> None:
    # Others' bursts of thirty years, each drawn, would take days.
    path = Impairment(Direction(rate_kbit_s=1000, others_kbit_s=500, others_burst_bytes=1000), 1)
    path.offer(100, 10**9 * S)


def test_outages_come_at_the_times_that_were_given() -> None:
    delays = stream(Direction(outages=[(1.0, 0.5), (3.0, 0.25)]), count=5000)
    assert [n for n, copies in enumerate(delays) if not copies] == [*range(1000, 1500), *range(3000, 3250)]


def test_random_outages_have_their_mean_interval_and_length_and_cut_both_ways_at_once() -> None:
    bad = Direction(outage_every_s=10, outage_s=2, loss=0.0)
    up, down = Impairment(bad, 7, "up"), Impairment(bad, 7, "down")
    cut = [not up.offer(128, n * S // 10) for n in range(200_000)]
    assert cut == [not down.offer(128, n * S // 10) for n in range(200_000)]
    assert sum(cut) / len(cut) == pytest.approx(2 / 12, abs=0.02)
    begun = sum(now and not before for before, now in pairwise(cut))
    assert 20_000 / begun == pytest.approx(12, rel=0.1)


DIRECTIONS = st.builds(
    Direction,
    delay_ms=st.floats(0, 500),
    jitter_ms=st.floats(0.1, 20),
    jitter_p99_ms=st.floats(20, 200),
    jitter_memory_ms=st.floats(0, 200),
    keeps_order=st.booleans(),
    reorder=st.floats(0, 0.3),
    reorder_ms=st.floats(1, 50),
    loss=st.floats(0, 0.3),
    burst_loss=st.floats(0, 0.3),
    burst_length=st.floats(1, 20),
    duplicate=st.floats(0, 0.3),
    rate_kbit_s=st.none() | st.floats(64, 10_000),
    queue_bytes=st.integers(1500, 50_000),
    others_kbit_s=st.floats(0, 2000),
    outage_every_s=st.floats(0.1, 2),
    outage_s=st.floats(0.01, 0.5),
)
OFFERS = st.lists(st.tuples(st.integers(20, 1500), st.integers(0, 50 * MS)), max_size=200)


@given(DIRECTIONS, st.integers(), OFFERS)
@settings(deadline=None)
def test_nothing_comes_before_the_delay_nor_twice_as_often_as_twice(
    direction: Direction, seed: int, offers: list[tuple[int, int]]
) -> None:
    path, again = Impairment(direction, seed), Impairment(direction, seed)
    now = 0
    newest = 0
    for size, pause in offers:
        now += pause
        arrivals = path.offer(size, now)
        assert arrivals == again.offer(size, now), "the same seed gave something else"
        assert len(arrivals) <= 2
        assert all(at >= now + direction.delay_ms * MS - 1 for at in arrivals)
        if direction.keeps_order and not direction.reorder and arrivals:
            assert arrivals[0] >= newest
            newest = arrivals[-1]


@given(st.floats(64, 10_000), st.integers(1500, 50_000), st.floats(0, 2000), st.integers(), OFFERS)
@settings(deadline=None)
def test_the_rate_is_kept_and_the_queue_is_bounded(
    rate: float, room: int, others: float, seed: int, offers: list[tuple[int, int]]
) -> None:
    direction = Direction(rate_kbit_s=rate, queue_bytes=room, others_kbit_s=others, duplicate=0.2)
    path = Impairment(direction, seed)
    ns_per_byte = 8e6 / rate
    now = 0
    newest = 0
    for size, pause in offers:
        now += pause
        for at in path.offer(size, now):
            assert at - max(newest, now) >= size * ns_per_byte - 2
            assert at - now <= room * ns_per_byte + 2
            newest = at


def test_another_seed_gives_another_network() -> None:
    bad = Direction(loss=0.1)
    assert stream(bad, seed=1) == stream(bad, seed=1)
    assert stream(bad, seed=1) != stream(bad, seed=2)


def test_the_two_directions_lose_different_datagrams() -> None:
    up, down = load_network("lab").impairments(3)
    assert [up.offer(99, n * MS) != [] for n in range(2000)] != [down.offer(99, n * MS) != [] for n in range(2000)]


def test_every_network_that_comes_with_bedside_says_where_its_numbers_come_from() -> None:
    assert names() == ["clear", "congested-clinic", "fibre", "geostationary", "lab", "rural-4g"]
    for name in names():
        assert len(load_network(name).source) > 40


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[up]", "source is missing: write text in quotes"),
        ('source = "x"', "up is missing: write a table with the keys delay_ms"),
        ('source = "x"\n[up]\nlos = 0.1', r"unknown key 'up.los' = 0.1: did you mean 'loss'\?"),
        ('source = "x"\n[up]\nloss = 1', "up.loss = 1: write a number from 0 to 0.5"),
        ('source = "x"\n[up]\nloss = nan', "up.loss = nan: write a number from 0 to 0.5"),
        ('source = "x"\n[up]\noutages = [[1]]', r"up.outages\[0\] = \[1\]: write \[number, number\]"),
        ('source = "x"\n[up]\njitter_ms = 5', "up.jitter_p99_ms = 0: write the 99th percentile beside a median"),
        ('source = "x"\n[up]\njitter_p99_ms = 5', "up.jitter_p99_ms = 5: write the 99th percentile beside a median"),
        ('source = "x"\n[up]\n[down]\nreorder = 0.1', "down.reorder and reorder_ms: write both"),
        ('source = "x"\n[up]\noutage_s = 0.1', "up.outage_every_s and outage_s: write both"),
        ('source = "x"\n[up]\nothers_kbit_s = 10', "up.others_kbit_s = 10: others share a rate; add rate_kbit_s"),
    ],
)
def test_a_wrong_file_is_named_with_its_key_and_what_may_stand_there(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(CellError, match=f"mine.toml: {said}"):
        load_network(str(path))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fiber", "there is no network 'fiber': did you mean 'fibre'?"),
        ("xyz", "there is no network 'xyz': use clear, congested-clinic"),
        ("nowhere.toml", "nowhere.toml: no such file"),
    ],
)
def test_a_network_that_is_not_there_is_named_with_those_that_are(name: str, said: str) -> None:
    with pytest.raises(CellError) as caught:
        load_network(name)
    assert str(caught.value).startswith(said)
