"""Runs on MicroPython: a whole board with traffic and keys, the heap locked, its port in the same program."""

import sys
from array import array

import micropython
from cryptolib import aes
from micropython import const

from blackbox import Ring

# Before what loading leaves behind.
RING = Ring(3, 1000)

from core import layout as L
from executive import Board
from ports import BYTES, COUNT, CURRENT, INPUTS_SIZE, OUTPUT, OUTPUTS_SIZE, SUPPLY_MV, TICK, TIME_US
from proof import Proof, cmac, subkeys
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
        self.renews = False

    def wait(self):
        """Let the host talk; every tick brings bytes."""
        self.ticks += 1
        if self.ticks == WARM_UP or self.renews:
            self.renews = False
            micropython.heap_lock()
        if self.ticks > WARM_UP + TICKS:
            micropython.heap_unlock()
            raise Done
        talk(self.ticks)
        if board.board[L.PHASE] == L.OFF and board._proof.is_used and self.ticks > WARM_UP:
            # A board that is off may allocate: it makes a nonce.
            self.renews = True
            micropython.heap_unlock()
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
KEY = bytes(range(16))
WARM_UP = 200
# Of twenty messages.
PROOF = const(9)
SPOILT = const(11)
STRANGE = const(13)
TICKS = int(sys.argv[1])
port = Port()
board = Board(port, "b", "u", ["a", "b", "c"], RING, Proof([bytes(16), KEY]))
cipher = aes(KEY, 1)
keys = subkeys(cipher)
data, block, mac = bytearray(16), bytearray(16), bytearray(16)
message = array("i", [0] * cbor.ITEMS_MAX)
seq = 0


def send(count):
    """Put ``message`` where the port's next read takes it from."""
    global seq
    seq += 1
    message[1] = seq
    port.pending = frames.frame(port.incoming, frames.CRC, cbor.encode(port.incoming, message, count))


@micropython.viper
def sign(message: ptr32, ids: ptr32, nonce: ptr32, data: ptr8):  # noqa: F821
    """Name the second key in the prove ``message``, and write what is to be signed to ``data``."""
    # In viper, because long integers are allocated.
    message[2] = ids[1]
    k = 0
    while k < 4:
        word = nonce[k & 1]
        if k > 1:
            word = message[k + 1]
        i = 0
        while i < 4:
            data[4 * k + i] = word >> (24 - 8 * i)
            i += 1
        k += 1


@micropython.viper
def attach(message: ptr32, mac: ptr8):  # noqa: F821
    """Append ``mac`` to the prove ``message``."""
    k = 0
    while k < 4:
        message[5 + k] = (mac[4 * k] << 24) | (mac[4 * k + 1] << 16) | (mac[4 * k + 2] << 8) | mac[4 * k + 3]
        k += 1


def prove(n, kind):
    """Send a token: sound, with a wrong MAC, or of a key that the board does not have."""
    message[0] = M.PROVE
    message[3] = board.board[L.TICK]
    message[4] = n
    sign(message, board._proof.ids, board._proof._nonce, data)
    cmac(cipher, keys, data, 16, block, mac)
    if kind == SPOILT:
        mac[0] ^= 1
    attach(message, mac)
    if kind == STRANGE:
        message[2] = 7
    send(9)


def talk(n):
    """Say what the host says before tick ``n``: commands, proofs, refused ones, keep-alives, damaged frames in turn.

    Now and then the last joint goes on homing instead.
    """
    if configuration:
        port.pending = len(configuration[-1])
        port.incoming[: port.pending] = configuration.pop()
        return
    kind = n % 20
    phase = board.board[L.PHASE]
    if kind in (PROOF, SPOILT, STRANGE):
        prove(n, kind)
    elif phase == L.OFF or n % 5000 == 0:
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
for k, value in enumerate((2, 0, 5000, 30000, 30000, 20, 20000, 28000, 500, 0, 0, 100000)):
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
