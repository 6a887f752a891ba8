"""Checks a cell file, and each board as it answers: who it is, what it runs, what it keeps, how good its link is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bedside import __version__
from bedside.boardfile import BoardType, load_board_type
from bedside.bridge.connect import build_fault, check_identity
from bedside.cell import BoardSlot, Cell, link_share
from bedside.doctor.findings import Finding, Grade, fail, failed, ok, warn
from bedside.doctor.ports import Port
from bedside.doctor.probe import Answer, Kind, state_text
from bedside.errors import BedsideError, LinkError
from bedside.link import blackbox, causes, schema
from bedside.link.board import SCHEMA, BoardLink
from bedside.link.messages import DISABLED, FAULT, OFF, RESET_CAUSES, Feedback, Identity
from bedside.link.port import SerialPort

_ROUND_TRIPS = 200
# A board that has not answered by then would have been missed by a bridge, too.
_LOST_S = 0.1
# What a bridge at 250 Hz has for a board's answer.
_SLOW_MS = 4.0


@dataclass(frozen=True)
class Place:
    """Where a board should be: its ``port`` and, if the cell ``file`` says so, which board of which kind."""

    label: str
    port: Port
    cell: Cell | None = None
    slot: BoardSlot | None = None
    file: Path | None = None

    @property
    def kind(self) -> BoardType | None:
        """The board file, if a cell file names it."""
        return load_board_type(self.slot.type) if self.slot else None


def places_of(cell: Cell, file: Path, ports: list[Port]) -> list[Place]:
    """Return where the boards of ``cell``, of this ``file``, should be; ``ports`` are the computer's and the cell's."""
    by_name = {port.name: port for port in ports}
    return [Place(slot.name, by_name.get(slot.port, Port(slot.port)), cell, slot, file) for slot in cell.board]


def cell_findings(cell: Cell) -> Iterator[Finding]:
    """Tell what a cell file that is sound says, and how full its links will be."""
    yield ok("cell file", f"{cell.arm.name}, {_number(cell.board, 'board')}, {_number(cell.joint, 'joint')}")
    for slot in cell.board:
        share = link_share(cell, slot, cell.arm.command_hz)
        rate = max(cell.arm.command_hz, cell.arm.cycle_hz)
        found = "no wire to fill" if share is None else f"{share:.0%} full at {rate:g} Hz"
        yield ok(f"{slot.name}: link budget", found)


def _number(them: list[Any], what: str) -> str:
    return f"{len(them)} {what}{'s' * (len(them) > 1)}"


def board_findings(place: Place, answer: Answer, uids: dict[str, str]) -> Iterator[Finding]:
    """Check the board at ``place``, which has given this ``answer``; ``uids`` maps those met so far to their ports."""
    label = place.label
    if answer.kind is Kind.REPL:
        yield fail(
            f"{label}: port",
            answer.text,
            "'bedside doctor --deep' with the same arguments starts it again, as does switching it off and on",
        )
        return
    if not answer.identity:
        yield fail(f"{label}: port", answer.text)
        return
    identity = answer.identity
    yield ok(f"{label}: port", f"{place.port.name}, {place.port.chip}" if place.port.chip != "-" else place.port.name)
    who = _identity(place, identity, uids)
    yield who
    yield _firmware(label, identity)
    yield ok(f"{label}: protocol", f"schema {SCHEMA:08x}, as this host's")
    if who.grade is Grade.OK:  # a board in another's place is to be moved, not flashed
        yield _build(place, identity)
    yield _reset(label, identity)
    try:
        link = BoardLink(SerialPort(place.port.name, place.port.baud, place.port.dtr), f"board '{label}'")
    except LinkError as error:
        yield failed(f"{label}: port", error)
        return
    with contextlib.closing(link.port):
        try:
            yield from _conversation(label, link, identity)
        except LinkError as error:
            yield failed(f"{label}: link", error)


def _identity(place: Place, identity: Identity, uids: dict[str, str]) -> Finding:
    what = f"{place.label}: identity"
    joints = ", ".join(joint.name for joint in identity.joints)
    if identity.uid in uids:
        found = f"ports {uids[identity.uid]} and {place.port.name} lead to the same board '{identity.name}'"
        return fail(what, found, "give each board of the cell a port of its own")
    uids[identity.uid] = place.port.name
    if place.cell and place.slot:
        try:
            check_identity(place.cell, place.slot.name, place.slot.port, identity)
        except BedsideError as error:
            return failed(what, error)
    return ok(what, f"'{identity.name}' ({identity.uid}) with {joints}, {identity.tick_hz} Hz")


def _firmware(label: str, identity: Identity) -> Finding:
    if identity.firmware == __version__:
        return ok(f"{label}: firmware", f"{identity.firmware}, as this host")
    found = f"{identity.firmware}, this host is {__version__}"
    return fail(f"{label}: firmware", found, "flash the firmware that came with this host")


def _build(place: Place, identity: Identity) -> Finding:
    """Tell the build, and whether it is what the cell file makes, if there is one."""
    what = f"{place.label}: build"
    if place.cell and place.slot and (fault := build_fault(place.cell, place.slot.name, identity)):
        return fail(what, fault, f"run 'bedside flash {place.file} {place.slot.name}'")
    return ok(what, identity.build or "none told; its firmware was not put there by 'bedside flash'")


def _reset(label: str, identity: Identity) -> Finding:
    what = f"{label}: last start"
    if not identity.reset_cause:
        return ok(what, RESET_CAUSES[0])
    why = RESET_CAUSES[min(identity.reset_cause, len(RESET_CAUSES) - 1)]
    return warn(what, f"by itself ({why})", "find out why before you enable the arm")


def _conversation(label: str, link: BoardLink, identity: Identity) -> Iterator[Finding]:
    link.identify()
    state = link.ask([schema.KEEP_ALIVE, 0])
    yield _state(label, link, state)
    if state.state in (DISABLED, FAULT) and state.phase == OFF:
        yield from _past(label, link, identity)
    yield from _link(label, link, state)


def _state(label: str, link: BoardLink, state: Feedback) -> Finding:
    what, found = f"{label}: state", state_text(state)
    if state.state == DISABLED:
        return ok(what, found) if state.phase == OFF else warn(what, found, "somebody presses the brake release")
    if state.state == FAULT:
        return fail(
            what, f"{found}, {causes.name_of(state.cause)}", "see below; 'bedside local CELL.toml clear' clears it"
        )
    return fail(what, found, "it is on; end what drives it")


def _past(label: str, link: BoardLink, identity: Identity) -> Iterator[Finding]:
    cause, events = blackbox.kept(link)
    joints = [joint.name for joint in identity.joints]
    lines = []
    for event in events:
        joint = f", joint '{joints[event.channel]}'" if 0 <= event.channel < len(joints) else ""
        lines.append(f"tick {event.tick}: {causes.explain(event, label + joint)}")
    what = f"{label}: black box"
    if cause:
        remedy = f"'bedside blackbox {link.port.name}' fetches it"
        yield warn(what, f"keeps the second around '{causes.name_of(cause)}'", remedy, tuple(lines))
    else:
        yield ok(what, "keeps no fault", tuple(lines))


def _link(label: str, link: BoardLink, before: Feedback) -> Iterator[Finding]:
    """Measure round trips, and what the board has counted meanwhile."""
    trips_ms, last = _round_trips(link, before)
    lost = _ROUND_TRIPS - len(trips_ms)
    what = f"{label}: round trips"
    if not trips_ms:
        yield fail(what, f"none of {_ROUND_TRIPS} came back", "check cable, power and baud rate")
        return
    trips_ms.sort()
    median, p99 = trips_ms[len(trips_ms) // 2], trips_ms[len(trips_ms) * 99 // 100]
    found = f"median {median:.2f} ms, p99 {p99:.2f} ms, {lost} of {_ROUND_TRIPS} lost"
    if lost or link.bad_frames:
        found += f", {link.bad_frames} damaged" if link.bad_frames else ""
        yield warn(what, found, "check cable, shield, ground and baud rate")
    elif p99 > _SLOW_MS:
        yield warn(what, found, "see this computer's timer, governor and latency timers above")
    else:
        yield ok(what, found)
    late, refused = last.late_ticks - before.late_ticks, last.refused - before.refused
    found = f"late ticks {last.late_ticks}, refused messages {last.refused} since its start"
    if late or refused:
        remedy = "a refused one was damaged on its way: check the cable" if refused else "the board is too busy"
        yield warn(f"{label}: counters", f"{found}, {late} and {refused} of them just now", remedy)
    else:
        yield ok(f"{label}: counters", found)


def _round_trips(link: BoardLink, latest: Feedback) -> tuple[list[float], Feedback]:
    """Return how long each keep-alive took that was answered, in ms, and the last answer."""
    trips_ms = []
    for _ in range(_ROUND_TRIPS):
        begun = time.monotonic()
        seq = link.send([schema.KEEP_ALIVE, 0])
        answered = False
        while not answered and time.monotonic() < begun + _LOST_S:
            for message in link.wait(begun + _LOST_S):
                if isinstance(message, Feedback) and message.link_seq == seq:
                    trips_ms.append(1000 * (time.monotonic() - begun))
                    latest = message
                    answered = True
    return trips_ms, latest
