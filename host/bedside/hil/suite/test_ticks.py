"""Ticks: their rate, and how evenly they come, by the board's own clock."""

from __future__ import annotations

import pytest

from bedside.doctor.boards import Place
from bedside.doctor.deep import tick_times_us
from bedside.doctor.ports import all_ports, named
from bedside.hil.bench import Bench
from bedside.hil.live import LiveBench
from bedside.hil.measures import Measures

pytestmark = pytest.mark.requirement("tick")
# Quartz is within 100 parts in a million; a ceramic resonator within half a percent.
RATE_OFF = 0.005
COUNTED_S = 3.0
# More than half a period late is a tick that counts as late.
LATE_SHARE = 0.5
STEPS = 40


def test_they_come_at_the_rate_that_the_board_tells(board: Bench, measures: Measures) -> None:
    before = board.tick()
    begun = board.now_s()
    after = board.tick(round(COUNTED_S * board.tick_hz))
    rate = (after.tick - before.tick) / (board.now_s() - begun)
    measures.figure("tick rate", rate, "Hz")
    measures.figure("late ticks", after.late_ticks - before.late_ticks, "")
    assert board.link.identity
    assert rate == pytest.approx(board.link.identity.tick_hz, rel=RATE_OFF)


def test_they_come_evenly_by_the_boards_own_clock(
    board: Bench, measures: Measures, target: str, request: pytest.FixtureRequest
) -> None:
    if type(board) is not LiveBench:
        pytest.skip("its ticks are given to it, so they are as even as the suite makes them")
    identity = board.link.identity
    assert identity
    board.close()
    place = Place(board.name, named(target, all_ports(None), request.config.getoption("--baud")))
    try:
        times = tick_times_us(place, identity)
    finally:
        board.reopen()
        board.configure()
    period = 1e6 / board.tick_hz
    places = [at - period * k for k, at in enumerate(times)]
    late = sorted(place - min(places) for place in places)
    measures.figure("late by, median", late[len(late) // 2], "us")
    measures.figure("late by, p99", late[len(late) * 99 // 100], "us")
    # A simulated board is as late as the computer that it shares.
    allowed = None if target.startswith("sim:") else LATE_SHARE * period
    measures.figure("late by, worst", late[-1], "us", allowed)
    width = max(1.0, late[-1]) / STEPS
    counts = [sum(k * width <= value < (k + 1) * width for value in late) for k in range(STEPS + 1)]
    middles = [(k + 0.5) * width for k in range(STEPS + 1)]
    measures.curve("Ticks by how late they began", middles, {"ticks": counts}, x_label="us", y_label="ticks")
    assert allowed is None or late[-1] <= allowed
