"""From what each test has come to, to a verdict for each requirement."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedside.hil.measures import BOARD, CURVE, FIGURE, REQUIREMENTS
from bedside.hil.requirements import requirements

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
MET, NOT_MET, PARTLY, NOT_TESTED = "met", "not met", "partly shown", "not tested here"


@dataclass
class Outcome:
    """What a test has come to, and what it has left: figures, curves, and who was tested."""

    test: str
    outcome: str
    seconds: float
    why: str
    requirements: list[str]
    figures: list[dict[str, Any]]
    curves: list[dict[str, Any]]
    board: dict[str, Any] | None


def read(results: Path) -> list[Outcome]:
    """Return the outcomes of a run, each test once: what failed after it passed has failed."""
    found: dict[str, Outcome] = {}
    for line in results.read_text(encoding="utf-8").splitlines():
        noted = json.loads(line)
        outcome = _outcome(noted)
        before = found.get(outcome.test)
        if before is None or before.outcome == PASSED:
            found[outcome.test] = outcome
    return list(found.values())


def _outcome(noted: dict[str, Any]) -> Outcome:
    left: dict[str, list[Any]] = {}
    for name, value in noted["left"]:
        left.setdefault(name, []).append(value)
    named = sorted({name for names in left.get(REQUIREMENTS, []) for name in names})
    board = left.get(BOARD, [None])[-1]
    figures, curves = left.get(FIGURE, []), left.get(CURVE, [])
    return Outcome(noted["test"], noted["outcome"], noted["seconds"], noted["why"], named, figures, curves, board)


def verdicts(outcomes: list[Outcome], is_whole: bool) -> dict[str, str]:
    """Return the verdict on each requirement on a board: met if all tests that name it have passed, at least one.

    A run that is not whole, because only some tests were asked for or it did not end, meets none.
    """
    found = {}
    good = MET if is_whole else PARTLY
    for name, requirement in requirements().items():
        if requirement.where != "board":
            continue
        mine = {outcome.outcome for outcome in outcomes if name in outcome.requirements}
        found[name] = NOT_MET if FAILED in mine else good if PASSED in mine else NOT_TESTED
    return found
