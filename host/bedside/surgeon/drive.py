"""`bedside drive`: enable the arm, move to the start of a motion, stream it, stop, and write what came back.

`bedside home`: enable the arm, hold homing until every joint knows where it is, stop.
"""

from __future__ import annotations

import contextlib
import csv
import select
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from bedside.cell import Cell
from bedside.clock import PeriodicTimer
from bedside.errors import SurgeonError
from bedside.link import causes
from bedside.link.messages import BRAKE_FAILED, DISABLED, ENABLED, FAULT, NOT_HOMED, OFF, PAUSED, RUN, STATES
from bedside.surgeon import protocol
from bedside.surgeon.console import Console
from bedside.surgeon.motion import Approach, Eased, Motion

# Brakes take at most a second to open, configuration some milliseconds a board.
_ENABLE_S = 5.0
_DISABLE_S = 10.0
# A datagram may be lost, and a board that is stopping clears its fault only when it is off.
_ASK_AGAIN_S = 0.2


class Log:
    """Writes each feedback as a row of CSV, ``t_s`` monotonic; a full disk ends the log, not the motion."""

    def __init__(self, path: Path | None, joints: list[str]) -> None:
        self._file: IO[str] | None = None
        self._writer: Any = None
        if path:
            try:
                self._file = path.open("w", newline="")
            except OSError as error:
                raise SurgeonError(f"{path}: cannot be written: {error.strerror}") from None
            self._writer = csv.writer(self._file)
            columns = [f"{kind}_{name}" for kind in ("setpoint", "pos", "vel", "output") for name in joints]
            self._writer.writerow(["t_s", "state", "operator_seq", "round_trip_us", *columns])

    def write(self, t_s: float, feedback: protocol.Feedback, round_trip_us: int | None) -> None:
        """Add a row; ``round_trip_us`` is None for a feedback that answers no new command."""
        if not self._file:
            return
        head = [f"{t_s:.6f}", STATES[feedback.state], feedback.seq, "" if round_trip_us is None else round_trip_us]
        try:
            self._writer.writerow(
                [
                    *head,
                    *feedback.setpoint,
                    *feedback.position,
                    *feedback.velocity,
                    *(f"{o:.5f}" for o in feedback.output),
                ]
            )
        except OSError as error:
            sys.stderr.write(f"the log ends here: {error.strerror}\n")
            self.close()

    def close(self) -> None:
        """Finish the file."""
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


