"""A bare timer beside the bridge: what is late even there, the computer itself is to blame for.

python -m scale.bare_timer: for each line that comes, prints how many of its periods have been late since it started.
"""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
from collections.abc import Callable, Iterator

from bedside.clock import PeriodicTimer, be_on_time
from scale.cells import CYCLE_HZ

# Above the bridge's, which must not be what makes it late.
_PRIORITY = 20


@contextlib.contextmanager
def bare_timer() -> Iterator[Callable[[], int]]:
    """Run one on the CPUs of this process; what it gives returns how many of its periods have been late so far."""
    command = [sys.executable, "-P", "-m", "scale.bare_timer"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin
    assert process.stdout
    asked, said = process.stdin, process.stdout

    def late() -> int:
        asked.write(b"\n")
        asked.flush()
        return int(said.readline())

    try:
        late()
        yield late
    finally:
        process.communicate()


def main() -> None:
    """Tick until nobody asks any more."""
    be_on_time(_PRIORITY)
    timer = PeriodicTimer(round(1e9 / CYCLE_HZ))
    poller = select.epoll()
    poller.register(timer.fd, select.EPOLLIN)
    poller.register(sys.stdin, select.EPOLLIN)
    while True:
        for fd, _ in poller.poll():
            if fd == timer.fd:
                timer.expirations()
            elif not sys.stdin.readline():
                return
            else:
                sys.stdout.write(f"{timer.late}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
