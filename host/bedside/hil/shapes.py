"""Compiles the part of CDDL that protocol.cddl uses into a fast predicate: flat arrays of integer ranges and text.

It reads the rules from the file itself, and is held against a full CDDL validator in test_cddl.py.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from bedside.places import FIRMWARE

TEXT = (FIRMWARE / "wire" / "protocol.cddl").read_text(encoding="utf-8")
Allowed = range | frozenset[int] | type[str]


def bounds(field: range | frozenset[int]) -> tuple[int, int]:
    """Return the lowest and highest allowed integer; ``min`` would walk through a range of 2^32."""
    return (field[0], field[-1]) if isinstance(field, range) else (min(field), max(field))


@dataclass(frozen=True)
class Message:
    """The fields of a message, and the group that repeats behind them, ``least`` to ``most`` times."""

    head: tuple[Allowed, ...]
    group: tuple[Allowed, ...] = ()
    least: int = 0
    most: int = 0

    def fits(self, items: list[Any]) -> bool:
        """Return whether ``items`` are such a message."""
        extra = len(items) - len(self.head)
        times, left = divmod(extra, len(self.group)) if self.group else (0, extra)
        if left or not self.least <= times <= self.most:
            return False
        return all(
            type(item) is str if isinstance(field, type) else type(item) is int and item in field
            for item, field in zip(items, self.head + self.group * times, strict=True)
        )


def rules() -> dict[str, str]:
    """Return the rules' bodies by name."""
    bare = re.sub(r";[^\n]*", "", TEXT)
    parts = re.split(r"^([\w-]+) =", bare, flags=re.MULTILINE)[1:]
    return {name: " ".join(body.split()) for name, body in zip(parts[::2], parts[1::2], strict=True)}


RULES = rules()


def _field(text: str) -> Allowed:
    text = text.split(":")[-1].strip()
    if text == "tstr":
        return str
    if text in RULES:
        return _field(RULES[text])
    if "/" in text:
        return frozenset(int(choice) for choice in text.split("/"))
    low, _, high = text.partition("..")
    return range(int(low), int(high or low) + 1)


def _fields(text: str) -> tuple[Allowed, ...]:
    return tuple(_field(part) for part in text.strip("[]() ,").split(",") if part.strip())


def message(name: str) -> Message:
    """Return the message that rule ``name`` defines."""
    body = RULES[name].strip("[] ,")
    repeated = re.search(r"(\d+)\*(\d+) ([\w-]+)", body)
    if not repeated:
        return Message(_fields(body))
    least, most, group = repeated.groups()
    return Message(_fields(body[: repeated.start()]), _fields(RULES[group]), int(least), int(most))


def messages(direction: str) -> dict[str, Message]:
    """Return the messages of ``to-board`` or ``from-board`` by name."""
    return {name: message(name) for name in RULES[direction].split(" / ")}
