"""A console as a program has it: CRTK's names over one session with a bridge.

    async with Console.connect(load_credentials(folder), Route(bridge="hospital.example:36010")) as arm:
        await arm.request()
        await arm.enable()
        await arm.move_jp([0.1, 0.0, 0.12, 0.0, 0.0, 0.0, 0.0])

Between the calls a setpoint goes out in each command period, so a program that hangs lets the arm slow down and pause.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from bedside.clock import PeriodicTimer
from bedside.errors import SurgeonError
from bedside.link.messages import DISABLED, ENABLED, FAULT, HOLDING, OFF, PAUSED, RUN, STATES
from bedside.surgeon import crtk, protocol
from bedside.surgeon.credentials import Credentials
from bedside.surgeon.link import Line, Link
from bedside.surgeon.motion import Approach, Motion
from bedside.surgeon.proving import Proving
from bedside.surgeon.remote import Remote, Route

# Brakes take at most a second to open, a satellite's round trip one more, configuration some milliseconds a board.
_ENABLE_S = 8.0
_STOP_S = 10.0
# A board that holds still monitors its standstill from a moment later on, and resumes only then.
_SETTLE_S = 0.1
# A message may be lost; what is asked again while the first is under way is taken once.
_ASK_AGAIN_S = 0.7


@dataclass(frozen=True)
class JointState:
    """CRTK's measured_js or setpoint_js: rad or m, their speeds, and the share of full drive; ``tick`` of a board."""

    name: list[str]
    position: list[float]
    velocity: list[float]
    effort: list[float]
    tick: int


@dataclass(frozen=True)
class OperatingState:
    """CRTK's operating_state."""

    state: str
    is_homed: bool
    is_busy: bool


