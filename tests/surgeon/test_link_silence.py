"""When a console gives its bridge up."""

from __future__ import annotations

import time

import pytest

from bedside.errors import SurgeonError
from bedside.surgeon import protocol
from bedside.surgeon.link import Link
from bedside.surgeon.sessions import GONE_US


class Dead:
    """A line on which nothing comes."""

    where = "nowhere"

    def fileno(self) -> int:
        return -1

    def timeout_s(self) -> float | None:
        return None

    def receive(self) -> list[bytes]:
        return []

    def send(self, message: bytes) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_console_bears_silence_as_long_as_its_bridge_does(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(Dead(), 200.0)
    link.welcome = protocol.Welcome(1, "psm1", "alice", "surgeon", 200.0, 100.0, [], [])
    begun = link.heard_s
    monkeypatch.setattr(time, "monotonic", lambda: begun + GONE_US / 1e6 - 0.1)
    assert link.receive() == []
    monkeypatch.setattr(time, "monotonic", lambda: begun + GONE_US / 1e6 + 0.1)
    with pytest.raises(SurgeonError, match="nothing comes from a bridge at nowhere"):
        link.receive()
