"""A serial port opened so that nothing else can use it, and read without waiting."""

from __future__ import annotations

import contextlib
import os
import termios
from pathlib import Path

import serial

from bedside.errors import LinkError
from bedside.places import sim_directory


class SerialPort:
    """A port by its name: a device, or ``sim:NAME`` for a simulated board. Raises LinkError when it cannot be had."""

    def __init__(self, name: str, baud: int) -> None:
        self.name = name
        path = str(sim_directory() / name.removeprefix("sim:")) if name.startswith("sim:") else name
        remedy = "start it with 'bedside sim CELL.toml'" if name.startswith("sim:") else "check the cable and the name"
        if not Path(path).exists():
            raise LinkError(f"port {name}: there is no such port; {remedy}")
        try:
            self._serial = serial.Serial(baudrate=baud, timeout=0, exclusive=True)
            # Opening must not reset an ESP32, whose reset and boot pins hang on these two lines.
            self._serial.dtr = False
            self._serial.rts = False
            self._serial.port = path
            self._serial.open()
        except (serial.SerialException, OSError) as error:
            if "exclusively lock" in str(error):
                raise LinkError(f"port {name}: in use by another program; end the other bridge or terminal") from None
            raise LinkError(f"port {name}: cannot be opened ({error}); {remedy}") from None
        # A pseudo-terminal has no low-latency mode to set.
        with contextlib.suppress(ValueError, OSError, NotImplementedError):
            self._serial.set_low_latency_mode(True)
        self.fd: int = self._serial.fileno()
        os.set_blocking(self.fd, False)
        # With VMIN 0, as pyserial leaves it, a read without data looks like an unplugged port's end of file.
        settings = termios.tcgetattr(self.fd)
        settings[6][termios.VMIN] = 1
        termios.tcsetattr(self.fd, termios.TCSANOW, settings)

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
        self._serial.close()

    def _gone(self, why: object) -> LinkError:
        return LinkError(f"port {self.name}: disappeared ({why}); check cable and power, then start the bridge again")
