# The part of rp2 that the firmware uses.
from collections.abc import Callable
from typing import Any

from machine import Pin

class PIO:
    SHIFT_LEFT: int
    SHIFT_RIGHT: int

class StateMachine:
    def __init__(self, number: int, program: list[Any], /, *, in_base: Pin) -> None: ...
    def exec(self, instruction: int, /) -> None: ...
    def active(self, active: int, /) -> bool: ...

def asm_pio(*, in_shiftdir: int, out_shiftdir: int) -> Callable[[Callable[[], None]], list[Any]]: ...
