"""The raw REPL's writer against MicroPython's own REPL, that of the unix port on a pseudo-terminal."""

from __future__ import annotations

import os
import select
import subprocess
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedside.sim.board import interpreter
from rp2040.repl import RawRepl, ReplError


class Pty:
    """The host's end of a pseudo-terminal; it reads and writes as a pyserial port does."""

    def __init__(self, descriptor: int) -> None:
        self.timeout: float | None = None
        self._descriptor = descriptor

    def write(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def read_until(self, expected: bytes = b"\n") -> bytes:
        end = time.monotonic() + (self.timeout or 0)
        came = b""
        while not came.endswith(expected):
            if not select.select([self._descriptor], [], [], max(0, end - time.monotonic()))[0]:
                break
            came += os.read(self._descriptor, 1)
        return came


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[Pty]:
    """A terminal with a MicroPython at its other end, whose files are in ``tmp_path``."""
    host, board = os.openpty()
    tty.setraw(board)
    process = subprocess.Popen([interpreter()], stdin=board, stdout=board, stderr=board, cwd=tmp_path)
    os.close(board)
    try:
        yield Pty(host)
    finally:
        process.kill()
        process.wait()
        os.close(host)


def test_what_a_program_prints_comes_back(pty: Pty) -> None:
    repl = RawRepl(pty)
    assert repl.run("x = 6\nprint(x * 7)\nprint('two')") == "42\ntwo\n"
    assert repl.run("print(x)") == "6\n"


def test_what_a_program_raises_comes_with_its_traceback(pty: Pty) -> None:
    repl = RawRepl(pty)
    with pytest.raises(ReplError, match=r"on the board:\nTraceback(.|\n)*ZeroDivisionError"):
        repl.run("print(1)\n1 / 0")
    assert repl.run("print(2)") == "2\n"


def test_files_arrive_byte_for_byte_in_folders_that_were_missing(pty: Pty, tmp_path: Path) -> None:
    repl = RawRepl(pty)
    data = bytes(range(256)) * 5 + b"end"
    repl.put("a/b/file.mpy", data)
    repl.put("a/empty", b"")
    assert (tmp_path / "a" / "b" / "file.mpy").read_bytes() == data
    assert (tmp_path / "a" / "empty").read_bytes() == b""


def test_a_program_that_does_not_end_is_told(pty: Pty) -> None:
    repl = RawRepl(pty)
    with pytest.raises(ReplError, match=r"the program has not ended within 0\.2 s"):
        repl.run("while True: pass", 0.2)


def test_a_line_on_which_nothing_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rp2040.repl._ANSWER", 0.01)
    host, board = os.openpty()
    tty.setraw(board)
    try:
        with pytest.raises(ReplError, match="no raw REPL"):
            RawRepl(Pty(host))
    finally:
        os.close(host)
        os.close(board)
