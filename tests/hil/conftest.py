"""Which tests apply: all to the simulated arm, those in lockstep to another chip too, those of any board to a port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from live import LiveBench
from lockstep import BoardBench


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not apply to the board that was asked for."""
    if config.getoption("--port"):
        applies = [item for item in items if item.path.name == "test_any_board.py"]
    elif config.getoption("--chip") != "unix":
        # An emulated chip is slow, so what it would only show again is left to the unix port.
        applies = [
            item
            for item in items
            if _needs(item, "chip", "world", "bench") and not item.get_closest_marker("any_chip_alike")
        ]
    else:
        return
    config.hook.pytest_deselected(items=[item for item in items if item not in applies])
    items[:] = applies


def _needs(item: pytest.Item, *fixtures: str) -> bool:
    mine = Path(__file__).parent in item.path.parents
    return mine and not set(fixtures).isdisjoint(getattr(item, "fixturenames", ()))


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[BoardBench]:
    """Any board, configured and off: the simulated wrist in virtual time, or the one behind --port as it is."""
    port = request.config.getoption("--port")
    if not port:
        yield request.getfixturevalue("wrist")
        return
    live = LiveBench(port, request.config.getoption("--baud"))
    try:
        live.recover()
        live.configure()
        yield live
    finally:
        live.recover()
        live.link.port.close()
