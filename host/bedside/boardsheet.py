"""A board file told to a person: what goes to which pin, and what the board lacks and means by it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from bedside.boardfile import Bench, BoardType, Channel, Esptool, UartLink, Uf2, UsbLink, load_board_file
from bedside.cell import CYCLE_HZ, CYCLE_HZ_MIN, carried_hz
from bedside.pins import PWM, Use

# Between it and the pin's own pull-up of 45 kΩ at reset (ESP32) a line is at 0.3 V, which no driver takes for high; it
# is also below the 8.2 kΩ that the first RP2350s ask for.
PULL_DOWN = "4.7 kΩ to ground"

_WIRED = {
    "link.tx": "the adapter's RX",
    "link.rx": "the adapter's TX",
    "e_stop": "contact to ground, closed while all is well",
    "local": "key switch to ground, closed allows motion",
    "brake_release": "button to ground, opens the brakes of a board that is off",
    "maintenance": "jumper to ground, keeps the firmware from starting",
    "run_loop": "high while the run loop is alive, " + PULL_DOWN,
    "run_contact": "high closes the contact in the run loop, " + PULL_DOWN,
    "led": "lamp, on while any drive is on",
    "drive.a": "bridge input, " + PULL_DOWN,
    "drive.b": "bridge input, " + PULL_DOWN,
    "drive.pwm": "driver's PWM, " + PULL_DOWN,
    "drive.direction": "driver's direction",
    "drive.enable": "driver's enable, high is on, " + PULL_DOWN,
    "drive.fault": "driver's fault output, low is a fault",
    "encoder.a": "encoder A",
    "encoder.b": "encoder B",
    "encoder.index": "encoder index or home switch",
    "sensor.pin": "potentiometer's wiper",
    "brake": "gate of the brake's MOSFET, high opens, " + PULL_DOWN,
}


class Row(NamedTuple):
    """A pin: what its key is, what it is to the chip, and what goes there."""

    pin: int
    key: str
    role: str
    wired: str


def rows(board: BoardType) -> list[Row]:
    """Return the board's pins in the order of its file."""
    return [Row(use.pin, use.key, _role(board, use), _wired(board, use)) for use in board.uses]


def lacks(board: BoardType) -> list[str]:
    """Return a line for each thing that the board lacks: what it is, and what that means."""
    lines = []
    if all(isinstance(channel.drive, Bench) for channel in board.channel):
        return _each_channel_lacks(board)
    if board.pins.e_stop is None:
        lines.append("no e-stop input: a person beside the arm can stop it by the run loop or the motors' supply only")
    if board.pins.local is None:
        lines.append("no local switch: a person beside the arm allows motion by the computer's word only")
    if board.pins.run_loop is None:
        lines.append("no run loop: this board hears of the others' stops from the computer only")
    if board.pins.brake_release is None:
        lines.append("no brake release: a braked joint can be freed by hand only as its brake itself allows")
    if board.pins.supply is None:
        lines.append("no supply measurement: a supply that is too low or too high, or gone, is not noticed")
    if board.pins.maintenance is None:
        lines.append("no maintenance input: firmware that does not answer is replaced by flashing the whole board anew")
    return lines + _each_channel_lacks(board)


def check_board_file(path: Path) -> list[str]:
    """Return lines that describe the board file at ``path``. Raises CellError if it is not sound."""
    board = load_board_file(path)
    lines = [
        f"{path.stem}: {board.description}",
        f"chip: {board.facts.title}, channels: {board.channels}",
        *([f"MicroPython: {board.micropython} or newer, {_flashed(board)}"] if board.micropython else []),
        f"tick: {board.tick_hz} Hz{_cycles(board)}, one that begins {board.late_max_us} us late is a fault",
        *_link(board),
    ]
    table = rows(board)
    key, role = (max((len(str(row[column])) for row in table), default=0) for column in (1, 2))
    lines += [f"pin {row.pin:2d}  {row.key:{key}}  {row.role:{role}}  {row.wired}" for row in table]
    free = sorted(board.facts.gpios - set(board.facts.taken) - {row.pin for row in table})
    if free:
        lines.append(f"pins that are left: {', '.join(map(str, free))}")
    return lines + lacks(board)


