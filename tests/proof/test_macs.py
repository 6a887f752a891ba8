"""The board's AES-CMAC, wherever it runs, is that of RFC 4493, and so is the console's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedside.surgeon.proof import cmac
from cortex_m3 import board
from macs import macs

# RFC 4493, section 4.
KEY = "2b7e151628aed2a6abf7158809cf4f3c"
MESSAGE = (
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
SUBKEYS = "fbeed618357133667c85e08f7236a8de" + "f7ddac306ae266ccf90bc11ee46d513b"
MACS = {
    0: "bb1d6929e95937287fa37d129b756746",
    16: "070a16b46b4d4144f79bdd9dd04a287c",
    40: "dfa66747de9ae63030ca32611497c827",
    64: "51f0bebf7e3b9d92fc49741779363cfe",
}
EXPECTED = [SUBKEYS, *MACS.values()]
ARGUMENTS = [KEY, *(f"[{MESSAGE[: 2 * size]}]" for size in MACS)]
PROGRAM = Path(__file__).parent / "macs.py"


def test_the_firmware_on_cpython_makes_the_rfcs_macs() -> None:
    messages = [bytes.fromhex(MESSAGE)[:size] for size in MACS]
    assert macs(bytes.fromhex(KEY), messages) == EXPECTED


def test_the_firmware_on_the_unix_port_makes_the_rfcs_macs(run_micropython: Callable[..., bytes]) -> None:
    assert run_micropython(PROGRAM, *ARGUMENTS).decode().split() == EXPECTED


@pytest.mark.usefixtures("emulator")
def test_the_firmware_on_the_cortex_m3_makes_the_rfcs_macs() -> None:
    assert board.run(PROGRAM, *ARGUMENTS).decode().split() == EXPECTED


@pytest.mark.parametrize("size", MACS)
def test_the_console_makes_the_rfcs_macs(size: int) -> None:
    assert cmac(bytes.fromhex(KEY), bytes.fromhex(MESSAGE)[:size]).hex() == MACS[size]


@given(st.binary(min_size=16, max_size=16), st.lists(st.binary(max_size=64), max_size=5))
def test_board_and_console_agree_on_every_message(key: bytes, messages: list[bytes]) -> None:
    assert macs(key, messages)[1:] == [cmac(key, message).hex() for message in messages]
