"""What the local operator does: arm, stop, take back, clear, home; `bedside local` from a terminal beside the arm."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Callable

from bedside.clock import PeriodicTimer
from bedside.errors import SurgeonError
from bedside.link.messages import BRAKE_FAILED, DISABLED, ENABLED, FAULT, NOT_HOMED, OFF, STATES
from bedside.surgeon import protocol
from bedside.surgeon.link import Link
from bedside.surgeon.proving import Proving

# A bridge on this computer answers at once; one that configures boards takes its time.
_ANSWER_S = 3.0
# Brakes take at most a second to open, configuration some milliseconds a board.
_ENABLE_S = 5.0
_DISABLE_S = 10.0
# A board that is stopping clears its fault only when it is off.
_ASK_AGAIN_S = 0.2


class Beside:
    """The local operator's session. Every call raises SurgeonError when the bridge refuses, or has ended.

    Boards with keys home only with proof, as they move; ``proof_key`` is that of a console whose keys they have.
    """

    def __init__(self, link: Link, proof_key: bytes | None = None) -> None:
        self.link = link
        self.welcome = link.begin()
        self._proving = Proving(link, proof_key)
        # Figures come when the bridge knows how old what is asked for is, so that it counts.
        is_told: Callable[[], bool] = lambda: link.feedback is not None and link.figures is not None  # noqa: E731
        self._until(is_told, _ANSWER_S, "the bridge does not say what the arm does")

    @property
    def feedback(self) -> protocol.Feedback:
        """What the arm does."""
        assert self.link.feedback, "an operator who has begun has been told"
        return self.link.feedback

    def arm(self) -> None:
        """Let remote consoles enable the arm."""
        self._ask("arm", lambda: self.link.authority.armed)

    def stop(self) -> None:
        """Stop the arm, and let nobody enable it."""
        self._ask("stop", lambda: not self.link.authority.armed and self._is_off(), _DISABLE_S)

    def take_back(self) -> None:
        """Pause the arm, and take it from whoever has it; nobody is let in until it is armed again."""
        self._ask("take_back", lambda: not self.link.authority.armed and not self.link.authority.holder)

    def grant(self, to: str) -> None:
        """Give the arm to the console called ``to``, such as a trainee's."""
        self._ask("grant", lambda: self.link.authority.holder == to, to=to)

    def unhome(self) -> None:
        """Let the joints forget where they are, but for those whose encoder tells."""
        self._refused(self.link.state_command("unhome"), 0.3)

    def clear(self) -> None:
        """Stop the arm, clear a fault whose cause is gone, and wait until it is off.

        Raises SurgeonError if it stays on; also when a brake turns out not to hold meanwhile, because only a person who
        knows that may take the torque away.
        """
        known = self._brake_fails()
        begun, asked = time.monotonic(), 0.0
        while known or not self._brake_fails():
            if self.feedback.state == DISABLED and self._is_off():
                return
            if time.monotonic() - begun > _DISABLE_S:
                raise SurgeonError("the arm does not become DISABLED; look at the bridge's messages")
            if time.monotonic() - asked > _ASK_AGAIN_S:
                asked = time.monotonic()
                self.link.state_command("clear")
            self.link.wait(0.02)
            self.link.receive()
        raise SurgeonError(
            "a brake does not hold, so its motor goes on: support the joint, then clear again to take the torque away"
        )

    def home(self, progress: Callable[[int, int], None]) -> None:
        """Home every joint that needs it; ``progress`` is told how many joints are homed, and of how many.

        The arm homes as long as this goes on, and pauses when it does not.
        """
        if self.feedback.is_homed:
            return
        if self.feedback.state == FAULT:
            raise SurgeonError("the arm is in FAULT; when its cause is gone, clear it first")
        if self._proving.lacks_key:
            raise SurgeonError(
                "the boards home only with proof that a person is there: name with --credentials a console's folder "
                "whose keys they have"
            )
        timer = PeriodicTimer(round(1e9 / self.welcome.command_hz))
        try:
            deadline = time.monotonic() + _ENABLE_S
            while not self._proving.is_proven:
                self._pace(timer)
                if time.monotonic() > deadline:
                    raise SurgeonError("the boards take no proof of these credentials: are their keys on them?")
            enable = self.link.state_command("enable", self.welcome.command_hz)
            begun, deadline = False, time.monotonic() + _ENABLE_S
            while True:
                self._pace(timer)
                latest = self.feedback
                self._raise_refusal(enable)
                if begun and latest.state != ENABLED:
                    notices = [notice.text for notice in self.link.notices]
                    raise SurgeonError(f"the arm has stopped by itself: {notices[-1] if notices else 'cause unknown'}")
                if not begun and time.monotonic() > deadline:
                    raise SurgeonError(f"the arm does not become ENABLED; it is {STATES[latest.state]}")
                begun = latest.state == ENABLED
                waiting = sum(bool(flags & NOT_HOMED) for flags in latest.flags)
                progress(len(latest.flags) - waiting, len(latest.flags))
                if begun and not waiting:
                    return
                if begun:
                    self._raise_refusal(self.link.state_command("home") - 1)
        finally:
            timer.close()
            with contextlib.suppress(SurgeonError):
                self._switch_off()

    # ---- inside -----------------------------------------------------------------------------

    def _switch_off(self) -> None:
        """Stop the arm and wait until it is off; a fault stays until a person clears it."""
        self.link.state_command("disable")
        self._until(lambda: self._is_off() or self.feedback.state == FAULT, _DISABLE_S, "the arm does not stop")

    def _is_off(self) -> bool:
        return all(board[2] == OFF for board in self.feedback.boards)

    def _brake_fails(self) -> bool:
        return any(board[3] == BRAKE_FAILED and board[2] != OFF for board in self.feedback.boards)

    def _ask(self, act: str, is_done: Callable[[], bool], within_s: float = _ANSWER_S, to: str = "") -> None:
        said = self.link.ask(act, to)
        self._until(lambda: is_done() or bool(self.link.refusal_of(said)), within_s, f"{act} has no effect")
        self._raise_refusal(said)

    def _refused(self, said: int, within_s: float) -> None:
        """Give the bridge time to refuse. Raises SurgeonError if it does."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline and not self.link.refusal_of(said):
            self.link.wait(0.02)
            self.link.receive()
        self._raise_refusal(said)

    def _raise_refusal(self, said: int) -> None:
        if why := self.link.refusal_of(said):
            raise SurgeonError(why)

    def _until(self, is_done: Callable[[], bool], within_s: float, what: str) -> None:
        deadline = time.monotonic() + within_s
        while not is_done():
            if time.monotonic() > deadline:
                raise SurgeonError(what)
            self.link.wait(0.05)
            self.link.receive()

    def _pace(self, timer: PeriodicTimer) -> None:
        """Take what comes until the next command period begins."""
        while True:
            ready, _, _ = select.select([timer.fd, self.link], [], [])
            if self.link in ready:
                self.link.receive()
            if timer.fd in ready and timer.expirations():
                # Who stands beside the arm sees it, and a joint that homing finds elsewhere is no lie.
                self._proving.see(None)
                self._proving.prove()
                return
