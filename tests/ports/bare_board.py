"""An emulated RP2040 with a MicroPython that has no modules of the chip: what tests need of those is written here.

They do with the registers what MicroPython's own do, and there are no interrupts and no files.
"""

from __future__ import annotations

import pytest
from rp2_emulated import Chip as PinsAndPio
from rp2_emulated import load

from bedside.places import FIRMWARE
from rp2040.chip import Chip
from rp2040.repl import RawRepl

# Less than the board takes for a byte, which it polls for.
_BYTE_US = 1

MODULES = """
import sys, micropython
from array import array

@micropython.viper
def peek(high: int, low: int) -> int:
    return ptr32((high << 16) + low)[0]

@micropython.viper
def poke(high: int, low: int, value: int):
    ptr32((high << 16) + low)[0] = value

class Module:
    pass

class PIO:
    SHIFT_LEFT, SHIFT_RIGHT = 0, 1

class StateMachine:
    def __init__(self, number, program, *, in_base):
        self.pio = 0x5020 + 0x10 * (number // 4)
        self.bit = 1 << number % 4
        self.at = 0xC8 + 0x18 * (number % 4)
        for index, word in enumerate(WORDS):
            poke(self.pio, 0x48 + 4 * index, word)
        poke(self.pio, self.at + 4, EXECCTRL)
        poke(self.pio, self.at + 8, SHIFTCTRL)
        poke(self.pio, self.at + 0x14, in_base.number << 15)
        self.exec(0)

    def exec(self, instruction):
        poke(self.pio, self.at + 0x10, instruction)

    def active(self, on):
        poke(self.pio, 0, peek(self.pio, 0) | self.bit)

def function_select(pin, function):
    poke(0x4001, 0x4004 + 8 * pin, function)

class Pin:
    IN, OUT, PULL_UP, PULL_DOWN = 0, 1, 1, 2

    def __init__(self, number, mode=-1, pull=0):
        self.number = number
        if mode >= 0:
            poke(0x4001, 0xC004 + 4 * number, 0x40 | (0x08 if pull == 1 else 0x04 if pull == 2 else 0))
            poke(0xD000, 0x24 if mode else 0x28, 1 << number)
            function_select(number, 5)

    def on(self):
        poke(0xD000, 0x14, 1 << self.number)

    def value(self):
        return peek(0xD000, 4) >> self.number & 1

class PWM:
    def __init__(self, pin, freq, duty_u16):
        self.at = 0x14 * (pin.number // 2 % 8)
        top = 125000000 // freq
        level = duty_u16 * top // 65535
        if pin.number & 1:
            level = level << 16 | peek(0x4005, self.at + 12) & 0xFFFF
        else:
            level |= peek(0x4005, self.at + 12) & ~0xFFFF
        poke(0x4005, self.at + 4, 16)
        poke(0x4005, self.at + 16, top - 1)
        poke(0x4005, self.at + 12, level)
        poke(0x4005, self.at, 1)
        function_select(pin.number, 4)

    def deinit(self):
        poke(0x4005, self.at, 0)

class UART:
    at = 0x8000

    def __init__(self, number, baud, tx, rx, rxbuf, txbuf):
        self.data = 0x4000 * number
        poke(0x4003, self.data + 0x4024, 125000000 // (16 * baud))
        poke(0x4003, self.data + 0x4028, (125000000 * 4 // baud) % 64)

    def any(self):
        return not peek(0x4003, self.data + 0x4018) >> 4 & 1

    def readinto(self, buffer):
        n = 0
        while n < len(buffer) and self.any():
            buffer[n] = peek(0x4003, self.data + 0x4000)
            n += 1
        return n

    def write(self, data):
        for byte in data:
            poke(0x4003, self.data + 0x4000, byte)

    def flush(self):
        pass

class Time(Module):
    @staticmethod
    def ticks_us():
        # The timer is at 0x40054000.
        return peek(0x4005, 0x4028) & 0x3FFFFFFF

    @staticmethod
    def ticks_ms():
        return Time.ticks_us() // 1000

    @staticmethod
    def ticks_add(a, b):
        return a + b

    @staticmethod
    def ticks_diff(a, b):
        return a - b

    @staticmethod
    def sleep_ms(ms):
        end = Time.ticks_us() + 1000 * ms
        while Time.ticks_us() < end:
            pass

class Rp2(Module):
    PIO, StateMachine = PIO, StateMachine

    @staticmethod
    def asm_pio(**_):
        return lambda function: function

class Machine(Module):
    Pin, PWM, UART = Pin, PWM, UART

sys.modules["rp2"], sys.modules["machine"], sys.modules["time"] = Rp2, Machine, Time
"""

QUADRATURE = """
class Quadrature(Module):
    pass

Module.quadrature = Quadrature
sys.modules["ports"], sys.modules["ports.quadrature"] = Module, Quadrature
ours = Encoders, PWM, UART
"""

# State machines that run make the emulator several times slower.
PUT_RIGHT = """
poke(0x5020, 0, 0)
Encoders, PWM, UART = Quadrature.Encoders, Machine.PWM, Machine.UART = ours
"""


class BareRepl(RawRepl):
    """A raw REPL on a board without files."""

    def put(self, path: str, data: bytes) -> None:
        """Leave the file: what it holds is there as a module."""


class UartConsole:
    """The console of an emulated RP2040 whose REPL is on UART 0; it reads and writes as a pyserial port does."""

    def __init__(self, chip: Chip) -> None:
        self.timeout: float | None = None
        self._chip = chip
        self._came = chip.listen(0)

    def write(self, data: bytes) -> int:
        """Send ``data``; the next byte waits until there is room, as with flow control."""
        uart = self._chip.rp2040.uart[0]
        left = list(reversed(data))

        def send() -> None:
            if not uart.rx_fifo.full:
                uart.feed_byte(left.pop())
            if left:
                self._chip.after_us(_BYTE_US, send)

        send()
        assert self._chip.run_until(lambda: not left, 10)
        return len(data)

    def read_until(self, expected: bytes = b"\n") -> bytes:
        found = self._chip.run_until(lambda: expected in self._came, self.timeout or 0)
        size = self._came.index(expected) + len(expected) if found else len(self._came)
        came = bytes(self._came[:size])
        del self._came[:size]
        return came


def start(chip: Chip) -> BareRepl:
    """Return the board's REPL, with the modules and the encoders' firmware on it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        program = load(PinsAndPio(), monkeypatch).module.count_edges
    repl = BareRepl(UartConsole(chip))
    execctrl = program.wrap << 12 | program.wrap_target << 7
    repl.run(f"WORDS, EXECCTRL, SHIFTCTRL = {program.words}, {execctrl}, {program.shiftctrl}\n{MODULES}")
    repl.run((FIRMWARE / "ports" / "quadrature.py").read_text())
    repl.run(QUADRATURE)
    return repl
