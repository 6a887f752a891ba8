"""What people are told of the boards' faults and refusals: all that matters, and no flood."""

from __future__ import annotations

import pytest

from bedside.bridge.reports import Reports
from bedside.cell import Cell
from bedside.link.messages import Event

S = 1_000_000_000
STEP_LIMIT, TICK_LATE, PROOF_WRONG = 42, 16, 54


@pytest.fixture
def reports(cell: Cell, told: list[str]) -> Reports:
    return Reports(cell, told.append)


def test_a_report_names_its_joint_and_the_remedy(reports: Reports, told: list[str]) -> None:
    reports.take(2, "board 'psm1-wrist'", Event(7, STEP_LIMIT, 1, 90_000), S)
    assert told == [
        "board 'psm1-wrist', joint 'wrist_yaw': step-limit: position 90000 urad (um) is too far from the present "
        "setpoint. Approach the present position first, or raise limits.step."
    ]


def test_refusals_in_a_flood_are_counted_instead(reports: Reports, told: list[str]) -> None:
    for k in range(1000):
        reports.take(0, "base", Event(k, STEP_LIMIT, 0, k), S + k * S // 200)
    assert 10 <= len(told) <= 22
    assert any("99 more refusals of this board were not told" in line for line in told)


def test_a_fault_is_told_in_the_middle_of_a_flood_and_so_is_another_board(reports: Reports, told: list[str]) -> None:
    for k in range(100):
        reports.take(0, "base", Event(k, STEP_LIMIT, 0, k), S + k)
    told.clear()
    reports.take(0, "base", Event(100, TICK_LATE, -1, 900), S + 100)
    reports.take(1, "slide", Event(100, STEP_LIMIT, 0, 5), S + 100)
    assert [line.split(":")[0] for line in told] == ["base", "slide, joint 'insertion'"]


def test_some_refused_tokens_are_usual_and_many_are_told(reports: Reports, told: list[str]) -> None:
    for k in range(99):
        reports.take(0, "base", Event(k, PROOF_WRONG, -1, 1), S + k * S // 100)
    assert not told
    reports.take(0, "base", Event(99, PROOF_WRONG, -1, 1), 2 * S)
    assert "proof-wrong" in told[0]
