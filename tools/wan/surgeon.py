"""The console, in a process of its own: leads the arm through a motion, and takes it up again whenever it has paused.

    python -m wan.surgeon CREDENTIALS BRIDGE COPY-TO RECORDING SECONDS

An empty RECORDING is the built-in motion. Writes what it does as lines of JSON: [time in ns, what].
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bedside.clock import be_on_time
from bedside.errors import SurgeonError
from bedside.link.messages import OFF, PAUSED
from bedside.surgeon.address import parse_loopback
from bedside.surgeon.console import Console
from bedside.surgeon.credentials import load_credentials
from bedside.surgeon.drive import Copy
from bedside.surgeon.motion import Approach, Eased, Motion, Sample, Weave, load_recording
from bedside.surgeon.remote import Route

_EASE_S = 1.0
# As often as an arm may pause, or a session end, before this is given up.
_TRIES = 8
_AGAIN_S = 0.2


@dataclass
class Part:
    """``motion`` from ``begin_s`` to ``end_s``."""

    motion: Motion
    begin_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Seconds from start to end."""
        return self.end_s - self.begin_s

    def at(self, t: float) -> Sample:
        """Return positions and speeds."""
        return self.motion.at(self.begin_s + t)


def say(what: str) -> None:
    """Tell whoever has started this process."""
    sys.stdout.write(json.dumps([time.monotonic_ns(), what]) + "\n")
    sys.stdout.flush()


class Surgeon:
    """Knows how much of the motion is done."""

    def __init__(self, recording: str, seconds: float, copy: Copy) -> None:
        self._recording = recording
        self._seconds = seconds
        self._copy = copy
        self._done_s = 0.0
        self._motion: Motion | None = None

    async def operate(self, arm: Console) -> None:
        """Take the arm, and lead it through what is left. Raises SurgeonError when it stops, or the session ends."""
        arm.on_command = self._copy.sent
        motion = self._motion = self._motion or self._load(arm)
        await arm.request()
        for _ in range(_TRIES):
            now = await arm.next_feedback()
            rest = Eased(Part(motion, self._done_s, self._seconds), _EASE_S)
            try:
                if all(board[2] == OFF for board in now.boards):
                    await arm.enable()
                else:
                    await arm.resume()
                    say("resumed")
                await arm.play(Approach(arm.feedback.position, rest.at(0.0)[0], arm.joints))
                say("begun")
                await arm.play(rest, partial(self._note, self._done_s))
                say("ended")
                return
            except SurgeonError as error:
                say(f"stopped: {error}")
                if arm.feedback.state != PAUSED:
                    raise
                # After an outage the bridge first wants to know that this console hears it again.
                await asyncio.sleep(_AGAIN_S)
        raise SurgeonError("the arm pauses again and again")

    def _load(self, arm: Console) -> Motion:
        motion: Motion = Weave(arm.joints, self._seconds)
        if self._recording:
            motion = load_recording(Path(self._recording), arm.joints)
        self._seconds = min(self._seconds, motion.duration_s)
        # Not before: whoever has the scheduler's favour must not compute for long.
        be_on_time()
        return motion

    def _note(self, begun_s: float, done_s: float, of_s: float) -> None:
        # Easing takes half of its time more at either end.
        self._done_s = self._seconds if done_s >= of_s else begun_s + max(0.0, done_s - _EASE_S / 2)


async def main(folder: str, bridge: str, copy_to: str, recording: str, seconds: str) -> None:
    """Operate until the motion has ended, in as many sessions as that takes."""
    credentials = load_credentials(Path(folder))
    with contextlib.closing(Copy(parse_loopback(copy_to))) as copy:
        surgeon = Surgeon(recording, float(seconds), copy)
        for _ in range(_TRIES):
            try:
                async with Console.connect(credentials, Route(bridge=bridge)) as arm:
                    await surgeon.operate(arm)
                return
            except SurgeonError as error:
                say(f"lost: {error}")
                await asyncio.sleep(_AGAIN_S)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
