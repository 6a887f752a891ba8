"""The page that tells what each stop takes."""

from __future__ import annotations

from bedside.hil.failures import FAILURES
from stops import table


def test_the_safety_page_tells_of_every_failure() -> None:
    assert [row.split(" | ")[0].removeprefix("| ") for row in table.rows()] == [failure.name for failure in FAILURES]
