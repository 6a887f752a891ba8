"""The real-time process: consoles' links, serial ports and timers in one loop, and nothing else."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable

from bedside.bridge.arm import Arm
from bedside.bridge.status import StatusFeed
from bedside.cell import Cell
from bedside.clock import Alarm, PeriodicTimer, be_on_time
from bedside.errors import BedsideError, SurgeonError
from bedside.link.messages import FAULT, STATES
from bedside.surgeon import protocol
from bedside.surgeon.server import Request, Server
from bedside.surgeon.sessions import Session

# A stop takes v/a, the hold and the brakes; an arm that is not off by then does not answer.
_STOP_S = 10.0
_STATUS_NS = 100_000_000
# What consoles, their network and their authority need is measured in tenths of a second: a fast cycle need not look
# after it each time, only as often as the default one.
_MIND_NS = 3_500_000


class Bridge:
    """Runs an arm for its consoles until told to stop, or until a port disappears."""

    def __init__(self, cell: Cell, arm: Arm, server: Server, status: StatusFeed) -> None:
        self._cell = cell
        self._arm = arm
        self._server = server
        self._authority = server.authority
        self._status = status
        self._period_ns = round(1e9 / cell.arm.cycle_hz)
        self._stop_by_ns = 0
        self._state = -1
        self._minded_ns = 0
        self._shown_ns = 0
        # How often the arm had changed hands when it was last brought to rest for it.
        self._changes = 0
        self._alarm = Alarm()

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM, then stop the arm.

        Raises LinkError if a port was lost; the rest of the arm is stopped then.
        """
        arm = self._arm
        ports = {link.port.fd: board for board, link in enumerate(arm.links)}
        timer = PeriodicTimer(self._period_ns)
        poller = select.epoll()
        wake_in, wake_out = os.pipe()
        os.set_blocking(wake_out, False)
        server_fd = self._server.fileno()
        for fd in (*ports, timer.fd, server_fd, self._alarm.fd, wake_in):
            poller.register(fd, select.EPOLLIN)
        be_on_time()
        with _signals_to(wake_out):
            try:
                while True:
                    for fd, _ in poller.poll():
                        if fd in ports:
                            self._board(poller, fd, ports[fd])
                        elif fd == server_fd:
                            self._consoles()
                        elif fd == timer.fd:
                            if timer.expirations():
                                arm.late_cycles = timer.late
                                self._cycle()
                        elif fd == self._alarm.fd:
                            self._play()
                        else:
                            os.read(wake_in, 64)
                            self._begin_stop()
                    if self._stop_by_ns and (arm.is_off or time.monotonic_ns() > self._stop_by_ns):
                        break
            finally:
                timer.close()
                self._alarm.close()
                poller.close()
                os.close(wake_in)
                os.close(wake_out)
        if arm.failure:
            raise arm.failure

    def _board(self, poller: select.epoll, fd: int, board: int) -> None:
        now_ns = time.monotonic_ns()
        if self._arm.receive(board, now_ns):
            self._publish(now_ns)
            self._server.witness(self._arm.take_witnesses())
        if board in self._arm.gone:
            poller.unregister(fd)
            self._begin_stop()

    def _publish(self, now_ns: int) -> None:
        self._server.publish(self._arm.feedback, now_ns // 1000, self._period_ns // 1000)

    # ---- what consoles ask for ---------------------------------------------------------------

    def _consoles(self) -> None:
        now_ns = time.monotonic_ns()
        for session, message in self._server.receive(now_ns // 1000):
            try:
                self._obey(session, message, now_ns)
            except BedsideError as error:
                self._server.refuse(session, str(error), now_ns // 1000, message)
                if not isinstance(message, protocol.ServoJp):
                    self._status.tell(f"{session.name}: {error}")
        self._mind_hands()
        self._play()

    def _obey(self, session: Session, message: Request, now_ns: int) -> None:
        if isinstance(message, protocol.ServoJp):
            if not session.has_engaged:
                raise SurgeonError(f"{session.name} has the arm, and has not taken it up: enable or resume it first")
            session.playout.offer(message, now_ns // 1000)
        elif isinstance(message, protocol.StateCommand):
            self._state_command(session, message, now_ns)
        elif isinstance(message, protocol.Ask):
            self._ask(session, message)
        else:
            self._arm.prove(message.tokens, now_ns)

    def _state_command(self, session: Session, message: protocol.StateCommand, now_ns: int) -> None:
        arm, command = self._arm, message.command
        if command == "enable":
            self._check_ready(session, now_ns)
            arm.enable(message.seq, message.command_hz)
            session.has_engaged = True
        elif command == "resume":
            self._check_ready(session, now_ns)
            arm.resume(message.seq, message.command_hz)
            session.has_engaged = True
        elif command == "pause":
            arm.pause()
        elif command == "disable":
            if arm.state == FAULT and not session.is_local:
                raise SurgeonError("the arm is in FAULT; the local operator clears it, with 'bedside local'")
            arm.stop()
        elif command == "clear":
            arm.disable()
        elif command == "home":
            arm.home(message.seq, now_ns)
        elif command == "unhome":
            arm.unhome()

    def _check_ready(self, session: Session, now_ns: int) -> None:
        """Raise SurgeonError while the arm must not be enabled or resumed for this console."""
        if self._stop_by_ns:
            raise SurgeonError("the bridge is stopping")
        if not session.is_local and (why := session.trip(now_ns // 1000)):
            raise SurgeonError(f"the network is too bad to move an arm: {why}")

    def _ask(self, session: Session, message: protocol.Ask) -> None:
        authority, name = self._authority, session.name
        if message.act in ("hand_over", "grant"):
            getattr(authority, message.act)(name, message.to)
        elif message.act == "stop":
            authority.stop(name)
            self._arm.stop()
        else:
            getattr(authority, message.act)(name)
        self._tell_authority()

    def _mind_hands(self) -> None:
        """Bring the arm to rest where its hands have changed: whoever has it now takes it up by a deliberate act."""
        if self._changes != self._authority.changes:
            self._changes = self._authority.changes
            self._bring_to_rest()
            self._tell_authority()

    def _tell_authority(self) -> None:
        self._server.operator_seq = max(0, self._arm.operator_seq)
        self._server.tell_authority()

    def _bring_to_rest(self) -> None:
        for session in self._server.sessions:
            session.has_engaged = False
            session.playout.clear()
        with contextlib.suppress(SurgeonError):  # it is at rest already
            self._arm.pause()

    def _play(self) -> None:
        """Send the boards the command whose time has come, and wake up for the next."""
        holder = self._server.holder
        if holder is None:
            self._alarm.set(None)
            return
        now_ns = time.monotonic_ns()
        if command := holder.playout.take(now_ns // 1000):
            try:
                self._arm.command(command, now_ns)
            except BedsideError as error:
                self._server.refuse(holder, str(error), now_ns // 1000, command)
        due_us = holder.playout.due_us
        self._alarm.set(None if due_us is None else 1000 * due_us)

    # ---- what time brings ----------------------------------------------------------------------

    def _cycle(self) -> None:
        arm = self._arm
        now_ns = time.monotonic_ns()
        was_complete = arm.is_complete
        arm.cycle(now_ns)
        if arm.failure:
            self._begin_stop()
        if not was_complete:
            # Whoever did answer is still worth telling about.
            self._publish(now_ns)
            self._server.witness(arm.take_witnesses())
        if now_ns - self._minded_ns >= _MIND_NS:
            self._minded_ns = now_ns
            self._mind(now_ns)

    def _mind(self, now_ns: int) -> None:
        """Look after consoles, their network, their authority and the status."""
        arm = self._arm
        self._server.operator_seq = max(0, arm.operator_seq)
        self._server.tick(now_ns // 1000)
        self._mind_network(now_ns)
        self._mind_hands()
        if arm.state != self._state:
            self._state = arm.state
            self._status.tell(f"{self._cell.arm.name}: {STATES[self._state]}")
        if now_ns - self._shown_ns >= _STATUS_NS:
            self._shown_ns = now_ns
            self._status.show(arm.feedback())

    def _mind_network(self, now_ns: int) -> None:
        """Pause the arm when the holder's network gets too bad, before the boards' clocks do."""
        holder = self._server.holder
        if holder and holder.has_engaged and (why := holder.trip(now_ns // 1000)):
            text = f"the arm pauses: {why}"
            self._status.tell(f"{holder.name}: {text}")
            self._server.refuse(holder, text, now_ns // 1000)
            holder.quality.forget()
            self._bring_to_rest()

    def _begin_stop(self) -> None:
        if not self._stop_by_ns:
            self._stop_by_ns = time.monotonic_ns() + round(_STOP_S * 1e9)
            self._arm.stop()


@contextlib.contextmanager
def _signals_to(fd: int):  # type: ignore[no-untyped-def]
    """Make SIGINT and SIGTERM readable on ``fd`` instead of interrupting whatever runs."""
    ignore: Callable[[int, object], None] = lambda *_: None  # noqa: E731
    before = {number: signal.signal(number, ignore) for number in (signal.SIGINT, signal.SIGTERM)}
    wakeup = signal.set_wakeup_fd(fd)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
