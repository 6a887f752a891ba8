"""``bedside boards``: who answers where, without disturbing anybody."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import tty
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from serial.tools import list_ports

from bedside.doctor.listing import write_ports
from bedside.doctor.ports import Port, serial_ports
from bedside.doctor.probe import Answer, Kind, ask
from bedside.hil.lockstep import PSM
from bedside.link.messages import Identity, JointIdentity
from bedside.link.port import SerialPort
from bedside.sim.board import interpreter
from command import Bedside
from impostor import feedback, identity, impostor

pytestmark = pytest.mark.real_time


def line_of(lines: list[str], port: str) -> str:
    (line,) = [line for line in lines if line.startswith(f"{port} ")]
    return " ".join(line.split())


def test_each_board_tells_its_name_joints_firmware_and_state(bedside: Bedside, boards: Path) -> None:
    lines = bedside("boards")
    assert len(lines) == 4
    assert line_of(lines, "sim:psm1-wrist") == (
        "sim:psm1-wrist simulated sim-psm1-wrist psm1-wrist wrist_pitch,wrist_yaw,jaw 0.1.0 - DISABLED (off)"
    )


def test_a_port_in_use_is_said_to_be_so_and_left_alone(bedside: Bedside, boards: Path) -> None:
    port = SerialPort("sim:psm1-wrist", 1_000_000)
    try:
        assert "in use by another program" in line_of(bedside("boards"), "sim:psm1-wrist")
        assert port.read() == b"", "nothing was asked behind its user's back"
    finally:
        port.close()


def test_a_program_that_locks_nothing_is_found_by_what_it_has_open() -> None:
    with Path("/dev/full").open("rb") as device, subprocess.Popen(["sleep", "60"], stdin=device) as terminal:
        try:
            assert ask(Port("/dev/full")).text == f"in use by sleep (process {terminal.pid}); end it"
        finally:
            terminal.kill()
    assert ask(Port("/dev/full")).text.startswith("cannot be opened"), "it is no serial port"


def test_where_nothing_is_one_line_says_what_to_check(bedside: Bedside, ports: Path) -> None:
    (line,) = bedside("boards")
    assert "some only charge" in line
    assert "may open serial ports" in line


def test_a_cells_ports_are_listed_even_when_nothing_is_there(bedside: Bedside, ports: Path) -> None:
    assert "there is no such port; start it with 'bedside sim" in line_of(bedside("boards", PSM), "sim:psm1-base")


def test_junk_silence_and_a_board_of_another_protocol_are_told_apart(bedside: Bedside, ports: Path) -> None:
    def stranger(message: list[Any] | None) -> bytes:
        return identity(message[1], name="old", firmware="0.0.9", schema_hash=5) if message else b""

    with (
        impostor(ports, "modem", lambda message: b"\0\xffOK 12345 $GPGGA\r\n"),
        impostor(ports, "mute", lambda message: b""),
        impostor(ports, "old", stranger),
    ):
        lines = bedside("boards")
    assert "no Bedside board talks there" in line_of(lines, "sim:modem")
    assert "nothing answers; check power, cable and baud rate" in line_of(lines, "sim:mute")
    assert "board 'old' has firmware 0.0.9 with another protocol; flash" in line_of(lines, "sim:old")


def test_a_board_that_vanishes_while_it_is_asked_is_a_line_like_any(bedside: Bedside, ports: Path) -> None:
    with impostor(ports, "gone", lambda message: None if message else b""):
        assert "disappeared" in line_of(bedside("boards"), "sim:gone")


def test_a_board_that_has_a_bridge_elsewhere_still_tells_who_it_is(bedside: Bedside, ports: Path) -> None:
    def busy(message: list[Any] | None) -> bytes:
        # On, it takes no message that is older than the bridge's: it refuses, and says how it is.
        return b"" if not message else identity(900) if message[0] == 1 else feedback(900)

    with impostor(ports, "busy", busy):
        assert "psm1-base outer_yaw 0.1.0 - DISABLED (off)" in line_of(bedside("boards"), "sim:busy")


def test_a_repl_tells_its_version_and_is_left_as_a_person_had_it(bedside: Bedside, ports: Path) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    (ports / "pico").symlink_to(os.ttyname(slave))
    with subprocess.Popen([interpreter()], stdin=master, stdout=master, stderr=master) as repl:
        try:
            line = line_of(bedside("boards"), "sim:pico")
            assert "its REPL has the port (MicroPython" in line
            assert line.endswith("); 'bedside flash' finishes an interrupted update, a reset starts what it has")
            os.write(slave, b"6*7\r")
            said = b""
            while b"42" not in said:
                assert select.select([slave], [], [], 5)[0], said
                said += os.read(slave, 100)
        finally:
            repl.kill()
    os.close(slave)
    os.close(master)


def test_a_narrow_terminal_shows_builds_and_serial_numbers_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    joints = [JointIdentity(name, 0, 0, 0) for name in ("wrist_pitch", "wrist_yaw", "jaw")]
    who = Identity(0, 0, "0.1.0", 1000, 0, "psm1-wrist", "e6614c311b7c5a2f", "0123456789abcdef", "psm1", 0, joints)
    port = Port("/dev/ttyACM0", chip="RP2, MicroPython", uid="e6614c311b7c5a2f")
    answers = [Answer(Kind.BOARD, "DISABLED (off)", who), Answer(Kind.REPL, "its REPL has the port (MicroPython 1.26)")]
    write_ports([port, Port("/dev/ttyUSB0", chip="CP210x adapter")], answers)
    table = capsys.readouterr().out
    assert max(map(len, table.splitlines())) <= 80
    assert "…" not in table
    assert "0123456789abcdef" in table
    assert "e6614c311b7c5a2f" in table
    assert "wrist_pitch" in table


def test_a_terminal_that_took_the_number_of_a_killed_simulation_is_left_alone(bedside: Bedside, ports: Path) -> None:
    master, slave = pty.openpty()
    link = ports / "psm1-base"
    link.symlink_to(os.ttyname(slave))
    assert len(bedside("boards")) == 2
    os.utime(link, (0, 0), follow_symlinks=False)
    assert len(bedside("boards")) == 1
    os.close(slave)
    os.close(master)


class _Info(SimpleNamespace):
    def __lt__(self, other: SimpleNamespace) -> bool:
        return self.device < other.device


def test_usb_numbers_tell_chips_and_ports_without_hardware_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infos = [
        _Info(device="/dev/ttyACM0", vid=0x2E8A, pid=0x0005, serial_number="e66"),
        _Info(device="/dev/ttyUSB0", vid=0x0403, pid=0x6015, serial_number=None),
        _Info(device="/dev/ttyUSB1", vid=0x1234, pid=0x5678, serial_number=None),
        _Info(device="/dev/ttyS0", vid=None, pid=None, serial_number=None),
        _Info(device="/dev/ttyS1", vid=None, pid=None, serial_number=None),
    ]
    monkeypatch.setattr(list_ports, "comports", lambda: infos)
    files = {
        "sys/class/tty/console/active": "tty0 ttyS1\n",
        "sys/class/tty/ttyS0/type": "0\n",
        "sys/class/tty/ttyS1/type": "4\n",
        "sys/bus/usb/devices/1-4/idVendor": "2e8a\n",
        "sys/bus/usb/devices/1-4/idProduct": "000f\n",
        "sys/bus/usb/devices/1-4/serial": "77\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = {port.name: port for port in serial_ports(tmp_path)}
    assert list(found) == ["/dev/ttyACM0", "/dev/ttyS1", "/dev/ttyUSB0", "/dev/ttyUSB1", "USB 1-4"]
    assert (found["/dev/ttyACM0"].chip, found["/dev/ttyACM0"].uid) == ("RP2, MicroPython", "e66")
    assert found["/dev/ttyUSB0"].chip == "FTDI adapter"
    assert found["/dev/ttyUSB1"].chip == "USB 1234:5678"
    assert found["/dev/ttyS1"].taken == "in use as this computer's console"
    assert (found["USB 1-4"].chip, found["USB 1-4"].uid) == ("RP2350 in BOOTSEL", "77")
