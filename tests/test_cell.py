from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import NODEFAULT, inspect

from bedside.cell import Cell, load_cell
from bedside.cli import main
from bedside.errors import CellError
from bedside.link.scale import homing_message, joint_message
from bedside.places import BOARDS
from bedside.sim.plant import Load, Motor, load_plants
from bedside.sim.world import World

PSM = (BOARDS / "cells" / "psm.toml").read_text()
TRAINER = (BOARDS / "cells" / "trainer.toml").read_text()
PAGE = (Path(__file__).resolve().parents[1] / "docs" / "cell.md").read_text()
JAW = PSM[PSM.rindex("[[joint]]") :]


@pytest.mark.parametrize("path", sorted((BOARDS / "cells").glob("*.toml")), ids=lambda path: path.stem)
def test_the_cells_that_ship_are_valid(path: Path) -> None:
    load_cell(path)


def refusal(tmp_path: Path, text: str, right: str, wrong: str) -> str:
    """Return why a cell file is refused in which ``wrong`` stands for the first ``right``."""
    assert right in text
    path = tmp_path / "cell.toml"
    path.write_text(text.replace(right, wrong, 1))
    with pytest.raises(CellError) as refused:
        load_cell(path)
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        (
            "operator_timout_ms = 30",
            "operator_timeout_ms = 100",
            "unknown key 'arm.operator_timout_ms' = 30: did you mean",
        ),
        (
            "velocty = 3.0",
            "velocity = 3.0",
            "unknown key 'joint[outer_yaw].limits.velocty' = 3.0: did you mean 'velocity'?",
        ),
        (
            "velocity = 300.0",
            "velocity = 3.0",
            "joint[outer_yaw].limits.velocity = 300.0: write a number above 0 up to 30",
        ),
        ('velocity = "fast"', "velocity = 3.0", "joint[outer_yaw].limits.velocity = 'fast': write a number"),
        (
            "operator_timeout_ms = 0",
            "operator_timeout_ms = 100",
            "arm.operator_timeout_ms = 0: write a number from 10 to 500",
        ),
        ("command_hz = 15", "command_hz = 200", "command rate 15 Hz: allowed are 20 to 2000 Hz"),
        ('unit = "mm"', 'unit = "m"', 'joint[insertion].unit = \'mm\': write "m" or "rad"'),
        ("position = [0.0, 240.0]", "position = [0.0, 0.24]", "were these millimetres?"),
        ("position = [-90, 90]", "position = [-1.6, 1.6]", "were these degrees?"),
        ("position = [1.6, -1.6]", "position = [-1.6, 1.6]", "the lower limit must be below the upper one"),
        ("kp = 1e9", "kp = 34.3", "joint[outer_yaw].gains.kp = 1000000000.0: write a number from 0 to 100000"),
        ("channel = 5", "channel = 1", "channel = 5: board 'psm1-base' has channels 0 to 3"),
        (
            "channel = 0",
            "channel = 1",
            "joint[outer_yaw] and joint[outer_pitch] are both on channel 0 of board 'psm1-base'",
        ),
        ('board = "psm1-bse"', 'board = "psm1-base"', "no such board; there are: psm1-base, psm1-slide, psm1-wrist"),
        (
            'type = "simm"',
            'type = "sim"',
            "board[psm1-base].type: board type 'simm' is not known; the files in boards/ are: cortex-m3, ",
        ),
        ("counts_per_unit = 0", "counts_per_unit = 125000", "counts_per_unit = 0: must not be zero"),
        (
            "[arm]\nrun_loop = { relay_off_ms = 150 }",
            "[arm]",
            "run_loop.relay_off_ms = 150: joint 'outer_yaw' takes 150 ms to stop and the slowest brake 40 ms",
        ),
        ("link_timeout_ms = 8", "link_timeout_ms = 30", "the bridge speaks every 4 ms; allow it to be late twice: 12"),
        (
            'without_brake = "hope"',
            "brake = { open_ms = 20, close_ms = 40 }",
            'joint[outer_yaw].without_brake = \'hope\': write "balanced", "not-back-drivable" or "shorted-winding"',
        ),
        ("", "brake = { open_ms = 20, close_ms = 40 }", "or say why it does not fall without one"),
        (
            "brake = { open_ms = 20, close_ms = 40 }\nwithout_brake = 'balanced'",
            "brake = { open_ms = 20, close_ms = 40 }",
            "or say why it does not fall without one",
        ),
        ("continuous_a = 1.5", "continuous_a = 0.6", "continuous_a = 1.5: must be below current_max_a (1.4)"),
        ("= = 3", "cycle_hz = 250", "not valid TOML"),
        (
            'method = "absolut"',
            'method = "absolute"',
            'joint[outer_yaw].homing.method = \'absolut\': write "absolute", "index", "end-stop" or "sensor"',
        ),
        ('methd = "absolute"', 'method = "absolute"', 'joint[outer_yaw].homing.method is missing: write "absolute",'),
        ("counts_per_unit = 0, zero", "counts_per_unit = 1200, zero", "sensor.counts_per_unit = 0: must not be zero"),
        ('listen = "localhost"', 'listen = "127.0.0.1:36010"', "arm.listen: address 'localhost': expected HOST:PORT"),
        ('listen = "here:9"', 'listen = "127.0.0.1:36010"', "arm.listen: address 'here:9': expected HOST:PORT"),
        (
            "network.relay = 'meet.example'\nhold_ms",
            "hold_ms",
            "arm.network.relay: address 'meet.example': expected HOST:PORT",
        ),
        ("network.dial = ['a:1', 'b']\nhold_ms", "hold_ms", "arm.network.dial: address 'b': expected HOST:PORT"),
        ("tolerence = 0.05", "tolerance = 0.05", "sensor.tolerence' = 0.05: did you mean 'tolerance'?"),
    ],
)
def test_a_mistake_is_named_with_key_value_and_what_is_allowed(
    tmp_path: Path, wrong: str, right: str, message: str
) -> None:
    assert message in refusal(tmp_path, PSM, right, wrong)


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        (
            "speed = 0, output = 0.05",
            "speed = -0.2, output = 0.05",
            "homing.speed = 0: its sign says which way to search",
        ),
        (
            "speed = 2.1, output = 0.05",
            "speed = -0.2, output = 0.05",
            "allowed are up to limits.velocity (2) either way",
        ),
        ("output = 0.2, park = 0.0", "output = 0.05, park = 0.0", "to 0.1, the lesser of drive.stuck_output"),
        ("output = 0.002", "output = 0.015", "allowed are gains.gravity_bias (0.0025), which holds the joint"),
        ("park = 1.7", "park = 0.0", "joint[yaw].homing.park = 1.7: must be within limits.position = [-1.6, 1.6]"),
        ("park = -0.96", "park = -0.9", "joint[pitch].homing.park = -0.96: must be within limits.position"),
        (
            "speed = 0.2, output = 0.05, park = -0.9",
            "speed = -0.2, output = 0.05, park = -0.9",
            "must be behind the stop",
        ),
        ("position = -0.94, speed", "position = -1.0, speed", "an end stop lies outside limits.position"),
        (
            "position = -0.96, speed = -0.2, output = 0.05, park = -0.945",
            "position = -1.0, speed = -0.2, output = 0.05, park = -0.9",
            "must be further from the stop at -0.96 than twice limits.standstill (0.01)",
        ),
        ("speed = -0.7, output", "speed = -0.2, output", "it would stop 0.012 rad behind where it parks"),
        ("# sensor", "sensor = {", 'joint[insertion].homing.method = "sensor": the joint has no sensor'),
        ("sped = -0.2", "speed = -0.2", "unknown key 'joint[yaw].homing.sped' = -0.2: did you mean 'speed'?"),
    ],
)
def test_a_mistake_in_homing_is_named(tmp_path: Path, wrong: str, right: str, message: str) -> None:
    assert message in refusal(tmp_path, TRAINER, right, wrong)


