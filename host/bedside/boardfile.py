"""The board file: a kind of board, what is wired to which of its pins, and how it is flashed. One file, one kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
from msgspec import Meta, Struct

from bedside import pins
from bedside.chips import CHIPS, Chip, EspImage
from bedside.config import convert, read_toml
from bedside.errors import CellError
from bedside.pins import Use
from bedside.places import BOARDS

if TYPE_CHECKING:
    from bedside.cell import Cell

Pin = Annotated[int, Meta(ge=0, le=63)]
Volts = Annotated[float, Meta(gt=0, le=100)]
# Below, a motor sings and its current ripples; above, no driver switches cleanly and the duty has few steps left.
PwmHz = Annotated[int, Meta(ge=1000, le=100_000)]
# The fastest that an ESP32's UART goes; an RP2 goes further, adapters rarely.
Baud = Annotated[int, Meta(ge=9600, le=5_000_000)]
Build = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,40}\Z", description="a MicroPython download's name in quotes")]
Volume = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,11}\Z", description="the label of its BOOTSEL volume in quotes")
]
Version = Annotated[str, Meta(pattern=r"^\d{1,3}(\.\d{1,3}){1,2}\Z", description='a version in quotes, such as "1.26"')]
CHANNELS_MAX = 8


class _Table(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A table of the file; keys that are absent stay absent when it is told to a board."""


class UartLink(_Table, tag_field="kind", tag="uart"):
    """A UART and its pins, at ``baud``."""

    id: Annotated[int, Meta(ge=0, le=7)]
    tx: Pin
    rx: Pin
    baud: Baud


class UsbLink(_Table, tag_field="kind", tag="usb"):
    """A USB serial port of its own, beside that of MicroPython's REPL; ``baud``, no key, is what it is opened with."""

    baud: ClassVar[int] = 1_000_000


class ConsoleLink(_Table, tag_field="kind", tag="console"):
    """The port of MicroPython's REPL, which the firmware takes over while it runs."""

    baud: Baud


class Uf2(_Table, tag_field="method", tag="uf2"):
    """Flashed by a file that is copied to the volume with this label; ``build`` is the MicroPython download's name."""

    build: Build
    volume: Volume


class Esptool(_Table, tag_field="method", tag="esptool"):
    """Flashed by esptool, MicroPython at ``offset``."""

    build: Build
    offset: Annotated[int, Meta(ge=0, le=0x100000)]


class NotFlashed(_Table, tag_field="method", tag="none"):
    """MicroPython is there already, or is put there by other means."""


class Supply(_Table):
    """The motors' supply, measured: ``ratio`` volts there for each volt at the ADC's ``pin``."""

    pin: Pin
    ratio: Annotated[float, Meta(gt=0, le=1000)]


class Pins(_Table):
    """What a board has besides its channels."""

    e_stop: Pin | None = None
    local: Pin | None = None
    brake_release: Pin | None = None
    maintenance: Pin | None = None
    run_loop: Pin | None = None
    run_contact: Pin | None = None
    led: Pin | None = None
    supply: Supply | None = None


class TwoPwm(_Table, tag_field="kind", tag="two-pwm"):
    """An H-bridge with two inputs: both low coasts, both high brakes."""

    a: Pin
    b: Pin
    hz: PwmHz
    enable: Pin | None = None
    fault: Pin | None = None


class PwmDirection(_Table, tag_field="kind", tag="pwm-direction"):
    """An H-bridge with a PWM input and a direction."""

    pwm: Pin
    direction: Pin
    hz: PwmHz
    enable: Pin | None = None
    fault: Pin | None = None


class Bench(_Table, tag_field="kind", tag="bench"):
    """No motor: the board simulates one."""


class Quadrature(_Table):
    """An incremental encoder's lines."""

    a: Pin
    b: Pin
    index: Pin | None = None


