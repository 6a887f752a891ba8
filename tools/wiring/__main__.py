"""`make wiring`: writes the pin tables of docs/wiring.md."""

from __future__ import annotations

import wiring

if __name__ == "__main__":
    wiring.PAGE.write_text(wiring.written(), encoding="utf-8")
    print(f"{wiring.PAGE.name} has the pin tables of the board files")
