"""Fixtures: a theatre that rows share, because each leaves an arm that can be moved again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from theatre import Theatre


@pytest.fixture(scope="session")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """One arm for all rows."""
    directory: Path = tmp_path_factory.mktemp("t")
    interval = sys.getswitchinterval()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BEDSIDE_SIM", str(directory))
        patch.setenv("BEDSIDE_RUN", str(directory))
        patch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
        # The boards' world is a thread of this process; an attack must not keep it from its tick.
        sys.setswitchinterval(0.0005)
        theatre = Theatre(directory)
        yield theatre
        theatre.close()
        sys.setswitchinterval(interval)