class Console:
    """One session, and what streams through it. Made by ``connect`` or ``begin``.

    Every call raises SurgeonError when the bridge refuses, when the arm stops by itself, or when the bridge is gone.
    ``on_feedback`` and ``on_command`` are told of each that comes and goes.
    """

    def __init__(self, link: Link, credentials: Credentials | None, command_hz: float | None) -> None:
        assert link.welcome, "a link that has begun has been welcomed"
        self.link = link
        self.welcome = link.welcome
        self.joints = self.welcome.joints
        self.command_hz = command_hz or self.welcome.command_hz
        self.pedal = True
        self.on_feedback: Callable[[protocol.Feedback], None] = lambda _: None
        self.on_command: Callable[[int, list[float], list[float]], None] = lambda *_: None
        self._proving = Proving(link, credentials.proof_key if credentials else None)
        self._stream: crtk.Stream | None = None
        self._was_running = False
        self._failure: SurgeonError | None = None
        self._changed = asyncio.Event()
        self._timer = PeriodicTimer(round(1e9 / self.command_hz))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(link.fileno(), self._receive)
        self._loop.add_reader(self._timer.fd, self._period)

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(
        cls, credentials: Credentials, route: Route, command_hz: float | None = None
    ) -> AsyncIterator[Console]:
        """Connect to a bridge; at the end the arm is stopped, if this console has it. Raises SurgeonError."""
        line = await asyncio.to_thread(Remote, credentials, route)
        async with cls.begin(line, credentials, command_hz) as console:
            yield console

    @classmethod
    @contextlib.asynccontextmanager
    async def begin(
        cls, line: Line, credentials: Credentials | None = None, command_hz: float | None = None
    ) -> AsyncIterator[Console]:
        """As ``connect``, on a line that there is already. Raises SurgeonError."""
        link = Link(line, command_hz or 200.0)
        try:
            await asyncio.to_thread(link.begin)
            console = cls(link, credentials, command_hz)
            try:
                # Figures come when the bridge knows how old commands are, so that they count.
                begun: Callable[[], bool] = lambda: link.feedback is not None and link.figures is not None  # noqa: E731
                await console._until(begun, _ENABLE_S, "no feedback comes, or no ping")
                yield console
            finally:
                with contextlib.suppress(SurgeonError):
                    await console._leave()
                console._end()
        finally:
            link.close()

    # ---- what the arm does --------------------------------------------------------------------

    @property
    def feedback(self) -> protocol.Feedback:
        """The newest feedback. Raises SurgeonError when the session has ended."""
        if self._failure:
            raise self._failure
        assert self.link.feedback, "a console that has begun has been told"
        return self.link.feedback

    def operating_state(self) -> OperatingState:
        """Return CRTK's operating_state."""
        now = self.feedback
        is_busy = self._stream is not None and self._stream.is_busy
        return OperatingState(STATES[now.state], now.is_homed, is_busy)

    def measured_js(self) -> JointState:
        """Return where the joints are."""
        now = self.feedback
        return JointState(self._names, now.position, now.velocity, now.output, now.boards[0][0])

    def setpoint_js(self) -> JointState:
        """Return what the low-level loop tracks; its speeds are not told, so there are none."""
        now = self.feedback
        return JointState(self._names, now.setpoint, [], [], now.boards[0][0])

    async def next_feedback(self) -> protocol.Feedback:
        """Wait for the next feedback, and return it."""
        before = self.link.feedback
        await self._until(lambda: self.link.feedback is not before, _STOP_S, "no feedback comes")
        return self.feedback

    # ---- who has the arm ----------------------------------------------------------------------

    @property
    def authority(self) -> protocol.Authority:
        """Who may move the arm, and who asks for it."""
        return self.link.authority

    @property
    def has_arm(self) -> bool:
        """Whether this console has the arm."""
        return self.link.authority.holder == self.welcome.name

    async def request(self) -> None:
        """Ask for the arm, and wait until this console has it."""
        await self._ask("request", lambda: self.has_arm)

    async def take_back(self) -> None:
        """Take the arm from whoever has it, as a mentor may."""
        await self._ask("take_back", lambda: self.has_arm)

    async def hand_over(self, to: str) -> None:
        """Give the arm to the console called ``to``."""
        await self._ask("hand_over", lambda: self.authority.holder == to, to)

    async def grant(self, to: str) -> None:
        """Give a free arm to the console called ``to``, as a mentor may."""
        await self._ask("grant", lambda: self.authority.holder == to, to)

    async def release(self) -> None:
        """Give the arm up."""
        await self._ask("release", lambda: not self.has_arm)

    # ---- CRTK: state_command --------------------------------------------------------------------

    async def enable(self) -> None:
        """Switch the arm on, and wait until it can follow; it stays where it is."""
        await self._take_up("enable")

    async def resume(self) -> None:
        """Take up an arm that is paused, from where it stands."""
        await self._take_up("resume")

    async def pause(self) -> None:
        """Bring the arm to rest; its motors hold it for a while."""
        self._stream = None
        await self._command("pause", lambda: self.feedback.state == PAUSED, _STOP_S)

    async def disable(self) -> None:
        """Stop the arm, and wait until it is off."""
        self._stream = None
        await self._command("disable", self._is_off, _STOP_S)

    # ---- CRTK: motion ---------------------------------------------------------------------------

    def servo_jp(self, position: list[float], velocity: list[float] | None = None) -> int:
        """Be at ``position`` now, moving at ``velocity``; sent at once. Return its operator sequence."""
        crtk.check_joints(position, self.joints, "positions")
        crtk.check_joints(velocity or position, self.joints, "velocities")
        self._check_running()
        speed = velocity or [0.0] * len(position)
        self._stream = crtk.Servo(position, speed, 1 / self.command_hz, time.monotonic())
        return self._send(position, speed)

    def servo_jr(self, change: list[float]) -> int:
        """Be at the newest setpoint plus ``change`` now."""
        crtk.check_joints(change, self.joints, "changes")
        return self.servo_jp([at + by for at, by in zip(self._setpoint(), change, strict=True)])

    def servo_jv(self, velocity: list[float]) -> None:
        """Move at ``velocity``; say it again at least ten times a second, else the arm slows down."""
        crtk.check_joints(velocity, self.joints, "velocities")
        self._check_running()
        now = time.monotonic()
        if not isinstance(self._stream, crtk.Velocity):
            self._stream = crtk.Velocity(self._setpoint(), velocity, self.joints, now)
        self._stream.say(velocity, now)

    def interpolate_jp(self, position: list[float]) -> None:
        """Head for ``position``; the next call may come before it is reached."""
        crtk.check_joints(position, self.joints, "positions")
        crtk.check_limits(position, self.joints)
        self._check_running()
        if not isinstance(self._stream, crtk.Interpolation):
            self._stream = crtk.Interpolation(self._setpoint(), self.joints, time.monotonic())
        self._stream.say(position)

    async def move_jp(self, position: list[float]) -> None:
        """Move to ``position``, and wait until the arm is there; another motion command cuts it short."""
        crtk.check_joints(position, self.joints, "positions")
        crtk.check_limits(position, self.joints)
        self._check_running()
        await self.play(Approach(self._setpoint(), position, self.joints))

    async def move_jr(self, change: list[float]) -> None:
        """Move by ``change`` from the newest setpoint."""
        crtk.check_joints(change, self.joints, "changes")
        await self.move_jp([at + by for at, by in zip(self._setpoint(), change, strict=True)])

    async def play(self, motion: Motion, progress: Callable[[float, float], None] = lambda *_: None) -> None:
        """Stream ``motion``, which begins where the setpoint is, and wait until it has ended.

        ``progress`` is told the seconds done, and of how many. Another motion command cuts it short.
        """
        self._check_running()
        stream = self._stream = crtk.Play(motion, time.monotonic())
        while self._stream is stream and stream.is_busy:
            await self._next_event()
            progress(stream.done_s, motion.duration_s)
        self._check_running()

    # ---- inside -----------------------------------------------------------------------------

    @property
    def _names(self) -> list[str]:
        return [joint.name for joint in self.joints]

    def _setpoint(self) -> list[float]:
        """Where the stream is now, else where the arm's setpoint is."""
        return self._stream.at(time.monotonic())[0] if self._stream else self.feedback.setpoint

    def _is_off(self) -> bool:
        return self.feedback.state in (DISABLED, FAULT) and all(board[2] == OFF for board in self.feedback.boards)

    def _check_running(self) -> None:
        state = self.feedback.state
        if self._stream is None or state != ENABLED:
            why = f"; {self.link.notices[-1].text}" if self.link.notices else ""
            raise SurgeonError(f"the arm is {STATES[state]}, so follows nothing; enable or resume it{why}")

    async def _ask(self, act: str, is_done: Callable[[], bool], to: str = "") -> None:
        await self._repeat(lambda: self.link.ask(act, to), is_done, _ENABLE_S, f"{act} is not answered")

    async def _command(self, command: str, is_done: Callable[[], bool], within_s: float) -> None:
        await self._repeat(
            lambda: self.link.state_command(command, self.command_hz),
            is_done,
            within_s,
            f"{command}: the arm does not do it; look at the bridge's messages",
        )

    async def _repeat(self, say: Callable[[], int], is_done: Callable[[], bool], within_s: float, what: str) -> None:
        """Say something, and again now and then, until it is done. Raises SurgeonError if it is refused."""
        deadline = self._loop.time() + within_s
        said: list[int] = []
        while not is_done():
            if self._loop.time() > deadline:
                raise SurgeonError(what)
            said.append(say())

            def answered(said: list[int] = said) -> bool:
                return is_done() or any(self.link.refusal_of(seq) for seq in said)

            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._until(answered, None, ""), _ASK_AGAIN_S)
            if not is_done() and (why := next(filter(None, map(self.link.refusal_of, said)), "")):
                raise SurgeonError(why)

    async def _take_up(self, command: str) -> None:
        if command == "resume":
            await self._until(self._has_settled, _STOP_S, "the arm does not come to rest")
            await asyncio.sleep(_SETTLE_S)
        await self._until(self._is_proven, _ENABLE_S, "the boards take no proof of this console: are its keys on them?")
        said = self.link.state_command(command, self.command_hz)
        deadline = self._loop.time() + _ENABLE_S
        here = self.feedback.position
        # What feeds the operator's clock must be under way before the brakes are open.
        self._stream = crtk.Hold(here)
        try:
            while not self._is_running():
                if why := self.link.refusal_of(said):
                    raise SurgeonError(why)
                if self._loop.time() > deadline:
                    raise SurgeonError(f"the arm does not become ENABLED; it is {STATES[self.feedback.state]}")
                await self._next_event()
        except BaseException:
            self._stream = None
            raise

    def _is_proven(self) -> bool:
        return not self.has_arm or self._proving.is_proven

    def _has_settled(self) -> bool:
        return self.feedback.state != PAUSED or all(board[2] == HOLDING for board in self.feedback.boards)

    def _is_running(self) -> bool:
        return self.feedback.state == ENABLED and all(board[2] == RUN for board in self.feedback.boards)

    async def _until(self, done: Callable[[], bool], within_s: float | None, what: str) -> None:
        deadline = None if within_s is None else self._loop.time() + within_s
        while not done():
            if deadline is not None and self._loop.time() > deadline:
                raise SurgeonError(what)
            await self._next_event()

    async def _next_event(self) -> None:
        """Wait until something has come, or a command period has passed."""
        if self._failure:
            raise self._failure
        self._changed.clear()
        await self._changed.wait()

    def _receive(self) -> None:
        try:
            for feedback in self.link.receive():
                self.on_feedback(feedback)
                if self._was_running and feedback.state != ENABLED:
                    self._stream = None
                self._was_running = feedback.state == ENABLED
            # What this console then signs says that the surgeon sees.
            self._proving.see(self.link.feedback)
        except SurgeonError as error:
            self._fail(error)
        self._changed.set()

    def _period(self) -> None:
        if not self._timer.expirations():
            return
        if self.link.timeout_s() == 0 or time.monotonic() - self.link.heard_s > 0.5:
            self._receive()
        if self._failure:
            return
        if self._stream:
            self._send(*self._stream.at(time.monotonic()))
        if self.has_arm:
            try:
                self._proving.prove()
            except SurgeonError as error:
                self._fail(error)
        self._changed.set()

    def _send(self, position: list[float], velocity: list[float]) -> int:
        seq = self.link.servo_jp(position, velocity, self.pedal)
        self.on_command(seq, position, velocity)
        return seq

    def _fail(self, error: SurgeonError) -> None:
        self._failure = self._failure or error
        self._stream = None

    async def _leave(self) -> None:
        """Stop an arm that this console has."""
        if self._failure is None and self.has_arm and not self._is_off():
            await self.disable()

    def _end(self) -> None:
        self._loop.remove_reader(self.link.fileno())
        self._loop.remove_reader(self._timer.fd)
        self._timer.close()
