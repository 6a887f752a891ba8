"""What a check has found, and how a person is told: one line each, with its grade first."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from bedside.errors import BedsideError


class Grade(enum.Enum):
    """How bad it is: WARN works now and may not always; FAIL must be mended before an arm moves."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Finding:
    """``what`` was looked at, what was ``found``, and the ``remedy``; ``detail`` are lines to be shown below."""

    grade: Grade
    what: str
    found: str
    remedy: str = ""
    detail: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The finding as one line."""
        return f"{self.grade.value:4}  {self.what}: {self.found}{'; ' if self.remedy else ''}{self.remedy}"


def ok(what: str, found: str, detail: tuple[str, ...] = ()) -> Finding:
    """Return a finding that needs no remedy."""
    return Finding(Grade.OK, what, found, detail=detail)


def warn(what: str, found: str, remedy: str = "", detail: tuple[str, ...] = ()) -> Finding:
    """Return a finding to think about."""
    return Finding(Grade.WARN, what, found, remedy, detail)


def fail(what: str, found: str, remedy: str = "") -> Finding:
    """Return a finding that must be mended."""
    return Finding(Grade.FAIL, what, found, remedy)


def failed(what: str, error: BedsideError) -> Finding:
    """Return the finding that ``error``, whose text has its own remedy, has ended a check."""
    return fail(what, str(error))


_COLOURS = {Grade.OK: "green", Grade.WARN: "yellow", Grade.FAIL: "bold red"}


class Report:
    """Prints findings as they come, in colour on a terminal, and counts them by grade."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self.counts = dict.fromkeys(Grade, 0)

    def say(self, text: str) -> None:
        """Print a line that is no finding."""
        self._console.print(text)

    def take(self, findings: Iterable[Finding]) -> None:
        """Print and count ``findings``, each as soon as it is made."""
        from rich.text import Text

        for finding in findings:
            self.counts[finding.grade] += 1
            grade = finding.grade.value
            line = Text(finding.line)
            line.stylize(_COLOURS[finding.grade], 0, len(grade))
            self._console.print(line)
            for text in finding.detail:
                self._console.print(f"      {text}")

    def end(self) -> None:
        """Raise BedsideError if anything has failed."""
        checks, wrong = sum(self.counts.values()), self.counts[Grade.FAIL]
        if wrong:
            raise BedsideError(f"{wrong} of {checks} checks FAIL; what to do stands beside each")
