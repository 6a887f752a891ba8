"""`bedside local` on a terminal: what it shows, and what its keys do, beside a running bridge."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from real_arm import Site

pytestmark = [pytest.mark.real_time, pytest.mark.requirement("authority")]
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A terminal of 40 lines and 120 columns with the screen in it; ``early`` is typed before it begins."""

    def __init__(self, site: Site, early: str = "") -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
        self.press(early)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bedside.cli", "local", str(site.cell_path)],
            env={**os.environ, "BEDSIDE_SIM": str(site.directory), "BEDSIDE_RUN": str(site.directory), "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._seen = ""
        # A terminal takes what is shown, whether anybody looks or not.
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the program has ended
            while data := os.read(self._ours, 1 << 16):
                self._seen += _CONTROL.sub("", data.decode(errors="replace"))

    def shows(self, text: str, seconds: float = 15.0) -> str:
        """Wait until ``text`` has come since the last call; return all that has."""
        deadline = time.monotonic() + seconds
        while text not in self._seen:
            assert time.monotonic() < deadline, f"no {text!r} in {self._seen[-3000:]}"
            time.sleep(0.01)
        seen, self._seen = self._seen, ""
        return seen

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        os.close(self._ours)


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Terminal]]:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    with contextlib.ExitStack() as stack:
        site = stack.enter_context(contextlib.closing(Site(tmp_path, 37300 + os.getpid() % 1000, patient=True)))
        site.until(lambda: site.world.ticks > 10, "boards up")
        bridge = site.start("bridge")
        assert bridge.stdout
        assert "listening on" in bridge.stdout.readline()
        yield lambda early="": stack.enter_context(contextlib.closing(Terminal(site, early)))


def test_a_person_beside_the_arm_sees_it_and_arms_and_stops_it_with_a_key(terminal: Callable[..., Terminal]) -> None:
    screen = terminal()
    begun = screen.shows("not armed: remote consoles may not enable the arm")
    for text in ("psm1: DISABLED (off)", "outer_yaw", "in the hands of: nobody", "connected: nobody"):
        assert text in begun + screen.shows("space stop")
    screen.press("a")
    screen.shows("ARMED: remote consoles may enable the arm")
    screen.press("g")
    screen.shows("grant: nobody asks for the arm")
    screen.press(" ")
    screen.shows("not armed: remote consoles may not enable the arm")
    screen.press("\x13a")
    screen.shows("ARMED: remote consoles may enable the arm")
    screen.press("q")
    assert screen.process.wait(10) == 0


def test_a_stop_that_was_pressed_before_the_screen_stood_stops_and_no_other_key_counts(
    terminal: Callable[..., Terminal],
) -> None:
    first = terminal()
    first.shows("not armed")
    first.press("a")
    first.shows("ARMED")
    terminal(early="hc ").shows("stop: done")
    first.shows("not armed: remote")
    late = terminal(early="a")
    late.shows("not armed: remote")
    late.press("q")
    assert late.process.wait(10) == 0
    first.press("q")
    assert first.process.wait(10) == 0
