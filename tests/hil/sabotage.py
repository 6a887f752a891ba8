"""Runs on MicroPython in main.py's place: the firmware, in which something breaks once the wrist moves."""

import gc
import os
import sys

import executive
from core import layout as L
from ports import TICK

KIND = os.getenv("SABOTAGE")
Board = executive.Board


def moving(board):
    return board.name == "psm1-wrist" and board.board[L.PHASE] == L.RUN and board.board[L.MOVING]


class Sabotaged(Board):
    """A board that breaks in the way that SABOTAGE names: where its tick begins, or where its background reads."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Sabotaged.last = self
        port = self.port
        self.wait, self.begin, self.read = port.wait, port.begin, port.read
        port.wait, port.begin, port.read = self.broken_wait, self.broken_begin, self.broken_read

    def broken_wait(self):
        due = self.wait()
        if KIND == "dead timer" and due & TICK and moving(self):
            # The harness goes on, and nobody hears of it.
            self.begin()
            self.port.commit()
            due &= ~TICK
        return due

    def broken_begin(self):
        if KIND in ("tick", "repl") and moving(self):
            raise ValueError("an exception in the tick")
        self.begin()

    def broken_read(self, buffer):
        if moving(self):
            if KIND == "background":
                raise KeyError("an exception in the background")
            if KIND == "memory":
                hoard = []
                while True:
                    hoard.append(bytearray(1000))
            if KIND == "exit":
                sys.exit(3)
            if KIND == "hang":
                while True:
                    pass
            if KIND == "collections":
                for _ in range(20):
                    gc.collect()
            if KIND == "dead background":
                # On a board whose tick is a timer's interrupt, which goes on.
                while True:
                    if self.wait() & TICK:
                        self.tick()
        return self.read(buffer)


executive.Board = Sabotaged
try:
    import main  # noqa: F401
except ValueError:
    if KIND != "repl":
        raise
    # A real board falls to its REPL, and its hardware goes on with what it was told last.
    board = Sabotaged.last
    while True:
        if board.wait() & TICK:
            board.begin()
            board.port.commit()
