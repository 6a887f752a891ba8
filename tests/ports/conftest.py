"""Fixtures: an emulated RP2040 with a MicroPython on it. It starts slowly, so tests share one and put it right."""

from __future__ import annotations

import bare_board
import pytest
from bare_board import BareRepl

from rp2040 import bare
from rp2040.chip import Chip


@pytest.fixture(scope="session")
def bare_chip() -> tuple[Chip, BareRepl]:
    """The chip and its REPL, or a skip where its MicroPython cannot be built."""
    if missing := bare.available():
        pytest.skip(missing)
    chip = Chip(bare.build())
    return chip, bare_board.start(chip)


@pytest.fixture
def chip(bare_chip: tuple[Chip, BareRepl]) -> Chip:
    """The chip, the lines of whose encoders are low."""
    chip, _ = bare_chip
    for pin in range(4, 12):
        chip.drive(pin, False)
    return chip


@pytest.fixture
def repl(bare_chip: tuple[Chip, BareRepl], chip: Chip) -> BareRepl:
    """Its REPL, whose modules are as they were."""
    _, repl = bare_chip
    repl.run(bare_board.PUT_RIGHT)
    return repl