def test_a_sensor_that_reaches_beyond_any_joint_is_refused() -> None:
    joint = load_cell(BOARDS / "cells" / "trainer.toml").joint[2]
    homing_message(joint)
    assert joint.sensor
    joint.sensor.counts_per_unit = 400
    with pytest.raises(CellError, match=r"joint\[insertion\]\.sensor\.counts_per_unit = 400: 16 bits of it reach 82"):
        homing_message(joint)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cell.toml"
    path.write_text(re.sub(r"^encoder = .*$", "", PSM, count=1, flags=re.MULTILINE))
    with pytest.raises(CellError, match=r"joint\[outer_yaw\]\.encoder is missing: write a table with the key counts_"):
        load_cell(path)


def test_a_board_file_that_is_not_there_is_named_with_its_board_and_where_it_was_looked_for(tmp_path: Path) -> None:
    why = refusal(tmp_path, PSM, 'type = "sim"', 'type = "nil.toml"')
    assert why.endswith(f"board[psm1-base].type: {tmp_path}/nil.toml: no such file")


def test_a_folder_is_no_cell_file(tmp_path: Path) -> None:
    with pytest.raises(CellError) as refused:
        load_cell(tmp_path)
    assert str(refused.value) == f"{tmp_path}: is a folder; give a file in it"


