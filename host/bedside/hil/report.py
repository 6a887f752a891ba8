"""The report of a run: report.json for programs, report.html for people, its verdicts on the screen."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bedside.errors import BedsideError
from bedside.hil import page
from bedside.hil.requirements import requirements
from bedside.hil.verdicts import FAILED, MET, NOT_MET, PASSED, SKIPPED, Outcome, read, verdicts

_COLOURS = {MET: "green", NOT_MET: "bold red"}


def write(output: Path, facts: dict[str, Any]) -> bool:
    """Write the report on what is in ``output``; return whether no test has failed. Raises BedsideError."""
    outcomes = read(output / "results.jsonl")
    judged = verdicts(outcomes, not facts["only"] and not facts["ended_early"])
    facts = {**facts, "boards": boards_of(outcomes), "counts": counts(outcomes)}
    told = {
        "facts": facts,
        "requirements": {
            name: {"text": requirements()[name].text, "verdict": verdict} for name, verdict in judged.items()
        },
        "tests": [asdict(outcome) for outcome in outcomes],
    }
    try:
        (output / "report.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        (output / "report.html").write_text(page.html(facts, judged, outcomes), encoding="utf-8")
    except OSError as error:
        raise BedsideError(f"{output}: not writable ({error.strerror}); results.jsonl has all") from None
    _print(output, facts, judged)
    if not facts["counts"][PASSED]:
        raise BedsideError(f"nothing was shown: each test that applies was left out; {output / 'report.html'} says why")
    return not facts["counts"][FAILED]


def counts(outcomes: list[Outcome]) -> dict[str, int]:
    """Return how many tests have come to what."""
    return {kind: sum(outcome.outcome == kind for outcome in outcomes) for kind in (PASSED, FAILED, SKIPPED)}


def boards_of(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    """Return who was tested, each board once."""
    found: dict[str, dict[str, Any]] = {}
    for outcome in outcomes:
        if outcome.board:
            found[f"{outcome.board['role']} {outcome.board['uid']}"] = outcome.board
    return list(found.values())


def _print(output: Path, facts: dict[str, Any], judged: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Requirements, shown on {facts['target']}", title_justify="left")
    table.add_column("requirement")
    table.add_column("verdict")
    for name, verdict in judged.items():
        colour = _COLOURS.get(verdict, "dim")
        table.add_row(name, f"[{colour}]{verdict}[/]")
    console = Console()
    console.print(table)
    number = facts["counts"]
    console.print(
        f"{number[PASSED]} tests passed, {number[FAILED]} failed, {number[SKIPPED]} did not apply, "
        f"in {facts['seconds']:.0f} s. Report: {output / 'report.html'}",
        highlight=False,
    )
