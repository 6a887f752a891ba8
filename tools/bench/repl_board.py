"""A simulated board that shows its REPL, as belay and mpremote expect one on a serial port."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import threading
import tty
from collections.abc import Iterator

from bedside.sim.board import interpreter
from scale.boards import boards_cpu

_CTRL_A = b"\x01"


@contextlib.contextmanager
def repl_board() -> Iterator[str]:
    """Run MicroPython's REPL behind a serial port; yield the port's name.

    A soft reset ends the unix port's process, so a new one is started in raw mode, where a real board would stay.
    """
    master, slave = pty.openpty()
    tty.setraw(slave)
    running: list[subprocess.Popen[bytes]] = []
    over = threading.Event()

    def respawn() -> None:
        while not over.is_set():
            command = [interpreter(), "-X", "heapsize=192K"]
            with boards_cpu():
                process = subprocess.Popen(command, stdin=master, stdout=master, stderr=master, start_new_session=True)
            if running:
                os.write(slave, _CTRL_A)
            running.append(process)
            process.wait()

    thread = threading.Thread(target=respawn)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        over.set()
        running[-1].kill()
        thread.join()
        os.close(slave)
        os.close(master)
