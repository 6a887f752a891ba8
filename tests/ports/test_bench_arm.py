"""A bare board on a cable, with everything that a person types: bridge and drive, on the port of a real chip."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import socket
import subprocess
import sys
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bedside.boardfile import board_config, canonical, load_board_type
from bedside.cell import load_cell
from bedside.flash.package import expected_build
from bedside.places import BOARDS, FIRMWARE
from bedside.sim.board import interpreter
from bedside.surgeon.authority import BRIDGE, SURGEON
from bedside.surgeon.find import issue_for_once

pytestmark = pytest.mark.real_time

DOUBLE = Path(__file__).parent / "double"


@contextmanager
def board_of(cell_name: str, folder: Path) -> Iterator[Path]:
    """The cell's board on the double of its chip's ``machine``, as it would run when flashed; its cell file."""
    cell = load_cell(BOARDS / "cells" / cell_name)
    chip = load_board_type(cell.board[0].type).chip
    config = canonical(board_config(cell, "bench"))
    master, slave = pty.openpty()
    tty.setraw(slave)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        listen = free.getsockname()[1]
    text = (BOARDS / "cells" / cell_name).read_text()
    text = re.sub(r'^port = ".*"', f'port = "{os.ttyname(slave)}"', text, flags=re.MULTILINE)
    text = re.sub(r"127.0.0.1:\d+", f"127.0.0.1:{listen}", text)
    # A test's computer is no board: it has other things to do, and its ticks come late.
    kind = (BOARDS / f"{cell.board[0].type}.toml").read_text()
    (folder / "patient.toml").write_text(kind.replace("late_max_us = 500", "late_max_us = 100000"))
    text = text.replace(f'type = "{cell.board[0].type}"', 'type = "patient.toml"')
    for key, patience in {"operator_timeout_ms": 500, "link_timeout_ms": 200}.items():
        text = re.sub(rf"^{key} = .*", f"{key} = {patience}", text, flags=re.MULTILINE)
    (folder / "cell.toml").write_text(text)
    family = "rp2" if chip.startswith("rp2") else "esp32"
    # A cable and a double of it are another thing (test_cdc.py): the link is standard input and output here.
    here = {**json.loads(config), "link": {"kind": "uart", "id": 0, "tx": 0, "rx": 1, "baud": 1_000_000}}
    (folder / "board.json").write_text(json.dumps(here))
    command = [interpreter(), "-X", "heapsize=512K", str(DOUBLE / "board.py"), family, str(folder / "board.json")]
    environment = {"MICROPYPATH": f"{DOUBLE}:{FIRMWARE}:.frozen"}
    with subprocess.Popen(
        [*command, expected_build(chip, config)], stdin=master, stdout=master, env=environment
    ) as process:
        yield folder / "cell.toml"
        process.kill()
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("cell", ["bench-pico.toml", "bench-esp32.toml"])
def test_a_bare_board_is_bridged_and_driven_like_any_arm(
    cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BEDSIDE_RUN", str(tmp_path))
    issue_for_once(tmp_path / "keys", {"bridge": BRIDGE, "alice": SURGEON})
    bedside = [sys.executable, "-m", "bedside.cli"]
    with board_of(cell, tmp_path) as path:
        with subprocess.Popen(
            [*bedside, "bridge", str(path), "--credentials", str(tmp_path / "keys" / "bridge")],
            stderr=subprocess.PIPE,
            text=True,
        ) as bridge:
            assert bridge.stderr
            assert "1 boards, listening" in bridge.stderr.readline()
            log = tmp_path / "log.csv"
            subprocess.run([*bedside, "local", str(path), "arm"], timeout=60, check=True)
            drive = [*bedside, "drive", str(path), "--seconds", "2", "--log", str(log)]
            drive += ["--credentials", str(tmp_path / "keys" / "alice")]
            done = subprocess.run(drive, capture_output=True, text=True, timeout=60, check=False)
            bridge.terminate()
            told = bridge.stderr.read()
        assert done.returncode == 0, done.stderr + told
    with log.open() as file:
        rows = [row for row in csv.DictReader(file) if row["state"] == "ENABLED"]
    places = [float(row["pos_shoulder"]) for row in rows]
    assert max(places) - min(places) > 0.2
    assert max(abs(float(row["setpoint_shoulder"]) - float(row["pos_shoulder"])) for row in rows) < 0.05
