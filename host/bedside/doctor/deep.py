"""Looks into a board that is off: its firmware ends, its REPL answers, and then it starts anew.

A board that is left in its REPL, because this program was killed, rests there with everything off. Asked again, or
switched off and on, it comes back.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from bedside.boardfile import ConsoleLink
from bedside.doctor.boards import Place
from bedside.doctor.findings import Finding, fail, failed, ok, warn
from bedside.doctor.ports import Port, serial_ports
from bedside.doctor.probe import Answer, Kind, ask, state_text
from bedside.errors import FlashError, LinkError
from bedside.flash import deploy
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.link.messages import DISABLED, OFF, Identity
from bedside.link.port import SerialPort
from bedside.places import FIRMWARE

_ON_BOARD = FIRMWARE / "jitter.py"
_TICKS, _TICK_HZ = 1000, 1000
# A board that starts compiles or loads its firmware; a busy computer's simulated one takes some seconds.
_BOOT_S = 20.0
# The firmware ends, makes its outputs safe, perhaps resets, and MicroPython greets.
_TO_REPL_S = 10.0
# Upper ends of the histogram's steps, in us; half a millisecond is what board files allow by default.
_STEPS_US = (2, 5, 10, 20, 50, 100, 200, 500)
_LATE_US = 500
_BAR = 40
_PLUG_IN = "plug in the board's own USB cable, too; if its link is the console, give the cell file, which says so"
# What MicroPython's unix port calls its platform.
_SIMULATED = "linux"


@dataclass(frozen=True)
class Inside:
    """What firmware/jitter.py has found: bytes, manifests by slot, and when ticks began, in us."""

    memory_free: int
    memory: int
    disk_free: int
    slot_sizes: dict[str, int]
    manifests: dict[str, str]
    times_us: list[int]


def deep_findings(place: Place, answer: Answer) -> Iterator[Finding]:
    """Give the port of the board at ``place`` to its REPL, look into it, and start it again."""
    what = f"{place.label}: deep"
    repl: Port | None
    if answer.kind is Kind.REPL:
        repl, tick_hz = place.port, _TICK_HZ
    elif answer.kind is Kind.BOARD and answer.identity:
        if not answer.feedback or answer.feedback.state != DISABLED or answer.feedback.phase != OFF:
            found = f"refused: the board is not DISABLED and off but {state_text(answer.feedback)}"
            yield fail(what, found, "disable it first, with 'bedside local CELL.toml clear' after a fault")
            return
        repl, tick_hz = _repl_of(place, answer.identity), answer.identity.tick_hz
        if not repl:
            yield warn(what, "not done: no port of its REPL is to be seen", _PLUG_IN)
            return
    else:
        return  # nobody there who could be looked into, which has been told
    if answer.kind is Kind.BOARD:
        try:
            _end_firmware(place)
        except LinkError as error:
            yield failed(what, error)
            return
    try:
        _until(repl, Kind.REPL, _TO_REPL_S)
        yield from _look(place, repl, answer.identity, tick_hz)
    except (LinkError, FlashError) as error:
        yield failed(what, error)
    finally:
        # However this ends, Ctrl-C and a reader that has gone away included, the board is started again.
        with contextlib.suppress(FlashError):
            deploy.reset(repl.path)
    yield _back(place, what)


def tick_times_us(place: Place, identity: Identity) -> list[int]:
    """Return when some thousand ticks of the board at ``place`` began, by its own clock; then it is started again.

    The firmware ends meanwhile, so the board must be off. Raises LinkError or FlashError.
    """
    repl = _repl_of(place, identity)
    if not repl:
        raise LinkError(f"{place.label}: no port of its REPL is to be seen; {_PLUG_IN}")
    _end_firmware(place)
    try:
        _until(repl, Kind.REPL, _TO_REPL_S)
        return _examine(repl, identity.tick_hz).times_us
    finally:
        deploy.reset(repl.path)
        _until(place.port, Kind.BOARD, _BOOT_S)


def _repl_of(place: Place, identity: Identity) -> Port | None:
    """Return the port of the board's REPL: its link's, or one that has the chip's number; None if there is none.

    A board whose REPL is out of reach would have to be switched off and on.
    """
    if place.port.name.startswith(("sim:", "socket://")) or (place.kind and isinstance(place.kind.link, ConsoleLink)):
        return place.port
    link = os.path.realpath(place.port.path)
    numbered = [port for port in serial_ports() if port.uid.replace(":", "").lower() == identity.uid]
    return next((port for port in numbered if os.path.realpath(port.path) != link), None)


def _end_firmware(place: Place) -> None:
    """Ask the board for maintenance. Raises LinkError when it refuses, and goes on."""
    link = BoardLink(SerialPort(place.port.name, place.port.baud, place.port.dtr), f"board '{place.label}'")
    with contextlib.closing(link.port):
        link.identify()
        link.ask([schema.MAINTENANCE, 0])


def _until(port: Port, kind: Kind, seconds: float) -> Answer:
    """Return the answer of ``kind`` at ``port`` once it comes. Raises LinkError when it does not."""
    deadline = time.monotonic() + seconds
    while (answer := ask(port)).kind is not kind:
        if time.monotonic() > deadline:
            raise LinkError(f"port {port.name}: {kind.value} was to answer there, but {answer.text}")
        time.sleep(0.1)
    return answer


def _look(place: Place, repl: Port, identity: Identity | None, tick_hz: int) -> Iterator[Finding]:
    label = place.label
    survey = deploy.survey(repl.path)
    inside = _examine(repl, tick_hz)
    yield _version(place, survey)
    yield ok(f"{label}: memory", f"{inside.memory_free // 1024} of {inside.memory // 1024} kB free without firmware")
    yield _room(label, survey, inside)
    yield _files(label, survey, inside, identity)
    yield _jitter(label, inside.times_us, tick_hz, survey.platform == _SIMULATED)


def _examine(repl: Port, tick_hz: int) -> Inside:
    code = f"{_ON_BOARD.read_text(encoding='utf-8')}\nexamine({tick_hz}, {_TICKS})\n"
    said = deploy.run(repl.path, code)
    try:
        return Inside(*json.loads(said.strip().splitlines()[-1]))
    except (ValueError, IndexError, TypeError):
        raise FlashError(
            f"port {repl.name}: the board's answer makes no sense: {said[-200:]!r}; reset it and try again"
        ) from None


def _version(place: Place, survey: deploy.Survey) -> Finding:
    what = f"{place.label}: MicroPython"
    found = f"{'.'.join(map(str, survey.version))} on {survey.machine}"
    needed = place.kind.micropython if place.kind else None
    if needed and tuple(map(int, needed.split("."))) > survey.version:
        return fail(what, f"{found}, but it needs {needed}", "put a newer one on it with 'bedside flash'")
    return ok(what, found)


def _room(label: str, survey: deploy.Survey, inside: Inside) -> Finding:
    what = f"{label}: file system"
    found = f"{inside.disk_free // 1024} kB free" if inside.disk_free < 2**30 else f"{inside.disk_free >> 30} GB free"
    needed = inside.slot_sizes[survey.running]
    reusable = inside.slot_sizes[deploy.target(survey)]
    if needed > inside.disk_free + reusable:
        return warn(what, f"{found}, an update needs {needed // 1024}", "remove what is not Bedside's from the board")
    return ok(what, found)


def _files(label: str, survey: deploy.Survey, inside: Inside, identity: Identity | None) -> Finding:
    """Compare the files of the slot that runs with its manifest, and that with what the board told at connect."""
    what = f"{label}: files"
    slot = survey.running
    text = inside.manifests.get(slot)
    if text is None:
        if not survey.loader and survey.platform == _SIMULATED:
            return ok(what, "none; a simulated board runs the firmware's sources")
        return warn(what, f"no manifest in slot {slot}, so nothing tells whether they are whole", "'bedside flash' it")
    again = "flash the board again"
    try:
        manifest = json.loads(text)
        stated = {path: str(entry["sha256"]) for path, entry in manifest["files"].items()}
        loader = manifest["loader"]["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError):
        return fail(what, f"the manifest of slot {slot} makes no sense", again)
    there = survey.slots[slot]
    wrong = sorted(path for path, digest in stated.items() if there.get(path) != digest)
    if wrong:
        return fail(what, f"{', '.join(wrong)} in slot {slot} missing or not as flashed", again)
    if strange := sorted(set(there) - set(stated) - {deploy.MANIFEST}):
        return fail(what, f"{', '.join(strange)} in slot {slot} was not flashed", again)
    if survey.loader != loader:
        return fail(what, f"{deploy.LOADER}, which checks the others, is not as flashed", again)
    build = sha256(text.encode()).hexdigest()[:16]
    if identity and identity.build != build:
        return fail(what, f"slot {slot} has build {build}, but '{identity.build}' ran", again)
    return ok(what, f"{len(stated)} in slot {slot}, all as flashed (build {build}, role '{survey.role()}')")


def _jitter(label: str, times_us: list[int], tick_hz: int, simulated: bool) -> Finding:
    """Tell how late ticks begin, compared with the earliest: the rest is the timer's own distance from its start."""
    period_us = 1_000_000 / tick_hz
    places = [time_us - period_us * index for index, time_us in enumerate(times_us)]
    late_us = sorted(place - min(places) for place in places)
    p99, worst = late_us[len(late_us) * 99 // 100], late_us[-1]
    what = f"{label}: tick jitter"
    found = f"{len(late_us)} ticks late by {late_us[len(late_us) // 2]:.0f} us median, {p99:.0f} p99, {worst:.0f} worst"
    detail = histogram(late_us)
    if worst > _LATE_US:
        why = "this computer was busy: the board is simulated" if simulated else "late_max_us makes such a tick a fault"
        return warn(what, found, why, detail)
    return ok(what, found, detail)


def histogram(late_us: list[float]) -> tuple[str, ...]:
    """Return lines that show how many values lie in each step."""
    bounds = [0, *_STEPS_US]
    counts = [sum(low <= value < high for value in late_us) for low, high in zip(bounds, _STEPS_US, strict=False)]
    counts.append(len(late_us) - sum(counts))
    names = [f"< {high} us" for high in _STEPS_US] + [f">= {_STEPS_US[-1]} us"]
    return tuple(
        f"{name:>9}  {count:5d}  {'#' * -(-count * _BAR // len(late_us))}".rstrip()
        for name, count in zip(names, counts, strict=True)
    )


def _back(place: Place, what: str) -> Finding:
    try:
        answer = _until(place.port, Kind.BOARD, _BOOT_S)
    except LinkError as error:
        return fail(what, str(error), "run the same command again, or switch the board off and on")
    return ok(what, f"the board was started again and answers, {state_text(answer.feedback)}")
