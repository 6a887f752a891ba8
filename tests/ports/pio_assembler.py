"""An assembler for what ``rp2.asm_pio`` decorates, as far as the firmware's PIO programs need it.

The encoding is the RP2040 datasheet's (3.4); names, arguments and defaults are those of MicroPython's ``rp2`` module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_CONDITIONS = {"not_x": 1, "x_dec": 2, "not_y": 3, "y_dec": 4, "x_not_y": 5, "pin": 6, "not_osre": 7}
_PLACES = {"pins": 0, "x": 1, "y": 2, "null": 3, "pindirs": 4, "pc": 5, "status": 5, "isr": 6, "osr": 7}
_MODIFIERS = {"noblock": 0x01, "block": 0x21, "iffull": 0x40, "ifempty": 0x40, "clear": 0x40}
_DELAY_MAX = 31


class PIO:
    """The constants of ``rp2.PIO`` that decorators use."""

    SHIFT_LEFT = 0
    SHIFT_RIGHT = 1
    JOIN_NONE = 0
    JOIN_TX = 1
    JOIN_RX = 2


@dataclass
class Program:
    """Assembled words, and what a state machine that runs them is set to."""

    words: list[int] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)
    wrap_target: int = 0
    wrap: int = 0
    shiftctrl: int = 0
    # Where each PIO that has it keeps it.
    offsets: dict[int, int] = field(default_factory=dict)


class _Line:
    """An instruction just written, for its delay: ``nop() [3]``."""

    def __init__(self, words: list[int]) -> None:
        self._words = words

    def __getitem__(self, delay: int) -> _Line:
        assert 0 <= delay <= _DELAY_MAX, "delay too large"
        self._words[-1] |= delay << 8
        return self


class _Pass:
    """Runs the decorated function once; in the second pass every label is known."""

    def __init__(self, labels: dict[str, int] | None) -> None:
        self.words: list[int] = []
        self.labels: dict[str, int] = {}
        self.wrap_target = 0
        self.wrap: int | None = None
        self._known = labels

    def names(self) -> dict[str, Any]:
        """Return what the function sees as its globals."""
        own = ("jmp", "in_", "out", "push", "pull", "mov", "irq", "set", "nop", "label")
        names: dict[str, Any] = {name: getattr(self, "_" + name) for name in own}
        names |= _CONDITIONS | _PLACES | _MODIFIERS
        names["wrap_target"] = self._begin
        names["wrap"] = self._end
        names["invert"] = lambda place: place | 0x08
        names["reverse"] = lambda place: place | 0x10
        names["rel"] = lambda flag: flag | 0x10
        return names

    def _word(self, kind: int, argument: int) -> _Line:
        self.words.append(kind << 13 | argument)
        return _Line(self.words)

    def _begin(self) -> None:
        self.wrap_target = len(self.words)

    def _end(self) -> None:
        self.wrap = len(self.words) - 1

    def _label(self, name: str) -> None:
        assert name not in self.labels, f"duplicate label {name}"
        self.labels[name] = len(self.words)

    def _jmp(self, condition: int | str, label: str | None = None) -> _Line:
        if label is None:
            condition, label = 0, str(condition)
        return self._word(0, int(condition) << 5 | (self._known[label] if self._known is not None else 0))

    def _in_(self, source: int, bits: int) -> _Line:
        assert 0 < bits <= 32
        return self._word(2, source << 5 | bits & 0x1F)

    def _out(self, to: int, bits: int) -> _Line:
        assert 0 < bits <= 32
        return self._word(3, to << 5 | bits & 0x1F)

    def _push(self, first: int = 0, second: int = 0) -> _Line:
        return self._word(4, self._blocking(first | second))

    def _pull(self, first: int = 0, second: int = 0) -> _Line:
        return self._word(4, 0x80 | self._blocking(first | second))

    @staticmethod
    def _blocking(modifiers: int) -> int:
        return (modifiers if modifiers & 1 else modifiers | 0x20) & 0x60

    def _mov(self, to: int, source: int) -> _Line:
        return self._word(5, to << 5 | source)

    def _nop(self) -> _Line:
        return self._mov(_PLACES["y"], _PLACES["y"])

    def _irq(self, first: int, second: int | None = None) -> _Line:
        modifier, flag = (0, first) if second is None else (first, second)
        return self._word(6, modifier & 0x60 | flag)

    def _set(self, to: int, value: int) -> _Line:
        return self._word(7, to << 5 | value)


def asm_pio(
    *,
    in_shiftdir: int = PIO.SHIFT_LEFT,
    out_shiftdir: int = PIO.SHIFT_LEFT,
    autopush: bool = False,
    autopull: bool = False,
    push_thresh: int = 32,
    pull_thresh: int = 32,
    fifo_join: int = PIO.JOIN_NONE,
) -> Callable[[Callable[[], None]], Program]:
    """Return the decorator that makes a Program of a function."""
    shiftctrl = fifo_join << 30 | (pull_thresh & 0x1F) << 25 | (push_thresh & 0x1F) << 20
    shiftctrl |= out_shiftdir << 19 | in_shiftdir << 18 | autopull << 17 | autopush << 16

    def assemble(function: Callable[[], None]) -> Program:
        # The function's own globals are replaced while it runs, as MicroPython does it: it sees no module's names.
        names = function.__globals__
        before = names.copy()
        labels: dict[str, int] | None = None
        try:
            for _ in range(2):
                run = _Pass(labels)
                names.clear()
                names.update(run.names())
                function()
                labels = run.labels
        finally:
            names.clear()
            names.update(before)
        wrap = len(run.words) - 1 if run.wrap is None else run.wrap
        return Program(run.words, run.labels, run.wrap_target, wrap, shiftctrl)

    return assemble
