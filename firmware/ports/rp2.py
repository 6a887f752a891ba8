"""RP2040 and RP2350: the tick is a hard timer's interrupt, encoders are counted in PIO.

An interrupt may come between any two steps of the background, and nothing in it may allocate: what it calls is built
before it begins. An exception in it would end the timer and leave the motors with what they were told last, so it is
caught, everything goes safe at once, and the background raises it.
"""

import sys

import machine
import micropython
from machine import ADC, UART, Pin, Timer
from micropython import const

from ports import (
    BYTES,
    COUNT,
    POWER_ON,
    PROGRAM_ENDED,
    RESET_CAUSE,
    WATCHDOG_RESET,
)
from ports.hardware import Hardware, configuration
from ports.quadrature import Encoders

# The watchdog's registers, as words: REASON says whether it bit or was told to, SCRATCH outlasts a reset. Word 4 of
# SCRATCH is the boot ROM's, so it is left alone.
_REASON = const(2)
_SCRATCH = const(3)
_BOOT_ROM = const(4)
_TIMER = const(1)
_KEPT_AT = const(12)
_KEPT = const(7)
# Every round of the background feeds it, and none takes as long.
_WATCHDOG_MS = 50
# More frames than come, or go, while the other side does something else.
_LINK_BYTES = 2048


# The NVIC's priorities, a byte each (Armv6-M manual B3.4.7); every other interrupt, the timer's too, has 0x80.
_PRIORITIES = 0xE000E400
_BEFORE_THE_TICK = 0x40


def _is_rp2350() -> bool:
    return "RP2350" in sys.implementation._machine


def _watchdog_registers() -> int:
    return 0x400D8000 if _is_rp2350() else 0x40058000


def _put_before_the_tick(uart: int) -> None:
    """Let the UART be served in the middle of a tick, which may take longer than its 32 bytes last, 0.3 ms at 1 Mbaud.

    What serves it is MicroPython's own and touches nothing of ours.
    """
    # Datasheets of RP2040, 2.3.2, and of RP2350, 3.2: interrupt 20, or 33, and the next. Bytes are no access here.
    interrupt = (33 if _is_rp2350() else 20) + uart
    word, shift = _PRIORITIES + (interrupt & ~3), 8 * (interrupt & 3)
    machine.mem32[word] = machine.mem32[word] & ~(0xFF << shift) | _BEFORE_THE_TICK << shift


@micropython.viper
def _keep(outputs: ptr32, registers: ptr32):
    for k in range(_KEPT):
        registers[_SCRATCH + k + (1 if k >= _BOOT_ROM else 0)] = outputs[_KEPT_AT + k]


@micropython.viper
def _recall(outputs: ptr32, registers: ptr32):
    for k in range(_KEPT):
        outputs[_KEPT_AT + k] = registers[_SCRATCH + k + (1 if k >= _BOOT_ROM else 0)]


def _never() -> None:
    """Before ``start`` nothing ticks."""


@micropython.viper
def _reason(registers: ptr32) -> int:
    return registers[_REASON]


class Port(Hardware):
    """What the executive asks of hardware; ``ports/__init__.py`` says what the arrays hold."""

    def __init__(self, config) -> None:
        super().__init__(config, _WATCHDOG_MS)
        # An exception in an interrupt needs a place to be told from; some builds have one of their own.
        if hasattr(micropython, "alloc_emergency_exception_buf"):
            micropython.alloc_emergency_exception_buf(100)
        self._registers = _watchdog_registers()
        _recall(self.outputs, self._registers)
        encoders = [channel.get("encoder") for channel in config["channel"]]
        self._encoders = Encoders([(lines["a"], lines["b"]) if lines else None for lines in encoders])
        self._timer = Timer(-1)
        self._tick = _never
        self._broken: "BaseException | None" = None
        self._ticks = 0
        self._seen = 0
        self.watch_indices(config["channel"])
        self.begin()
        self.inputs[RESET_CAUSE] = self._reset_cause()

    # ---- the tick -------------------------------------------------------------------------

    def start(self, tick) -> None:
        """Begin to call ``tick`` from the timer's interrupt, ``tick_hz`` times a second."""
        self._tick = tick
        self._timer.init(mode=Timer.PERIODIC, freq=self.tick_hz, callback=self._on_timer, hard=True)

    @micropython.native
    def _on_timer(self, timer):
        try:
            self._tick()
        except BaseException as error:
            Hardware.safe(self)
            self._broken = error
            timer.deinit()
        self._ticks = self._ticks + 1 & 0xFFFF

    def wait(self) -> int:
        """Sleep until bytes have come, or a tick has passed; return BYTES or 0. Raises what the tick has raised."""
        while True:
            if self._broken:
                raise self._broken
            if self.link.any():
                return BYTES
            if self._ticks != self._seen:
                self._seen = self._ticks
                return 0
            machine.idle()

    def safe(self) -> None:
        """No tick any more, everything off, every brake closed, now."""
        self._timer.deinit()
        super().safe()

    # ---- what Hardware asks of a chip -----------------------------------------------------

    def open_link(self, config):
        """Return the stream that a board file's ``link`` describes."""
        if config["kind"] == "usb":
            from ports.cdc import Cdc

            return Cdc()
        tx, rx = Pin(config["tx"]), Pin(config["rx"])
        uart = UART(config["id"], config["baud"], tx=tx, rx=rx, rxbuf=_LINK_BYTES, txbuf=_LINK_BYTES)
        _put_before_the_tick(config["id"])
        return uart

    def analogue(self, pin: int) -> ADC:
        """Return what measures the voltage at ``pin``."""
        return ADC(Pin(pin))

    @micropython.native
    def read_adc(self, adc: ADC):
        """Return the voltage at ``adc``, 65536 for 3.3 V."""
        return adc.read_u16()

    @micropython.native
    def count(self):
        """Put the encoders' counts into ``inputs``."""
        self._encoders.read(self.inputs, COUNT)

    def count_one(self, channel: int) -> int:
        """Return one encoder's count, between ticks."""
        return self._encoders.read_one(channel)

    def on_index(self, pin: Pin, handler) -> None:
        """Let ``handler`` be called at each rising edge of ``pin``, as an interrupt."""
        pin.irq(trigger=Pin.IRQ_RISING, handler=handler, hard=True)

    @micropython.native
    def keep(self):
        """Let the words of ``outputs`` from TO_KEEP on outlast a reset."""
        _keep(self.outputs, self._registers)

    def _reset_cause(self) -> int:
        if machine.reset_cause() == machine.PWRON_RESET:
            return POWER_ON
        return WATCHDOG_RESET if _reason(self._registers) & _TIMER else PROGRAM_ENDED


def open_board(config_path: str) -> "tuple[Port, dict[str, object]]":
    """Return the port, and the configuration in the JSON file at ``config_path``."""
    config = configuration(config_path)
    return Port(config), config
