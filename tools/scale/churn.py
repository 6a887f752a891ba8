"""An arm whose boards restart, whose cables lose bytes and whose consoles come and go, round after round."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bedside.cell import Cell
from bedside.errors import SurgeonError
from bedside.surgeon.beside import Beside
from bedside.surgeon.credentials import Credentials
from bedside.surgeon.link import Link
from bedside.surgeon.local import call
from scale.bridged import console_of
from scale.cells import COMMAND_HZ, CYCLE_HZ
from scale.measure import children_of, usage
from scale.surgeon import Surgeon

CONSOLES = ("alice", "bob", "carol")
# How long an arm is followed before something happens to it.
STREAM_S = 4.0
# A board that was killed comes back within a second, and is configured anew; a lost frame costs a try.
_TAKE_UP_S, _REST_S = 12.0, 20.0
# A bridge forgets a console that has left without a word after two seconds.
_FORGOTTEN_S = 3.0


@dataclass
class Round:
    """What a round showed: of the bridge while the arm followed, and of its process when every console had left."""

    at_s: float
    what: str
    cycles: int
    late: int
    bare_late: int
    stopped: bool
    rss_bytes: int
    descriptors: int


class Churn:
    """Rounds with one bridge, of process ``bridge``, over the boards of process ``world``."""

    def __init__(
        self,
        cell: Cell,
        consoles: list[Credentials],
        bridge: subprocess.Popen[bytes],
        world: subprocess.Popen[bytes],
        bare_late: Callable[[], int],
    ) -> None:
        self._cell = cell
        self._consoles = consoles
        self._bridge = bridge
        self._world = world
        self._bare_late = bare_late
        self._begun_s = time.monotonic()
        # The same rounds each time.
        self._random = random.Random(1)

    def round(self, number: int) -> Round:
        """Let a console take the arm and leave it in one of several ways. Raises SurgeonError if it cannot be had."""
        self._rest()
        credentials = self._consoles[number % len(self._consoles)]
        observer = console_of(self._cell, self._consoles[(number + 1) % len(self._consoles)], COMMAND_HZ)
        link = console_of(self._cell, credentials, COMMAND_HZ)
        surgeon = Surgeon(link, credentials.proof_key, COMMAND_HZ)
        surgeon.take_up(_TAKE_UP_S)
        first, bare = link.feedback, self._bare_late()
        begun_s = time.monotonic()
        stopped = not surgeon.stream(STREAM_S)
        cycles, last = round(CYCLE_HZ * (time.monotonic() - begun_s)), link.feedback
        assert first
        assert last
        late, bare_late = last.late - first.late, self._bare_late() - bare
        ways = (self._restart_one, self._restart_two, self._leave, self._vanish)
        way = ways[number % len(ways)]
        way(link, observer)
        del link, observer, surgeon
        self._rest()
        time.sleep(_FORGOTTEN_S)
        what = way.__name__.strip("_").replace("_", " ")
        rss_bytes = usage(self._bridge.pid).rss_bytes
        descriptors = len(list(Path(f"/proc/{self._bridge.pid}/fd").iterdir()))
        at_s = time.monotonic() - self._begun_s
        return Round(at_s, what, cycles, late, bare_late, stopped, rss_bytes, descriptors)

    # ---- how a round ends ----------------------------------------------------------------------

    def _restart_one(self, link: Link, observer: Link) -> None:
        self._kill(1)
        link.close()
        observer.close()

    def _restart_two(self, link: Link, observer: Link) -> None:
        self._kill(2)
        # Who holds the arm sees it stop, and stays a little.
        time.sleep(0.5)
        observer.close()
        link.close()

    def _leave(self, link: Link, observer: Link) -> None:
        link.close()
        observer.close()

    def _vanish(self, link: Link, observer: Link) -> None:
        """Say nothing more, neither of them: their sockets are closed when nobody knows them any more."""

    def _kill(self, boards: int) -> None:
        for pid in self._random.sample(children_of(self._world.pid), boards):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _rest(self) -> None:
        """Let the person beside the arm bring it to rest, clear what has happened, and let consoles in."""
        deadline = time.monotonic() + _REST_S
        while True:
            try:
                with closing(Link(call(self._cell.arm.name), 10.0)) as line:
                    beside = Beside(line)
                    beside.clear()
                    beside.arm()
                return
            except SurgeonError:
                if time.monotonic() > deadline or self._bridge.poll() is not None:
                    raise
