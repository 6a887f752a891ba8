"""A serial port that nothing else can use meanwhile, or a socket that stands for one; both are read without waiting."""

from __future__ import annotations

import contextlib
import os
import socket
import termios
from pathlib import Path
from urllib.parse import urlsplit

import serial

from bedside.errors import LinkError, NoPortError
from bedside.places import sim_directory

_SOCKET = "socket://"
# A serial server in the same room answers in milliseconds; one that is switched off never does.
_CONNECT_S = 3.0


class SerialPort:
    """A port by its name: a device, ``sim:NAME`` for a simulated board, or ``socket://HOST:PORT`` for a serial server.

    ``dtr`` raises that line, without which MicroPython's USB port says nothing. Raises LinkError when it cannot be had.
    """

    def __init__(self, name: str, baud: int, dtr: bool = False) -> None:
        self.name = name
        self._end = _connect(name) if name.startswith(_SOCKET) else _open(name, baud, dtr)
        self.fd: int = self._end.fileno()
        os.set_blocking(self.fd, False)

    def read(self) -> bytes:
        """Return what has come, perhaps nothing. Raises LinkError when the port is gone."""
        try:
            data = os.read(self.fd, 4096)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from None
        if not data:
            raise self._gone("it was unplugged")
        return data

    def write(self, data: bytes) -> None:
        """Send ``data``; what the line does not take now is dropped: a late command is worse than none."""
        try:
            os.write(self.fd, data)
        except BlockingIOError:
            pass
        except OSError as error:
            raise self._gone(error) from None

    def close(self) -> None:
        """Give the port back."""
        self._end.close()

    def _gone(self, why: object) -> LinkError:
        return LinkError(f"port {self.name}: disappeared ({why}); check cable and power, then start the bridge again")


def device_of(name: str) -> str:
    """Return what other programs call this port: a simulated board's is a pseudo-terminal."""
    return str(sim_directory() / name.removeprefix("sim:")) if name.startswith("sim:") else name


def _open(name: str, baud: int, dtr: bool) -> serial.Serial:
    path = device_of(name)
    remedy = "start it with 'bedside sim CELL.toml'" if name.startswith("sim:") else "check the cable and the name"
    if not Path(path).exists():
        raise NoPortError(f"port {name}: there is no such port; {remedy}")
    try:
        port = serial.Serial(baudrate=baud, timeout=0, exclusive=True)
        # The kernel raises both lines, and pyserial then sets DTR before RTS. An ESP32's reset hangs on both: RTS alone
        # is its reset, DTR alone its boot pin, which a chip that runs does not mind. So DTR falls last.
        port.dtr = True
        port.rts = False
        port.port = path
        port.open()
        # A pseudo-terminal has no such lines.
        with contextlib.suppress(OSError):
            port.dtr = dtr
        # With VMIN 0, as pyserial leaves it, a read without data looks like an unplugged port's end of file.
        settings = termios.tcgetattr(port.fileno())
        settings[6][termios.VMIN] = 1
        termios.tcsetattr(port.fileno(), termios.TCSANOW, settings)
    except (serial.SerialException, OSError, termios.error) as error:
        if "exclusively lock" in str(error):
            raise LinkError(f"port {name}: in use by another program; end the other bridge or terminal") from None
        raise LinkError(f"port {name}: cannot be opened ({error}); {remedy}") from None
    # A pseudo-terminal has no low-latency mode to set.
    with contextlib.suppress(ValueError, OSError, NotImplementedError):
        port.set_low_latency_mode(True)
    return port


def _connect(name: str) -> socket.socket:
    try:
        where = urlsplit(name)
        host, number = where.hostname, where.port
    except ValueError:
        host = number = None
    if not host or not number:
        raise LinkError(f"port {name}: not an address; write socket://HOST:PORT, the port a number up to 65535")
    try:
        end = socket.create_connection((host, number), _CONNECT_S)
    except OSError as error:
        why = error.strerror or error
        raise NoPortError(f"port {name}: cannot be reached ({why}); check that its server runs, and the name") from None
    # A frame must not wait for the acknowledgement of the last one.
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return end
