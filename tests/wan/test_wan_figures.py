"""The arithmetic of `make wan`, on captures small enough to be worked out by hand."""

from __future__ import annotations

import pytest

from bedside.cell import Cell, load_cell
from bedside.hil.lockstep import PSM
from bedside.link.messages import ENABLED, FAULT, PAUSED, RUN
from bedside.surgeon import protocol
from wan import figures
from wan.cases import outages, profiles
from wan.figures import Moment
from wan.result import Result
from wan.show import ages_row, motion_row

MS = 1_000_000


@pytest.fixture(scope="module")
def cell() -> Cell:
    return load_cell(PSM)


def feedback(
    tick: int, seq: int = 0, age: int = 0, position: float = 0.0, setpoint: float = 0.0, state: int = ENABLED
) -> protocol.Feedback:
    """Of three boards that agree, the first joint somewhere and the others at 0."""
    boards = protocol.pack([tick, state, RUN, 0, age, 0, 0] * 3)
    first = [round(1e6 * position), round(1e6 * (setpoint - position)), 0, 0, 0]
    return protocol.Feedback(seq, 0, 0, 0, state, boards, protocol.pack(first + [0] * 30))


def arm(*came: tuple[int, protocol.Feedback], ticks: int = 200) -> tuple[list[Moment], list[int]]:
    """Return moments of feedback that came so many ms after tick 0, and the times of ticks: one a ms."""
    ticks_ns = [MS * tick for tick in range(ticks)]
    return figures.moments([(MS * at, each) for at, each in came], ticks_ns), ticks_ns


def test_the_age_at_a_tick_is_that_of_the_newest_that_was_taken() -> None:
    taken = [(10 * MS, 4 * MS), (12 * MS, 9 * MS)]
    ages = figures.ages_ns([MS * tick for tick in (9, 10, 11, 12, 15)], taken)
    assert ages == [6 * MS, 7 * MS, 3 * MS, 6 * MS]


def test_an_older_command_that_comes_later_does_not_make_the_newest_older() -> None:
    assert figures.ages_ns([20 * MS], [(10 * MS, 9 * MS), (12 * MS, 3 * MS)]) == [11 * MS]


def test_late_is_more_than_30_ms_beyond_the_networks_own_delay() -> None:
    found = figures.summary([20 * MS] * 97 + [50 * MS] + [50 * MS + 1] * 2, delay_ms=20.0)
    assert found
    assert (found.p50_ms, found.p99_ms, found.late) == (20.0, 50.000001, 0.02)
    assert figures.summary([], 20.0) is None


