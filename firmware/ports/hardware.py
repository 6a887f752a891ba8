"""What every chip with MicroPython's ``machine`` has alike: drives, brakes, switches, analogue inputs, the index.

A chip's own file adds what differs: who counts the encoders, what calls the tick, what outlasts a reset. Nothing here
allocates once it is built, because a tick may come as an interrupt.
"""

import json
from array import array
from binascii import hexlify
from time import ticks_us

import machine
import micropython
from machine import ADC, WDT, Pin
from micropython import const

from ports import (
    BRAKE_RELEASE,
    BRAKES_OPEN,
    COUNT,
    CURRENT,
    DRIVE_FAULTS_SHIFT,
    DRIVES,
    E_STOP,
    INDEX_COUNT,
    INDEX_PASSES,
    INPUTS_SIZE,
    LOCAL_OFF,
    MAINTENANCE_STRAP,
    OUTPUTS_SIZE,
    RUN_CONTACT,
    RUN_LOOP,
    SENSOR,
    SUPPLY_MV,
    SWITCHES,
    TIME_US,
    TO_REST,
    WATCHDOG,
)
from ports.drives import drive_of

# The inputs that a wire to ground asserts, those that a wire to ground takes back, and those that a voltage asserts.
_CLOSED_TO_GROUND = {"brake_release": BRAKE_RELEASE, "maintenance": MAINTENANCE_STRAP}
_OPENED = {"e_stop": E_STOP, "local": LOCAL_OFF}
_HIGH = {"run_loop": RUN_LOOP}
# Full scale of read(): 3.3 V. What is scaled here fits 31 bits, up to 260 A and 260 V.
_FULL_V = 3.3
_SHIFT = const(12)
_SCALE_MAX = 16383


def _scale(full: float) -> int:
    """Return the factor that turns a reading of 16 bits into thousandths of ``full`` units at full scale."""
    return min(_SCALE_MAX, max(1, round(full * 1000 * (1 << _SHIFT) / 65536)))


