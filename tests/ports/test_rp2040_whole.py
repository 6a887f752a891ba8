"""The trial of the whole firmware that ``make test-rp2040`` makes, on the unix port with a double of ``machine``."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
import tty
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bedside import chips
from bedside.cell import load_cell
from bedside.hil import emulated
from bedside.hil.motion import begin, stream, there_and_back
from bedside.hil.target import TargetError
from bedside.link import schema
from bedside.link.messages import RUN
from bedside.sim.board import interpreter
from rp2040 import whole

DOUBLE = Path(__file__).parent / "double"
# Places in the message to a board: its two timeouts, and how late a tick may be. In us, as long as a board allows.
PATIENCE = {3: 500_000, 4: 200_000, 8: 100_000}
# As the board's reset: the loader runs, and what it loads meets the double of the chip.
BOOT = """
import sys
sys.path[:0] = ["a", {double!r}]
import program
sys.modules["main"] = program
import board
{sabotage}
sys.path.remove("a")
exec(open("main.py").read(), {{"__name__": "__main__"}})
"""
# A timer at half the rate.
SLOW = "init = Timer.init\nTimer.init = lambda self, freq, **more: init(self, freq=freq // 2, **more)"

pytestmark = pytest.mark.real_time


class UnixChip:
    """A chip whose UART 0 is a process's terminal, whose time is ours, and whose REPL only puts files and boots."""

    def __init__(self, folder: Path) -> None:
        self.sabotage = ""
        self._folder = folder
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self._process: subprocess.Popen[bytes] | None = None
        self._heard = bytearray()
        self._said = bytearray()

    @property
    def seconds(self) -> float:
        return time.monotonic()

    def run(self, seconds: float) -> None:
        time.sleep(seconds)
        self._hear(0)

    def run_until(self, done: Callable[[], bool], seconds: float) -> bool:
        end = time.monotonic() + 10 * seconds
        while not done():
            if time.monotonic() > end:
                return False
            self._hear(0.001)
        return True

    def listen(self, uart: int) -> bytearray:
        assert uart == 0
        return self._heard

    def say(self, uart: int, data: bytes, baud: int) -> None:
        os.write(self._master, data)

    def put(self, path: str, data: bytes) -> None:
        (self._folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self._folder / path).write_bytes(data)

    def boot(self) -> None:
        (self._folder / "boot.py").write_text(BOOT.format(double=str(DOUBLE), sabotage=self.sabotage))
        self._process = subprocess.Popen(
            [interpreter(), "-X", "heapsize=512K", "boot.py", "rp2"],
            cwd=self._folder,
            env={"MICROPYPATH": f"{DOUBLE}:.frozen"},
            stdin=self._slave,
            stdout=self._slave,
        )

    def told(self) -> bytes:
        return bytes(self._said)

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        os.close(self._master)
        os.close(self._slave)

    def _hear(self, seconds: float) -> None:
        while select.select([self._master], [], [], seconds)[0]:
            came = os.read(self._master, 4096)
            self._heard += came
            self._said += came
            seconds = 0


@pytest.fixture
def chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UnixChip]:
    """The firmware is compiled for this processor; this computer may be late, as a chip may not."""
    monkeypatch.setitem(chips.CHIPS, "rp2040", replace(chips.CHIPS["rp2040"], march="x64"))
    monkeypatch.setattr(whole, "LATE_MAX", 1000)
    monkeypatch.setattr(whole, "TICKS_OFF", 100)
    message = whole.board_message

    def patient(*arguments: Any) -> list[int]:
        numbers = message(*arguments)
        for place, us in PATIENCE.items():
            numbers[place] = us
        return numbers

    monkeypatch.setattr(whole, "board_message", patient)
    chip = UnixChip(tmp_path)
    yield chip
    chip.close()


def test_the_whole_firmware_boots_moves_and_stops(chip: UnixChip) -> None:
    told = whole.whole(chip, chip)  # type: ignore[arg-type]
    assert "enabled, moved 80 mrad" in told


def test_the_suite_for_any_board_has_it_as_a_bench_whose_time_is_the_chips(chip: UnixChip) -> None:
    whole.put(chip, load_cell(emulated.CELL))  # type: ignore[arg-type]
    bench = emulated.EmulatedBench(chip, emulated.boot(chip, chip), emulated.CELL)
    bench.recover()
    bench.configure()
    assert bench.may_move
    assert bench.link.identity
    assert bench.link.identity.build
    start = begin(bench)
    record = stream(bench, there_and_back(start, [0.05] * len(start), [1.0] * len(start)), 0.5)
    assert record.last
    assert record.last.phase == RUN
    assert record.positions[-1] == pytest.approx([at + 0.05 for at in start], abs=0.01)
    bench.state_command(schema.STOP)
    bench.until_off()


def test_a_chip_whose_firmware_does_not_boot_tells_what_its_console_said(
    chip: UnixChip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emulated, "_BOOT_S", 1)
    chip.sabotage = "import machine\ndel machine.unique_id"
    whole.put(chip, load_cell(emulated.CELL))  # type: ignore[arg-type]
    with pytest.raises(TargetError, match=r"(?s)does not answer.*unique_id"):
        emulated.boot(chip, chip)


@pytest.mark.parametrize(
    ("sabotage", "told"),
    [
        (SLOW, "ticks in 5.* ms"),
        ("with open('a/board.json', 'a') as file: file.write(' ')", "firmware a is not whole.*so nothing runs"),
        ("del machine.unique_id", "Traceback .*unique_id"),
    ],
)
def test_what_goes_wrong_on_the_chip_fails_the_trial(
    chip: UnixChip, sabotage: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "Timer" not in sabotage:
        monkeypatch.setattr(whole, "_BOOT_S", 1)
    chip.sabotage = f"import machine\nfrom machine import Timer\n{sabotage}"
    with pytest.raises(whole.WholeError, match=f"(?s){told}"):
        whole.whole(chip, chip)  # type: ignore[arg-type]
