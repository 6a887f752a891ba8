"""What is wired to a board on somebody's bench: jumper wires, a relay in its supply, a second board as a load."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import serial
from msgspec import Meta, Struct

from bedside.config import load_toml
from bedside.errors import CellError
from bedside.hil.target import TargetError

# As a relay board reads its line at this rate in any case.
_BAUD = 9600
_Bytes = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{2}( [0-9A-Fa-f]{2})*\Z", description="bytes such as 'A0 01 01 A2'")]


class Jumper(Struct, rename={"output": "from", "input": "to"}, forbid_unknown_fields=True):
    """A wire from an output to an input of the same board, both by their names in its board file.

    ``brake`` is the first channel's brake output. An output that is high opens the switch that its input stands for.
    """

    output: Literal["brake", "run_contact"]
    input: Literal["local", "run_loop"]


class Power(Struct, forbid_unknown_fields=True):
    """A relay in the board's supply, and in its drives', which ``on`` and ``off``, written to ``relay``, switch.

    ``off_s`` is how long it must be off for everything to be discharged, ``boot_s`` how long the board takes to answer.
    """

    relay: str
    on: _Bytes
    off: _Bytes
    off_s: Annotated[float, Meta(gt=0, le=60)] = 3.0
    boot_s: Annotated[float, Meta(gt=0, le=120)] = 15.0


class Load(Struct, forbid_unknown_fields=True):
    """A second board at ``port``, whose motor is coupled to the joint under test and resists its motion gently."""

    port: str
    baud: Annotated[int, Meta(ge=9600, le=10_000_000)] = 1_000_000


class Fixture(Struct, forbid_unknown_fields=True):
    """A bench; ``board`` is the board file that its pins are of."""

    description: str
    board: str
    jumper: list[Jumper] = []
    power: Power | None = None
    load: Load | None = None

    def has(self, output: str, into: str) -> bool:
        """Return whether a jumper leads from ``output`` to the input ``into``."""
        return Jumper(output, into) in self.jumper  # type: ignore[arg-type]


def load_fixture(path: Path) -> Fixture:
    """Read a fixture file. Raises CellError, which names the key, the value and what is allowed."""
    fixture = load_toml(path, Fixture, "docs/fixtures.md")
    ends = [jumper.input for jumper in fixture.jumper]
    if len(set(ends)) < len(ends):
        raise CellError(f"{path}: two jumpers lead to one input; each input takes one wire")
    return fixture


def switch(power: Power, is_on: bool) -> None:
    """Switch the relay. Raises TargetError when it is not there."""
    try:
        with serial.Serial(power.relay, _BAUD, timeout=1) as port:
            port.write(bytes.fromhex(power.on if is_on else power.off))
            port.flush()
    except (serial.SerialException, OSError) as error:
        raise TargetError(
            f"power.relay = '{power.relay}': the relay does not answer ({error}); check its cable"
        ) from None
    if not is_on:
        time.sleep(power.off_s)