def _role(board: BoardType, use: Use) -> str:
    if use.role != PWM:
        return use.role
    slices = board.facts.pwm_slices
    place = f", slice {use.pin >> 1 & slices - 1} {'AB'[use.pin & 1]}" if slices else ""
    return f"PWM {use.hz / 1000:g} kHz{place}"


def _wired(board: BoardType, use: Use) -> str:
    where, _, key = use.key.partition(".")
    if key == "supply.pin" and board.pins.supply:
        return f"motors' supply divided by {board.pins.supply.ratio:g}"
    if key == "current.pin":
        current = board.channel[int(where[len("channel[") : -1])].current
        assert current
        return f"current sense, {current.a_per_v:g} A/V from {current.zero_v:g} V"
    return _WIRED[use.key] if use.key in _WIRED else _WIRED[key]


def _flashed(board: BoardType) -> str:
    match board.flash:
        case Uf2(build=build, volume=volume):
            return f"{build} over the volume {volume}"
        case Esptool(build=build, offset=offset):
            return f"{build} by esptool at {offset:#x}"
    return "not flashed by Bedside"


def _cycles(board: BoardType) -> str:
    return f", {board.facts.clock_hz // board.tick_hz} clock cycles each" if board.facts.clock_hz else ""


def _link(board: BoardType) -> list[str]:
    """Return a line on the board's link, and another if it is too slow for what cells usually ask."""
    link = board.link
    if isinstance(link, UsbLink):
        return ["link: a USB serial port of its own, which no rate of commands fills"]
    if not board.facts.gpios:
        return ["link: the console, simulated"]
    where = f"UART {link.id}" if isinstance(link, UartLink) else "the console"
    speed = f"{link.baud / 1e6:g} Mbaud" if link.baud >= 1e6 else f"{link.baud / 1e3:g} kbaud"
    joints, most = f"{board.channels} joint{'s' * (board.channels > 1)}", carried_hz(board.channels, link.baud)
    line = f"link: {where} at {speed} carries {joints} at up to {int(most)} commands a second"
    if most >= CYCLE_HZ:
        return [line]
    slower = f", or arm.cycle_hz and arm.command_hz {int(most)} at most"
    return [
        line,
        f"warning: the bridge speaks to each board {CYCLE_HZ} times a second unless the cell says otherwise, which "
        f"does not fit; let the link be a UART at {math.ceil(link.baud * CYCLE_HZ / most)} baud or more"
        + (slower if most >= CYCLE_HZ_MIN else f": no cell allows fewer than {CYCLE_HZ_MIN}"),
    ]


def _each_channel_lacks(board: BoardType) -> list[str]:
    return [
        f"channel {index}: {line}" for index, channel in enumerate(board.channel) for line in _channel_lacks(channel)
    ]


def _channel_lacks(channel: Channel) -> list[str]:
    if isinstance(channel.drive, Bench):
        return ["no motor: the board simulates one, and nothing moves"]
    lines = []
    if channel.drive.enable is None:
        lines.append("no enable: a driver that floats must be off by its own pull-downs, or by those on its inputs")
    if channel.drive.fault is None:
        lines.append("no fault input: a driver that has shut down is noticed only when its joint does not follow")
    if channel.encoder and channel.encoder.index is None:
        lines.append("no index: the joint homes by its end stop or sensor, or its encoder is absolute")
    if channel.current is None:
        lines.append("no current sense: neither a short circuit nor a motor that is too hot is noticed")
    if channel.sensor is None:
        lines.append("no second sensor: a coupling or an encoder that slips is not noticed")
    if channel.brake is None:
        lines.append("no brake: without torque, nothing but the joint's own friction holds it")
    return lines
