from __future__ import annotations

import re

import pytest

from bedside.places import FIRMWARE
from core import layout


@pytest.mark.parametrize("module", sorted(path.stem for path in (FIRMWARE / "core").glob("*.py")))
def test_private_constants_are_copies_of_the_layout(module: str) -> None:
    source = (FIRMWARE / "core" / f"{module}.py").read_text()
    copies = re.findall(r"^_(\w+) = const\((\d+)\)$", source, re.MULTILINE)
    for name, value in copies:
        if hasattr(layout, name):
            assert getattr(layout, name) == int(value), name


def test_no_two_fields_of_a_record_share_an_index() -> None:
    source = (FIRMWARE / "core" / "layout.py").read_text()
    joint = re.findall(r"^(\w+) = (\d+)", source.split("# ---- board record")[0], re.MULTILINE)
    board = re.findall(
        r"^(\w+) = (\d+)", source.split("# ---- board record")[1].split("# ---- states")[0], re.MULTILINE
    )
    for fields in (joint, board):
        indices = [int(index) for _, index in fields]
        assert len(set(indices)) == len(indices)
        assert max(indices) == indices[-1], "the record's size is its last line"
