"""A console that takes the arm, and streams a slow motion of all joints for as long as it is asked to."""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable

from bedside.clock import PeriodicTimer
from bedside.errors import SurgeonError
from bedside.link.messages import DISABLED, ENABLED, OFF, PAUSED, RUN
from bedside.surgeon.link import Link
from bedside.surgeon.protocol import Feedback
from bedside.surgeon.proving import Proving

# Each joint swings so far to one side, rad, and back, in so long.
_SWING, _PERIOD_S = 0.15, 4.0
# A bridge that configures boards answers when it is done.
_ASK_AGAIN_S = 1.5


class Surgeon:
    """Has ``link``, which has begun, and the key of its console. ``following`` is what came while the arm followed."""

    def __init__(self, link: Link, proof_key: bytes | None, command_hz: float) -> None:
        self.link = link
        self.following: list[Feedback] = []
        self._proving = Proving(link, proof_key)
        self._command_hz = command_hz
        self._asked_s = 0.0
        self._begun_s = 0.0
        self._centre: list[float] = []

    @property
    def is_followed(self) -> bool:
        """Whether every board follows."""
        latest = self.link.feedback
        return latest is not None and latest.state == ENABLED and all(board[2] == RUN for board in latest.boards)

    @property
    def is_off(self) -> bool:
        """Whether the arm is off, and may be enabled."""
        latest = self.link.feedback
        return latest is not None and latest.state == DISABLED and all(board[2] == OFF for board in latest.boards)

    def take_up(self, within_s: float) -> None:
        """Take the arm and stream until every board follows. Raises SurgeonError if that is not soon enough."""
        if not self._run(within_s, lambda: self.is_followed):
            told = self.link.notices[-1].text if self.link.notices else "nothing was said against it"
            raise SurgeonError(f"the arm does not follow within {within_s:g} s: {told}")

    def stream(self, seconds: float) -> bool:
        """Stream for so long; return whether the arm has followed all the while."""
        self.following = []
        return not self._run(seconds, lambda: not self.is_followed)

    def _run(self, seconds: float, is_done: Callable[[], bool]) -> bool:
        """Prove, ask and stream until ``is_done`` or the time is over; return whether it is done."""
        timer = PeriodicTimer(round(1e9 / self._command_hz))
        poller = select.epoll()
        poller.register(timer.fd, select.EPOLLIN)
        poller.register(self.link, select.EPOLLIN)
        end = time.monotonic() + seconds
        try:
            while not is_done():
                if time.monotonic() > end:
                    return False
                for fd, _ in poller.poll():
                    if fd != timer.fd:
                        self._receive()
                    elif timer.expirations():
                        self._period(time.monotonic())
            return True
        finally:
            poller.close()
            timer.close()

    def _receive(self) -> None:
        came = self.link.receive()
        self._proving.see(self.link.feedback)
        if self.is_followed:
            self.following += came

    def _period(self, now: float) -> None:
        link = self.link
        assert link.welcome
        latest = link.feedback
        if latest is None or link.authority.holder != link.welcome.name:
            self._ask(now, lambda: link.ask("request"))
            return
        self._proving.prove()
        if self._proving.is_proven and (self.is_off or latest.state == PAUSED):
            self._begun_s = 0.0
            self._ask(now, lambda: link.state_command("enable" if self.is_off else "resume", self._command_hz))
        elif latest.state == ENABLED:
            self._swing(latest, now)

    def _ask(self, now: float, say: Callable[[], int]) -> None:
        if now - self._asked_s > _ASK_AGAIN_S:
            self._asked_s = now
            say()

    def _swing(self, latest: Feedback, now: float) -> None:
        still = [0.0] * len(latest.position)
        if not self.is_followed:
            self.link.servo_jp(latest.position, still)
            return
        if not self._begun_s:
            self._begun_s, self._centre = now, latest.setpoint
        turn = 2 * math.pi / _PERIOD_S
        phase = turn * (now - self._begun_s)
        off, speed = _SWING * (1 - math.cos(phase)) / 2, _SWING * turn * math.sin(phase) / 2
        # Towards the middle, so that no joint wanders off over many swings.
        ways = [-1.0 if at > 0 else 1.0 for at in self._centre]
        position = [at + way * off for at, way in zip(self._centre, ways, strict=True)]
        self.link.servo_jp(position, [way * speed for way in ways])
