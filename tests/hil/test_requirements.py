"""Hazards, requirements and tests: none without the others, and the page that tells of them is that of now."""

from __future__ import annotations

import pytest

from bedside.hil import plugin
from bedside.hil.requirements import hazards, requirements
from hazards import collect, table


@pytest.fixture(scope="module")
def shown() -> dict[str, list[str]]:
    return collect.tests_by_requirement()


def test_each_requirement_has_a_test(shown: dict[str, list[str]]) -> None:
    assert [name for name in requirements() if not shown.get(name)] == []


def test_each_hazard_has_a_requirement_and_each_requirement_a_hazard() -> None:
    named = {hazard for requirement in requirements().values() for hazard in requirement.hazards}
    assert named == set(hazards())
    assert all(requirement.hazards for requirement in requirements().values())


def test_the_page_tells_of_every_hazard_requirement_and_test(shown: dict[str, list[str]]) -> None:
    assert table.PAGE.read_text(encoding="utf-8") == table.written(shown), "run make hazards"


@pytest.mark.parametrize(
    ("mark", "told"),
    [("", "names no requirement"), ('@pytest.mark.requirement("no-such")', "has no requirement no-such")],
)
def test_a_test_of_the_suite_that_names_none_or_an_unknown_one_is_refused(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, mark: str, told: str
) -> None:
    made = pytester.makepyfile(f"import pytest\n\n{mark}\ndef test_stray() -> None:\n    pass\n")
    monkeypatch.setattr(plugin, "SUITE", made.parent)
    done = pytester.runpytest_inprocess("-p", "bedside.hil.plugin", str(made))
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*{told}*"])
