"""The report as one page that needs nothing else: verdicts first, then each test with its figures and curves."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

from bedside.hil.requirements import hazards, requirements
from bedside.hil.verdicts import FAILED, MET, NOT_MET, PASSED, SKIPPED, Outcome
from bedside.pictures import GRAY, column

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:1100px;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0}td,th{padding:.25em .8em;text-align:left;border-bottom:1px solid #ddd;
vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}img{width:100%;max-width:900px}
.met,.passed{color:#1a7f37}.not-met,.failed{color:#c0282d;font-weight:600}.not-tested-here,.skipped{color:#777}
h2{margin-top:2em}h3{margin:1.6em 0 .2em;font-size:1em}pre{background:#f6f6f6;padding:.6em;white-space:pre-wrap}
"""
_HEIGHT = 3.4


def html(facts: dict[str, Any], judged: dict[str, str], outcomes: list[Outcome]) -> str:
    """Return the page."""
    number = facts["counts"]
    verdict = "failed" if number[FAILED] else "passed"
    shown = [outcome for outcome in outcomes if outcome.outcome == FAILED or outcome.figures or outcome.curves]
    target = escape(facts["target"])
    return f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Bedside hil: {target}</title>
<style>{_STYLE}</style>
<h1>Hardware in the loop: {target}</h1>
<p class="{verdict}">{number[PASSED]} tests passed, {number[FAILED]} failed, {number[SKIPPED]} did not apply.</p>
<p>A requirement is met where every test of it that applies to this target has passed. Research and training software,
not a medical device; no compliance with any standard is claimed.</p>
<h2>What was tested</h2>{_facts(facts)}
<h2>Requirements</h2>{_requirements(judged, outcomes)}
<h2>What was measured</h2>{"".join(map(_measured, shown))}
<h2>All tests</h2>{_tests(outcomes)}</html>
"""


def _facts(facts: dict[str, Any]) -> str:
    rows = []
    for name, value in facts.items():
        if name in ("boards", "counts") or not value:
            continue
        text = ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else str(value)
        rows.append(f"<tr><td>{escape(name.replace('_', ' '))}<td>{escape(text)}")
    for board in facts["boards"]:
        text = ", ".join(f"{key} {', '.join(v) if isinstance(v, list) else v}" for key, v in board.items() if v)
        rows.append(f"<tr><td>board<td>{escape(text)}")
    return f"<table>{''.join(rows)}</table>"


def _requirements(judged: dict[str, str], outcomes: list[Outcome]) -> str:
    rows = []
    for name, verdict in judged.items():
        requirement = requirements()[name]
        mine = [outcome for outcome in outcomes if name in outcome.requirements]
        passed = sum(outcome.outcome == PASSED for outcome in mine)
        ran = sum(outcome.outcome != SKIPPED for outcome in mine)
        against = "; ".join(hazards()[hazard].title.lower() for hazard in requirement.hazards)
        rows.append(
            f"<tr><td><b>{escape(name)}</b><td>{escape(requirement.text)}<br><small>against: {escape(against)}</small>"
            f'<td class="{_class(verdict)}">{verdict}<td class="n">{passed}/{ran}'
        )
    return f"<table><tr><th>requirement<th>what<th>verdict<th>tests</tr>{''.join(rows)}</table>"


def _measured(outcome: Outcome) -> str:
    rows = "".join(
        f'<tr><td>{escape(figure["name"])}<td class="n">{figure["value"]:.4g} {escape(figure["unit"])}'
        f'<td class="n">{_limit(figure)}'
        for figure in outcome.figures
    )
    table = f"<table><tr><th>figure<th>measured<th>allowed</tr>{rows}</table>" if rows else ""
    why = f"<pre>{escape(outcome.why)}</pre>" if outcome.why else ""
    plots = "".join(map(_plot, outcome.curves))
    return f'<h3 class="{outcome.outcome}">{escape(_words(outcome.test))}: {outcome.outcome}</h3>{why}{table}{plots}'


def _limit(figure: dict[str, Any]) -> str:
    return "" if figure["limit"] is None else f"{figure['limit']:.4g} {escape(figure['unit'])}"


def _plot(curve: dict[str, Any]) -> str:
    figure, (axis,) = column(1, _HEIGHT)
    for name, line in curve["lines"].items():
        axis.plot(curve["x"], line, linewidth=1.2, label=name)
    for name, at in curve["marks"].items():
        axis.axvline(at, color=GRAY, linewidth=1)
        axis.text(at, axis.get_ylim()[1], f" {name}", color=GRAY, va="top", fontsize="small")
    axis.set_title(curve["title"], loc="left", fontsize="medium")
    axis.set_xlabel(curve["x_label"])
    axis.set_ylabel(curve["y_label"])
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    picture = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{escape(curve["title"])}" src="data:image/png;base64,{picture}">'


def _tests(outcomes: list[Outcome]) -> str:
    rows = "".join(
        f'<tr><td>{escape(_words(outcome.test))}<td class="{outcome.outcome}">{outcome.outcome}'
        f'<td class="n">{outcome.seconds:.1f} s<td>{escape(", ".join(outcome.requirements))}'
        f"<td>{escape(outcome.why.splitlines()[0]) if outcome.why else ''}"
        for outcome in outcomes
    )
    return f"<table><tr><th>test<th>outcome<th>time<th>shows<th></tr>{rows}</table>"


def _words(test: str) -> str:
    """Return a test's name as the sentence that it is."""
    return test.rpartition("::")[2].removeprefix("test_").replace("_", " ")


def _class(verdict: str) -> str:
    return verdict.replace(" ", "-") if verdict in (MET, NOT_MET) else "not-tested-here"
