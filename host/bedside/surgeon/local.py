"""The local operator's line to the bridge: a socket in the file system, which whoever may open it stands beside.

Its messages are those of the network, but neither encrypted nor delayed.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path

from bedside.errors import SurgeonError
from bedside.places import run_directory
from bedside.surgeon.protocol import DATAGRAM_MAX

# Messages taken at once, so that an operator's terminal cannot keep the bridge from its timer.
_AT_ONCE = 16


def socket_path(arm: str) -> Path:
    """Return where the bridge of ``arm`` listens to its local operator."""
    return run_directory() / f"{arm}.socket"


class LocalListener:
    """Where local operators come in. Raises SurgeonError if another bridge of this arm runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.exists() and not _answers(path):
                path.unlink()  # of a bridge that was killed
            self.socket.bind(str(path))
            self.socket.listen(4)
        except OSError as error:
            self.socket.close()
            remedy = "is another bridge of this arm running?" if path.exists() else "let BEDSIDE_RUN name a short path"
            raise SurgeonError(f"{path}: cannot be listened at ({error.strerror or error}); {remedy}") from None
        self.socket.setblocking(False)

    def accept(self) -> LocalLine | None:
        """Return the next operator who comes in, None if there is none."""
        try:
            return LocalLine(self.socket.accept()[0])
        except OSError:
            return None

    def close(self) -> None:
        """Let nobody in any more."""
        self.socket.close()
        self.path.unlink(missing_ok=True)


class LocalLine:
    """A conversation with one local operator, at either end."""

    def __init__(self, end: socket.socket, where: str = "") -> None:
        self.socket = end
        self.socket.setblocking(False)
        self.where = where

    @property
    def name(self) -> str:
        """Which process is at the other end, as the bridge's log tells it."""
        # struct ucred: process, user, group.
        process, _, _ = struct.unpack("3i", self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return f"local-{process}"

    def fileno(self) -> int:
        """Return what is readable when something has come."""
        return self.socket.fileno()

    def timeout_s(self) -> float | None:
        """Return None: nothing here has a time limit."""
        return None

    def send(self, message: bytes) -> None:
        """Send ``message``; what the other end does not take is dropped, never waited for."""
        with contextlib.suppress(OSError):
            self.socket.send(message)

    def receive(self) -> list[bytes]:
        """Return the messages that have come. Raises SurgeonError when the other end has gone."""
        came: list[bytes] = []
        while len(came) < _AT_ONCE:
            try:
                data = self.socket.recv(DATAGRAM_MAX + 1)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                raise SurgeonError(f"{self.where}: the bridge has ended")
            came.append(data)
        return came

    def close(self) -> None:
        """End the conversation."""
        self.socket.close()


def call(arm: str) -> LocalLine:
    """Return a line to the bridge of ``arm`` on this computer. Raises SurgeonError."""
    path = socket_path(arm)
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        end.connect(str(path))
    except PermissionError:
        end.close()
        raise SurgeonError(f"{path}: only the bridge's own user is the local operator of '{arm}'") from None
    except OSError as error:
        end.close()
        raise SurgeonError(
            f"no bridge of arm '{arm}' answers at {path} ({error.strerror or error}); start 'bedside bridge' here"
        ) from None
    return LocalLine(end, str(path))


def _answers(path: Path) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.closing(probe):
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True
