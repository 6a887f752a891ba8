from __future__ import annotations

from pathlib import Path

import pytest

from bedside.bridge.status import StatusFeed


def test_a_module_that_lies_in_the_working_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('something else')\n")
    monkeypatch.chdir(tmp_path)
    feed = StatusFeed(["base"], ["rad"])
    feed.tell("all is well")
    feed.close()
    assert "something else" not in capfd.readouterr().err
