"""``python -m cortex_m3.missing``: says what is skipped because there is no emulator; fails where there is one."""

from __future__ import annotations

import sys

from cortex_m3.board import available

if __name__ == "__main__":
    if missing := available():
        print(f"skipped, the suite on the emulated Cortex-M3: {missing}")
    sys.exit(not missing)
