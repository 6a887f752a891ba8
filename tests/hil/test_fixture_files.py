"""Files that tell what is wired to a board on a bench."""

from __future__ import annotations

import os
import pty
from pathlib import Path

import pytest

from bedside.boardfile import load_board_type
from bedside.errors import CellError
from bedside.hil.fixture import Fixture, Power, load_fixture, switch
from bedside.hil.target import TargetError
from bedside.places import BOARDS

FILES = sorted((BOARDS / "fixtures").glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_names_a_board_file_that_has_the_pins_of_its_jumpers(path: Path) -> None:
    fixture = load_fixture(path)
    board = load_board_type(str(BOARDS / fixture.board))
    for jumper in fixture.jumper if board.channel else ():
        assert jumper.output == "run_contact" or board.channel[0].brake is not None  # type: ignore[union-attr]
        assert getattr(board.pins, jumper.input) is not None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('[[jumper]]\nfrom = "led"\nto = "local"', "from"),
        ('[[jumper]]\nfrom = "brake"\nto = "local"\n[[jumper]]\nfrom = "run_contact"\nto = "local"', "one input"),
        ('[power]\nrelay = "x"\non = "A0 1"\noff = "00"', "A0 1"),
        ("jumpers = 2", "jumpers"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_key(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "f.toml"
    path.write_text(f'description = "x"\nboard = "sim.toml"\n{text}\n')
    with pytest.raises(CellError, match=why):
        load_fixture(path)


def test_a_relay_gets_the_bytes_that_switch_it() -> None:
    ours, theirs = pty.openpty()
    try:
        power = Power(os.ttyname(theirs), "A0 01 01 A2", "A0 01 00 A1", off_s=0.01)
        switch(power, False)
        assert os.read(ours, 8) == b"\xa0\x01\x00\xa1"
        switch(power, True)
        assert os.read(ours, 8) == b"\xa0\x01\x01\xa2"
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_relay_that_is_not_there_is_told_by_its_key() -> None:
    with pytest.raises(TargetError, match=r"power\.relay = '/dev/none'"):
        switch(Power("/dev/none", "01", "00"), True)


def test_a_fixture_knows_its_wires() -> None:
    fixture = load_fixture(BOARDS / "fixtures" / "loopback-pico.toml")
    assert isinstance(fixture, Fixture)
    assert fixture.has("brake", "local")
    assert not fixture.has("brake", "run_loop")
