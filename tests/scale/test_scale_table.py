"""The arithmetic of `make scale`, and its page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scale.measure import Run, percentile
from scale.page import write_table
from scale.table import HEADS, cells, row

RUN = Run(
    boards=8,
    seconds=5.0,
    cycles=5000,
    late=2,
    bare_late=0,
    missed=10,
    round_p50_us=200.0,
    round_p99_us=700.0,
    echo_p50_us=150.0,
    echo_p99_us=600.0,
    bridge_cpu=0.32,
    board_cpu=0.03,
    rss_mb=44.0,
)


def test_late_cycles_are_a_share_of_all_and_times_the_median_run() -> None:
    joined = row([RUN, replace(RUN, late=5, round_p99_us=900.0), replace(RUN, late=2, round_p99_us=800.0)])
    assert joined.late == 9 / 15000
    assert joined.round_p99_us == 800.0


def test_the_figure_is_held_below_one_cycle_in_a_thousand() -> None:
    assert row([replace(RUN, late=4)]).is_held
    assert not row([replace(RUN, late=5)]).is_held


def test_the_bridge_is_not_to_blame_for_a_computer_that_stood_still() -> None:
    assert row([replace(RUN, late=30, bare_late=28)]).is_held
    assert not row([replace(RUN, late=30, bare_late=20)]).is_held


def test_a_row_names_what_the_heads_promise() -> None:
    found = dict(zip(HEADS, cells(row([RUN])), strict=True))
    assert found["late cycles"] == "0.040 %"
    assert found["round trip p50, p99"] == "200, 700 us"
    assert found["bridge's CPU"] == "32.0 %"
    assert found["of it a board"] == "4.0 %"


def test_a_percentile_is_a_value_that_came() -> None:
    assert percentile(list(range(100, 0, -1)), 0.99) == 99
    assert percentile([7], 0.99) == 7


def test_a_table_takes_the_place_of_the_last_one_and_of_no_other(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# Head\n<!-- make other writes from here -->\nother\n<!-- to here -->\nbetween\n"
        "<!-- make this writes from here -->\nold\n<!-- to here -->\nend\n"
    )
    for value in ("1", "2"):
        write_table("make this", ["a", "b"], [[value, "x"]], "note", page)
    text = page.read_text()
    assert "old" not in text
    assert "| 1 | x |" not in text
    assert text.startswith("# Head\n<!-- make other writes from here -->\nother\n<!-- to here -->\nbetween\n")
    assert "| a | b |\n| --- | --- |\n| 2 | x |\n\nNote.\n" in text
    assert text.endswith("<!-- to here -->\nend\n")


def test_a_page_without_a_place_for_a_table_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Head\n")
    with pytest.raises(ValueError, match="no place for the table of 'make this'"):
        write_table("make this", ["a"], [["1"]], "note", page)
    assert page.read_text() == "# Head\n"
