"""The trials that ``make test-rp2040`` makes, on a MicroPython whose modules for the chip are the tests' own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rp2040 import trials
from rp2040.chip import Chip
from rp2040.repl import RawRepl


def test_encoders_that_turn_are_counted(chip: Chip, repl: RawRepl) -> None:
    assert trials.encoder(chip, repl) == "counted 1700 steps of two encoders, and noticed one that was missed"


def test_a_wrong_count_fails_the_trial(chip: Chip, repl: RawRepl) -> None:
    # The two encoders, each connected as the other.
    repl.run("Quadrature.Encoders = lambda pins, real=Encoders: real([pins[1], pins[0]])")
    with pytest.raises(trials.TrialError, match=r"are \['16776516', '554', .*, not \[554, 16776516"):
        trials.encoder(chip, repl)


def test_pwm_has_the_frequency_and_the_duties(chip: Chip, repl: RawRepl) -> None:
    assert trials.pwm(chip, repl) == "pin 2 20000 Hz at 25.0%, pin 3 20000 Hz at 75.0%"


def test_a_wrong_pwm_fails_the_trial(chip: Chip, repl: RawRepl) -> None:
    repl.run("Machine.PWM = lambda pin, freq, duty_u16, real=PWM: real(pin, freq * 2, duty_u16)")
    with pytest.raises(trials.TrialError, match=r"pin 2 40000 Hz at 25.0%: asked for were 20000 Hz at 25.0%"):
        trials.pwm(chip, repl)
    repl.run("Machine.PWM = lambda pin, freq, duty_u16, real=ours[1]: real(Pin(20), freq, duty_u16)")
    with pytest.raises(trials.TrialError, match="which is no PWM of 20000 Hz"):
        trials.pwm(chip, repl)


@pytest.fixture
def slow_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another UART than the console's, as slow as one that is polled in Python has to be."""
    monkeypatch.setattr(trials, "_UART", 1)
    monkeypatch.setattr(trials, "_BAUD", 19200)
    monkeypatch.setattr(trials, "_BYTES", 40)


@pytest.mark.usefixtures("slow_link")
def test_the_link_carries_bytes_both_ways(chip: Chip, repl: RawRepl) -> None:
    assert re.fullmatch(r"40 bytes there and back at 192\d\d baud", trials.link(chip, repl))


@pytest.mark.usefixtures("slow_link")
def test_a_link_that_loses_a_byte_fails_the_trial(chip: Chip, repl: RawRepl) -> None:
    repl.run("class Lossy(UART):\n    def write(self, data):\n        super().write(data[1:])\nMachine.UART = Lossy")
    with pytest.raises(trials.TrialError, match=r"of 40 bytes to UART 1 40 came, and 39 came back, not all"):
        trials.link(chip, repl)


@pytest.mark.usefixtures("slow_link")
def test_a_link_at_another_speed_fails_the_trial(chip: Chip, repl: RawRepl) -> None:
    repl.run("Machine.UART = lambda number, baud, real=UART, **more: real(number, 9600, **more)")
    with pytest.raises(trials.TrialError, match=r"UART 1 runs at 96\d\d baud, not at 19200"):
        trials.link(chip, repl)


class Told:
    """A board that prints intervals."""

    def __init__(self, *intervals: int) -> None:
        self._intervals = intervals

    def run(self, program: str, seconds: float) -> str:
        return "".join(f"{interval}\n" for interval in self._intervals)


def test_ticks_are_judged_by_the_worst_of_them(chip: Chip) -> None:
    good = Told(*[1000] * 998, 990, 1012)
    assert trials.timer(chip, good) == "1000 ticks of 1000 us, off by -10 / 0 / 12 us (min / median / max)"  # type: ignore[arg-type]
    for bad in (Told(*[1000] * 999, 1501), Told(*[1000] * 999, 499), Told(*[1000] * 999)):
        with pytest.raises(trials.TrialError, match="at most 500 us"):
            trials.timer(chip, bad)  # type: ignore[arg-type]


def test_the_timers_program_compiles(tmp_path: Path) -> None:
    source = tmp_path / "program.py"
    source.write_text(trials.program("ticks", TICKS=1000, FREQUENCY=1000))
    assert "TICKS = 1000\n" in source.read_text()
    assert trials.compiled(source)[:1] == b"M"


def test_a_module_that_does_not_compile_is_told(tmp_path: Path) -> None:
    source = tmp_path / "broken.py"
    source.write_text("def f(:\n")
    with pytest.raises(trials.TrialError, match=r"mpy-cross refuses .*broken\.py:\n(.*\n)*SyntaxError"):
        trials.compiled(source)
