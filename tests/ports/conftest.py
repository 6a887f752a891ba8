"""Fixtures: an emulated RP2040 with a MicroPython on it."""

from __future__ import annotations

import pytest

from rp2040 import bare
from rp2040.chip import Chip


@pytest.fixture(scope="session")
def image() -> bytes:
    """A MicroPython without the chip's modules, or a skip where it cannot be built."""
    if missing := bare.available():
        pytest.skip(missing)
    return bare.build()


@pytest.fixture
def chip(image: bytes) -> Chip:
    """An emulated RP2040 that runs it, its REPL on UART 0."""
    return Chip(image)