class Hardware:
    """The arrays of a port, and what is behind them; ``config`` is the board's ``board.json``.

    ``link`` is its stream to the patient-side computer: ``any()``, ``readinto(buffer, n)``, ``write(buffer, at, n)``.
    """

    def __init__(self, config, watchdog_ms: int) -> None:  # type: ignore[no-untyped-def]
        self.tick_hz: int = config["tick_hz"]
        self.link_is_console: bool = config["link"]["kind"] == "console"
        self.inputs = array("i", [0] * INPUTS_SIZE)
        self.outputs = array("i", [0] * OUTPUTS_SIZE)
        pins = config["pins"]
        channels = config["channel"]
        self._n = len(channels)
        # First of all, so that nothing floats longer than it must.
        self._drives = [drive_of(channel["drive"], self.tick_hz) for channel in channels]
        self._brakes = [self._output(channel.get("brake")) for channel in channels]
        self._run_contact = self._output(pins.get("run_contact"))
        self._led = self._output(pins.get("led"))
        self._simulated = [
            drive if channel["drive"]["kind"] == "bench" else None for drive, channel in zip(self._drives, channels)
        ]
        self._switches: "list[Pin]" = []
        self._bits: "list[int]" = []
        self._inverted = 0
        for name, bit in _CLOSED_TO_GROUND.items():
            self._switch(pins.get(name), bit, Pin.PULL_UP, True)
        # An emergency stop is a contact that opens, as the local switch is, so that a cut wire stops; the run loop is
        # alive while it is fed.
        for name, bit in _OPENED.items():
            self._switch(pins.get(name), bit, Pin.PULL_UP, False)
        for name, bit in _HIGH.items():
            self._switch(pins.get(name), bit, Pin.PULL_DOWN, False)
        for k, channel in enumerate(channels):
            self._switch(channel["drive"].get("fault"), 1 << DRIVE_FAULTS_SHIFT + k, Pin.PULL_UP, True)
        self._currents: "list[ADC | None]" = []
        self._current_scales = array("i")
        self._current_zeros = array("i")
        self._one_way = array("i")
        self._sensors: "list[ADC | None]" = []
        for channel in channels:
            current = channel.get("current")
            self._currents.append(self.analogue(current["pin"]) if current else None)
            self._current_scales.append(_scale(_FULL_V * current["a_per_v"]) if current else 0)
            self._current_zeros.append(round(current.get("zero_v", 0) / _FULL_V * 65536) if current else 0)
            self._one_way.append(0 if current and current.get("bidirectional") else 1)
            sensor = channel.get("sensor")
            self._sensors.append(self.analogue(sensor["pin"]) if sensor else None)
        supply = pins.get("supply")
        self._supply = self.analogue(supply["pin"]) if supply else None
        self._supply_scale = _scale(_FULL_V * supply["ratio"]) if supply else 0
        self.link = self.open_link(config["link"])
        self._watchdog_ms = watchdog_ms
        self._watchdog: "WDT | None" = None

    # ---- the link -------------------------------------------------------------------------

    def read(self, buffer: bytearray) -> int:
        """Read what has come on the link into ``buffer``; return the number of bytes, 0 if none."""
        came = min(self.link.any(), len(buffer))
        # Asked for more than has come, a UART waits for it.
        return self.link.readinto(buffer, came) or 0 if came else 0

    def write(self, buffer: bytearray, n: int) -> None:
        """Send ``buffer[:n]`` on the link. What the other side does not take is dropped, never waited for."""
        self.link.write(buffer, 0, n)

    def feed(self) -> None:
        """Feed the hardware watchdog, which the first feed starts and nothing stops."""
        if self._watchdog is None:
            self._watchdog = WDT(timeout=self._watchdog_ms)
        self._watchdog.feed()

    def rest(self) -> None:
        """Give the REPL the port: at once, or, with a watchdog that would bite, behind a reset."""
        if self._watchdog is not None:
            self.outputs[TO_REST] = 1
            self.keep()
            machine.reset()

    # ---- what a chip's own file says ------------------------------------------------------

    def open_link(self, config):  # type: ignore[no-untyped-def]
        """Return the stream that a board file's ``link`` describes."""
        raise NotImplementedError

    def analogue(self, pin: int) -> ADC:
        """Return what measures the voltage at ``pin``."""
        raise NotImplementedError

    def read_adc(self, adc: ADC) -> int:
        """Return the voltage at ``adc``, 65536 for 3.3 V."""
        raise NotImplementedError

    def count(self) -> None:
        """Put the encoders' counts into ``inputs``."""
        raise NotImplementedError

    def count_one(self, channel: int) -> int:
        """Return one encoder's count, between ticks."""
        raise NotImplementedError

    def on_index(self, pin: Pin, handler) -> None:  # type: ignore[no-untyped-def]
        """Let ``handler`` be called at each rising edge of ``pin``, as soon as this chip can."""
        raise NotImplementedError

    def keep(self) -> None:
        """Let the words of ``outputs`` from TO_KEEP on outlast a reset."""
        raise NotImplementedError

    # ---- the tick's two ends --------------------------------------------------------------

    @micropython.native
    def begin(self):  # type: ignore[no-untyped-def]
        """Begin a tick: put what the pins say into ``inputs``."""
        inputs = self.inputs
        inputs[TIME_US] = ticks_us()  # type: ignore[call-overload]
        outputs = self.outputs
        self.count()
        switches = 0
        for k in range(len(self._switches)):
            if self._switches[k].value():
                switches |= self._bits[k]
        inputs[SWITCHES] = switches ^ self._inverted
        for k in range(self._n):
            simulated = self._simulated[k]
            if simulated:
                inputs[COUNT + k] = simulated.count
                inputs[CURRENT + k] = simulated.current_ma
            adc = self._currents[k]
            if adc:
                current = (self.read_adc(adc) - self._current_zeros[k]) * self._current_scales[k] >> _SHIFT
                if self._one_way[k] and outputs[k] < 0:
                    current = -current
                inputs[CURRENT + k] = current
            adc = self._sensors[k]
            if adc:
                inputs[SENSOR + k] = self.read_adc(adc) >> 1
        if self._supply:
            inputs[SUPPLY_MV] = self.read_adc(self._supply) * self._supply_scale >> _SHIFT

    @micropython.native
    def commit(self):  # type: ignore[no-untyped-def]
        """End a tick: what ``outputs`` says takes effect."""
        outputs = self.outputs
        on = outputs[DRIVES]
        open_ = outputs[BRAKES_OPEN]
        for k in range(self._n):
            self._drives[k].set(outputs[k], on >> k & 1, open_ >> k & 1)
            brake = self._brakes[k]
            if brake:
                brake.value(open_ >> k & 1)
        if self._run_contact:
            self._run_contact.value(outputs[RUN_CONTACT])
        if self._led:
            self._led.value(on != 0)
        self.keep()

    def safe(self) -> None:
        """Everything off, every brake closed, now."""
        for index in range(WATCHDOG):
            self.outputs[index] = 0
        self.commit()

    # ---- pins -----------------------------------------------------------------------------

    def _output(self, pin: "int | None") -> "Pin | None":
        return None if pin is None else Pin(pin, Pin.OUT, value=0)

    def _switch(self, pin: "int | None", bit: int, pull: int, inverted: bool) -> None:
        if pin is not None:
            self._switches.append(Pin(pin, Pin.IN, pull))
            self._bits.append(bit)
            if inverted:
                self._inverted |= bit

    def watch_indices(self, channels) -> None:  # type: ignore[no-untyped-def]
        """Let the count be caught at each rising edge of an index, from now on: the encoders must count already."""
        for k, channel in enumerate(channels):
            pin = channel.get("encoder", {}).get("index")
            if pin is not None:
                self._watch_index(k, Pin(pin, Pin.IN, Pin.PULL_UP))

    def _watch_index(self, channel: int, pin: Pin) -> None:
        inputs = self.inputs
        count_one = self.count_one

        @micropython.native
        def passed(_):  # type: ignore[no-untyped-def]
            inputs[INDEX_COUNT + channel] = count_one(channel)
            inputs[INDEX_PASSES + channel] = inputs[INDEX_PASSES + channel] + 1 & 0xFFFF

        self.on_index(pin, passed)


def configuration(path: str) -> "dict[str, object]":
    """Return the board's configuration in the JSON file at ``path``, and the chip's own number. Raises OSError."""
    with open(path) as file:
        config: "dict[str, object]" = json.load(file)
    config["uid"] = hexlify(machine.unique_id()).decode()
    return config
