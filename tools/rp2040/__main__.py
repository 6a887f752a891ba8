"""``python -m rp2040 FILE``: boots a MicroPython for the Raspberry Pi Pico in the emulator and tries what we need."""

from __future__ import annotations

import sys
from pathlib import Path

from bedside.errors import BedsideError
from rp2040 import uf2
from rp2040.repl import RawRepl


def main(*arguments: str) -> int:
    """Return 0 if every trial succeeds."""
    if len(arguments) != 1 or not arguments[0]:
        print("make test-rp2040 UF2=FILE: a MicroPython for the Raspberry Pi Pico, from 1.26 on", file=sys.stderr)
        return 2
    try:
        image = uf2.read(Path(arguments[0]))
    except BedsideError as error:
        print(error, file=sys.stderr)
        return 2
    # The emulator takes its time to import.
    from rp2040.chip import Chip
    from rp2040.trials import TRIALS

    chip = Chip(image)
    failed = 0
    try:
        chip.console.open()
        repl = RawRepl(chip.console)
        print(repl.run("import os\nprint(os.uname().machine, os.uname().version)").strip(), flush=True)
        for trial in TRIALS:
            # A soft reset between them, so that none lives on what another has left.
            repl.restart()
            try:
                print(f"{trial.__name__:8} {trial(chip, repl)}", flush=True)
            except BedsideError as error:
                failed += 1
                print(f"{trial.__name__:8} FAILED: {error}", flush=True)
    except BedsideError as error:
        print(error, file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
