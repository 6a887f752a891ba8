"""Programs that do not say what they should, or nothing."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest

from bedside.flash import program


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "talker.py").write_text("print('one')\nprint('ä', flush=True)\nimport time\ntime.sleep(60)\n")
    (tmp_path / "failer.py").write_text("import sys\nprint('so')\nsys.exit('no such thing')\n")


def test_lines_come_when_they_are_made_and_its_end_ends_the_program() -> None:
    begun = time.monotonic()
    with contextlib.closing(program.lines("talker", [])) as lines:
        assert [next(lines), next(lines)] == ["one", "ä"]
    assert time.monotonic() - begun < 30


def test_what_a_program_said_before_it_failed_is_kept() -> None:
    with pytest.raises(program.ProgramError) as failed:
        list(program.lines("failer", []))
    assert failed.value.said == ["so", "no such thing"]
    assert failed.value.status == 1


def test_a_program_that_falls_silent_is_ended() -> None:
    with pytest.raises(program.ProgramError) as failed:
        list(program.lines("talker", [], patience_s=1))
    assert failed.value.status < 0


def test_a_module_that_lies_in_the_working_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "received"
    folder.mkdir()
    (folder / "talker.py").write_text("print('something else')\n")
    monkeypatch.chdir(folder)
    with contextlib.closing(program.lines("talker", [])) as lines:
        assert next(lines) == "one"
