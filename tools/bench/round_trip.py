"""The whole way from a console to the boards and back, each command when the last is back."""

from __future__ import annotations

import select
import time
from contextlib import closing
from pathlib import Path

from bedside.cell import load_cell
from bedside.clock import PeriodicTimer
from bedside.link.messages import ENABLED, RUN
from bedside.surgeon.link import Link
from bedside.surgeon.proving import Proving
from scale.boards import boards
from scale.bridged import bridge, console_of, credentials_of, let_consoles_in
from scale.echoes import on_time

# A command that has no answer by then never gets one.
LOST_NS = 50_000_000


def round_trips(cell_path: Path, directory: Path, seconds: float) -> tuple[list[int], list[int]]:
    """Return microseconds from console to boards and back, and from the bridge's frames out to all answers in."""
    cell = load_cell(cell_path)
    (credentials,) = credentials_of(cell, directory)
    with boards(cell_path, directory), bridge(cell_path, directory):
        let_consoles_in(cell.arm.name)
        with on_time(), closing(console_of(cell, credentials, 1000.0)) as console:
            return _converse(console, Proving(console, credentials.proof_key), seconds)


def _converse(console: Link, proving: Proving, seconds: float) -> tuple[list[int], list[int]]:
    console.ask("request")
    enabled = False
    timer = PeriodicTimer(1_000_000)
    poller = select.epoll()
    poller.register(timer.fd, select.EPOLLIN)
    poller.register(console, select.EPOLLIN)
    whole: list[int] = []
    rounds: list[int] = []
    sent: dict[int, int] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for fd, _ in poller.poll():
            latest = console.feedback
            if fd != timer.fd:
                came = console.receive()
                now = time.monotonic_ns()
                proving.see(console.feedback)
                if proving.is_proven and not enabled:
                    enabled = True
                    console.state_command("enable", 1000.0)
                for feedback in came:
                    begun = sent.pop(feedback.seq, None)
                    if begun and all(board[2] == RUN for board in feedback.boards):
                        whole.append((now - begun) // 1000)
                        rounds.append(feedback.round_us)
            elif timer.expirations() and latest and latest.state == ENABLED:
                position, still = latest.setpoint, [0.0] * len(latest.position)
                now = time.monotonic_ns()
                # As with the echoes, the next leaves when the last is back; one that was lost is given up.
                if sent and now - max(sent.values()) < LOST_NS:
                    continue
                sent.clear()
                sent[console.servo_jp(position, still)] = now
                proving.prove()
            elif not enabled and console.authority.holder:
                proving.prove()
    console.state_command("disable")
    time.sleep(0.5)
    timer.close()
    return whole, rounds
