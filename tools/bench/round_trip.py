"""Round trips over simulated boards: bare echoes, and the whole way from a console and back."""

from __future__ import annotations

import contextlib
import gc
import json
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
from bedside.surgeon.authority import BRIDGE, SURGEON
from bedside.surgeon.beside import Beside
from bedside.surgeon.credentials import load_credentials
from bedside.surgeon.find import issue_for_once
from bedside.surgeon.link import Link
from bedside.surgeon.local import call, socket_path
from bedside.surgeon.proof import board_key
from bedside.surgeon.proving import Proving
from bedside.surgeon.remote import Remote, Route

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
    os.environ["BEDSIDE_RUN"] = str(directory)
    keys = directory / "keys"
    if not keys.exists():
        issue_for_once(keys, {"bridge": BRIDGE, "console": SURGEON})
    credentials = load_credentials(keys / "console")
    assert credentials.proof_key
    for slot in cell.board:
        flash = directory / f"{slot.name}.flash"
        flash.mkdir(exist_ok=True)
        key = board_key(credentials.proof_key, f"{cell.arm.name}/{slot.name}").hex()
        (flash / "keys.json").write_text(json.dumps({"keys": [{"console": "console", "key": key}]}))
    command = [sys.executable, "-m", "bedside.cli", "bridge", str(cell_path), "--credentials", str(keys / "bridge")]
    with boards(cell_path, directory):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not socket_path(cell.arm.name).exists() and process.poll() is None:
                time.sleep(0.05)
            with contextlib.closing(Link(call(cell.arm.name), 10.0)) as beside:
                Beside(beside).arm()
            line = Remote(credentials, Route(bridge=cell.arm.listen))
            with contextlib.closing(Link(line, 1000.0)) as console, _on_time():
                console.begin()
                return _converse(console, Proving(console, credentials.proof_key), seconds)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


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
