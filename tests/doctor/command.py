"""The ``bedside`` command as a test runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedside.cli import main


class Bedside:
    """The ``bedside`` command."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.error = ""

    def __call__(self, *arguments: str | Path, status: int = 0) -> list[str]:
        """Run it; return its lines when it ended with ``status``."""
        found = main([str(argument) for argument in arguments])
        said = self._capsys.readouterr()
        self.error = said.err
        assert found == status, said
        return said.out.splitlines()
