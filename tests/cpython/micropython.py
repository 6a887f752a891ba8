"""What the firmware needs of MicroPython, for running core/ and wire/ under CPython.

``viper`` code sees arrays through pointers. On a 64-bit MicroPython a ``ptr32`` load is zero-extended, which these
pointers copy, so a missing sign extension shows here too. A store that does not fit 32 bits raises OverflowError, and
so does every sum, difference, product and left shift of what was loaded: on a 32-bit board it would wrap in silence.
"""

import builtins
import functools
import inspect
from typing import Any, ClassVar


class Word(int):
    """A number on its way through viper code. Only ``(word ^ sign) - sign`` may start from more than 31 bits."""

    def __add__(self, other: int) -> "Word":
        return _within(int.__add__(self, other))

    def __sub__(self, other: int) -> "Word":
        return _within(int.__sub__(self, other))

    def __mul__(self, other: int) -> "Word":
        return _within(int.__mul__(self, other))

    def __lshift__(self, other: int) -> "Word":
        return _within(int.__lshift__(self, other))

    def __rsub__(self, other: int) -> "Word":
        return _within(int.__rsub__(self, other))

    def __floordiv__(self, other: int) -> "Word":
        return _within(int.__floordiv__(self, other))

    def __rshift__(self, other: int) -> "Word":
        return Word(int.__rshift__(self, other))

    def __and__(self, other: int) -> "Word":
        return Word(int.__and__(self, other))

    def __xor__(self, other: int) -> "Word":
        return Word(int.__xor__(self, other))

    __radd__ = __add__
    __rmul__ = __mul__


def _within(value: int) -> Word:
    if not -0x80000000 <= value <= 0x7FFFFFFF:
        raise OverflowError(f"{value} does not fit 32 bits")
    return Word(value)


class Ptr32:
    """A pointer to 32-bit words, as viper has it; ``int(pointer)`` is its address."""

    # Each array that is pointed to gets an address range of its own.
    _arrays: ClassVar[list[Any]] = []
    _SPAN = 1 << 20

    def __init__(self, words: Any) -> None:
        if isinstance(words, int):
            number, offset = divmod(words, self._SPAN)
            if offset % 4:
                raise ValueError("words are read at multiples of four bytes")
            self.words = memoryview(self._arrays[number])[offset // 4 :]
        else:
            self.words = words

    def __int__(self) -> int:
        self._arrays[:] = [*self._arrays[-63:], self.words]
        return (len(self._arrays) - 1) * self._SPAN

    def __getitem__(self, index: int) -> Word:
        return Word(self.words[index] & 0xFFFFFFFF)

    def __setitem__(self, index: int, value: int) -> None:
        if not -0x80000000 <= value <= 0xFFFFFFFF:
            raise OverflowError(f"{value} does not fit 32 bits")
        self.words[index] = (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000


class Ptr8:
    """A pointer to bytes."""


def viper(function: Any) -> Any:
    """Give the function its ``ptr32`` arguments as Ptr32."""
    kinds = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
    pointers = [index for index, kind in enumerate(kinds) if kind is Ptr32]
    if not pointers:
        return function

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        converted = list(arguments)
        for index in pointers:
            converted[index] = Ptr32(converted[index])
        return function(*converted)

    return call


def native(function: Any) -> Any:
    """Leave the function as it is."""
    return function


def const(value: int) -> int:
    """Return the value."""
    return value


builtins.ptr32 = Ptr32  # type: ignore[attr-defined]
builtins.ptr8 = Ptr8  # type: ignore[attr-defined]
