from __future__ import annotations

import re
from pathlib import Path

import pytest

import ports
from bedside.places import FIRMWARE
from core import faults, layout
from wire import messages

# What a private constant copies, by its prefix, where it is not a name of the layout itself.
OTHERS = {
    "PORT_": ports,
    "INPUT_": ports,
    "OUT_": ports,
    "MESSAGE_": messages,
    "REACT_": faults,
    "CODE_": faults,
}
SOURCES = [
    *sorted((FIRMWARE / "core").glob("*.py")),
    *(FIRMWARE / f"{name}.py" for name in ("executive", "proof", "tick")),
]


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_private_constants_are_copies_of_what_they_are_named_after(source: Path) -> None:
    copies = re.findall(r"^_(\w+) = const\((\w+)\)$", source.read_text(), re.MULTILINE)
    for name, value in copies:
        prefix = next((prefix for prefix in OTHERS if name.startswith(prefix)), "")
        if prefix:
            original = getattr(OTHERS[prefix], name.removeprefix(prefix), None)
        else:
            original = getattr(layout, name, getattr(messages, name, None))
        if prefix:
            assert original is not None, name
        if original is not None:
            assert original == int(value, 0), name


def test_records_follow_each_other_at_the_distance_that_viper_code_steps() -> None:
    steps = [
        value
        for source in SOURCES
        for value in re.findall(r"^_RECORD_BYTES = const\((\d+)\)$", source.read_text(), re.M)
    ]
    assert set(steps) == {str(4 * layout.JOINT_SIZE)} == {str(4 * layout.BOARD_SIZE)}
    homing = (FIRMWARE / "core" / "homing.py").read_text()
    assert f"_HOME_BYTES = const({4 * layout.HOME_SIZE})" in homing


def test_viper_code_counts_channels_from_the_first_output() -> None:
    assert ports.OUTPUT == 0


def test_fault_codes_in_the_tick_are_those_of_the_table() -> None:
    source = (FIRMWARE / "core" / "joint.py").read_text()
    codes = re.findall(r"^_(\w+) = const\((\d+) << 8\)$", source, re.MULTILINE)
    assert len(codes) == 12
    assert all(getattr(faults, name) == int(code) for name, code in codes)


def test_no_two_fields_of_a_record_share_an_index() -> None:
    source = (FIRMWARE / "core" / "layout.py").read_text()
    records = source.split("# ---- how a joint is homed")[0]
    for record in re.split("# ---- (?:board|homing) record", records):
        indices = [int(index) for index in re.findall(r"^\w+ = (\d+)", record, re.MULTILINE)]
        assert len(set(indices)) == len(indices)
        assert max(indices) == indices[-1], "the record's size is its last line"