def test_the_boards_ticks_are_placed_by_their_quickest_feedback() -> None:
    # Board tick 100 is this computer's tick 7: seen 1 ms later at best, and 9 ms later once.
    seen, _ = arm((8, feedback(100)), (17, feedback(101)), (11, feedback(103)))
    assert [moment.at_ns // MS for moment in seen] == [8, 9, 11]


def test_a_command_counts_as_taken_at_the_first_tick_that_knows_it() -> None:
    seen, ticks_ns = arm((50, feedback(50, seq=7, age=3)), (54, feedback(54, seq=8, age=0)))
    taken = figures.taken(seen, ticks_ns, [(7, 20 * MS), (8, 30 * MS)])
    assert taken == [(48 * MS, 20 * MS), (55 * MS, 30 * MS)]


def test_a_command_counts_as_taken_when_the_last_board_has_it() -> None:
    each = feedback(50, seq=7, age=3)
    boards = protocol.unpack(each.packed_boards)
    boards[7 + 4] = 1
    each.packed_boards = protocol.pack(boards)
    seen, ticks_ns = arm((50, each))
    assert figures.taken(seen, ticks_ns, [(7, 20 * MS)]) == [(50 * MS, 20 * MS)]


def test_another_session_counts_its_commands_anew() -> None:
    seen, ticks_ns = arm((50, feedback(50, seq=7)), (90, feedback(90, seq=7)), (120, feedback(120, seq=3)))
    taken = figures.taken(seen, ticks_ns, [(3, 10 * MS), (7, 20 * MS), (3, 100 * MS), (7, 130 * MS)])
    assert taken == [(51 * MS, 20 * MS), (121 * MS, 100 * MS)]


def test_what_is_no_command_is_not_taken_for_one() -> None:
    seen, ticks_ns = arm((50, feedback(50, seq=7)))
    assert figures.taken(seen, ticks_ns, [(6, 20 * MS)]) == []


def test_ticks_of_an_arm_that_does_not_follow_do_not_count() -> None:
    seen, ticks_ns = arm(
        (10, feedback(10)),
        (14, feedback(14)),
        (18, feedback(18, state=PAUSED)),
        (22, feedback(22, state=PAUSED)),
        (26, feedback(26)),
        (30, feedback(30)),
    )
    ticks = figures.running_ticks(seen, ticks_ns, 0, 29 * MS)
    assert [tick // MS for tick in ticks] == [10, 11, 12, 13, 26, 27, 28]


def test_an_arm_that_is_where_the_console_was_a_delay_ago_has_no_error(cell: Cell) -> None:
    rest = [0.0] * 6
    commands = [protocol.ServoJp(1, k, 1000 * 5 * k, True, [0.01 * k, *rest], [0.0] * 7) for k in range(40)]
    exact = [(at, feedback(at, position=0.002 * (at - 20))) for at in range(40, 120, 4)]
    seen, _ = arm(*exact)
    rms, worst = figures.tracking(seen, commands, cell, delay_ms=20.0)
    assert worst.mrad < 0.01
    rms, worst = figures.tracking(seen, commands, cell, delay_ms=17.0)
    assert worst.mrad == pytest.approx(6.0, abs=0.01)
    assert rms.mrad == pytest.approx(6.0, abs=0.01)
    assert worst.mm == 0


def test_a_gap_is_more_than_two_and_a_half_periods() -> None:
    taken = [MS * at for at in (0, 5, 15, 27, 40)]
    assert figures.gaps(taken, 5e6) == [(27 * MS, 40 * MS)]


def test_travel_is_the_farthest_within_a_gap_and_not_behind_it(cell: Cell) -> None:
    places = {40: 0.0, 44: 0.02, 48: 0.03, 52: 0.01, 60: 0.5, 64: 0.9}
    seen, _ = arm(*((at, feedback(at, position=place)) for at, place in places.items()))
    assert figures.travel(seen, [(40 * MS, 52 * MS)], cell).mrad == pytest.approx(30.0)


def test_a_setpoints_step_is_a_share_of_the_joints_limit(cell: Cell) -> None:
    setpoints = {40: 0.0, 45: 0.01, 50: 0.07, 55: 0.08}
    seen, _ = arm(*((at, feedback(at, setpoint=place)) for at, place in setpoints.items()))
    step = figures.largest_step(seen, [(40 * MS, 45 * MS)], cell)
    assert step == pytest.approx(0.06 / cell.joint[0].limits.step)
    assert figures.largest_step(seen, [], cell) == 0


def test_pauses_and_stops_are_counted_once_each() -> None:
    states = [ENABLED, PAUSED, PAUSED, ENABLED, PAUSED, FAULT, FAULT]
    seen, _ = arm(*((10 + k, feedback(10 + k, state=state)) for k, state in enumerate(states)))
    assert figures.changes(seen) == (2, 1)


def test_the_longest_stall_is_within_the_motion() -> None:
    ticks = [MS * at for at in (0, 50, 51, 52, 59, 60, 99)]
    assert figures.longest_stall_ms(ticks, 50 * MS, 60 * MS) == 7


def test_every_bad_network_is_tried_and_outages_on_either_side_of_the_operators_timeout(cell: Cell) -> None:
    assert {case.profile for case in profiles()} >= {"lab", "fibre", "rural-4g", "geostationary", "congested-clinic"}
    lengths = [1000 * case.outages[0][1] for case in outages()]
    assert min(lengths) < max(length for length in lengths if length < cell.arm.operator_timeout_ms)
    assert max(lengths) > cell.arm.operator_timeout_ms


def test_the_table_says_what_a_network_needs_and_leaves_out_what_was_not_measured() -> None:
    none = figures.Error()
    ages = {"bedside": figures.Ages(21.4, 29.6, 0.0012)}
    result = Result(
        "far",
        "far",
        {"command_max_age_ms": 500.0},
        250.0,
        20.0,
        4000,
        ages,
        {},
        none,
        none,
        0,
        0,
        0,
        0.0,
        none,
        0.0,
        1.0,
        False,
    )
    assert motion_row(result)[0] == "far (command_max_age_ms = 500)"
    assert ages_row(result) == ["far", "250 ms", "21, 30 ms, 0.1 %", "–", "–"]
