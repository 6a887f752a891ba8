"""The limit beside which a bridge is measured: boards that only echo, and a loop that only asks them."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import time
from collections.abc import Iterator
from pathlib import Path

from bedside.cell import load_cell
from bedside.clock import PeriodicTimer
from bedside.link.port import SerialPort
from scale.boards import boards

ECHO_BOARD = Path(__file__).with_name("echo_board.py")
# About what a command for three joints takes.
ECHO_BYTES = 48


def echoes(cell_path: Path, directory: Path, seconds: float) -> list[int]:
    """Return, for each millisecond, the microseconds from a write to every board to all of it being back."""
    cell = load_cell(cell_path)
    with boards(cell_path, directory, ECHO_BOARD), on_time():
        ports = [SerialPort(slot.port, 1_000_000) for slot in cell.board]
        by_fd = {port.fd: port for port in ports}
        timer = PeriodicTimer(1_000_000)
        poller = select.epoll()
        for fd in (*by_fd, timer.fd):
            poller.register(fd, select.EPOLLIN)
        times: list[int] = []
        missing = dict.fromkeys(by_fd, 0)
        block = b"x" * ECHO_BYTES
        begun = 0
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for fd, _ in poller.poll():
                if fd == timer.fd:
                    timer.expirations()
                    if not any(missing.values()):
                        begun = time.monotonic_ns()
                        for port in ports:
                            port.write(block)
                        missing = dict.fromkeys(by_fd, ECHO_BYTES)
                else:
                    missing[fd] -= len(by_fd[fd].read())
                    if not any(missing.values()):
                        times.append((time.monotonic_ns() - begun) // 1000)
        for port in ports:
            port.close()
        timer.close()
        poller.close()
        return times


@contextlib.contextmanager
def on_time() -> Iterator[None]:
    """Give this process what the bridge gives itself, so that both are measured alike."""
    gc.collect()
    gc.disable()
    granted = True
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except OSError:
        granted = False
    try:
        yield
    finally:
        gc.enable()
        if granted:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
