"""The command as a shell runs it: what it writes to may be gone or full."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from bedside import cli

# What is written at once, where Python has a buffer and where it has none; and what stays in it until the end.
OUTPUTS = pytest.mark.parametrize(("command", "unbuffered"), [("boards", ""), ("boards", "1"), ("--help", "")])


def run(command: str, unbuffered: str, stdout: IO[bytes]) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    program = [sys.executable, "-m", "bedside.cli", command]
    done = subprocess.run(program, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, env=environment)
    return done.returncode, done.stderr


@OUTPUTS
def test_a_reader_that_has_gone_needs_no_words(command: str, unbuffered: str) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    with os.fdopen(theirs, "wb") as nobody:
        assert run(command, unbuffered, nobody) == (1, "")


@OUTPUTS
def test_a_full_disk_is_one_line(command: str, unbuffered: str) -> None:
    with Path("/dev/full").open("wb") as full:
        said = "bedside: its output cannot be written, the disk is full; make room\n"
        assert run(command, unbuffered, full) == (1, said)


def test_who_interrupts_is_told_what_that_has_left_behind(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: argparse.Namespace) -> None:
        interruption = KeyboardInterrupt()
        interruption.add_note("the board has no firmware now")
        raise interruption

    parser = argparse.ArgumentParser()
    parser.set_defaults(run=interrupt, command="flash")
    monkeypatch.setattr(cli, "_parser", lambda: parser)
    assert cli.main([]) == 130
    assert capsys.readouterr().err == "bedside flash: the board has no firmware now\n"
