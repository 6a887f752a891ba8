"""`make attacks`: every row against running processes, a million fuzzed datagrams; then writes what the docs show.

Ends with pytest's status, and leaves the page as it is, if a row does not hold.
"""

from __future__ import annotations

import os
import subprocess
import sys

from attacks import table

_FUZZED = "1000000"


def main() -> int:
    """Run the campaign."""
    before = table.PAGE.read_text(encoding="utf-8")
    # Before the tests, one of which asks whether the page is that of now.
    table.PAGE.write_text(table.written(), encoding="utf-8")
    # What keeps to a clock has the machine to itself.
    for alone in ("not real_time", "real_time"):
        command = [sys.executable, "-m", "pytest", "-vv", "--durations=5", "-m", alone, str(table.ATTACKS)]
        if status := subprocess.call(command, env={"FUZZED_DATAGRAMS": _FUZZED, **os.environ}):
            table.PAGE.write_text(before, encoding="utf-8")
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
