"""Runs a program of this Python's, esptool or mpremote, and hears what it says while it says it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator, Sequence


class ProgramError(Exception):
    """A program has failed: all that it ``said``, by lines, and its exit ``status``, negative if it was ended."""

    def __init__(self, said: list[str], status: int) -> None:
        super().__init__(f"status {status}")
        self.said = said
        self.status = status


def lines(module: str, arguments: Sequence[str], patience_s: float = 0.0) -> Generator[str]:
    """Run ``python -m module`` and yield its lines, of both streams; it is ended with this generator.

    With ``patience_s`` it is ended, too, when it says nothing for so many seconds. Raises ProgramError when it fails.
    """
    said: list[str] = []
    # In UTF-8, or a progress bar is an error where the locale has none; unbuffered, so that lines come when they are
    # made; colours are for terminals.
    settings = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "NO_COLOR": "1"}
    program = subprocess.Popen(
        # Without -P a file of that name in the working folder is run instead, whoever put it there.
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env=settings,
    )
    assert program.stdout
    patience = _patience(program, patience_s)
    try:
        for line in program.stdout:
            patience.cancel()
            said.append(line.rstrip())
            yield said[-1]
            patience = _patience(program, patience_s)
        patience.cancel()
        status = program.wait()
    finally:
        patience.cancel()
        if program.poll() is None:
            program.terminate()
        program.stdout.close()
        program.wait()
    if status:
        raise ProgramError(said, status)


def _patience(program: subprocess.Popen[str], seconds: float) -> threading.Timer:
    """End ``program`` after ``seconds``, unless what is returned is cancelled."""
    timer = threading.Timer(seconds, program.kill)
    timer.daemon = True
    if seconds:
        timer.start()
    return timer
