"""The ESP32 family: the boot ROM and esptool, run as a program, put MicroPython onto a board."""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

from bedside.chips import EspImage, chip_called
from bedside.errors import FlashError
from bedside.flash import program
from bedside.flash.lent import lent
from bedside.flash.package import Package

# What the adapters on development boards do; MicroPython's own instructions use it as well.
_BAUD = 460_800
# Neither has the two lines that put a chip into its boot ROM and out of it: whoever serves it has to.
_WITHOUT_RESET = ("/dev/pts/", "socket://")

_CONNECTED = re.compile(r"^Connected to (\S+) on ")
_ERASING = "Erasing flash memory"
_PERCENT = re.compile(r"^Writing at .* (\d+(?:\.\d+)?)% ")
_VERIFIED = "Hash of data verified."

# What esptool says, and what that means to a person. Those that name their cause come first.
_MEANINGS = [
    (r"No module named esptool", "ESP32 boards need esptool: install Bedside as its README says"),
    (r"protocol .* not known", "not an address; write socket://HOST:PORT or rfc2217://HOST:PORT"),
    (r"Permission denied", "you may not open it; 'sudo usermod -aG dialout $USER', log out and in again"),
    (r"exclusively lock|Device or resource busy", "in use by another program; end the bridge or terminal"),
    (r"No such file or directory", "there is no such port; check the cable and the name"),
    (r"Connection refused|timed out|Name or service|No route", "cannot be reached; check its server, and the name"),
    (r"Could not open|Could not configure port: \(25", "not a serial port; check the name"),
    (
        r"MD5 of file does not match|written flash region is empty",
        "the board's flash does not hold what was written; run the same command again, and if it fails again, change "
        "the cable and supply, then the board",
    ),
    (r"will not fit", "the board's flash is too small for this MicroPython; take a board with 4 MB or more"),
    (r"requires chip revision", "the chip is too old for this MicroPython; take another board"),
    (r"flash encryption|secure download|Secure Boot", "the chip is locked to its maker's firmware; take another board"),
]

_LOST = r"serial exception|No (more|serial) data|stream stopped|transfer stopped|serial noise|[Ll]ost connection"


def detect_chip(port: str) -> str:
    """Ask the boot ROM behind ``port`` for its chip; return its name as in ``chips.CHIPS``, or as esptool writes it.

    The board is reset. Raises FlashError.
    """
    found = ""
    with contextlib.closing(_lines(port, _arguments("auto", port, "chip-id"))) as lines:
        for line in lines:
            if connected := _CONNECTED.match(line):
                found = _plain(connected[1])
    return found


def write_micropython(port: str, package: Package, progress: Callable[[float], None] = lambda share: None) -> None:
    """Erase the board and write the package's MicroPython, read back by hash; ``progress`` is told the share, 0 to 1.

    All is erased, because MicroPython refuses to start on what another firmware left where its files are to be.
    Raises FlashError; a board that was interrupted has no firmware, and no pin of it is an output. A KeyboardInterrupt
    says so in a note.
    """
    if package.micropython is None:
        raise FlashError(f"{package.folder}: has no MicroPython; make it with 'bedside package --micropython FILE'")
    erased = verified = False
    try:
        # The bytes that were verified, and not what is in the package's folder by now.
        with (
            lent({package.micropython.name: package.micropython.data}) as folder,
            contextlib.closing(_lines(port, _writing(port, package, folder / package.micropython.name))) as lines,
        ):
            for line in lines:
                erased = erased or line.startswith(_ERASING)
                if done := _PERCENT.match(line):
                    progress(float(done[1]) / 100)
                verified = verified or line == _VERIFIED
    except KeyboardInterrupt as interrupt:
        if erased and not verified:
            interrupt.add_note(f"port {port}: the board has no firmware now; run the same command again")
        raise
    if not verified:
        raise FlashError(f"port {port}: esptool ended without having verified the flash; run the same command again")


def commands(port: str, package: Package) -> list[str]:
    """Return what ``write_micropython`` runs, as one would type it."""
    if package.micropython is None:
        return []
    return [shlex.join(["esptool", *_writing(port, package, package.folder / package.micropython.name)])]


def _writing(port: str, package: Package, image: Path) -> list[str]:
    kind = chip_called(package.chip).image
    if not isinstance(kind, EspImage):
        raise FlashError(f"{package.folder}: is for chip {package.chip}, which esptool does not write")
    return _arguments(package.chip, port, "write-flash", "--erase-all", hex(kind.offset), str(image))


def _arguments(chip: str, port: str, *command: str) -> list[str]:
    resets = ["--before", "no-reset", "--after", "no-reset"] if port.startswith(_WITHOUT_RESET) else []
    return ["--chip", chip, "--port", port, "--baud", str(_BAUD), *resets, *command]


def _lines(port: str, arguments: Sequence[str]) -> Generator[str]:
    """Run esptool and yield what it says line by line. Raises FlashError when it fails."""
    try:
        with contextlib.closing(program.lines("esptool", arguments)) as lines:
            for line in lines:
                yield line.strip()
    except program.ProgramError as error:
        raise FlashError(f"port {port}: {_meaning(error.said)}") from None


def _meaning(said: Sequence[str]) -> str:
    """Return cause and remedy of a failure from what esptool said."""
    text = "\n".join(said)
    if other := re.search(r"This chip is (\S+), not (\S+)\. Wrong chip", text):
        found, wanted = _plain(other[1]), _plain(other[2].rstrip("."))
        return f"the board is an {found}, the package is for {wanted}; take a package for {found}, or the other board"
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, text, re.IGNORECASE):
            return meaning
    if re.search(r"Failed to connect", text):
        return (
            "no answer from an ESP32's boot ROM; hold BOOT, press and release EN (reset), release BOOT, and run the "
            "same command again"
        )
    if re.search(_LOST, text):
        written = [done[1] for line in said if (done := _PERCENT.match(line))]
        where = f"after {written[-1]} % was written" if written else "before anything was written"
        return f"connection lost {where}; check the cable and run the same command again: it begins anew"
    errors = [line for line in said if "error" in line.lower()] or ["it does not say why"]
    return f"esptool failed ({errors[-1]}); run the same command again"


def _plain(name: str) -> str:
    """Return esptool's name of a chip, such as ESP32-S3, as board files write it."""
    return name.lower().replace("-", "")