class CurrentSense(_Table):
    """A motor's current: ``a_per_v`` amperes per volt beyond ``zero_v``.

    One that is not bidirectional tells its size alone and takes the output's sign.
    """

    pin: Pin
    a_per_v: Annotated[float, Meta(gt=0, le=1000)]
    zero_v: Annotated[float, Meta(ge=0, le=5)]
    bidirectional: bool


class SensorPin(_Table):
    """A second sensor, 0 to 32767 over the ADC's range."""

    pin: Pin


class Channel(_Table):
    """What drives and measures one joint."""

    drive: TwoPwm | PwmDirection | Bench
    encoder: Quadrature | None = None
    current: CurrentSense | None = None
    sensor: SensorPin | None = None
    brake: Pin | None = None


class BoardType(_Table):
    """A kind of board: the file of that name in ``boards/``, or any other.

    ``available`` are the pins that the board brings out; without it, they are all that the chip has. A supply outside
    ``supply_v``, or a tick that begins ``late_max_us`` late, is a fault. ``channels`` stands in the file of a board
    without pins only; of another it becomes the number of its ``channel`` tables.
    """

    chip: str
    description: str
    link: UartLink | UsbLink | ConsoleLink
    flash: Uf2 | Esptool | NotFlashed
    micropython: Version | None = None
    available: list[Pin] | None = None
    channels: int = 0
    tick_hz: Annotated[int, Meta(ge=500, le=4000)] = 1000
    supply_v: tuple[Volts, Volts] = (18.0, 30.0)
    late_max_us: Annotated[int, Meta(ge=100, le=1_000_000)] = 500
    pins: Pins = msgspec.field(default_factory=Pins)
    channel: list[Channel] = []

    @property
    def facts(self) -> Chip:
        """What the board's chip can do, on the pins that the board brings out."""
        chip = CHIPS[self.chip]
        if self.available is None:
            return chip
        hidden = dict.fromkeys(chip.gpios - set(self.available), "it is not among those that the board has 'available'")
        return replace(chip, taken=hidden | chip.taken)

    @property
    def uses(self) -> list[Use]:
        """What the board has which pin for, in the order of its file."""
        return [*_link_uses(self.link), *_board_uses(self.pins), *_channel_uses(self.channel)]


def load_board_type(name: str) -> BoardType:
    """Read ``boards/NAME.toml``, or the file that ``name`` is the path of if it ends in .toml. Raises CellError."""
    if name.endswith(".toml"):
        return load_board_file(Path(name))
    path = BOARDS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in BOARDS.glob("*.toml")))
        raise CellError(
            f"board type '{name}' is not known; the files in boards/ are: {known}; a file elsewhere is given by its "
            "path, ending in .toml"
        )
    return load_board_file(path)


def load_board_file(path: Path) -> BoardType:
    """Read and check a board file. Raises CellError, which names the key, pin or figure, and what to do about it."""
    raw = read_toml(path)
    try:
        _check_choices(raw)
        board = convert(raw, BoardType, "docs/boards.md")
        _check(board)
    except CellError as error:
        raise CellError(f"{path}: {error}") from None
    board.channels = board.channels or len(board.channel)
    return board


def board_config(cell: Cell, slot_name: str) -> dict[str, Any]:
    """Return what the board ``slot_name`` of ``cell`` is told of itself, its ``board.json``. Raises CellError."""
    kind = load_board_type(next(slot.type for slot in cell.board if slot.name == slot_name))
    joints = [joint.name for _, joint in cell.joints_of(slot_name)]
    return {
        "name": slot_name,
        "role": f"{cell.arm.name}/{slot_name}",
        "joints": joints,
        "tick_hz": kind.tick_hz,
        "link": msgspec.to_builtins(kind.link),
        "pins": msgspec.to_builtins(kind.pins),
        "channel": msgspec.to_builtins(kind.channel[: len(joints)]),
    }


