"""The security page tells of every attack that is tried, and of no other."""

from __future__ import annotations

from attacks import table


def test_the_security_page_tells_of_every_attack_and_what_happens() -> None:
    assert table.told() == table.table(), "run 'make attacks'"


def test_every_file_of_attacks_is_in_the_table() -> None:
    own = {"test_attack_table.py", "test_harm.py"}
    assert {path.name for path in table.ATTACKS.glob("test_*.py")} - own == set(table._FILES)
