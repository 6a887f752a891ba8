"""Runs on MicroPython in main.py's place: the firmware, in which something breaks when a switch says so."""

import gc
import os
import sys

import blackbox

# Before what loading leaves behind, as main.py does it.
RING = blackbox.Ring(3, 1000)
blackbox.Ring = lambda *_: RING

import executive
from ports import SWITCHES, TICK

KIND = os.getenv("SABOTAGE")
Board = executive.Board


# The switch, beside those of ports/__init__.py, with which the simulator says when.
NOW = 8


def is_time(board):
    """Return whether it shall break now."""
    return board.port.inputs[SWITCHES] & NOW


class Sabotaged(Board):
    """A board that breaks in the way that SABOTAGE names: where its tick begins, or where its background reads."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        Sabotaged.last = self
        port = self.port
        self.wait, self.begin, self.read = port.wait, port.begin, port.read
        port.wait, port.begin, port.read = self.broken_wait, self.broken_begin, self.broken_read

    def broken_wait(self):
        """Wait, and keep ticks back when the timer is dead."""
        due = self.wait()
        if KIND == "dead timer" and due & TICK and is_time(self):
            # The harness goes on, and nobody hears of it.
            self.begin()
            self.port.commit()
            due &= ~TICK
        return due

    def broken_begin(self):
        """Begin a tick, or break in it."""
        if KIND in ("tick", "repl") and is_time(self):
            raise ValueError("an exception in the tick")
        self.begin()

    def broken_read(self, buffer):
        """Read, or break in the background."""
        if is_time(self):
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
    import main

    main.main(*sys.argv[1:])
except ValueError:
    if KIND != "repl":
        raise
    # A real board falls to its REPL, and its hardware goes on with what it was told last.
    board = Sabotaged.last
    while True:
        if board.wait() & TICK:
            board.begin()
            board.port.commit()
