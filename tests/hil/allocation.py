"""Runs on MicroPython: a whole board with traffic, the heap locked, its port in the same program."""

import sys
from array import array

import micropython

from core import layout as L
from executive import Board
from wire import cbor, frames
from wire import messages as M


class Port:
    """Encoders that follow their outputs, and a host that talks in every tick: as ports/sim.py, without pipes."""

    tick_hz = 1000

    def __init__(self, joints):
        self.counts = array("i", [0] * joints)
        self.incoming = bytearray(frames.FRAME_MAX + 2)
        self.pending = 0
        self.answers = 0
        self.now = 0

    def begin(self):
        self.now = (self.now + 1000) & 0x3FFFFFFF
        return self.now

    def count(self, channel):
        return self.counts[channel]

    def drive(self, channel, output):
        self.counts[channel] += output >> 8

    def drive_off(self, channel):
        pass

    def brake(self, channel, is_open):
        pass

    def commit(self):
        pass

    def read(self, buffer):
        n = self.pending
        self.pending = 0
        for k in range(n):
            buffer[k] = self.incoming[k]
        return n

    def write(self, buffer, n):
        self.answers += 1


JOINTS = 3
port = Port(JOINTS)
board = Board(port, "b", "u", ["a", "b", "c"])
message = array("i", [0] * cbor.ITEMS_MAX)
scratch = bytearray(frames.FRAME_MAX + 2)
seq = 0


def send(count):
    """Put ``message`` into the port's receive buffer and let the board answer."""
    global seq
    seq += 1
    message[1] = seq
    port.pending = frames.frame(scratch, cbor.encode(message, count, scratch), port.incoming)
    board.receive()


def run(ticks):
    """Tick and talk: commands, keep-alives, refused commands and damaged frames in turn."""
    for n in range(ticks):
        board.tick()
        kind = n % 20
        if kind < 4:
            message[0] = M.COMMAND
            message[2] = n + 10
            for channel in range(JOINTS):
                message[3 + 2 * channel] = board.joints[channel][L.SETPOINT] + 100
                message[4 + 2 * channel] = 20000
            if kind == 3:
                message[3] = 5000000
            send(3 + 2 * JOINTS)
        elif kind == 7:
            port.pending = 9
            board.receive()
        else:
            message[0] = M.KEEP_ALIVE
            send(2)
        if board.board[L.EVENT]:
            board._send_fault()
        if board.board[L.PHASE] == L.OFF:
            message[0] = M.STATE_COMMAND
            message[2] = n + 10
            message[3] = M.DISABLE if board.board[L.STATE] == L.FAULT else M.ENABLE
            send(4)


for channel in range(JOINTS):
    fields = (3, 0, channel, -3000000, 3000000, 3000000, 60000000, 40000000, 250000, 150000, 4096, 12, 4000, 10, 400, 9)
    for k, value in enumerate(fields + (3000, 9, 3000, 9, 16000, 32767, 2, 1, 20, 40)):
        message[k] = value
    send(26)
for k, value in enumerate((2, 0, 5000, 30000, 20)):
    message[k] = value
send(5)
run(200)
micropython.heap_lock()
try:
    run(int(sys.argv[1]))
finally:
    micropython.heap_unlock()
print(board.board[L.TICK], port.answers, board.board[L.REFUSED], board.joints[0][L.SETPOINT])