class Drive:
    """Streams a motion at ``command_hz``; ``progress`` is told the seconds done and the whole."""

    def __init__(
        self, cell: Cell, console: Console, command_hz: float, log: Log, progress: Callable[[float, float], None]
    ) -> None:
        self._cell = cell
        self._console = console
        self._hz = command_hz
        self._log = log
        self._progress = progress
        self._sent_ns: dict[int, int] = {}
        self._timer = PeriodicTimer(round(1e9 / command_hz))

    def close(self) -> None:
        """Give the timer back."""
        self._timer.close()

    def run(self, motion: Motion) -> None:
        """Drive the arm through ``motion``. Raises SurgeonError when the arm stops by itself or the bridge is gone."""
        now = self._attach(DISABLED, PAUSED)
        if not now.is_homed:
            raise SurgeonError(f"{self._not_homed(now)} not homed; run 'bedside home' first")
        joints = self._cell.joint
        eased = Eased(motion)
        self._console.state_command("enable" if now.state == DISABLED else "resume", self._hz)
        try:
            here = self._hold_until_running()
            approach = Approach(here, eased.at(0.0)[0], joints)
            self._stream(approach)
            self._stream(eased, self._progress)
            self._stream(Approach(eased.at(eased.duration_s)[0], eased.at(eased.duration_s)[0], joints))
        finally:
            with contextlib.suppress(SurgeonError):
                self._stop()

    def home(self) -> None:
        """Home every joint that needs it; ``progress`` is told of joints instead of seconds.

        Raises SurgeonError when the arm stops by itself, or the bridge is gone.
        """
        if self._attach(DISABLED).is_homed:
            return
        self._console.state_command("enable", self._hz)
        try:
            begun, deadline = False, time.monotonic() + _ENABLE_S
            while True:
                latest = self._pace()
                if begun:
                    self._check_running(latest)
                elif time.monotonic() > deadline:
                    raise SurgeonError(f"the arm does not become ENABLED; it is {STATES[latest.state]}")
                begun = latest.state == ENABLED
                waiting = sum(bool(flags & NOT_HOMED) for flags in latest.flags)
                self._progress(len(latest.flags) - waiting, len(latest.flags))
                if begun and not waiting:
                    return
                if begun:
                    self._console.state_command("home")
        finally:
            with contextlib.suppress(SurgeonError):
                self._stop()

    def _attach(self, *states: int) -> protocol.Feedback:
        """Take the arm, which must be in one of ``states``; return what it does."""
        now = self._console.attach()
        if now.state == FAULT:
            raise SurgeonError("the arm is in FAULT; when its cause is gone, clear it with 'bedside drive --clear'")
        if now.state not in states:
            raise SurgeonError(f"the arm is {STATES[now.state]}; wait until it is off")
        return now

    def _not_homed(self, feedback: protocol.Feedback) -> str:
        names = [joint.name for joint, flags in zip(self._cell.joint, feedback.flags, strict=True) if flags & NOT_HOMED]
        return f"joint{'s' * (len(names) > 1)} {', '.join(names)} {'are' if len(names) > 1 else 'is'}"

    def _check_running(self, feedback: protocol.Feedback) -> None:
        if feedback.state != ENABLED:
            names = [causes.name_of(board[3]) for board in feedback.boards if board[3]]
            raise SurgeonError(
                f"the arm has stopped by itself: {STATES[feedback.state]}, {', '.join(names) or 'cause unknown'}; "
                "look at the bridge's messages"
            )

    def _stop(self) -> None:
        """Stop the arm and wait until it is off; a fault ends this, and stays until a person clears it."""
        self._until_off(lambda boards: any(board[1] == FAULT or board[3] for board in boards))

    def disable(self) -> None:
        """Stop the arm, clear a fault if there is one, and wait until it is off.

        Raises SurgeonError if it stays on; also when a brake turns out not to hold meanwhile, because only a person who
        knows that may take the torque away.
        """
        known = self._brake_fails()
        self._until_off(lambda _: not known and self._brake_fails())
        if self._brake_fails():
            raise SurgeonError(
                "a brake does not hold, so its motor goes on: support the joint, then run 'bedside drive --clear' "
                "again, which takes the torque away"
            )

    def _brake_fails(self) -> bool:
        latest = self._console.latest
        return latest is not None and any(board[3] == BRAKE_FAILED and board[2] != OFF for board in latest.boards)

    def _until_off(self, give_up: Callable[[list[list[int]]], bool]) -> None:
        begun = time.monotonic()
        asked = 0.0
        while time.monotonic() - begun < _DISABLE_S:
            with contextlib.suppress(SurgeonError):
                self._receive()
            latest = self._console.latest
            if latest:
                boards = latest.boards
                if give_up(boards) or (latest.state == DISABLED and all(board[2] == OFF for board in boards)):
                    return
            if time.monotonic() - asked > _ASK_AGAIN_S:
                asked = time.monotonic()
                self._console.state_command("disable")
            select.select([self._console.socket], [], [], 0.02)
        raise SurgeonError("the arm does not become DISABLED; look at the bridge's messages")

    def _hold_until_running(self) -> list[float]:
        """Stream the position at which the arm was enabled until its brakes are open; return that position."""
        here: list[float] = []
        deadline = time.monotonic() + _ENABLE_S
        while True:
            latest = self._pace()
            if latest.state == ENABLED:
                here = here or latest.setpoint
                if all(board[2] == RUN for board in latest.boards):
                    return here
                self._command(here, [0.0] * len(here))
            if time.monotonic() > deadline:
                raise SurgeonError(f"the arm does not become ENABLED; it is {STATES[latest.state]}")

    def _stream(self, motion: Motion, progress: Callable[[float, float], None] | None = None) -> None:
        begun = time.monotonic()
        while True:
            latest = self._pace()
            t = time.monotonic() - begun
            self._command(*motion.at(min(t, motion.duration_s)))
            self._check_running(latest)
            if progress:
                progress(min(t, motion.duration_s), motion.duration_s)
            if t >= motion.duration_s:
                return

    def _pace(self) -> protocol.Feedback:
        """Take feedback until the next command period begins; return the latest.

        No generator: Python loses a Ctrl-C that comes while one is taken down.
        """
        while True:
            ready, _, _ = select.select([self._timer.fd, self._console.socket], [], [])
            if self._console.socket in ready:
                self._receive()
            if self._timer.fd in ready and self._timer.expirations():
                self._receive()
                assert self._console.latest, "an arm that was attached has been heard"
                return self._console.latest

    def _command(self, position: list[float], velocity: list[float]) -> None:
        now_ns = time.monotonic_ns()
        self._sent_ns[self._console.servo_jp(position, velocity)] = now_ns

    def _receive(self) -> None:
        now_ns = time.monotonic_ns()
        for feedback in self._console.receive():
            sent_ns = self._sent_ns.pop(feedback.seq, None)
            round_trip_us = None if sent_ns is None else (now_ns - sent_ns) // 1000
            self._log.write(time.monotonic(), feedback, round_trip_us)
