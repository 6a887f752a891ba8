"""The whole firmware on the emulated RP2040: put there as it is flashed, booted by its loader, met over its UART.

Its joints are those of ``boards/cells/bench-pico.toml``, whose motors the board simulates; only its link is UART 0,
because the emulator's USB has one serial port, the console's. Time is the chip's.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from bedside import __version__
from bedside.boardfile import board_config, canonical
from bedside.cell import Cell, load_cell
from bedside.errors import BedsideError
from bedside.flash.deploy import MANIFEST
from bedside.flash.package import LOADER, board_image, compile_firmware
from bedside.link import causes, frames, schema
from bedside.link.board import SCHEMA
from bedside.link.messages import DISABLED, FAULT, OFF, RUN, Event, Feedback, Identity, Message, parse
from bedside.link.scale import board_message, joint_messages
from bedside.places import BOARDS, FIRMWARE
from rp2040 import uf2
from rp2040.chip import Chip
from rp2040.repl import RawRepl

CHIP = "rp2040"
UART = 0
BAUD = 1_000_000
# Two of a thousand ticks more or fewer may be between the two answers that are compared.
TICKS_OFF = 2
LATE_MAX = 0
_TICKS = 500
# Seconds of the chip's time: to boot, hash and load all modules, and to answer.
_BOOT_S = 5.0
_ANSWER_S = 0.1
_KEEP_ALIVE_S = 0.005
_ENABLED_S = 0.5
_STEP_RAD = 0.002
_STEPS = 50
Answer = TypeVar("Answer", Feedback, Identity)


class WholeError(BedsideError):
    """The firmware does not do on this MicroPython what it does elsewhere."""


def whole(chip: Chip, repl: RawRepl) -> str:
    """Show that the firmware boots, ticks in time, moves its joints as it is commanded, and stops by itself."""
    cell = load_cell(BOARDS / "cells" / "bench-pico.toml")
    build = put(repl, cell)
    board = Board(chip, repl)
    repl.boot()
    identity = board.identify(_BOOT_S)
    if (identity.schema, identity.build) != (SCHEMA, build):
        raise WholeError(f"it is {identity}, and should run build {build} of schema {SCHEMA:08x}")
    for joint in cell.joint:
        for message in joint_messages(joint, _config(cell)["tick_hz"]):
            board.ask(message)
    board.ask(board_message(cell, cell.board[0].name, cell.arm.command_hz))
    ticks, late = _tick(board)
    moved = _move(board)
    silent = _fall_silent(board, cell)
    return (
        f"build {build}: {ticks} ticks in {_TICKS} ms, {late} late; enabled, moved {moved / 1000:.0f} mrad, "
        f"stopped {silent} ticks after its last frame"
    )


class Board:
    """The board behind a UART of the chip."""

    def __init__(self, chip: Chip, repl: RawRepl) -> None:
        self.chip = chip
        self.events: list[Event] = []
        self.operator_seq = 0
        self._repl = repl
        self._heard = chip.listen(UART)
        self._decoder = frames.Decoder()
        self._seq = 0

    def identify(self, seconds: float) -> Identity:
        """Return who the board is once it has booted; raises WholeError if it never says."""
        end = self.chip.seconds + seconds
        while self.chip.seconds < end:
            if identity := self._answer([schema.IDENTIFY, 0], Identity):
                return identity
        raise self._silent("who are you")

    def ask(self, message: list[int]) -> Feedback:
        """Return the board's state once it has ``message``; raises WholeError if it does not say."""
        if feedback := self._answer(message, Feedback):
            return feedback
        raise self._silent(f"message {message[0]}")

    def _answer(self, message: list[int], kind: type[Answer]) -> Answer | None:
        self._seq += 1
        message[1] = self._seq
        answers: list[Answer] = []

        def came() -> bool:
            answers.extend(answer for answer in self.receive() if isinstance(answer, kind))
            return any(answer.link_seq == self._seq for answer in answers)

        self.chip.say(UART, frames.encode(message), BAUD)
        return answers[-1] if self.chip.run_until(came, _ANSWER_S) else None

    def _silent(self, asked: str) -> WholeError:
        console = self._repl.told().decode(errors="replace").strip()
        return WholeError(f"no answer to {asked}; events {self.events}, and its console says: {console or 'nothing'}")

    def receive(self) -> list[Message]:
        """Return what has come; events are kept besides."""
        data = bytes(self._heard)
        self._heard.clear()
        messages = [parse(message) for message in self._decoder.feed(data)]
        self.events += [message for message in messages if isinstance(message, Event)]
        return messages

    def keep_alive(self) -> Feedback:
        """Feed the link's clock; return the state."""
        return self.ask([schema.KEEP_ALIVE, 0])

    def state_command(self, command: int) -> Feedback:
        """Send ENABLE or another."""
        self.operator_seq += 1
        return self.ask([schema.STATE_COMMAND, 0, self.operator_seq, command])

    def command(self, positions: list[int], velocities: list[int]) -> Feedback:
        """Send the next setpoints, urad and urad/s."""
        self.operator_seq += 1
        pairs = [value for pair in zip(positions, velocities, strict=True) for value in pair]
        return self.ask([schema.COMMAND, 0, self.operator_seq, *pairs])


