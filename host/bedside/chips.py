"""The chips that Bedside knows, as plain data from their datasheets and MicroPython's ports for them.

What each can do on which pin, what its firmware is compiled for, and what a MicroPython image for it looks like.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bedside.errors import FlashError


@dataclass(frozen=True)
class Uart:
    """A UART and the pins that its lines can be on."""

    tx: frozenset[int]
    rx: frozenset[int]


@dataclass(frozen=True)
class Uf2Image:
    """An image for a chip that shows itself as a USB drive; ``board_id`` is the drive's label, too.

    Families: the list of the UF2 specification. Board-ID: INFO_UF2.TXT in the boot ROM (RP2040 datasheet 2.8.4.1,
    RP2350 datasheet 5.5.2).
    """

    family: int
    board_id: str


@dataclass(frozen=True)
class EspImage:
    """An image for a chip that esptool writes: at ``offset`` its boot ROM looks for the bootloader.

    Chip ids: ``esp_chip_id_t`` in ESP-IDF's ``esp_app_format.h``.
    """

    chip_id: int
    offset: int


@dataclass(frozen=True)
class Chip:
    """A kind of chip; ``march`` is mpy-cross's name of its instruction set, ``port`` the module in ``firmware/ports``.

    ``image`` is how MicroPython gets there, None if it is there already, and ``micropython`` the oldest on which the
    port runs. Pins are GPIO numbers; a chip without
    ``gpios`` is simulated.

    ``taken`` are pins that a board file cannot have, ``strapping`` those whose level at reset means something, each
    with its reason; ``boot`` are those of them where the wrong level keeps a board from starting or being flashed.
    ``no_pull`` have neither pull-up nor pull-down. ``adc_v`` is how far the ADC can be trusted, in volts.

    PWM: with ``pwm_slices`` a pin's signal hangs on its number, slice (pin >> 1) % slices and channel pin & 1, and a
    slice has one frequency; otherwise any pin has any of ``pwm_channels``, and there are ``pwm_timers`` frequencies, of
    both enough for as many drives as it counts encoders. ``counters`` is how many it counts; with ``neighbours`` line b
    must be on the pin after line a.
    """

    title: str
    march: str
    port: str
    links: tuple[str, ...]
    image: Uf2Image | EspImage | None = None
    micropython: tuple[int, ...] = ()
    clock_hz: int = 0
    gpios: frozenset[int] = frozenset()
    taken: dict[int, str] = field(default_factory=dict)
    strapping: dict[int, str] = field(default_factory=dict)
    boot: frozenset[int] = frozenset()
    input_only: frozenset[int] = frozenset()
    no_pull: frozenset[int] = frozenset()
    adc: frozenset[int] = frozenset()
    adc_v: float = 0.0
    uarts: dict[int, Uart] = field(default_factory=dict)
    pwm_slices: int = 0
    pwm_channels: int = 0
    pwm_timers: int = 0
    counters: int = 0
    neighbours: bool = False

    @property
    def flash(self) -> tuple[str, ...]:
        """The methods by which a board file may say that it is flashed."""
        match self.image:
            case Uf2Image():
                return ("uf2", "none")
            case EspImage():
                return ("esptool", "none")
        return ("none",)


def chip_called(name: str) -> Chip:
    """Return the chip of this name. Raises FlashError, which names those there are."""
    try:
        return CHIPS[name]
    except KeyError:
        raise FlashError(f"chip '{name}' is not known; there are: {', '.join(CHIPS)}") from None


def _pins(*spans: tuple[int, int]) -> frozenset[int]:
    return frozenset(pin for first, last in spans for pin in range(first, last + 1))


def _rp2(title: str, march: str, image: Uf2Image, clock_hz: int, counters: int) -> Chip:
    """Return what RP2040 and RP2350A share: pins 0 to 29, eight PWM slices, two UARTs, four ADC inputs."""
    return Chip(
        title=title,
        march=march,
        port="rp2",
        links=("uart", "usb"),
        image=image,
        # The first whose timers tick at interrupt level.
        micropython=(1, 26),
        clock_hz=clock_hz,
        gpios=_pins((0, 29)),
        adc=_pins((26, 29)),
        adc_v=3.3,
        # The RP2350 has further places, behind another pin function; these work on both chips.
        uarts={
            0: Uart(frozenset({0, 12, 16, 28}), frozenset({1, 13, 17, 29})),
            1: Uart(frozenset({4, 8, 20, 24}), frozenset({5, 9, 21, 25})),
        },
        pwm_slices=8,
        counters=counters,
        # A PIO state machine reads both lines of an encoder in one instruction.
        neighbours=True,
    )


_FLASH = "the chip's flash and PSRAM hang on it"
_CONSOLE = "it is the console's, over which the board is flashed and its boot program talks"
_USB = "it is the chip's own USB port"

# The first with machine.Encoder.
_ESP32_MICROPYTHON = (1, 26)
_ESP32_PINS = _pins((0, 19), (21, 23), (25, 27), (32, 39))
_ESP32_UART = Uart(_ESP32_PINS - _pins((34, 39)), _ESP32_PINS)
# 33 to 37 are free unless the module has octal PSRAM ("R8", "R16"); a board file for such a module leaves them alone.
_ESP32S3_PINS = _pins((0, 21), (26, 48))
_ESP32S3_UART = Uart(_ESP32S3_PINS, _ESP32S3_PINS)

CHIPS: dict[str, Chip] = {
    "unix": Chip("simulated, MicroPython's unix port", "x64", "sim", links=("console",)),
    "mps2": Chip("emulated Cortex-M3", "armv7m", "mps2", links=("console",), clock_hz=25_000_000),
    # Two and three PIO blocks of four state machines.
    "rp2040": _rp2("RP2040", "armv6m", Uf2Image(0xE48BFF56, "RPI-RP2"), 125_000_000, 8),
    "rp2350": _rp2("RP2350", "armv7emsp", Uf2Image(0xE48BFF59, "RP2350"), 150_000_000, 12),
    "esp32": Chip(
        title="ESP32",
        march="xtensawin",
        port="esp32",
        links=("uart", "console"),
        image=EspImage(0, 0x1000),
        micropython=_ESP32_MICROPYTHON,
        clock_hz=160_000_000,
        gpios=_ESP32_PINS,
        taken={**dict.fromkeys(range(6, 12), _FLASH), 1: _CONSOLE, 3: _CONSOLE},
        strapping={
            0: "low at reset, the chip waits to be flashed instead of starting",
            2: "high at reset, the chip cannot be flashed",
            5: "it is read at reset, when the chip pulls it up",
            12: "high at reset, the chip gives its flash the wrong voltage and does not start",
            15: "it is read at reset, when the chip pulls it up",
        },
        boot=frozenset({0, 2, 12}),
        input_only=_pins((34, 39)),
        no_pull=_pins((34, 39)),
        # ADC1 alone: ADC2 is shared with the radio.
        adc=_pins((32, 39)),
        adc_v=2.45,
        # UART 0 is the console.
        uarts={1: _ESP32_UART, 2: _ESP32_UART},
        # Two groups of eight channels and four timers.
        pwm_channels=16,
        pwm_timers=8,
        counters=8,
    ),
    "esp32s3": Chip(
        title="ESP32-S3",
        march="xtensawin",
        port="esp32",
        links=("uart", "console"),
        image=EspImage(9, 0x0),
        micropython=_ESP32_MICROPYTHON,
        clock_hz=160_000_000,
        gpios=_ESP32S3_PINS,
        taken={
            **dict.fromkeys(range(26, 33), _FLASH),
            **dict.fromkeys((19, 20), _USB),
            **dict.fromkeys((43, 44), _CONSOLE),
        },
        strapping={
            0: "low at reset, the chip waits to be flashed instead of starting",
            3: "it is read at reset, and floats then",
            45: "high at reset, the chip gives its flash the wrong voltage and does not start",
            46: "high at reset, the chip cannot be flashed",
        },
        boot=frozenset({0, 45, 46}),
        adc=_pins((1, 10)),
        adc_v=3.1,
        uarts={1: _ESP32S3_UART, 2: _ESP32S3_UART},
        pwm_channels=8,
        pwm_timers=4,
        counters=4,
    ),
}
