"""The real-time process: surgeon link, serial ports and one timer in one loop, and nothing else."""

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
from bedside.clock import PeriodicTimer, be_on_time
from bedside.errors import BedsideError, SurgeonError
from bedside.link.messages import STATES
from bedside.surgeon import protocol
from bedside.surgeon.server import Server

# A stop takes v/a, the hold and the brakes; an arm that is not off by then does not answer.
_STOP_S = 10.0
# Datagrams taken at once, so that a flood cannot keep the loop from its timer.
_DATAGRAMS_AT_ONCE = 16
_STATUS_HZ = 10


class Bridge:
    """Runs an arm for a console until told to stop, or until a port disappears."""

    def __init__(self, cell: Cell, arm: Arm, server: Server, status: StatusFeed) -> None:
        self._cell = cell
        self._arm = arm
        self._server = server
        self._status = status
        self._period_ns = round(1e9 / cell.arm.cycle_hz)
        self._stop_by_ns = 0
        self._state = -1

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
        for fd in (*ports, timer.fd, self._server.socket.fileno(), wake_in):
            poller.register(fd, select.EPOLLIN)
        server_fd = self._server.socket.fileno()
        be_on_time()
        with _signals_to(wake_out):
            try:
                while True:
                    for fd, _ in poller.poll():
                        if fd in ports:
                            self._board(poller, fd, ports[fd])
                        elif fd == server_fd:
                            self._console()
                        elif fd == timer.fd:
                            if timer.expirations():
                                self._cycle()
                        else:
                            os.read(wake_in, 64)
                            self._begin_stop()
                    if self._stop_by_ns and (arm.is_off or time.monotonic_ns() > self._stop_by_ns):
                        break
            finally:
                timer.close()
                poller.close()
                os.close(wake_in)
                os.close(wake_out)
        if arm.failure:
            raise arm.failure

    def _board(self, poller: select.epoll, fd: int, board: int) -> None:
        if self._arm.receive(board, time.monotonic_ns()):
            self._server.publish(self._arm.feedback(self._server.session))
        if board in self._arm.gone:
            poller.unregister(fd)
            self._begin_stop()

    def _console(self) -> None:
        """Take what the console sent; of several commands that wait only the newest: a late one is worse than none."""
        newest: protocol.ServoJp | None = None
        for _ in range(_DATAGRAMS_AT_ONCE):
            now_ns = time.monotonic_ns()
            try:
                message = self._server.receive(now_ns, self._arm.is_off)
            except SurgeonError as error:
                self._status.tell(f"console: {error}")
                continue
            if message is None:
                break
            if isinstance(message, protocol.ServoJp):
                newest = message if newest is None or message.seq > newest.seq else newest
            else:
                self._obey(message, now_ns)
        if newest:
            self._obey(newest, now_ns)

    def _obey(self, message: protocol.ServoJp | protocol.StateCommand, now_ns: int) -> None:
        try:
            if isinstance(message, protocol.ServoJp):
                self._arm.command(message, now_ns)
            elif message.command == "enable":
                if self._stop_by_ns:
                    raise SurgeonError("the bridge is stopping")
                self._arm.enable(message.seq, message.command_hz)
            elif message.command == "disable":
                self._arm.disable()
            elif message.command == "pause":
                self._arm.pause()
            elif message.command == "resume":
                self._arm.resume(message.seq)
            elif message.command == "home":
                self._arm.home(message.seq, now_ns)
            elif message.command == "unhome":
                self._arm.unhome()
        except BedsideError as error:
            self._server.refuse(str(error), now_ns)
            self._status.tell(f"console: {error}")

    def _cycle(self) -> None:
        arm = self._arm
        was_complete = arm.is_complete
        arm.cycle(time.monotonic_ns())
        if arm.failure:
            self._begin_stop()
        if not was_complete:
            # Whoever did answer is still worth telling about.
            self._server.publish(arm.feedback(self._server.session))
        if arm.state != self._state:
            self._state = arm.state
            self._status.tell(f"{self._cell.arm.name}: {STATES[self._state]}")
        if arm.cycles % max(1, round(self._cell.arm.cycle_hz / _STATUS_HZ)) == 0:
            self._status.show(arm.feedback(self._server.session))

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
