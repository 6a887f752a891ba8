"""Reads a board's black box: its last second, or the second around the fault that it has kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from bedside.errors import LinkError
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.link.messages import CLOSING, HOLDING, OFF, RAMP, BoxHead, BoxPart, Event, Identity

_HEAD, _JOINT = 4, 3
# A line may be damaged now and then; one that loses a part this often is not worth reading from.
_TRIES = 5
_TICK_MASK = 0x3FFFFFFF


@dataclass
class Line:
    """A board's tick. Lists run over its joints: urad (or um), outputs Q15."""

    tick: int
    state: int
    phase: int
    cause: int
    operator_age: int
    link_age: int
    positions: list[int]
    setpoints: list[int]
    outputs: list[int]
    flags: list[int]


@dataclass
class BlackBox:
    """What a board has kept. ``cause`` is 0 when there was no fault; ``events`` are its latest faults, newest first."""

    board: Identity
    cause: int
    fault_tick: int
    lines: list[Line]
    events: list[Event]

    def time_ms(self, tick: int) -> float:
        """Return when ``tick`` was: ms after the fault, or before the last line if there was none."""
        since = self.fault_tick if self.cause or not self.lines else self.lines[-1].tick
        return (((tick - since + _TICK_MASK // 2) & _TICK_MASK) - _TICK_MASK // 2) * 1000 / self.board.tick_hz

    def marks(self) -> dict[str, float]:
        """Return when (ms) what happened after the fault: the ramp's begin, standstill, the brakes', torque off."""
        marks: dict[str, float] = {}
        if not self.cause:
            return marks
        names = {RAMP: "ramp", HOLDING: "standstill", CLOSING: "brakes close", OFF: "torque off"}
        marks["fault"] = 0.0
        for line in self.lines:
            at = self.time_ms(line.tick)
            if at >= 0 and line.phase in names:
                marks.setdefault(names[line.phase], at)
        return marks


# What a board is asked to do with its black box.
_GO_ON, _HOLD, _TELL = 0, 1, 2


def fetch(
    link: BoardLink,
    progress: Callable[[int, int], None] = lambda done, of: None,
    wait: Callable[[float], None] = time.sleep,
) -> BlackBox:
    """Return what ``link``'s board keeps; it goes on keeping it until ``release``.

    ``progress`` gets the words read and how many there are. While the board still writes what follows a fault,
    ``wait`` is called with some seconds. Raises LinkError, also when the board's arm is on.
    """
    identity = link.identify()
    while (head := _ask(link, _HOLD)).after:
        wait(head.after * head.every / identity.tick_hz)
    words: list[int] = []
    while len(words) < head.size:
        words += _part(link, len(words))
        progress(len(words), head.size)
    if len(words) != head.size or head.stride <= _HEAD or head.size % head.stride:
        raise LinkError(
            f"{link.label}: its black box makes no sense ({len(words)} words, {head.stride} a line); try again"
        )
    starts = [*range(head.first, head.size, head.stride), *range(0, head.first, head.stride)]
    lines = [_line(words[start : start + head.stride]) for start in starts]
    events = [event for event in head.events if event.code]
    return BlackBox(identity, head.cause, head.fault_tick, _unbroken(lines, head.every), events)


def release(link: BoardLink) -> None:
    """Let the black box go on: what it kept is in safety. Raises LinkError."""
    _ask(link, _GO_ON)


def kept(link: BoardLink) -> tuple[int, list[Event]]:
    """Return the fault whose black box the board keeps, 0 if none, and its latest faults, newest first.

    These are from before a reset, too. Raises LinkError, also when the arm is on.
    """
    head = _ask(link, _TELL)
    return head.cause, [event for event in head.events if event.code]


def _ask(link: BoardLink, what: int) -> BoxHead:
    return link.request([schema.HOLD_BOX, 0, what], BoxHead)


def _part(link: BoardLink, place: int) -> list[int]:
    for left in reversed(range(_TRIES)):
        try:
            part = link.request([schema.READ_BOX, 0, place], BoxPart)
        except LinkError as error:
            if "no answer" not in str(error) or not left:
                raise
        else:
            if part.place == place:
                return part.words
    raise LinkError(f"{link.label}: it answers with other parts of its black box than it was asked for; try again")


def _line(words: list[int]) -> Line:
    tick, state, operator_age, link_age = words[:_HEAD]
    positions, setpoints, packed = (words[_HEAD + k :: _JOINT] for k in range(_JOINT))
    outputs, flags = [word >> 16 for word in packed], [word & 0xFFFF for word in packed]
    states = state & 0xFF, state >> 8 & 0xFF, state >> 16
    return Line(tick, *states, operator_age, link_age, positions, setpoints, outputs, flags)


def _unbroken(lines: list[Line], every: int) -> list[Line]:
    """Return the latest lines that follow each other without a gap: older ones are of another time."""
    kept = lines[-1:]
    for line in reversed(lines[:-1]):
        if (kept[-1].tick - line.tick) & _TICK_MASK != every:
            break
        kept.append(line)
    return kept[::-1]
