"""What keeps this computer from being on time or from opening its ports is found, in made-up trees of system files."""

from __future__ import annotations

import os
import pty
import resource
import shutil
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest

from bedside.doctor import host
from bedside.doctor.findings import Finding, Grade
from bedside.doctor.ports import Port

pytestmark = pytest.mark.real_time


def system(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_governor_that_slows_down_is_a_warning_with_the_command_that_mends_it(tmp_path: Path) -> None:
    governor = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
    assert host.governor(tmp_path).grade is Grade.OK
    root = system(tmp_path, {governor.format(0): "performance\n", governor.format(1): "performance\n"})
    assert host.governor(root).line == "ok    CPU governor: performance"
    found = host.governor(system(root, {governor.format(1): "powersave\n"}))
    assert (found.grade, found.found) == (Grade.WARN, "performance, powersave")
    assert "frequency-set -g performance" in found.remedy


def test_an_ftdi_adapter_that_keeps_bytes_back_is_named_with_the_file_to_write(tmp_path: Path) -> None:
    assert list(host.latency_timers(tmp_path)) == []
    timer = "sys/bus/usb-serial/devices/ttyUSB{}/latency_timer"
    first, second = host.latency_timers(system(tmp_path, {timer.format(0): "16\n", timer.format(1): "1\n"}))
    assert first.line == (
        "warn  latency timer of /dev/ttyUSB0: 16 ms; it keeps answers back; "
        "'echo 1 | sudo tee /sys/bus/usb-serial/devices/ttyUSB0/latency_timer', or a udev rule"
    )
    assert second.grade is Grade.OK


def test_modem_manager_is_found_among_the_processes(tmp_path: Path) -> None:
    root = system(tmp_path, {"proc/1/comm": "systemd\n", "proc/self/comm": "ModemManager\n"})
    assert host.modem_manager(root).grade is Grade.OK
    assert host.modem_manager(system(root, {"proc/812/comm": "ModemManager\n"})).grade is Grade.WARN


def test_one_core_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert host.cores().grade is Grade.WARN
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3})
    assert host.cores().grade is Grade.OK


def test_a_refused_priority_is_a_warning_and_trying_changes_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getscheduler(0)
    host.priority()
    assert os.sched_getscheduler(0) == before

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (0, 0))
    found = host.priority()
    assert (found.grade, found.found) == (Grade.WARN, "refused (limit 0)")
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)
    assert host.priority().line == "ok    real-time priority: granted", "whatever the limit, which root has none of"


def test_a_missing_program_is_a_warning_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert host.installed("mpremote").line == f"ok    mpremote: {metadata.version('mpremote')}"
    assert "as its README says" in host.installed("no-such-program").remedy


def test_a_port_that_this_user_may_not_open_fails_with_the_group_to_join(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave = pty.openpty()
    device = os.ttyname(slave)
    assert [found.grade for found in host.serial_permission([Port(device)])] == [Grade.OK]
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(host, "_group_name", lambda _: "uucp")
    (found,) = host.serial_permission([Port(device), Port("/dev/gone"), Port("/dev/ttyS0", taken="console")])
    assert found.grade is Grade.FAIL
    assert found.remedy.startswith("'sudo usermod -aG uucp $USER'")
    os.close(slave)
    os.close(master)


def test_without_a_port_the_groups_tell_whether_one_could_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_groups(*names: str) -> Finding:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(os, "getgroups", lambda: list(range(len(names))))
        monkeypatch.setattr(host, "_group_name", lambda number: names[number])
        (found,) = host.serial_permission([])
        return found

    assert of_groups("users").grade is Grade.WARN
    assert of_groups("users", "dialout").grade is Grade.OK


def test_a_full_disk_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    for free, grade in [(10_000_000, Grade.FAIL), (100_000_000, Grade.WARN), (10_000_000_000, Grade.OK)]:
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: usage(0, 0, free))
        assert host.disk(tmp_path).grade is grade


def test_the_timer_tells_how_late_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_TIMER_TICKS", 20)
    assert host.timer_jitter().found.endswith(" worst of 20")
    monkeypatch.setattr(host, "_LATE_US", -1)
    assert host.timer_jitter().grade is Grade.WARN


def test_a_clock_that_is_not_synchronised_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_answer(answer: str) -> Finding:
        program = tmp_path / "timedatectl"
        program.write_text(f"#!/bin/sh\n{answer}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return host.time_of_day()

    assert with_answer("echo no").grade is Grade.WARN
    assert with_answer("echo yes").line == "ok    time of day: synchronised"
    assert with_answer("exit 1").found == "whether it is synchronised is not told here"
