"""What may harm, and what is required of a board and its bridge against it: ``requirements.toml``."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Hazard:
    """A hazard, the situation in which it harms, and the harm, as ISO 14971 has these words."""

    name: str
    title: str
    situation: str
    harm: str


@dataclass(frozen=True)
class Requirement:
    """A risk control measure, as something that tests can show; ``where`` is who does it, board or bridge."""

    name: str
    text: str
    hazards: tuple[str, ...]
    where: str


@functools.cache
def hazards() -> dict[str, Hazard]:
    """Return the hazards by name."""
    return {name: Hazard(name, **facts) for name, facts in _content()["hazard"].items()}


@functools.cache
def requirements() -> dict[str, Requirement]:
    """Return the requirements by name."""
    return {
        name: Requirement(name, facts["text"], tuple(facts["hazards"]), facts.get("where", "board"))
        for name, facts in _content()["requirement"].items()
    }


def _content() -> dict[str, dict[str, dict[str, str]]]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))
