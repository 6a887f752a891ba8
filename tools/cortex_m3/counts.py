"""Counts the instructions of the firmware on the emulated Cortex-M3. ``python -m cortex_m3.counts`` prints them.

The counts repeat exactly. What they may be at most stands in tools/budgets.toml.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from bedside.boardfile import load_board_type
from bedside.cell import load_cell
from bedside.joint import Sensor
from bedside.link import frames
from bedside.link.scale import board_message, joint_messages
from bedside.places import BOARDS, FIRMWARE
from cortex_m3 import board

_TOOLS = Path(__file__).resolve().parents[1]
_SCRIPT = _TOOLS / "bench" / "on_m3.py"
_JOINTS = 4


def budgets() -> dict[str, int]:
    """Return how many instructions each part may take, by its name."""
    file = tomllib.loads((_TOOLS / "budgets.toml").read_text(encoding="utf-8"))
    return {name: int(most) for name, most in file["cortex_m3"].items()}


def configuration() -> list[str]:
    """Return the frames, in hexadecimal, that make a board of four of the PSM's joints, each with a second sensor."""
    cell = load_cell(BOARDS / "cells" / "psm.toml")
    kind = load_board_type("sim")
    messages: list[list[int]] = []
    for channel, joint in enumerate(cell.joint[:_JOINTS]):
        joint.channel = channel
        # One that reads 0, and never disagrees.
        joint.sensor = Sensor(counts_per_unit=1000, zero=0, tolerance=10)
        messages += joint_messages(joint, kind.tick_hz)
    messages.append(board_message(cell, cell.board[0].name, kind.tick_hz))
    for seq, message in enumerate(messages, 1):
        message[1] = seq
    return [frames.encode(message).hex() for message in messages]


def counts() -> dict[str, tuple[int, int]]:
    """Return the mean and the largest number of instructions by name."""
    told = board.run(_SCRIPT, *configuration(), path=[FIRMWARE], icount=True)
    lines = [line.split() for line in told.decode().splitlines()]
    return {name: (int(mean), int(largest)) for name, mean, largest in lines}


if __name__ == "__main__":
    most = budgets()
    for name, (mean, largest) in counts().items():
        print(f"{name:24} {mean:8,} {largest:8,}" + (f"   at most {most[name]:,}" if name in most else ""))
