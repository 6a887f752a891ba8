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
    status = subprocess.call(
        [sys.executable, "-m", "pytest", "-v", "--durations=5", str(table.ATTACKS)],
        env={"FUZZED_DATAGRAMS": _FUZZED, **os.environ},
    )
    if status == 0:
        table.PAGE.write_text(table.written(), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
