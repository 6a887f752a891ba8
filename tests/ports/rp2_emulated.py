"""The modules ``rp2`` and ``machine`` over the RP2040 emulator's PIO, as far as ``ports.quadrature`` needs them.

Real are the PIO's registers and what its state machines do; there is no CPU. What MicroPython's port does with the
registers is done here in the same order.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from types import ModuleType, SimpleNamespace
from typing import Any

import micropython
import pio_assembler
from rp2040py import RP2040
from rp2040py.simulator import Simulator

_CTRL = 0x00
_INSTRUCTIONS = 0x48
_MACHINE = 0xC8
_MACHINE_SIZE = 0x18
_EXECCTRL, _SHIFTCTRL, _INSTR, _PINCTRL = 0x04, 0x08, 0x10, 0x14
_WORDS = 32
_BASES = {0x50200000: 0, 0x50300000: 1}
_INPUT_ENABLED = 0x40
_PULLED_UP = 0x08


class Chip:
    """An RP2040 of which only pins and PIO run, a system clock at a time."""

    def __init__(self) -> None:
        self.rp2040 = RP2040()
        # A PIO without one looks for an event loop to run in.
        Simulator(rp2040=self.rp2040)
        self._used = [0, 0]

    def lines(self, a: int, state: int) -> None:
        """Put B << 1 | A on the lines from GPIO ``a`` on."""
        self.rp2040.gpio[a].set_input_value(bool(state & 1))
        self.rp2040.gpio[a + 1].set_input_value(bool(state & 2))

    def run(self, cycles: int) -> None:
        """Let the PIOs run."""
        for _ in range(cycles):
            for pio in self.rp2040.pio:
                pio.advance(1)

    def turn(self, a: int, steps: Iterable[int], cycles: int) -> None:
        """Turn an encoder by ``steps``, each 1 or -1, ``cycles`` system clocks apart."""
        gpio = self.rp2040.gpio
        state = int(gpio[a].input_value) | int(gpio[a + 1].input_value) << 1
        ring = [0, 1, 3, 2]
        for step in steps:
            state = ring[(ring.index(state) + step) % 4]
            self.lines(a, state)
            self.run(cycles)

    def machine(self, number: int) -> Any:
        """Return the emulator's state machine."""
        return self.rp2040.pio[number // 4].machines[number % 4]

    def count(self, number: int) -> int:
        """Return what a state machine has counted, with sign."""
        y = self.machine(number).y & 0xFFFFFFFF
        return y - (1 << 32) if y >> 31 else y

    def flags(self, pio: int = 0) -> int:
        """Return the PIO's interrupt flags."""
        return int(self.rp2040.pio[pio].irq)

    def take(self, pio: int, program: pio_assembler.Program) -> int:
        """Put a program where MicroPython does: at the highest place that is free."""
        mask = (1 << len(program.words)) - 1
        for offset in range(_WORDS - len(program.words), -1, -1):
            if not self._used[pio] & mask << offset:
                self._used[pio] |= mask << offset
                for index, word in enumerate(program.words):
                    moved = word + offset if word >> 13 == 0 else word
                    self.rp2040.pio[pio].write_uint32(_INSTRUCTIONS + 4 * (offset + index), moved)
                return offset
        raise OSError(12)

    def modules(self) -> dict[str, ModuleType]:
        """Return ``rp2`` and ``machine`` on this chip."""
        chip = self

        class Pin:
            IN, PULL_UP = 0, 1

            def __init__(self, number: int, mode: int = -1, pull: int = -1) -> None:
                self.number = number
                if mode == Pin.IN:
                    pad = chip.rp2040.gpio[number]
                    pad.pad_value = _INPUT_ENABLED | (_PULLED_UP if pull == Pin.PULL_UP else 0)
                    pad.refresh_input()

        class StateMachine:
            def __init__(self, number: int, program: pio_assembler.Program, *, in_base: Pin) -> None:
                pio, index = divmod(number, 4)
                if pio not in program.offsets:
                    program.offsets[pio] = chip.take(pio, program)
                offset = program.offsets[pio]
                self._pio = chip.rp2040.pio[pio]
                self._index = index
                self._base = _MACHINE + _MACHINE_SIZE * index
                self._set_enabled(False)
                self._pio.machines[index].rx_fifo.reset()
                self._pio.write_uint32(_CTRL, self._pio.read_uint32(_CTRL) | 1 << (4 + index))
                execctrl = (program.wrap + offset) << 12 | (program.wrap_target + offset) << 7
                self._pio.write_uint32(self._base + _EXECCTRL, execctrl)
                self._pio.write_uint32(self._base + _SHIFTCTRL, program.shiftctrl)
                self._pio.write_uint32(self._base + _PINCTRL, in_base.number << 15)
                self.exec(offset)

            def exec(self, instruction: int) -> None:
                self._pio.write_uint32(self._base + _INSTR, instruction)

            def active(self, enabled: int) -> None:
                self._set_enabled(bool(enabled))

            def _set_enabled(self, enabled: bool) -> None:
                others = self._pio.read_uint32(_CTRL) & ~(1 << self._index)
                self._pio.write_uint32(_CTRL, others | enabled << self._index)

        rp2, machine = ModuleType("rp2"), ModuleType("machine")
        rp2.__dict__.update(asm_pio=pio_assembler.asm_pio, PIO=pio_assembler.PIO, StateMachine=StateMachine)
        machine.__dict__.update(Pin=Pin)
        return {"rp2": rp2, "machine": machine}


class Registers:
    """A viper pointer to a PIO's registers. While the CPU takes its time for an access, the PIO runs."""

    # A load, a compare and a branch; viper takes more.
    CYCLES = 4

    def __init__(self, chip: Chip, pio: int) -> None:
        self._chip = chip
        self._pio = chip.rp2040.pio[pio]
        self.reads = 0

    def __getitem__(self, index: int) -> micropython.Word:
        self.reads += 1
        self._chip.run(self.CYCLES)
        return micropython.Word(self._pio.read_uint32(4 * index))

    def __setitem__(self, index: int, value: int) -> None:
        self._chip.run(self.CYCLES)
        self._pio.write_uint32_atomic(4 * index, value, 0)


def load(chip: Chip, monkeypatch: Any) -> SimpleNamespace:
    """Import ``ports.quadrature`` on this chip; return it, and the registers that its pointers reach."""
    for name, module in chip.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    # Each chip has a module of its own, because a program remembers where it was put.
    module = importlib.import_module("ports.quadrature")
    del sys.modules["ports.quadrature"]
    registers = [Registers(chip, pio) for pio in range(2)]

    def pointer(target: Any) -> Any:
        return registers[_BASES[target]] if target in _BASES else micropython.Ptr32(target)

    # In the module's own globals, so that only its pointers are others.
    monkeypatch.setattr(module, "ptr32", pointer, raising=False)
    return SimpleNamespace(module=module, registers=registers)
