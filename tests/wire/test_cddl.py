from __future__ import annotations

import re
from array import array
from collections import Counter
from typing import Any

import cbor2
import pytest
from cddl_verifier import Validator
from hypothesis import given, settings
from hypothesis import strategies as st

from bedside.cell import Cell
from bedside.hil.shapes import RULES, TEXT, Message, bounds, message, messages
from bedside.link import causes, schema
from bedside.link.board import SCHEMA
from bedside.link.messages import FIRST_REFUSAL
from bedside.link.scale import board_message, joint_message
from bedside.places import FIRMWARE
from core import faults
from core import layout as L
from wire import messages as M

VALIDATOR = Validator("any-message = to-board / from-board\n" + TEXT)
TO_BOARD = messages("to-board")


def fields(shape: Message) -> st.SearchStrategy[list[Any]]:
    """Lists that fit ``shape``, or nearly do."""
    edge = st.sampled_from([-(2**31) - 1, -(2**31), -1, 0, 1, 7, 8, 2**31 - 1, 2**31])

    def near(field: Any) -> st.SearchStrategy[Any]:
        if field is str:
            return st.text(max_size=5)
        return st.one_of(st.sampled_from(bounds(field)), st.integers(*bounds(field)), edge)

    def build(times: int) -> st.SearchStrategy[list[Any]]:
        return st.tuples(*map(near, shape.head + shape.group * times)).map(list)

    return st.integers(0, shape.most + 1).flatmap(build)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_the_fast_oracle_agrees_with_a_full_cddl_validator(data: st.DataObject) -> None:
    shapes = {**TO_BOARD, **messages("from-board")}
    items = data.draw(st.sampled_from(sorted(shapes)).flatmap(lambda name: fields(shapes[name])))
    assert VALIDATOR.validate(cbor2.dumps(items)).valid == any(shape.fits(items) for shape in shapes.values())


@settings(max_examples=500)
@given(st.data())
def test_the_board_accepts_exactly_what_the_cddl_allows(data: st.DataObject) -> None:
    items = data.draw(st.sampled_from(sorted(TO_BOARD)).flatmap(lambda name: fields(TO_BOARD[name])))
    if not all(-(2**31) <= item < 2**31 for item in items):
        return  # the decoder refuses these before
    accepted = M.fault_in(array("i", items), len(items)) < 0
    assert accepted == any(shape.fits(items) for shape in TO_BOARD.values())


def test_both_sides_carry_the_hash_of_the_schema() -> None:
    assert schema.schema_hash(TEXT) == SCHEMA == M.SCHEMA


def test_comments_do_not_change_the_hash_but_a_range_does() -> None:
    assert schema.schema_hash(TEXT + "; more\n") == SCHEMA
    assert schema.schema_hash(TEXT.replace("hold_ms: 0..60000", "hold_ms: 0..60001")) != SCHEMA


@pytest.mark.parametrize("name", ["configure-board", "configure-joint"])
def test_configuration_ranges_are_those_of_the_cddl(name: str) -> None:
    ranges = {"configure-board": M.CONFIGURE_BOARD_RANGES, "configure-joint": M.CONFIGURE_JOINT_RANGES}[name]
    expected = [bound for field in message(name).head for bound in bounds(field)]  # type: ignore[arg-type]
    assert list(ranges) == expected


@pytest.mark.parametrize("name", [*RULES["to-board"].split(" / "), *RULES["from-board"].split(" / ")])
def test_both_sides_number_the_message_as_the_cddl_does(name: str) -> None:
    number = int(re.match(r"\[ ?(\d+)", RULES[name]).group(1))  # type: ignore[union-attr]
    constant = name.upper().replace("-", "_")
    assert getattr(schema, constant) == getattr(M, constant) == number


def test_what_the_host_sends_is_valid(cell: Cell) -> None:
    sent = [joint_message(joint, 1000) for joint in cell.joint] + [board_message(cell, "psm1-wrist", 200.0)]
    sent += [[schema.KEEP_ALIVE, 5], [schema.STATE_COMMAND, 1, 2, schema.ENABLE], [schema.COMMAND, 1, 2, -5, 70_000]]
    for items in sent:
        assert VALIDATOR.validate(cbor2.dumps(items)).valid, items


def test_every_code_of_the_board_has_a_cause_and_a_remedy() -> None:
    refusals = [value for module in (L, M) for name, value in vars(module).items() if name.startswith("REFUSED_")]
    codes = [code for code, _ in faults.TABLE] + refusals
    assert set(codes) == set(causes.CAUSES)
    assert max(Counter(codes).values()) == 1
    assert min(refusals) >= FIRST_REFUSAL > max(code for code, _ in faults.TABLE)


def test_the_safety_page_has_the_firmwares_table_of_faults() -> None:
    reactions = {
        faults.PAUSE: "PAUSE",
        faults.RAMP: "RAMP",
        faults.TRIP: "TRIP",
        faults.BRAKE: "BRAKE",
        faults.OFF: "OFF",
        faults.HOLD: "HOLD",
    }
    page = (FIRMWARE.parent / "docs" / "safety.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z-]+) \| (\d+) \| [^|]+ \| ([A-Z]+) \|$", page, re.MULTILINE)
    assert rows == [(causes.name_of(code), str(code), reactions[reaction]) for code, reaction in faults.TABLE]