def _config(cell: Cell) -> dict[str, Any]:
    link = {"kind": "uart", "id": UART, "tx": 0, "rx": 1, "baud": BAUD}
    return {**board_config(cell, cell.board[0].name), "link": link}


def with_repl(image: Path) -> tuple[Chip, RawRepl]:
    """Return a chip that runs the MicroPython in a UF2 file, and its REPL. Raises BedsideError."""
    chip = Chip(uf2.read(image))
    chip.console.open()
    return chip, RawRepl(chip.console)


def put(repl: RawRepl, cell: Cell) -> str:
    """Put everything where ``bedside flash`` puts it; return the build."""
    with tempfile.TemporaryDirectory() as folder:
        firmware = compile_firmware(CHIP, Path(folder))
    loader = (FIRMWARE / LOADER).read_bytes()
    image = board_image(CHIP, __version__, loader, firmware, canonical(_config(cell)))
    for path, content in {**image.files, MANIFEST: image.manifest}.items():
        repl.put(f"a/{path}", content)
    repl.put("active", b"a")
    repl.put("main.py", loader)
    return image.build


def _tick(board: Board) -> tuple[int, int]:
    """Return how many ticks pass in so many milliseconds, and how many of them were late."""
    begun, before = board.chip.seconds, board.keep_alive()
    after = before
    while board.chip.seconds - begun < _TICKS / 1000:
        board.chip.run(_KEEP_ALIVE_S)
        after = board.keep_alive()
    ticks, late = after.tick - before.tick, after.late_ticks - before.late_ticks
    expected = 1000 * (board.chip.seconds - begun)
    if abs(ticks - expected) > TICKS_OFF or late > LATE_MAX:
        raise WholeError(f"{ticks} ticks in {expected:.1f} ms, {late} of them late")
    return ticks, late


def _move(board: Board) -> int:
    """Enable, engage and lead the first joint away; return how far it has come, in urad."""
    # As the bridge does: what came up before it was configured is cleared.
    board.state_command(schema.DISABLE)
    _until(board, lambda now: bool(now.state == DISABLED), "cleared")
    board.state_command(schema.ENABLE)
    now = _until(board, lambda now: bool(now.phase == RUN), "enabled")
    start = list(now.positions)
    at = list(start)
    board.command(at, [0] * len(at))
    for step in range(_STEPS):
        # From standstill to standstill: the speed rises and falls.
        share = min(step, _STEPS - 1 - step, 10) / 10
        board.chip.run(_KEEP_ALIVE_S)
        at[0] += round(1e6 * _STEP_RAD * share)
        now = board.command(at, [round(1e6 * _STEP_RAD * share / _KEEP_ALIVE_S), *[0] * (len(at) - 1)])
    moved: int = now.positions[0] - start[0]
    wanted = at[0] - start[0]
    if now.phase != RUN or abs(moved - wanted) > 0.2 * wanted:
        raise WholeError(f"commanded by {wanted} urad it moved {moved}: {now} {board.events}")
    return moved


def _until(board: Board, reached: Callable[[Feedback], bool], what: str) -> Feedback:
    """Keep the link alive until the board has ``reached`` it; return its state."""
    end = board.chip.seconds + _ENABLED_S
    while board.chip.seconds < end:
        board.chip.run(_KEEP_ALIVE_S)
        now = board.keep_alive()
        if reached(now):
            return now
    raise WholeError(f"it is not {what}: {board.keep_alive()} {board.events}")


def _fall_silent(board: Board, cell: Cell) -> int:
    """Say nothing until the board has stopped; return how many ticks after its last frame it gave up."""
    last = board.keep_alive().tick
    board.events.clear()
    board.chip.run(cell.arm.link_timeout_ms / 1000 + _ENABLED_S)
    board.receive()
    fault = next((event for event in board.events if causes.name_of(event.code) == "link-timeout"), None)
    now = board.keep_alive()
    if fault is None or (now.state, now.phase) != (FAULT, OFF):
        raise WholeError(f"it has not stopped when its link fell silent: {now} {board.events}")
    return fault.tick - int(last)
