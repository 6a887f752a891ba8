"""Runs on MicroPython: gives a whole board a line's bytes in the pieces that standard input says.

Input: for each trial the number of pieces (two bytes), then each piece behind its length (two bytes). Output: for each
trial the number of answers, of refusals, and the last link sequence, as 32-bit words.
"""

import sys
from array import array

from blackbox import Ring
from core import layout as L
from executive import Board
from ports import BYTES, INPUTS_SIZE, OUTPUTS_SIZE, TICK
from proof import Proof

source = sys.stdin.buffer


def number():
    return int.from_bytes(source.read(2), "big")


class Port:
    """A port of which only the link is used; a tick follows each piece, so that every refusal is told."""

    tick_hz = 1000

    def __init__(self, pieces):
        self.inputs = array("i", [0] * INPUTS_SIZE)
        self.outputs = array("i", [0] * OUTPUTS_SIZE)
        self.pieces = pieces
        self.answers = 0

    def wait(self):
        if not self.pieces:
            raise EOFError
        return BYTES | TICK

    def begin(self):
        pass

    commit = feed = begin

    def read(self, buffer):
        piece = source.read(number())
        self.pieces -= 1
        buffer[: len(piece)] = piece
        return len(piece)

    def write(self, buffer, n):
        self.answers += 1


out = array("i", [0, 0, 0])
while True:
    trial = source.read(2)
    if not trial:
        break
    port = Port(int.from_bytes(trial, "big"))
    board = Board(port, "b", "u", ["a"], Ring(1, port.tick_hz), Proof([]))
    try:
        board.run()
    except EOFError:
        pass
    out[0], out[1], out[2] = port.answers, board.board[L.REFUSED], board.board[L.LINK_SEQ]
    sys.stdout.buffer.write(out)
