"""What keeps Bedside on time."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bedside.clock import Alarm, PeriodicTimer, awake, on_one_cpu

pytestmark = pytest.mark.real_time


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_timer_counts_the_periods_that_were_slept_through() -> None:
    timer = PeriodicTimer(1_000_000)
    begun_ns = timer.due_ns
    time.sleep(0.02)
    periods = timer.expirations()
    assert periods >= 19
    assert timer.due_ns == begun_ns + periods * 1_000_000
    # The last one ended less than a millisecond ago.
    assert periods - 2 <= timer.late < periods
    timer.close()


def test_an_alarm_is_due_once_at_the_moment_it_was_last_set_to() -> None:
    alarm = Alarm()

    def is_due(within_s: float) -> bool:
        return bool(select.select([alarm.fd], [], [], within_s)[0])

    assert not is_due(0)
    due_ns = time.monotonic_ns() + 10_000_000
    alarm.set(due_ns)
    assert is_due(5)
    assert time.monotonic_ns() >= due_ns
    alarm.set(time.monotonic_ns() + 10**12)
    assert not is_due(0)
    alarm.set(1)
    assert is_due(5)
    alarm.set(None)
    assert not is_due(0.02)
    alarm.close()


def test_cpus_are_kept_awake_by_what_yields_to_everything_and_ends_with_us() -> None:
    before = set(_children_of(os.getpid()))
    with on_one_cpu(), awake():
        idlers = set(_children_of(os.getpid())) - before
        assert len(idlers) == len(os.sched_getaffinity(0)) == 1
        assert {os.sched_getscheduler(pid) for pid in idlers} == {os.SCHED_IDLE}
    assert set(_children_of(os.getpid())) == before


def test_a_killed_program_leaves_no_spinning_process_behind() -> None:
    program = "from bedside.clock import awake\nwith awake():\n    print(flush=True)\n    input()"
    process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    idlers = _children_of(process.pid)
    assert idlers
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in idlers):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
