"""Figures that change, on the terminal, in a process of its own: a slow terminal must not delay a datagram."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys

_LONGEST = 4096


class Figures:
    """Feeds the process that draws. What it does not take at once is dropped; without a terminal there is none."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        if not sys.stdout.isatty():
            return
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        command = [sys.executable, "-P", "-m", "bedside.sim.figures", str(theirs.fileno())]
        # In a session of its own, so that the terminal's Ctrl-C reaches us alone.
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], start_new_session=True)
        theirs.close()

    @property
    def are_seen(self) -> bool:
        """Whether there is a terminal."""
        return self._socket is not None

    def show(self, text: str) -> None:
        """Show ``text`` in place of what was shown before."""
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.send(text.encode()[:_LONGEST])

    def close(self) -> None:
        """End the process; the terminal is ours again."""
        if self._socket:
            self._socket.close()
            try:
                self._process.wait(2.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def main(fd: str) -> None:
    """Show what comes on ``fd`` until it ends."""
    from rich.live import Live
    from rich.text import Text

    feed = socket.socket(fileno=int(fd))
    with Live(auto_refresh=False, transient=True) as live:
        while text := feed.recv(_LONGEST):
            live.update(Text(text.decode(errors="replace")), refresh=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
