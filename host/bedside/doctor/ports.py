"""Which ports there are: this computer's, those of simulated boards, and a cell's."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from bedside.boardfile import load_board_type
from bedside.cell import Cell
from bedside.doctor.usb import product_of
from bedside.places import sim_directory

# What a UART link has unless its board file says otherwise; USB heeds none.
DEFAULT_BAUD = 1_000_000


@dataclass(frozen=True)
class Port:
    """A port, named as a cell file does.

    ``uid`` is the USB serial number, which on an RP2 is the chip's own. ``taken`` says why it must not be opened.
    """

    name: str
    baud: int = DEFAULT_BAUD
    chip: str = "-"
    uid: str = ""
    dtr: bool = False
    taken: str = ""

    @property
    def path(self) -> str:
        """What mpremote calls it."""
        return path_of(self.name)


def path_of(name: str) -> str:
    """Return the device, or the address, behind a port's ``name``."""
    return str(sim_directory() / name.removeprefix("sim:")) if name.startswith("sim:") else name


def serial_ports(system: Path = Path("/")) -> list[Port]:
    """Return this computer's serial ports, without those that have no hardware behind them, and boards in BOOTSEL."""
    from serial.tools import list_ports

    ports = []
    consoles = _read(system / "sys/class/tty/console/active").split()
    for info in sorted(list_ports.comports()):
        # Some kernels name 32 of these, whatever the computer has; type 0 is none.
        tty = Path(info.device).name
        if info.vid is None and _read(system / "sys/class/tty" / tty / "type") == "0":
            continue
        product = product_of(info.vid, info.pid)
        taken = "in use as this computer's console" if tty in consoles else ""
        ports.append(Port(info.device, DEFAULT_BAUD, product.title, info.serial_number or "", product.dtr, taken))
    return ports + _in_bootsel(system)


def _in_bootsel(system: Path) -> list[Port]:
    """Return the boards that have no port, because they wait for MicroPython."""
    ports = []
    for device in sorted((system / "sys/bus/usb/devices").glob("*")):
        numbers = [_read(device / name) for name in ("idVendor", "idProduct")]
        product = product_of(*(int(number, 16) for number in numbers)) if all(numbers) else None
        if product and product.bootsel:
            taken = "waits for MicroPython; put it on with 'bedside flash'"
            ports.append(Port(f"USB {device.name}", chip=product.title, uid=_read(device / "serial"), taken=taken))
    return ports


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def simulated_ports() -> list[Port]:
    """Return the ports of the simulated boards that run."""
    try:
        links = sorted(entry for entry in sim_directory().iterdir() if entry.is_symlink())
    except OSError:
        return []
    return [Port(f"sim:{link.name}", chip="simulated") for link in links if _is_live(link)]


def _is_live(link: Path) -> bool:
    """Whether the terminal is as old as the link to it: that of a killed simulation may be a stranger's by now."""
    try:
        return link.stat().st_ctime <= link.lstat().st_mtime + 1
    except OSError:
        return False


def all_ports(cell: Cell | None) -> list[Port]:
    """Return every port once, those of ``cell`` with its boards' baud rates."""
    ports = {os.path.realpath(port.path): port for port in [*serial_ports(), *simulated_ports()]}
    for slot in cell.board if cell else []:
        kind = load_board_type(slot.type)
        where = path_of(slot.port)
        key = where if "://" in where else os.path.realpath(where)
        there = ports.get(key, Port(slot.port))
        chip = kind.facts.title if there.chip == "-" else there.chip
        ports[key] = Port(slot.port, kind.link.baud, chip, there.uid, there.dtr)
    return list(ports.values())


def named(name: str, ports: list[Port], baud: int) -> Port:
    """Return the port of this ``name``, at ``baud``, with what ``ports`` know of it."""
    return next((replace(port, baud=baud) for port in ports if port.name == name), Port(name, baud))
