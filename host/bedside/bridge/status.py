"""The live status on the terminal, in a process of its own: a slow terminal must not delay a command."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from bedside.errors import SurgeonError
from bedside.link.messages import PHASES, STATES
from bedside.surgeon import protocol
from bedside.surgeon.screen import joint_table

if TYPE_CHECKING:
    from rich.table import Table


class StatusFeed:
    """Feeds the status process. What it does not take at once is dropped."""

    def __init__(self, joints: list[str], units: list[str]) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._socket = ours
        command = [
            sys.executable,
            "-P",
            "-m",
            "bedside.bridge.status",
            str(theirs.fileno()),
            ",".join(joints),
            ",".join(units),
        ]
        # In a session of its own, so that the terminal's Ctrl-C reaches the bridge alone.
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        theirs.close()

    def tell(self, text: str) -> None:
        """Print a line above the status."""
        self._send(protocol.encode(protocol.Notice(text)))

    def show(self, feedback: protocol.Feedback) -> None:
        """Show the arm's state."""
        self._send(protocol.encode(feedback))

    def close(self) -> None:
        """End the status process, letting it print what it has."""
        self._socket.close()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(data)


def table_of(feedback: protocol.Feedback, joints: list[str], units: list[str]) -> Table:
    """Return the arm's joints under a line on the bridge itself."""
    phases = {PHASES[board[2]] for board in feedback.boards}
    late = sum(board[5] for board in feedback.boards)
    title = f"{STATES[feedback.state]} ({', '.join(sorted(phases))})  round {feedback.round_us} us  "
    title += f"missed {feedback.missed}/{feedback.cycle} cycles, late {feedback.late}  late ticks {late}"
    return joint_table(feedback, joints, units, title)


def main(fd: str, joints: str, units: str) -> None:
    """Show what comes on ``fd`` until it ends: live on a terminal, only the notices elsewhere."""
    from rich.console import Console
    from rich.live import Live

    names, of_units = joints.split(","), units.split(",")
    feed = socket.socket(fileno=int(fd))
    console = Console(stderr=not os.isatty(1))
    with (
        Live(console=console, auto_refresh=False, transient=False)
        if console.is_terminal
        else contextlib.nullcontext() as live
    ):
        while data := feed.recv(protocol.DATAGRAM_MAX):
            try:
                message = protocol.to_console(data)
            except SurgeonError:
                continue
            if isinstance(message, protocol.Notice):
                console.print(message.text, highlight=False, markup=False, soft_wrap=True)
            elif live and isinstance(message, protocol.Feedback):
                live.update(table_of(message, names, of_units), refresh=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
