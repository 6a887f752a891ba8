"""One arm of so many boards: its bridge for some seconds under a console's commands, and beside it a bare echo."""

from __future__ import annotations

import contextlib
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bedside.cell import load_cell
from bedside.errors import SurgeonError
from scale.bare_timer import bare_timer
from scale.boards import boards
from scale.bridged import bridge, console_of, credentials_of, let_consoles_in
from scale.cells import COMMAND_HZ, CYCLE_HZ, write_cell
from scale.echoes import echoes
from scale.surgeon import Surgeon

_TAKE_UP_S = 15.0


@dataclass
class Usage:
    """What a process has used: CPU seconds since it started, and its resident memory."""

    cpu_s: float
    rss_bytes: int


@dataclass
class Run:
    """One run. ``cycles`` and ``late`` are of the bridge while the arm followed, times in microseconds.

    ``bare_late`` are the periods in which a bare timer beside the bridge was late, too: the computer stood still.
    ``bridge_cpu`` and ``board_cpu`` are shares of a CPU: the bridge's, and that of a board's interpreter.
    """

    boards: int
    seconds: float
    cycles: int
    late: int
    bare_late: int
    missed: int
    round_p50_us: float
    round_p99_us: float
    echo_p50_us: float
    echo_p99_us: float
    bridge_cpu: float
    board_cpu: float
    rss_mb: float


def usage(pid: int) -> Usage:
    """Return what process ``pid``, which has one thread, has used."""
    cpu_ns = int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return Usage(cpu_ns / 1e9, pages * os.sysconf("SC_PAGE_SIZE"))


def children_of(pid: int) -> list[int]:
    """Return the processes that process ``pid`` has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def free_port() -> int:
    """Return a UDP port of this computer that nobody uses."""
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def percentile(values: list[int], share: float) -> float:
    """Return what that share of ``values`` does not exceed."""
    return float(sorted(values)[int(share * (len(values) - 1))])


@contextlib.contextmanager
def giving_way() -> Iterator[None]:
    """Let all others go before this process, if that can be undone.

    A console has a computer of its own. Here it shares the bridge's CPU with the kernel's workers that carry the
    boards' bytes, and those would wait for it.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        # Who may raise a priority may come back from a low one.
        os.setpriority(os.PRIO_PROCESS, 0, before - 1)
    except PermissionError:
        yield
        return
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def measure(count: int, seconds: float) -> Run:
    """Run an arm of ``count`` boards. Raises SurgeonError if it stops by itself."""
    with tempfile.TemporaryDirectory(prefix="bedside-") as name:
        folder = Path(name)
        cell_path = write_cell(folder, count, free_port())
        echo = echoes(cell_path, folder, seconds / 2)
        cell = load_cell(cell_path)
        (credentials,) = credentials_of(cell, folder)
        with boards(cell_path, folder) as world, bridge(cell_path, folder) as process, bare_timer() as bare_late:
            let_consoles_in(cell.arm.name)
            with contextlib.closing(console_of(cell, credentials, COMMAND_HZ)) as link:
                surgeon = Surgeon(link, credentials.proof_key, COMMAND_HZ)
                surgeon.take_up(_TAKE_UP_S)
                # What enabling has left behind is over.
                surgeon.stream(0.5)
                interpreters = children_of(world.pid)
                begun_s, first = time.monotonic(), link.feedback
                bare_before = bare_late()
                used, by_boards = usage(process.pid), [usage(pid) for pid in interpreters]
                with giving_way():
                    has_followed = surgeon.stream(seconds)
                if not has_followed:
                    why = link.notices[-1].text if link.notices else "nobody says why"
                    raise SurgeonError(f"an arm of {count} boards has stopped: {why}")
                elapsed_s, last = time.monotonic() - begun_s, link.feedback
                after, boards_after = usage(process.pid), [usage(pid) for pid in interpreters]
                bare_after = bare_late()
        assert first
        assert last
        rounds = [feedback.round_us for feedback in surgeon.following]
        spent = [late.cpu_s - early.cpu_s for early, late in zip(by_boards, boards_after, strict=True)]
        return Run(
            boards=count,
            seconds=elapsed_s,
            cycles=round(CYCLE_HZ * elapsed_s),
            late=last.late - first.late,
            bare_late=bare_after - bare_before,
            missed=last.missed - first.missed,
            round_p50_us=statistics.median(rounds),
            round_p99_us=percentile(rounds, 0.99),
            echo_p50_us=statistics.median(echo),
            echo_p99_us=percentile(echo, 0.99),
            bridge_cpu=(after.cpu_s - used.cpu_s) / elapsed_s,
            board_cpu=statistics.mean(spent) / elapsed_s,
            rss_mb=after.rss_bytes / 1e6,
        )
