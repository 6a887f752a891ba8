"""``bedside doctor --deep`` looks into a board over its REPL, and the board comes back."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from hashlib import sha256
from pathlib import Path

import pytest

from bedside.cell import load_cell
from bedside.doctor import deep
from bedside.doctor.boards import Place
from bedside.doctor.findings import Grade
from bedside.doctor.ports import Port
from bedside.doctor.probe import Kind, ask
from bedside.flash.deploy import Survey
from bedside.hil.lockstep import PSM
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.link.messages import Identity
from bedside.link.port import SerialPort
from command import Bedside

pytestmark = pytest.mark.real_time

WRIST = Port("sim:psm1-wrist")


def test_a_board_is_looked_into_and_runs_again_afterwards(bedside: Bedside, boards: Path) -> None:
    content = b"print('firmware')"
    folder = boards / "psm1-wrist.flash" / "a"
    folder.mkdir(exist_ok=True)
    (folder / "program.mpy").write_bytes(content)
    stated = {"program.mpy": {"sha256": sha256(content).hexdigest(), "size": len(content)}}
    stated["tick.mpy"] = {"sha256": "0" * 64, "size": 3}
    (folder / "manifest.json").write_text(json.dumps({"loader": {"sha256": ""}, "files": stated}))
    lines = bedside("doctor", PSM, "--port", WRIST.name, "--deep", status=1)
    said = {line[6:].partition(": ")[2].partition(":")[0]: line for line in lines if "psm1-wrist" in line}
    assert said["MicroPython"].startswith("ok    psm1-wrist: MicroPython: 1.")
    assert " kB free without firmware" in said["memory"]
    assert (
        said["files"] == "FAIL  psm1-wrist: files: tick.mpy in slot a missing or not as flashed; flash the board again"
    )
    median_us = re.search(r"1000 ticks late by (\d+) us median", said["tick jitter"])
    assert median_us
    assert int(median_us.group(1)) < 10_000, "ticks of another length would be ever later"
    at = lines.index(said["tick jitter"])
    assert sum(int(line.split("us")[1].split()[0]) for line in lines[at + 1 : at + 10]) == 1000
    assert said["deep"] == "ok    psm1-wrist: deep: the board was started again and answers, DISABLED (off)"
    assert ask(WRIST).kind is Kind.BOARD


def test_a_board_that_was_left_in_its_repl_is_recognised_and_brought_back(bedside: Bedside, boards: Path) -> None:
    link = BoardLink(SerialPort("sim:psm1-base", 1_000_000), "board 'psm1-base'")
    link.identify()
    link.ask([schema.MAINTENANCE, 0])
    link.port.close()
    deadline = time.monotonic() + 10
    while ask(Port("sim:psm1-base")).kind is not Kind.REPL:
        assert time.monotonic() < deadline
    lines = bedside("doctor", "--port", "sim:psm1-base", status=1)
    found = next(line for line in lines if "sim:psm1-base: port" in line)
    assert found.startswith("FAIL  sim:psm1-base: port: its REPL has the port (MicroPython")
    assert "'bedside doctor --deep' with the same arguments starts it again" in found
    lines = bedside("doctor", "--port", "sim:psm1-base", "--deep")
    assert "ok    sim:psm1-base: deep: the board was started again and answers, DISABLED (off)" in lines
    assert "ok    sim:psm1-base: state: DISABLED (off)" in lines, "and is checked as any"


def survey(slots: dict[str, dict[str, str]]) -> Survey:
    return Survey("rp2", "Pico", (1, 29, 0), 0x306, "cd", "b", slots, [], {"b": '{"role":"psm1/base"}'})


def inside(manifests: dict[str, str]) -> deep.Inside:
    return deep.Inside(100_000, 200_000, 50_000, {"a": 100_000, "b": 130_000}, manifests, [])


def test_files_are_held_against_the_manifest_and_that_against_what_the_board_told() -> None:
    manifest = json.dumps({"loader": {"sha256": "cd"}, "files": {"program.mpy": {"sha256": "ab", "size": 1}}})
    build = sha256(manifest.encode()).hexdigest()[:16]
    whole = survey({"a": {}, "b": {"program.mpy": "ab"}})
    who = Identity(0, 0, "0.1.0", 1000, 0, "base", "uid", build, "psm1", 0, [])
    found = deep._files("base", whole, inside({"b": manifest}), who)
    assert found.line == f"ok    base: files: 1 in slot b, all as flashed (build {build}, role 'psm1/base')"
    changed = dataclasses.replace(whole, loader="ef")
    assert (
        "main.py, which checks the others, is not as flashed"
        in deep._files("base", changed, inside({"b": manifest}), who).found
    )
    more = survey({"a": {}, "b": {"program.mpy": "ab", "program.py": "ef"}})
    assert "program.py in slot b was not flashed" in deep._files("base", more, inside({"b": manifest}), who).found
    who.build = "0123"
    assert deep._files("base", whole, inside({"b": manifest}), who).grade is Grade.FAIL
    assert "makes no sense" in deep._files("base", whole, inside({"b": "{"}), who).found
    assert deep._files("base", whole, inside({"a": manifest}), who).grade is Grade.WARN


def test_a_file_system_without_room_for_an_update_is_a_warning() -> None:
    there = survey({"a": {}, "b": {}})
    assert deep._room("base", there, inside({})).grade is Grade.OK, "what the other slot holds makes room"
    tight = deep.Inside(0, 0, 20_000, {"a": 100_000, "b": 130_000}, {}, [])
    assert deep._room("base", there, tight).line.startswith("warn  base: file system: 19 kB free, an update needs 126")


def test_a_tick_that_comes_late_shows_in_worst_and_histogram_and_a_constant_offset_does_not() -> None:
    times = [40 + 1000 * k for k in range(100)]
    even = deep._jitter("base", times, 1000, False)
    assert even.found == "100 ticks late by 0 us median, 0 p99, 0 worst"
    assert even.detail[0].split() == ["<", "2", "us", "100", "#" * 40]
    times[50] += 700
    late = deep._jitter("base", times, 1000, False)
    assert (late.grade, late.found) == (Grade.WARN, "100 ticks late by 0 us median, 700 p99, 700 worst")
    assert late.detail[-1].split() == [">=", "500", "us", "1", "#"]


def test_an_interrupting_timers_ticks_are_noted_without_allocating(tmp_path: Path, run_micropython) -> None:
    (tmp_path / "machine.py").write_text(
        "import gc\n"
        "class Timer:\n"
        "    PERIODIC = 1\n"
        "    def __init__(self, id): pass\n"
        "    def init(self, *, mode, freq, callback, hard):\n"
        "        assert (mode, freq, hard) == (1, 1000, True)\n"
        "        used = gc.mem_alloc()\n"
        "        for k in range(11): callback(self)\n"
        "        self.grown = gc.mem_alloc() - used\n"
        "        callback(self)\n"
        "        print(self.grown)\n"
        "    def deinit(self): print('off')\n"
    )
    script = tmp_path / "look.py"
    script.write_text(
        "from array import array\nimport jitter\ntimes = array('i', [-1] * 10)\njitter.timed(times, 1000)\n"
    )
    script.write_text(script.read_text() + "print(min(times) >= 0)\n")
    assert run_micropython(script).split() == [b"0", b"off", b"True"]


def test_a_board_whose_repl_is_on_another_cable_is_not_sent_there_unless_that_is_plugged_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = load_cell(PSM)
    slot = cell.board[0]
    who = Identity(0, 0, "0.1.0", 1000, 0, "psm1-base", "e6614c", "", "psm1", 0, [])
    adapter, usb, own = Port("/dev/ttyUSB0"), Port("/dev/ttyACM0", uid="E6614C"), Port("/dev/ttyACM1", uid="E6614C")
    s3 = Port("/dev/ttyACM2", uid="E6:61:4C")

    def repl(port: Port, kind: str | None, *ports: Port) -> Port | None:
        monkeypatch.setattr(deep, "serial_ports", lambda: list(ports))
        slot.type = kind or "sim"
        return deep._repl_of(Place("psm1-base", port, *((cell, slot) if kind else ())), who)

    assert repl(adapter, "esp32-bench", adapter) == adapter, "its link is the console"
    assert repl(adapter, "pico", adapter) is None
    assert repl(adapter, None, adapter) is None, "nobody says that its link is the console"
    assert repl(adapter, "pico", adapter, usb) == usb
    assert repl(own, "pico2", own, usb) == usb, "the other of two on one cable"
    assert repl(adapter, "esp32-s3", adapter, s3) == s3