def test_a_gain_that_the_board_cannot_hold_is_refused_by_name() -> None:
    cell = load_cell(BOARDS / "cells" / "psm.toml")
    joint_message(cell.joint[0], 1000)
    cell.joint[0].gains.kd = 99_999.0
    with pytest.raises(CellError, match=r"joint\[outer_yaw\]\.gains\.kd"):
        joint_message(cell.joint[0], 500)


def test_a_standstill_that_the_encoder_cannot_see_is_refused() -> None:
    joint = next(joint for joint in load_cell(BOARDS / "cells" / "psm.toml").joint if joint.name == "outer_roll")
    joint_message(joint, 1000)
    joint.limits.standstill = 0.005
    with pytest.raises(
        CellError, match=r"outer_roll\]\.limits\.standstill = 0\.005.* 1\.5 encoder counts; give 0\.0067"
    ):
        joint_message(joint, 1000)


def test_names_that_do_not_fit_a_boards_frame_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "cell.toml"
    text = PSM.replace("psm1-wrist", "psm1-wrist".ljust(24, "_"))
    for name in ("wrist_pitch", "wrist_yaw", "jaw"):
        text = text.replace(f'name = "{name}"', f'name = "{name:_<24}"')
    text += (
        JAW.replace('name = "jaw"', f'name = "{"fourth":_<24}"')
        .replace("channel = 2", "channel = 3")
        .replace("psm1-wrist", "psm1-wrist".ljust(24, "_"))
    )
    path.write_text(text)
    with pytest.raises(CellError, match="letters too long"):
        load_cell(path)


def test_a_name_with_a_comma_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cell.toml"
    path.write_text(PSM.replace('name = "jaw"', 'name = "jaw, gripper"'))
    with pytest.raises(CellError, match=r"joint\[jaw, gripper\]\.name = 'jaw, gripper': write 1 to 24 letters"):
        load_cell(path)


def test_a_wrong_value_in_a_plant_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plants.toml"
    path.write_text((BOARDS / "plants" / "psm.toml").read_text().replace("supply_v = 24", 'supply_v = "24 volts"', 1))
    with pytest.raises(
        CellError, match=r"motor\.outer_yaw\.supply_v = '24 volts': write a number above 0, without quotes"
    ):
        load_plants(path, ["outer_yaw"], 0.001)


@pytest.mark.parametrize("seconds", ["-5", "0", "nan", "soon"])
def test_a_motion_must_last_some_time(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["drive", "cell.toml", "--seconds", seconds])
    assert "seconds" in capsys.readouterr().err


def test_a_cell_of_real_boards_is_not_to_be_simulated() -> None:
    path = BOARDS / "cells" / "bench-pico.toml"
    with pytest.raises(CellError, match="no board has a port 'sim:NAME', so there is nothing to simulate"):
        World(load_cell(path), path)


# ---- what people read ----------------------------------------------------------------------------


def leaves(kind: Any, prefix: str = "") -> Iterator[tuple[str, inspect.Field]]:
    """Yield each key that a file of this kind may have, but those that depend on another key's choice."""
    for field in kind.fields:
        inner = getattr(field.type, "item_type", field.type)
        inner = next(iter(getattr(inner, "types", [inner])))
        if isinstance(inner, inspect.StructType) and not inner.tag_field:
            yield from leaves(inner, f"{prefix}{field.name}.")
        else:
            yield prefix + field.name, field


def test_the_page_has_every_key_with_its_default() -> None:
    told = {}
    for line in re.findall(r"^\| `(?:arm|board|joint)\..*", PAGE, re.MULTILINE):
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        first, *others = re.findall(r"`(.*?)`", cells[0])
        for key in (first, *(first.rpartition(".")[0] + other for other in others)):
            told[key] = cells[-1]
    known = dict(leaves(inspect.type_info(Cell)))
    assert told.keys() == known.keys()
    for key, field in known.items():
        if field.required:
            assert told[key] == "", key
        elif field.default is None:
            assert told[key] == "none", key
        else:
            default = field.default if field.default_factory is NODEFAULT else field.default_factory()
            assert tomllib.loads(f"x = {told[key].strip('`')}")["x"] == default, key


def test_the_pages_plant_moves(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(\[motor.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "plants.toml"
    path.write_text(text)
    plant = load_plants(path, ["shoulder"], 0.001)["shoulder"]
    for _ in range(100):
        plant.step(0.2, drive_on=True, brake_open=True)
    assert plant.velocity > 0.1
    section = PAGE[PAGE.index("## Simulated motors") :]
    for kind in (Motor, Load):
        for name in kind.__struct_fields__:
            assert f"`{name}`" in section or re.search(rf"^{name} = ", text, re.MULTILINE), name
