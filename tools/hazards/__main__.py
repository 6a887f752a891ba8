"""``make hazards``: writes the tables of docs/hazards.md."""

from __future__ import annotations

from hazards import table
from hazards.collect import tests_by_requirement


def main() -> None:
    """Write them."""
    table.PAGE.write_text(table.written(tests_by_requirement()), encoding="utf-8")
    print(f"{table.PAGE.name} is that of now")


if __name__ == "__main__":
    main()
