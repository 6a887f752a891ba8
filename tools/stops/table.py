"""The stop table: each failure's worst, as docs/safety.md shows it."""

from __future__ import annotations

from collections.abc import Iterator

import marked
from bedside.hil.failures import Failure
from bedside.hil.stopping import Result

PAGE, COMMAND = marked.DOCS / "safety.md", "make stops"
_HEAD = (
    "| failure | noticed by | after | last board stops | all stand | travel | sag | ends in | to move again |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


def row(failure: Failure, results: list[Result]) -> str:
    """Return the line of ``failure``: the worst of its ``results``."""
    if failure.goes_on:
        return f"| {failure.name} | – | – | – | – | – | – | {results[0].ends_in} | nothing |\n"
    latest = max(result.noticed_ms for result in results)
    ramp, stands = (max(getattr(result, name) for result in results) for name in ("ramp_ms", "standstill_ms"))
    travel, sag = (max(getattr(result, name) for result in results) for name in ("travel", "sag"))
    names = " or ".join(dict.fromkeys(result.noticed_by for result in results))
    ends = " or ".join(dict.fromkeys(result.ends_in for result in results))
    return (
        f"| {failure.name} | {names} | {latest} ms | {ramp} ms | {stands} ms | {travel:.0%} | {sag:.0%} "
        f"| {ends} | {results[0].again} |\n"
    )


def written(rows: list[str]) -> str:
    """Return the page with ``rows`` in the place of those it has."""
    return marked.replaced(PAGE, COMMAND, _HEAD + "".join(rows))


def rows() -> Iterator[str]:
    """Yield the rows that the page has."""
    yield from marked.told(PAGE, COMMAND).removeprefix(_HEAD).splitlines(keepends=True)
