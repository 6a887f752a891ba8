"""Runs on MicroPython: a whole board with traffic, the heap locked, its port in the same program."""

import sys
from array import array

import micropython

from blackbox import Ring

# Before what loading leaves behind.
RING = Ring(3, 1000)

from core import layout as L
from executive import Board
from ports import BYTES, COUNT, CURRENT, INPUTS_SIZE, OUTPUT, OUTPUTS_SIZE, SUPPLY_MV, TICK, TIME_US
from proof import Proof
from wire import cbor, frames
from wire import messages as M


class Done(Exception):
    """Enough ticks have passed."""


class Port:
    """Encoders that follow their outputs, and a host that talks in every tick: as ports/sim.py, without pipes."""

    tick_hz = 1000

    def __init__(self):
        self.inputs = array("i", [0] * INPUTS_SIZE)
        self.outputs = array("i", [0] * OUTPUTS_SIZE)
        self.inputs[SUPPLY_MV] = 24000
        self.incoming = bytearray(frames.FRAME_MAX + 2)
        self.pending = 0
        self.answers = 0
        self.ticks = 0
        self.feeds = 0

    def wait(self):
        """Let the host talk; every tick brings bytes."""
        self.ticks += 1
        if self.ticks == WARM_UP:
            micropython.heap_lock()
        if self.ticks > WARM_UP + TICKS:
            micropython.heap_unlock()
            raise Done
        talk(self.ticks)
        return TICK | BYTES

    def begin(self):
        self.inputs[TIME_US] = (self.inputs[TIME_US] + 1000) & 0x3FFFFFFF
        for channel in range(JOINTS):
            self.inputs[COUNT + channel] += self.outputs[OUTPUT + channel] >> 8
            self.inputs[CURRENT + channel] = self.outputs[OUTPUT + channel] >> 5

    def commit(self):
        pass

    def feed(self):
        self.feeds += 1

    def read(self, buffer):
        n = self.pending
        self.pending = 0
        for k in range(n):
            buffer[k] = self.incoming[k]
        return n

    def write(self, buffer, n):
        self.answers += 1


JOINTS = 3
WARM_UP = 200
TICKS = int(sys.argv[1])
port = Port()
board = Board(port, "b", "u", ["a", "b", "c"], RING, Proof([]))
message = array("i", [0] * cbor.ITEMS_MAX)
seq = 0


def send(count):
    """Put ``message`` where the port's next read takes it from."""
    global seq
    seq += 1
    message[1] = seq
    port.pending = frames.frame(port.incoming, frames.CRC, cbor.encode(port.incoming, message, count))


def talk(n):
    """Say what the host says before tick ``n``: commands, keep-alives, refused commands and damaged frames in turn.

    Now and then the last joint goes on homing instead.
    """
    if configuration:
        port.pending = len(configuration[-1])
        port.incoming[: port.pending] = configuration.pop()
        return
    kind = n % 20
    phase = board.board[L.PHASE]
    if phase == L.OFF or n % 5000 == 0:
        message[0] = M.STATE_COMMAND
        message[2] = n + 11
        message[3] = M.ENABLE
        if phase != L.OFF:
            message[3] = M.PAUSE if n % 10000 else M.STOP
        elif board.board[L.STATE] == L.FAULT:
            message[3] = M.DISABLE
        send(4)
    elif kind < 4 and n % 1000 > 700:
        message[0] = M.HOME
        message[2] = n + 10
        message[3] = JOINTS - 1
        send(4)
    elif kind < 4:
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
    else:
        message[0] = M.KEEP_ALIVE
        send(2)


configuration = []
joint = (-3000000, 3000000, 3000000, 60000000, 40000000, 250000, 150000, 4096, 12, 4000, 10, 400, 9, 3000, 9, 3000, 9)
joint += (16000, 32767, 2, 1, 100, 3000, 2000, 4096, 14, 1000000, 16000, 500, 9000, 32000, 50000, 50000, 50000, 4000000)
joint += (100, 20, 40)
for channel in range(JOINTS):
    for k, value in enumerate((3, 0, channel) + joint):
        message[k] = value
    send(3 + len(joint))
    configuration.append(bytes(port.incoming[: port.pending]))
    method = L.HOME_END_STOP if channel == JOINTS - 1 else L.HOME_ABSOLUTE
    for k, value in enumerate((11, 0, channel, method, 3100000, 2900000, 100000, 8000, 0, 0, 0, 1)):
        message[k] = value
    send(12)
    configuration.append(bytes(port.incoming[: port.pending]))
for k, value in enumerate((2, 0, 5000, 30000, 30000, 20, 20000, 28000, 500, 0, 0, 500000)):
    message[k] = value
send(12)
configuration.append(bytes(port.incoming[: port.pending]))
configuration.reverse()
port.pending = 0
try:
    board.run()
except Done:
    pass
print(board.board[L.TICK], port.answers, board.board[L.REFUSED], board.joints[0][L.SETPOINT], port.feeds)
