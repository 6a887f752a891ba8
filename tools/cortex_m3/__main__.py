"""``python -m cortex_m3 [SCRIPT [ARGUMENT...]]``: run a script on the emulated Cortex-M3, or serve its REPL."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path

from cortex_m3 import board


def main(script: str = "", *arguments: str) -> int:
    """Return the script's status, or serve the REPL until Ctrl-C."""
    if missing := board.available():
        print(missing, file=sys.stderr)
        return 1
    if not script:
        with board.serve() as url, contextlib.suppress(KeyboardInterrupt):
            print(f"REPL: mpremote connect {url}", flush=True)
            while True:
                time.sleep(1)
        return 0
    try:
        sys.stdout.buffer.write(board.run(Path(script), *arguments, icount=True, timeout=600))
    except subprocess.CalledProcessError as failed:
        sys.stdout.buffer.write(failed.stdout)
        return failed.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
