"""Arms of any size: simulated boards with four joints each, every joint the first of ``boards/cells/psm.toml``."""

from __future__ import annotations

from pathlib import Path

from bedside.places import BOARDS

JOINTS = 4
CYCLE_HZ, COMMAND_HZ = 1000, 200
_LIKE, _ON = "outer_yaw", "psm1-base"
# The longest timeouts, so that a stall of this computer ends no run.
_ARM = f"""[arm]
name = "scale"
command_hz = {COMMAND_HZ}
operator_timeout_ms = 500
link_timeout_ms = 200
cycle_hz = {CYCLE_HZ}
plants = "plants.toml"
"""


def write_cell(folder: Path, boards: int, port: int) -> Path:
    """Write an arm of so many boards, whose bridge listens to UDP ``port``, and its motors into ``folder``.

    Return the path of its cell file.
    """
    joint = _section(BOARDS / "cells" / "psm.toml", f'[[joint]]\nname = "{_LIKE}"', "[[joint]]")
    plants = BOARDS / "plants" / "psm.toml"
    plant = _section(plants, f"[motor.{_LIKE}]", "[") + _section(plants, f"[load.{_LIKE}]", "[")
    cell, motors = f'{_ARM}listen = "127.0.0.1:{port}"\n', ""
    for number in range(1, boards + 1):
        name = f"board-{number}"
        cell += f'\n[[board]]\nname = "{name}"\ntype = "sim"\nport = "sim:{name}"\n'
    for number in range(1, boards + 1):
        for channel in range(JOINTS):
            name = f"joint-{number}-{channel}"
            mine = joint.replace(_LIKE, name).replace(_ON, f"board-{number}")
            cell += "\n" + mine.replace("channel = 0", f"channel = {channel}")
            motors += plant.replace(_LIKE, name)
    (folder / "plants.toml").write_text(motors, encoding="utf-8")
    path = folder / "cell.toml"
    path.write_text(cell, encoding="utf-8")
    return path


def _section(path: Path, head: str, next_head: str) -> str:
    """Return a TOML file's section that begins with ``head``, up to what begins the next one."""
    _, _, rest = path.read_text(encoding="utf-8").partition(f"{head}\n")
    body, _, _ = rest.partition(f"\n{next_head}")
    return f"{head}\n{body.rstrip()}\n"
