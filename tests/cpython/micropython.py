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


class Pointer:
    """A pointer as viper has it: made from an array, or from an address, which is what ``int(pointer)`` gives."""

    SIZE: ClassVar[int]
    FORMAT: ClassVar[str]
    # Each array that is pointed to gets an address range of its own, until many others have come after it.
    _SPAN = 1 << 20
    _RANGES = 64
    _arrays: ClassVar[list[Any]] = [None] * _RANGES
    _next: ClassVar[int] = 0

    def __init__(self, target: Any) -> None:
        if isinstance(target, Pointer):
            target = int(target)
        if not isinstance(target, int):
            number = Pointer._next
            Pointer._next = (number + 1) % self._RANGES
            self._arrays[number] = memoryview(target).cast("B")
            target = number * self._SPAN
        number, offset = divmod(target, self._SPAN)
        if offset % self.SIZE:
            raise ValueError(f"{self.SIZE} bytes are read at multiples of as many")
        self._address = int(target)
        data = self._arrays[number]
        self._items = data[: len(data) // self.SIZE * self.SIZE].cast(self.FORMAT)
        self._first = offset // self.SIZE

    def __int__(self) -> int:
        return self._address

    def __getitem__(self, index: int) -> Word:
        if self._first + index < 0:
            raise IndexError("read before the array")
        return Word(self._items[self._first + index])

    def __setitem__(self, index: int, value: int) -> None:
        if self._first + index < 0:
            raise IndexError("written before the array")
        self._items[self._first + index] = self.kept(value)

    def kept(self, value: int) -> int:
        """Return what remains of ``value`` in memory."""
        return value & (1 << 8 * self.SIZE) - 1


class Ptr8(Pointer):
    """To bytes; a store keeps the lowest eight bits."""

    SIZE = 1
    FORMAT = "B"


class Ptr16(Pointer):
    """To 16-bit words."""

    SIZE = 2
    FORMAT = "H"


class Ptr32(Pointer):
    """To 32-bit words, whose stores have to fit."""

    SIZE = 4
    FORMAT = "I"

    def kept(self, value: int) -> int:
        """Return the word; raise OverflowError if it is none."""
        if not -0x80000000 <= value <= 0xFFFFFFFF:
            raise OverflowError(f"{value} does not fit 32 bits")
        return super().kept(value)


def viper(function: Any) -> Any:
    """Give the function its arguments as the pointers that their annotations ask for."""
    kinds = [parameter.annotation for parameter in inspect.signature(function).parameters.values()]
    pointers = [
        (index, kind) for index, kind in enumerate(kinds) if isinstance(kind, type) and issubclass(kind, Pointer)
    ]
    if not pointers:
        return function

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        converted = list(arguments)
        for index, kind in pointers:
            converted[index] = kind(converted[index])
        return function(*converted)

    return call


def native(function: Any) -> Any:
    """Leave the function as it is."""
    return function


def const(value: int) -> int:
    """Return the value."""
    return value


builtins.ptr8 = Ptr8  # type: ignore[attr-defined]
builtins.ptr16 = Ptr16  # type: ignore[attr-defined]
builtins.ptr32 = Ptr32  # type: ignore[attr-defined]