def canonical(value: dict[str, Any]) -> bytes:
    """Return ``value`` as JSON with sorted keys and no spaces in UTF-8: the same bytes wherever it is made."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _check_choices(raw: dict[str, Any]) -> None:
    """Check first what the chip allows at all, so that nobody is asked for the keys of a link that it cannot have."""
    name = raw.get("chip")
    if not isinstance(name, str):
        return
    if name not in CHIPS:
        raise CellError(f"chip = '{name}' is not known; there are: {', '.join(CHIPS)}")
    for table, key, able in ("link", "kind", CHIPS[name].links), ("flash", "method", CHIPS[name].flash):
        tag = raw[table].get(key) if isinstance(raw.get(table), dict) else None
        if isinstance(tag, str) and tag not in able:
            raise CellError(f"{table}.{key} = '{tag}': {name} cannot do that; it can: {', '.join(able)}")


def _check(board: BoardType) -> None:
    chip = board.facts
    low, high = board.supply_v
    if not low < high:
        raise CellError(f"supply_v = [{low:g}, {high:g}]: the lower limit must be below the upper one")
    _check_link_and_flash(board, chip)
    if chip.gpios:
        if board.channels:
            raise CellError(
                f"channels = {board.channels}: a board with pins has as many as [[channel]] tables, here "
                f"{len(board.channel)}; remove the key"
            )
        if board.micropython is None:
            raise CellError('micropython is missing: give the oldest version that will do, such as "1.26"')
        if tuple(map(int, board.micropython.split("."))) < chip.micropython:
            oldest = ".".join(map(str, chip.micropython))
            raise CellError(
                f'micropython = "{board.micropython}": on the {chip.title} the firmware needs {oldest} or newer; '
                f'give "{oldest}"'
            )
        _check_count("channel tables", len(board.channel))
        _check_pins(board, chip)
    else:
        if board.uses or board.channel or board.micropython or board.available is not None:
            raise CellError(
                f"chip = '{board.chip}': it has no pins and brings its MicroPython along; remove micropython, "
                "available, [pins] and [[channel]], and give channels = 1 to 8"
            )
        _check_count("channels", board.channels)


def _check_count(what: str, number: int) -> None:
    if not 1 <= number <= CHANNELS_MAX:
        raise CellError(f"{number} {what}: a board has 1 to {CHANNELS_MAX}; share the joints among more boards")


def _check_link_and_flash(board: BoardType, chip: Chip) -> None:
    if isinstance(board.link, UartLink) and board.link.id not in chip.uarts:
        reason = " (0 is the console's)" if board.link.id == 0 else ""
        raise CellError(
            f"link.id = {board.link.id}: the {chip.title} has UARTs {', '.join(map(str, chip.uarts))} for this{reason}"
        )
    if (
        isinstance(board.flash, Esptool)
        and isinstance(chip.image, EspImage)
        and board.flash.offset != chip.image.offset
    ):
        raise CellError(
            f"flash.offset = {board.flash.offset:#x}: the {chip.title} starts what it finds at {chip.image.offset:#x}; "
            "give that"
        )


def _check_pins(board: BoardType, chip: Chip) -> None:
    for index, pin in enumerate(board.available or []):
        if pin not in chip.gpios:
            raise CellError(f"available[{index}] = {pin}: the {chip.title} has no such pin; remove it")
    for key, other in ("run_loop", "run_contact"), ("run_contact", "run_loop"):
        pin = getattr(board.pins, key)
        if pin is not None and getattr(board.pins, other) is None:
            raise CellError(
                f"pins.{key} = {pin}: {other} is missing; a board that is in the run loop reads it and closes it, so "
                "give both or neither"
            )
    encoders = 0
    for index, channel in enumerate(board.channel):
        where = f"channel[{index}]"
        if isinstance(channel.drive, Bench):
            if channel != Channel(drive=channel.drive):
                raise CellError(
                    f'{where}: a drive of kind "bench" simulates motor, encoder, current, sensor and brake, so none of '
                    "them can be wired; leave their keys out, or give the drive that moves the real joint"
                )
            continue
        if channel.encoder is None:
            raise CellError(
                f'{where}: a drive of kind "{_tag(channel.drive)}" needs an encoder = {{ a, b }}, without which '
                'nothing holds the joint; only kind "bench" has none'
            )
        encoders += 1
        if encoders > chip.counters:
            raise CellError(
                f"{where}.encoder: the {chip.title} counts {chip.counters} encoders and this is number {encoders}; "
                "drive this joint from another board"
            )
    pins.check(chip, board.uses)
    for index, channel in enumerate(board.channel):
        if channel.encoder:
            key = f"channel[{index}].encoder"
            a, b = (next(use for use in board.uses if use.key == f"{key}.{line}") for line in "ab")
            pins.check_encoder(chip, key, a, b, board.uses)
    supply = board.pins.supply
    high = board.supply_v[1]
    if supply and high / supply.ratio > chip.adc_v:
        raise CellError(
            f"pins.supply.ratio = {supply.ratio:g}: at supply_v[1] = {high:g} V pin {supply.pin} would have "
            f"{high / supply.ratio:.3g} V, but the {chip.title}'s ADC sees up to {chip.adc_v:g}, so that too high a "
            f"supply would go unseen; divide by {high / chip.adc_v:.3g} or more"
        )


def _tag(table: Struct) -> str:
    return str(table.__struct_config__.tag)


def _link_uses(link: UartLink | UsbLink | ConsoleLink) -> Iterator[Use]:
    if isinstance(link, UartLink):
        yield Use(link.tx, "link.tx", pins.TX, uart=link.id)
        yield Use(link.rx, "link.rx", pins.RX, uart=link.id)


def _board_uses(table: Pins) -> Iterator[Use]:
    roles = {
        "e_stop": pins.PULLED_UP,
        "local": pins.PULLED_UP,
        "brake_release": pins.PULLED_UP,
        "maintenance": pins.PULLED_UP,
        "run_loop": pins.PULLED_DOWN,
        "run_contact": pins.OUTPUT,
        "led": pins.OUTPUT,
    }
    for key, role in roles.items():
        pin = getattr(table, key)
        if pin is not None:
            yield Use(pin, f"pins.{key}", role)
    if table.supply:
        yield Use(table.supply.pin, "pins.supply.pin", pins.ADC)


def _channel_uses(channels: list[Channel]) -> Iterator[Use]:
    for index, channel in enumerate(channels):
        where = f"channel[{index}]"
        drive, encoder = channel.drive, channel.encoder
        if isinstance(drive, TwoPwm):
            yield Use(drive.a, f"{where}.drive.a", pins.PWM, hz=drive.hz)
            yield Use(drive.b, f"{where}.drive.b", pins.PWM, hz=drive.hz)
        if isinstance(drive, PwmDirection):
            yield Use(drive.pwm, f"{where}.drive.pwm", pins.PWM, hz=drive.hz)
            yield Use(drive.direction, f"{where}.drive.direction", pins.OUTPUT)
        if not isinstance(drive, Bench) and drive.enable is not None:
            yield Use(drive.enable, f"{where}.drive.enable", pins.OUTPUT)
        if not isinstance(drive, Bench) and drive.fault is not None:
            yield Use(drive.fault, f"{where}.drive.fault", pins.PULLED_UP)
        if encoder:
            yield Use(encoder.a, f"{where}.encoder.a", pins.PULLED_UP)
            yield Use(encoder.b, f"{where}.encoder.b", pins.PULLED_UP)
        if encoder and encoder.index is not None:
            yield Use(encoder.index, f"{where}.encoder.index", pins.PULLED_UP)
        if channel.current:
            yield Use(channel.current.pin, f"{where}.current.pin", pins.ADC)
        if channel.sensor:
            yield Use(channel.sensor.pin, f"{where}.sensor.pin", pins.ADC)
        if channel.brake is not None:
            yield Use(channel.brake, f"{where}.brake", pins.OUTPUT)
