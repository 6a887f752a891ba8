"""Runs on MicroPython in main.py's place: the firmware, in which something breaks once the wrist moves."""

import gc
import os
import sys

import executive
from core import layout as L

KIND = os.getenv("SABOTAGE")
Board = executive.Board


def moving(board):
    return board.name == "psm1-wrist" and board.board[L.PHASE] == L.RUN and board.board[L.MOVING]


class Sabotaged(Board):
    """A board that breaks in the way that SABOTAGE names."""

    def __init__(self, *arguments):
        Sabotaged.last = self
        super().__init__(*arguments)

    def tick(self):
        if KIND in ("tick", "repl") and moving(self):
            raise ValueError("an exception in the tick")
        super().tick()

    def receive(self):
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
        super().receive()

    def run(self):
        if KIND in ("dead background", "dead timer"):
            while not moving(self):
                self.polls += 1
                due = self.port.wait()
                if due & 2:
                    self.receive()
                if due & 1:
                    self.tick()
                self._feed()
            while True:
                if self.port.wait() & 1:
                    if KIND == "dead background":
                        self.tick()
                    else:
                        self.polls += 1
                        self.port.begin()
                        self.port.commit()
                self._feed()
        super().run()


executive.Board = Sabotaged
try:
    import main  # noqa: F401
except ValueError:
    if KIND != "repl":
        raise
    # A real board falls to its REPL, and its hardware goes on with what it was told last.
    port = Sabotaged.last.port
    while True:
        if port.wait() & 1:
            port.begin()
            port.commit()
