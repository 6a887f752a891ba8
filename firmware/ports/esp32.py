"""ESP32 and ESP32-S3: ticks and background take turns, because a timer's callback waits for collections here.

``wait`` says when the next tick is due, on a grid that does not drift; the chip's pulse counters count the encoders.
"""

from array import array
from time import ticks_add, ticks_diff, ticks_us

import machine
import micropython
from machine import ADC, RTC, UART, Encoder, Pin
from micropython import const

from ports import (
    BYTES,
    COUNT,
    OUTPUTS_SIZE,
    POWER_ON,
    PROGRAM_ENDED,
    RESET_CAUSE,
    RESET_UNKNOWN,
    TICK,
    TO_KEEP,
    WATCHDOG_RESET,
)
from ports.hardware import Hardware, configuration

# Every round of the background feeds it. None takes as long, not even one that collects garbage in an external memory,
# 0.3 s, which no round does while a joint is on.
_WATCHDOG_MS = 400
# Shorter pulses on an encoder's lines are noise: 12 bits of the counter's clock, 80 MHz.
_FILTER_NS = 1000
# More frames than come, or go, while the other side does something else.
_LINK_BYTES = 2048
_KEPT_AT = const(12)
_KEPT = const(7)


@micropython.viper
def _changed(outputs: ptr32, kept: ptr32) -> int:
    """Copy the words to keep; return whether one was another before."""
    changed = 0
    for k in range(_KEPT):
        if kept[k] != outputs[_KEPT_AT + k]:
            kept[k] = outputs[_KEPT_AT + k]
            changed = 1
    return changed


class Port(Hardware):
    """What the executive asks of hardware; ``ports/__init__.py`` says what the arrays hold."""

    def __init__(self, config) -> None:  # type: ignore[no-untyped-def]
        super().__init__(config, _WATCHDOG_MS)
        self._period = 1_000_000 // self.tick_hz
        self._due = ticks_us()
        # The memory that the real-time clock's supply keeps.
        self._memory = RTC()
        kept = self._memory.memory()
        self._kept = bytearray(4 * (OUTPUTS_SIZE - TO_KEEP))
        if len(kept) == len(self._kept):
            for k, word in enumerate(array("i", kept)):
                self.outputs[TO_KEEP + k] = word
        self._encoders: "list[Encoder | None]" = []
        for k, channel in enumerate(config["channel"]):
            lines = channel.get("encoder")
            self._encoders.append(_encoder(k, lines["a"], lines["b"]) if lines else None)
        self.watch_indices(config["channel"])
        self.begin()
        self.inputs[RESET_CAUSE] = _CAUSES.get(machine.reset_cause(), RESET_UNKNOWN)

    # ---- the tick -------------------------------------------------------------------------

    def start(self, tick) -> None:  # type: ignore[no-untyped-def]
        """Begin to tick: ``wait`` says when."""
        self._due = ticks_add(ticks_us(), self._period)

    def wait(self) -> int:
        """Wait until there is work; return TICK, BYTES or both."""
        while True:
            late = ticks_diff(ticks_us(), self._due)
            came = BYTES if self.link.any() else 0
            if late >= 0:
                # Ticks that were missed are not made up for: the tick sees by the time that it is late.
                behind = late // self._period + 1
                self._due = ticks_add(self._due, behind * self._period)
                return TICK | came
            if came:
                return BYTES

    # ---- what Hardware asks of a chip -----------------------------------------------------

    def open_link(self, config):  # type: ignore[no-untyped-def]
        """Return the stream that a board file's ``link`` describes."""
        if config["kind"] == "console":
            from ports.console import Console

            return Console()
        tx, rx = config["tx"], config["rx"]
        return UART(config["id"], config["baud"], tx=tx, rx=rx, rxbuf=_LINK_BYTES, txbuf=_LINK_BYTES)

    def analogue(self, pin: int) -> ADC:
        """Return what measures the voltage at ``pin``."""
        return ADC(Pin(pin), atten=ADC.ATTN_11DB)

    @micropython.native
    def read_adc(self, adc: ADC):  # type: ignore[no-untyped-def]
        """Return the voltage at ``adc``, 65536 for 3.3 V; the chip corrects its converter's bends in microvolts."""
        # 65536 / 3,300,000 in steps that stay small integers.
        return (adc.read_uv() >> 6) * 10412 >> 13

    @micropython.native
    def count(self):  # type: ignore[no-untyped-def]
        """Put the encoders' counts into ``inputs``."""
        for k in range(self._n):
            encoder = self._encoders[k]
            if encoder:
                self.inputs[COUNT + k] = encoder.value()

    def count_one(self, channel: int) -> int:
        """Return one encoder's count, between ticks."""
        encoder = self._encoders[channel]
        return encoder.value() if encoder else 0

    def on_index(self, pin: Pin, handler) -> None:  # type: ignore[no-untyped-def]
        """Let ``handler`` be called at each rising edge of ``pin``, when the interpreter gets to it."""
        pin.irq(handler, Pin.IRQ_RISING)

    @micropython.native
    def keep(self):  # type: ignore[no-untyped-def]
        """Let the words of ``outputs`` from TO_KEEP on outlast a reset."""
        if _changed(self.outputs, self._kept):
            self._memory.memory(self._kept)


_CAUSES = {
    machine.PWRON_RESET: POWER_ON,
    # A panic, or machine.reset(): what switches power on is told apart from both.
    machine.HARD_RESET: PROGRAM_ENDED,
    machine.WDT_RESET: WATCHDOG_RESET,
    machine.SOFT_RESET: PROGRAM_ENDED,
}


def _encoder(unit: int, a: int, b: int) -> Encoder:
    # All four edges: the default counts one.
    lines = [Pin(pin, Pin.IN, Pin.PULL_UP) for pin in (a, b)]
    return Encoder(unit, lines[0], lines[1], phases=4, filter_ns=_FILTER_NS)


def open_board(config_path: str) -> "tuple[Port, dict[str, object]]":
    """Return the port, and the configuration in the JSON file at ``config_path``."""
    config = configuration(config_path)
    return Port(config), config
