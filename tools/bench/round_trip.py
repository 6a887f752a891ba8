"""Round trips over simulated boards: bare echoes, and the whole way from a console and back."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bedside.cell import load_cell
from bedside.clock import PeriodicTimer, awake, on_cpus
from bedside.link.messages import ENABLED, RUN
from bedside.link.port import SerialPort
from bedside.surgeon.console import Console
from bedside.surgeon.server import parse_address

HERE = Path(__file__).parent
CPUS = os.sched_getaffinity(0)
# About what a command for three joints takes.
ECHO_BYTES = 48
# A command that has no answer by then never gets one.
LOST_NS = 50_000_000


@contextlib.contextmanager
def host_and_boards_apart() -> Iterator[None]:
    """Keep one CPU for simulated boards, as real boards have their own; what is started inside gets the others.

    Without it, whether a board or its host waits for the other is the scheduler's luck. All CPUs are kept awake.
    """
    with awake(), on_cpus(CPUS - {max(CPUS)} or CPUS):
        yield


def boards_cpu() -> contextlib.AbstractContextManager[None]:
    """Give the boards' CPU to what is started inside."""
    return on_cpus({max(CPUS)})


@contextlib.contextmanager
def boards(cell: Path, directory: Path, program: Path | None = None) -> Iterator[None]:
    """Run the cell's simulated boards in a process of their own, as ``bedside sim`` does."""
    os.environ["BEDSIDE_SIM"] = str(directory)
    command = [sys.executable, __file__, str(cell), *([str(program)] if program else [])]
    with boards_cpu():
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout
        process.stdout.readline()
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def echoes(cell_path: Path, directory: Path, seconds: float) -> list[int]:
    """Return, for each millisecond, the microseconds from a write to every board to all of it being back."""
    cell = load_cell(cell_path)
    with boards(cell_path, directory, HERE / "echo_board.py"), _on_time():
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
        return times


def bridge(cell_path: Path, directory: Path, seconds: float) -> tuple[list[int], list[int]]:
    """Return microseconds from console to boards and back, and from the bridge's frames out to all answers in."""
    cell = load_cell(cell_path)
    command = [sys.executable, "-m", "bedside.cli", "bridge", str(cell_path)]
    with boards(cell_path, directory):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            time.sleep(1.5)
            with contextlib.closing(Console(parse_address(cell.arm.listen))) as console, _on_time():
                return _converse(console, seconds)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def _converse(console: Console, seconds: float) -> tuple[list[int], list[int]]:
    console.attach()
    console.state_command("enable", 1000.0)
    timer = PeriodicTimer(1_000_000)
    poller = select.epoll()
    poller.register(timer.fd, select.EPOLLIN)
    poller.register(console.socket, select.EPOLLIN)
    whole: list[int] = []
    rounds: list[int] = []
    sent: dict[int, int] = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for fd, _ in poller.poll():
            latest = console.latest
            if fd != timer.fd:
                came = console.receive()
                now = time.monotonic_ns()
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
    console.state_command("disable")
    time.sleep(0.5)
    timer.close()
    return whole, rounds


@contextlib.contextmanager
def _on_time() -> Iterator[None]:
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


def _world(cell_path: Path, program: Path | None) -> None:
    from bedside.sim.world import World

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # At normal priority: the kernel's workers that carry a pty's bytes have it too, and would wait behind the boards.
    gc.disable()
    with World(load_cell(cell_path), cell_path, None, program) as world:
        sys.stdout.write("up\n")
        sys.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            world.run(lambda: False)


if __name__ == "__main__":
    _world(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
