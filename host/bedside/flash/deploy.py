"""Brings firmware to a board whose REPL has the port, with mpremote, so that the board is never without a whole one.

There are two places on a board. The one that does not run is written, read back, and only then becomes the active one;
firmware/loader.py, which is the board's /main.py, runs nothing that is not whole. So an update that is interrupted has
changed nothing, and the same command goes on where it was.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from bedside.errors import FlashError
from bedside.flash import program
from bedside.flash.lent import lent
from bedside.places import FIRMWARE

SLOTS = ("a", "b")
LOADER = "main.py"
_ON_BOARD = FIRMWARE / "update.py"
MANIFEST = "manifest.json"
# A board that writes its flash, or an emulated one, is silent for some seconds.
_PATIENCE_S = 20.0
# What is asked at first may have been said before the REPL was there; then it is asked again.
_SURVEY_S = 8.0
# A board that has started anew says no more.
_RESET_S = 5.0
_AGAIN = "the board goes on with what it had; run the same command again"
# What mpremote, or the board's MicroPython, says when something goes wrong.
_MEANINGS = {
    "no device found": "there is no such port; check the cable and the name",
    "failed to access": "cannot be opened; end the other program that uses it, or check the name",
    "could not enter raw repl": "MicroPython does not answer there; check that it is on the board, and reset the board",
    "Errno 28": "the board's file system is full; remove what is not Bedside's from it, or flash MicroPython anew",
    "MemoryError": "the board's memory is too small for this step; reset the board and run the same command again",
    "no module named 'mpremote'": "mpremote is missing here; install Bedside as its README says",
    "SerialException": f"the connection was lost; {_AGAIN}",
    "device disconnected": f"the connection was lost; {_AGAIN}",
    "is not whole": f"what was written is not what was sent; {_AGAIN}",
}
# A chip that is on USB itself, and not behind an adapter.
_ON_THE_BUS = "/dev/ttyACM"
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class Survey:
    """What a board says is on it: SHA-256 of the loader, and of each file in each slot by its path there.

    The loader would run the slots that are ``whole``. ``mpy`` is the version of .mpy files that it loads, and its
    sub-version << 8; ``build`` what the board told that it runs, if it did.
    """

    platform: str
    machine: str
    version: tuple[int, int, int]
    mpy: int
    loader: str
    active: str
    slots: dict[str, dict[str, str]]
    whole: list[str]
    configs: dict[str, str]
    build: str = ""

    @property
    def running(self) -> str:
        """The slot that the loader runs: that of the ``build`` it told, or the active one, or the one that is whole."""
        for slot, files in self.slots.items():
            if self.build and files.get(MANIFEST, "").startswith(self.build):
                return slot
        # As the loader reads it.
        active = SLOTS[1] if self.active[:1] == SLOTS[1] else SLOTS[0]
        return active if active in self.whole or not self.whole else self.whole[0]

    @property
    def chip(self) -> str:
        """The chip, as package and board file name it; that of a chip that Bedside does not know as it says itself."""
        known = {"linux": "unix", "darwin": "unix", "win32": "unix", "mps2": "mps2"}
        if self.platform == "rp2":
            chip = "rp2350" if "RP2350" in self.machine else "rp2040"
            # A MicroPython for that chip's other processors, for which nothing is compiled.
            return f"{chip}-riscv" if "RISCV" in self.machine else chip
        if self.platform == "esp32":
            # Such as "ESP32S3 module with ESP32S3", "Generic ESP32 module with ESP32".
            return self.machine.rpartition(" ")[2].lower().replace("-", "")
        return known.get(self.platform, self.platform)

    def role(self) -> str:
        """Return the role that is written to the board, or nothing."""
        try:
            role = json.loads(self.configs[self.running])["role"]
        except (ValueError, KeyError, TypeError):
            return ""
        return role if isinstance(role, str) else ""


def survey(port: str) -> Survey:
    """Ask the board what is on it. Raises FlashError."""
    said = _mpremote(port, "exec", _code("survey()"), patience_s=_SURVEY_S)
    try:
        platform, machine, version, mpy, loader, active, slots, whole, configs = json.loads(
            said.strip().splitlines()[-1]
        )
    except (ValueError, IndexError):
        raise FlashError(
            f"port {port}: the board's answer makes no sense: {said[-200:]!r}; reset it and try again"
        ) from None
    return Survey(platform, machine, tuple(version), mpy, loader, active, slots, whole, configs)


def deploy(
    port: str,
    found: Survey,
    loader: bytes,
    files: dict[str, bytes],
    manifest: bytes,
    progress: Progress = lambda done, of: None,
) -> str:
    """Write ``files`` and their ``manifest`` to the slot that does not run, make it the active one, and return it.

    What is there already, from an interrupted update, is not written again. The board is not reset. Raises FlashError;
    whatever happened, the board still runs what it ran.
    """
    slot = target(found)
    there = found.slots[slot]
    missing = {f"{slot}/{path}": content for path, content in files.items() if there.get(path) != _hash(content)}
    keep = [path for path in files if f"{slot}/{path}" not in missing]
    folders = sorted({f"{slot}/{path.rpartition('/')[0]}" for path in files if "/" in path})
    _mpremote(port, "exec", _code(f"prepare({slot!r}, {keep!r}, {folders!r})"))
    if found.loader != _hash(loader):
        missing[f"{LOADER}.new"] = loader
    _copy(port, missing, progress)
    wanted = {path: _hash(content) for path, content in files.items()}
    wrong = wanted.items() ^ survey(port).slots[slot].items()
    if wrong:
        raise FlashError(
            f"port {port}: {sorted(wrong)[0][0]} reads back otherwise than it was written; the board goes on with "
            "what it had. Run the same command again; if it happens again, its flash memory is worn out"
        )
    _copy(port, {f"{slot}/{MANIFEST}": manifest})
    _mpremote(port, "exec", _code(f"activate({slot!r}, {_hash(manifest)!r}, {_hash(loader)!r})"))
    return slot


def run(port: str, code: str) -> str:
    """Run ``code`` on the board; return what it printed. Raises FlashError."""
    return _mpremote(port, "exec", code)


def put(port: str, path: str, content: bytes) -> None:
    """Put a file beside the slots, at once where the file system can; remove it if ``content`` is empty.

    Raises FlashError; the board has then what it had.
    """
    if not content:
        _mpremote(port, "exec", _code(f"remove({path!r})"))
        return
    _copy(port, {f"{path}.new": content})
    _mpremote(port, "exec", _code(f"replace('{path}.new', {path!r})"))


def reset(port: str) -> None:
    """Start the board anew, if it can be: a board that leaves the bus may well take its answer along."""
    with contextlib.suppress(FlashError):
        _mpremote(port, "exec", "--no-follow", "import machine; machine.reset()", patience_s=_RESET_S)


def commands(port: str, folder: Path) -> list[str]:
    """Return what ``deploy`` runs for a board that does not run slot ``a``, as one would type it.

    ``folder`` holds the loader, as main.py, and a folder ``a``.
    """
    slot = SLOTS[0]
    mpremote = shlex.join(["mpremote", *_connect(port)])
    here = shlex.quote(str(folder))
    return [
        f"{mpremote} fs rm -r :{slot}",
        f"{mpremote} fs cp -r {here}/{slot} :{slot}",
        f"{mpremote} fs cp {here}/{LOADER} :{LOADER}",
        f"{mpremote} exec \"open('active', 'w').write('{slot}')\"",
        f"{mpremote} reset",
    ]


def target(found: Survey) -> str:
    """Return the slot to write: the one that does not run."""
    return SLOTS[found.running == SLOTS[0]]


def is_there(found: Survey, loader: bytes, manifest: bytes) -> bool:
    """Return whether the board will run exactly this: the active slot has this manifest, and is as it says."""
    is_whole = found.running in found.whole and found.loader == _hash(loader)
    return is_whole and found.slots[found.running].get(MANIFEST) == _hash(manifest)


def _copy(port: str, files: dict[str, bytes], progress: Progress = lambda done, of: None) -> None:
    """Write ``files`` to the board, telling how many bytes are done."""
    if not files:
        return
    sizes = [len(content) for content in files.values()]
    done = [0]

    def told(line: str) -> None:
        # A file is announced before it is copied.
        if line.startswith("cp ") and done[0] < len(sizes):
            progress(sum(sizes[: done[0]]), sum(sizes))
            done[0] += 1

    with lent(files) as folder:
        copies = [["fs", "cp", "-f", str(folder / path), f":{path}"] for path in files]
        _mpremote(port, *copies[0], *(word for copy in copies[1:] for word in ("+", *copy)), told=told)
    progress(sum(sizes), sum(sizes))


def _hash(content: bytes) -> str:
    return sha256(content).hexdigest()


def _code(call: str) -> str:
    return f"{_ON_BOARD.read_text(encoding='utf-8')}\n{call}\n"


def _mpremote(
    port: str, *arguments: str, told: Callable[[str], None] = lambda line: None, patience_s: float = _PATIENCE_S
) -> str:
    """Run mpremote on ``port``; return what it printed, telling each line at once.

    Raises FlashError, also when it prints nothing for ``patience_s`` seconds.
    """
    said = ""
    try:
        with contextlib.closing(program.lines("mpremote", [*_connect(port), *arguments], patience_s)) as lines:
            for line in lines:
                said += f"{line}\n"
                told(line)
    except program.ProgramError as error:
        raise FlashError(f"port {port}: {_explain(error)}") from None
    return said


def _connect(port: str) -> list[str]:
    device = os.path.realpath(port) if port.startswith("/") else port
    # It would begin with a soft reset, at which a board that has two ports on USB leaves the bus.
    return ["connect", device, *(["resume"] if device.startswith(_ON_THE_BUS) else [])]


def _explain(error: program.ProgramError) -> str:
    """Return cause and remedy of what mpremote said last."""
    said = "\n".join(error.said)
    for sign, meaning in _MEANINGS.items():
        if sign in said:
            return meaning
    if error.status < 0:
        return "MicroPython falls silent; reset the board and run the same command again"
    last = said.strip().splitlines()[-1:] or ["nothing"]
    return f"mpremote says '{last[0]}'; run the same command again"
