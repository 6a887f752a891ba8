"""From outcomes to verdicts: nothing is met that was not shown."""

from __future__ import annotations

import json
from pathlib import Path

from bedside.hil.verdicts import MET, NOT_MET, NOT_TESTED, PARTLY, read, verdicts


def results(folder: Path, *lines: tuple[str, str, str]) -> Path:
    """Write what tests have come to: name, outcome, and the requirement that each names."""
    path = folder / "results.jsonl"
    noted = [
        {
            "test": test,
            "outcome": outcome,
            "seconds": 0.1,
            "why": "",
            "left": [["requirements", [name]]],
        }
        for test, outcome, name in lines
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in noted))
    return path


def test_a_requirement_is_met_by_passed_tests_and_by_no_other(tmp_path: Path) -> None:
    path = results(
        tmp_path,
        ("a", "passed", "wire"),
        ("b", "passed", "stop"),
        ("c", "failed", "stop"),
        ("d", "skipped", "homing"),
        ("e", "passed", "brake"),
        ("f", "skipped", "brake"),
    )
    judged = verdicts(read(path), True)
    assert [judged[name] for name in ("wire", "stop", "homing", "brake", "proof")] == [
        MET,
        NOT_MET,
        NOT_TESTED,
        MET,
        NOT_TESTED,
    ]


def test_a_run_of_some_tests_meets_nothing(tmp_path: Path) -> None:
    judged = verdicts(read(results(tmp_path, ("a", "passed", "wire"), ("b", "failed", "stop"))), False)
    assert (judged["wire"], judged["stop"]) == (PARTLY, NOT_MET)


def test_what_fails_after_it_has_passed_has_failed(tmp_path: Path) -> None:
    path = results(tmp_path, ("a", "passed", "wire"), ("a", "failed", "wire"))
    (outcome,) = read(path)
    assert outcome.outcome == "failed"


def test_requirements_of_the_bridge_are_not_a_boards(tmp_path: Path) -> None:
    assert "authority" not in verdicts([], True)
    assert "wire" in verdicts(read(results(tmp_path)), True)
