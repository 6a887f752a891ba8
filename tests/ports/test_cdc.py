"""A second serial port on the USB cable; the test is the computer at its other end."""

from __future__ import annotations

import json
import struct
import subprocess
from pathlib import Path
from typing import Any

from bedside.places import FIRMWARE
from bedside.sim.board import interpreter

DOUBLE = Path(__file__).parent / "double"
BEGIN = """
import json, struct, machine
from ports.cdc import Cdc
usb = machine.USBDevice()
cdc = Cdc()
OUT, IN = 4, 0x84
opened = lambda: usb.opened(b"")
"""


def on_cable(tmp_path: Path, lines: str) -> Any:
    script = tmp_path / "script.py"
    script.write_text(f"{BEGIN}{lines}\nprint(json.dumps(result))\n")
    path = {"MICROPYPATH": f"{DOUBLE}:{FIRMWARE}:.frozen"}
    done = subprocess.run([interpreter(), str(script)], env=path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout.splitlines()[-1])


def test_its_descriptors_add_up_behind_those_of_the_repl(tmp_path: Path) -> None:
    descriptors = bytes(on_cable(tmp_path, "result = list(usb.descriptors)"))
    assert struct.unpack_from("<HB", descriptors, 2) == (len(descriptors), 4)
    mine = descriptors[75:]
    parts = []
    while mine:
        parts.append(mine[: mine[0]])
        mine = mine[mine[0] :]
    assert [part[1] for part in parts] == [0x0B, 4, 0x24, 0x24, 0x24, 0x24, 5, 4, 5, 5]
    assert [part[2] for part in parts if part[1] == 4] == [2, 3]
    assert [part[2] for part in parts if part[1] == 5] == [0x83, 4, 0x84]
    assert not any(len(part) != part[0] for part in parts)


def test_what_the_computer_sends_arrives_in_order_and_waits_when_there_is_no_room(tmp_path: Path) -> None:
    lines = """
opened()
sent = bytearray()
while usb.host_writes(OUT, bytes([len(sent) // 60 % 256]) * 60):
    sent += bytes([len(sent) // 60 % 256]) * 60
held = cdc.any()
got, buffer = bytearray(), bytearray(100)
while cdc.any():
    n = cdc.readinto(buffer, 100)
    got += buffer[:n]
again = usb.host_writes(OUT, b"more")
n = cdc.readinto(buffer, 100)
result = [len(sent), held, got == sent, again, buffer[:n].decode()]
"""
    assert on_cable(tmp_path, lines) == [2040, 2040, True, True, "more"]


def test_what_the_board_sends_goes_in_packets_that_are_never_full(tmp_path: Path) -> None:
    lines = """
opened()
content = bytes(range(200))
cdc.write(b"xx" + content, 2, 200)
packets = []
while (packet := usb.host_reads(IN)) is not None:
    packets.append(packet)
result = [[len(packet) for packet in packets], b"".join(packets) == content]
"""
    assert on_cable(tmp_path, lines) == [[63, 63, 63, 11], True]


def test_what_nobody_fetches_is_dropped_frame_by_frame_and_the_rest_stays_whole(tmp_path: Path) -> None:
    lines = """
opened()
for k in range(30):
    cdc.write(bytes([k]) * 100, 0, 100)
got = bytearray()
while (packet := usb.host_reads(IN)) is not None:
    got += packet
result = [len(got), [got[at] for at in range(0, len(got), 100)]]
"""
    length, firsts = on_cable(tmp_path, lines)
    assert length % 100 == 0
    assert firsts == list(range(length // 100))
    assert length >= 2000


def test_nothing_is_sent_before_the_computer_has_opened_it_nor_kept_over_a_reset(tmp_path: Path) -> None:
    lines = """
cdc.write(b"early", 0, 5)
result = [usb.host_reads(IN)]
opened()
cdc.write(b"one", 0, 3)
usb.transfers.clear()
usb.reset()
opened()
cdc.write(b"two", 0, 3)
result += [usb.host_reads(IN).decode(), usb.host_reads(IN), cdc.any()]
"""
    assert on_cable(tmp_path, lines) == [None, "two", None, 0]


def test_the_computer_may_set_and_ask_a_speed_and_others_requests_are_others_business(tmp_path: Path) -> None:
    lines = """
def ask(kind, what, interface, stage=1):
    answer = usb.control(stage, struct.pack("<BBHHH", kind, what, 0, interface, 7))
    return len(answer) if isinstance(answer, bytearray) else answer
result = [ask(0x21, 0x20, 2), ask(0xA1, 0x21, 2), ask(0x21, 0x22, 2)]
result += [ask(0x21, 0x22, 2, 3), ask(0x21, 0x23, 2), ask(0x21, 0x20, 0)]
"""
    assert on_cable(tmp_path, lines) == [7, 7, True, True, False, False]
