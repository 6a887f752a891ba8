"""`bedside drive`: take an arm, enable it, move to the start of a motion, stream it, stop, and write what came back."""

from __future__ import annotations

import contextlib
import csv
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from bedside.errors import SurgeonError
from bedside.link import causes
from bedside.link.messages import FAULT, NOT_HOMED, OFF, PAUSED, STATES
from bedside.surgeon import protocol
from bedside.surgeon.address import Endpoint
from bedside.surgeon.console import Console
from bedside.surgeon.link import now_us
from bedside.surgeon.motion import Approach, Eased, Motion


class Log:
    """Writes each feedback as a row of CSV, ``t_s`` monotonic; a full disk ends the log, not the motion."""

    def __init__(self, path: Path | None, joints: list[str]) -> None:
        self._file: IO[str] | None = None
        self._writer: Any = None
        self._sent_ns: dict[int, int] = {}
        if path:
            try:
                self._file = path.open("w", newline="")
            except OSError as error:
                raise SurgeonError(f"{path}: cannot be written: {error.strerror}") from None
            self._writer = csv.writer(self._file)
            columns = [f"{kind}_{name}" for kind in ("setpoint", "pos", "vel", "output") for name in joints]
            self._writer.writerow(["t_s", "state", "operator_seq", "round_trip_us", *columns])

    def sent(self, seq: int) -> None:
        """Note when a command went out."""
        if self._file:
            self._sent_ns[seq] = time.monotonic_ns()

    def came(self, feedback: protocol.Feedback) -> None:
        """Add a row; its round trip stays empty for a feedback that answers no new command."""
        if not self._file:
            return
        now_ns = time.monotonic_ns()
        sent_ns = self._sent_ns.pop(feedback.seq, None)
        round_trip_us = "" if sent_ns is None else (now_ns - sent_ns) // 1000
        head = [f"{now_ns / 1e9:.6f}", STATES[feedback.state], feedback.seq, round_trip_us]
        outputs = (f"{share:.5f}" for share in feedback.output)
        try:
            self._writer.writerow([*head, *feedback.setpoint, *feedback.position, *feedback.velocity, *outputs])
        except OSError as error:
            sys.stderr.write(f"the log ends here: {error.strerror}\n")
            self.close()

    def close(self) -> None:
        """Finish the file."""
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


class Copy:
    """Sends each command, and when it was sent, to a listener on this computer too."""

    def __init__(self, to: Endpoint | None) -> None:
        self._to = to
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def sent(self, seq: int, position: list[float], velocity: list[float]) -> None:
        """Pass a command on."""
        if self._to:
            command = protocol.ServoJp(0, seq, now_us(), True, position, velocity)
            with contextlib.suppress(OSError):
                self._socket.sendto(protocol.encode(command), self._to)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()


async def drive(arm: Console, motion: Motion, log: Log, copy: Copy, progress: Callable[[float, float], None]) -> None:
    """Take the arm and lead it through ``motion``; ``progress`` is told the seconds done, and of how many.

    Raises SurgeonError when it cannot be had, when it stops by itself or the bridge is gone.
    """

    def on_command(seq: int, position: list[float], velocity: list[float]) -> None:
        log.sent(seq)
        copy.sent(seq, position, velocity)

    arm.on_feedback = log.came
    arm.on_command = on_command
    await arm.request()
    now = await arm.next_feedback()
    if now.state == FAULT:
        raise SurgeonError("the arm is in FAULT; when its cause is gone, the local operator clears it")
    if not now.is_homed:
        names = [joint.name for joint, flags in zip(arm.joints, now.flags, strict=True) if flags & NOT_HOMED]
        raise SurgeonError(f"not homed: {', '.join(names)}; the local operator homes the arm, with 'bedside local'")
    if now.state == PAUSED:
        await arm.resume()
    elif all(board[2] == OFF for board in now.boards):
        await arm.enable()
    else:
        raise SurgeonError(f"the arm is {STATES[now.state]} and not yet at rest; wait until it is off")
    try:
        eased = Eased(motion)
        await arm.play(Approach(arm.feedback.position, eased.at(0.0)[0], arm.joints))
        await arm.play(eased, progress)
        await arm.play(Approach(eased.at(eased.duration_s)[0], eased.at(eased.duration_s)[0], arm.joints))
    except SurgeonError as error:
        raise SurgeonError(_why(arm, error)) from None
    await arm.disable()
    await arm.release()


def _why(arm: Console, error: SurgeonError) -> str:
    """Return why the arm has stopped by itself, if it has."""
    latest = arm.link.feedback
    names = sorted({causes.name_of(board[3]) for board in latest.boards if board[3]}) if latest else []
    if not latest or not names:
        return str(error)
    return f"the arm has stopped by itself: {STATES[latest.state]}, {', '.join(names)}; look at the bridge's messages"
