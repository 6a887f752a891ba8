"""Absolute monotonic timers, because asyncio's are quantised to a millisecond."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator

_TFD_TIMER_ABSTIME = 1
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
# Whoever keeps to a period of some milliseconds and begins later than this has disturbed somebody.
LATE_NS = 1_000_000


class _Itimerspec(ctypes.Structure):
    _fields_ = [(name, ctypes.c_long) for name in ("interval_s", "interval_ns", "value_s", "value_ns")]


class _Timer:
    """A Linux timerfd on CLOCK_MONOTONIC, whose ``fd`` is readable when it is due.

    ``os.timerfd_create`` came with Python 3.13, so the C library is called directly.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _FLAGS)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)

    def _arm(self, first_ns: int, period_ns: int) -> None:
        spec = _Itimerspec(*divmod(period_ns, 10**9), *divmod(first_ns, 10**9))
        if self._libc.timerfd_settime(self.fd, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")


class PeriodicTimer(_Timer):
    """A timer that is readable once each period; it does not drift.

    ``late`` counts the periods that were asked for more than ``LATE_NS`` after their end.
    """

    def __init__(self, period_ns: int) -> None:
        super().__init__()
        self.due_ns = time.monotonic_ns() + period_ns
        self.late = 0
        self._period_ns = period_ns
        self._arm(self.due_ns, period_ns)

    def expirations(self) -> int:
        """Return how many periods have ended since the last call, 0 if none; ``due_ns`` becomes the next one's end."""
        try:
            periods = int.from_bytes(os.read(self.fd, 8), "little")
        except BlockingIOError:
            return 0
        overdue_ns = time.monotonic_ns() - self.due_ns - LATE_NS
        if overdue_ns > 0:
            self.late += min(periods, 1 + overdue_ns // self._period_ns)
        self.due_ns += periods * self._period_ns
        return periods


class Alarm(_Timer):
    """A timer that is readable from the one moment on that it was last set to."""

    def set(self, due_ns: int | None) -> None:
        """Be readable from ``due_ns`` on, of ``time.monotonic_ns()``, at once if that has passed; never if None."""
        # The kernel takes 0 as never.
        self._arm(0 if due_ns is None else max(1, due_ns), 0)


def be_on_time(priority: int = 10) -> None:
    """Ask for what keeps this process on time: no collections, and the scheduler's favour where it is granted.

    Processes that it starts later inherit the favour. Simulated boards take a lower ``priority`` than the bridge.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))


@contextlib.contextmanager
def awake() -> Iterator[None]:
    """Keep every CPU that this process may use from going to sleep, as ``idle=poll`` does for a whole machine.

    A sleeping CPU takes long to come back, in a virtual machine milliseconds. A process that counts for nothing, one a
    CPU, spins whenever nothing else wants it; it ends with this process, however that ends.
    """
    spin = "import ctypes, os, signal\nctypes.CDLL(None).prctl(1, signal.SIGKILL)\n"
    spin += "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))\nprint(flush=True)\nwhile True: pass"
    idlers = []
    try:
        for cpu in sorted(os.sched_getaffinity(0)):
            idler = subprocess.Popen([sys.executable, "-I", "-S", "-c", spin], stdout=subprocess.PIPE)
            idlers.append(idler)
            os.sched_setaffinity(idler.pid, {cpu})
            assert idler.stdout
            idler.stdout.readline()
        yield
    finally:
        for idler in idlers:
            idler.kill()
            idler.communicate()


@contextlib.contextmanager
def on_cpus(cpus: set[int]) -> Iterator[None]:
    """Let the processes that are started inside, and this one meanwhile, run on ``cpus`` only."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def on_one_cpu() -> contextlib.AbstractContextManager[None]:
    """Let the processes that are started inside share one CPU.

    A virtual machine's CPU may stall for longer than an operator timeout. On one CPU a simulated arm, its bridge and
    its console stand still together then; on two, the boards would see a console that has fallen silent.
    """
    return on_cpus({max(os.sched_getaffinity(0))})
