"""Runs on the emulated Cortex-M3 with its instructions counted: a whole board of four joints in motion.

The arguments are the frames, in hexadecimal, that configure the board. Prints a name, the mean and the largest count a
line. The board runs twice: untouched, for the count of whole cycles, then with its functions counted one by one.
"""

import gc
import sys
from array import array

import mps2
from cryptolib import aes
from plain import FloatJoint, plain_decode

from blackbox import Ring

JOINTS = 4
# Before what loading leaves behind.
RING = Ring(JOINTS, 1000)

import executive
import tick
from core import layout as L
from ports import BYTES, COUNT, CURRENT, INPUTS_SIZE, OUTPUT, OUTPUTS_SIZE, SUPPLY_MV, TICK, TIME_US
from proof import Proof, cmac, subkeys
from wire import cbor, frames
from wire import messages as M

# What every joint is commanded to do, urad/s: each command leads on by what it says, as those
# of a hand in motion do, but for a tremor of 1 urad.
VELOCITY = 20000
# Encoder counts at the start, in the middle of the joints' ranges, and the first tick and sequence numbers.
START = (20000, 20000, 80000, 2000)
SEQUENCE = 100000
# Cycles until the joints follow, and those that are counted.
WARM_UP = 200
CYCLES = 300
PLAIN_CALLS = 100
KEY = bytes(range(16))
# Garbage, the counters' own included, is collected between cycles, never within a count.
COLLECT_EVERY = 5

# The host's own, which are not counted when the board's are.
frame, encode = frames.frame, cbor.encode


class Tally:
    """The mean and the largest of many counts, the first ``skip`` left out."""

    def __init__(self, name, skip=0):
        self.name = name
        self._skip = skip
        self._sum = self._largest = self._n = 0

    def add(self, count):
        """Take one count."""
        if self._skip > 0:
            self._skip -= 1
            return
        self._sum += count
        self._largest = max(self._largest, count)
        self._n += 1

    def show(self):
        """Print them."""
        print(self.name, self._sum // self._n, self._largest)


class Done(Exception):
    """Enough cycles were counted."""


class Bench:
    """A port whose encoders follow its outputs, and the host that commands its board in every tick."""

    tick_hz = 1000

    def __init__(self, configuration, on_cycle):
        self.inputs = array("i", [0] * INPUTS_SIZE)
        self.outputs = array("i", [0] * OUTPUTS_SIZE)
        self.inputs[SUPPLY_MV] = 24000
        for channel in range(JOINTS):
            self.inputs[COUNT + channel] = START[channel]
        self.board = executive.Board(self, "m3", "m3", ["a", "b", "c", "d"], RING, Proof([]))
        # Long numbers, as after minutes of work.
        self.board.board[L.TICK] = SEQUENCE
        self.frame = bytearray(frames.FRAME_MAX + 2)
        self.size = 0
        self._configuration = []
        self._on_cycle = on_cycle
        self._cycle = self._begun = self._ended = 0
        self._message = array("i", [0] * (3 + 2 * JOINTS))
        # The first time each name is looked up the long way.
        self._own_instructions()
        self._own = self._own_instructions()
        self._configuration += configuration

    def _own_instructions(self):
        """Return what the port's own methods take in a cycle: another port takes another time."""
        mps2.call(self.wait)
        own = mps2.took() - (self._begun - self._ended)
        for function, arguments in ((self.begin, ()), (self.commit, ()), (self.feed, ()), (self.read, (self.frame,))):
            mps2.call(function, *arguments)
            own += mps2.took()
        mps2.call(self.write, self.frame, 0)
        self._cycle = 0
        return own + mps2.took()

    def run(self):
        """Run the board until all cycles have passed."""
        try:
            self.board.run()
        except Done:
            pass

    def wait(self):
        """End a cycle and prepare the next one: what happens between two calls is the board's doing."""
        self._ended = mps2.instructions()
        if self._cycle:
            self._on_cycle(((self._ended - self._begun) & 0x3FFFFFFF) - self._own)
        self._cycle += 1
        if self._cycle == WARM_UP + CYCLES:
            if not self.board.board[L.MOVING]:
                raise RuntimeError("the board does not move, so its counts mean nothing")
            raise Done
        self.inputs[TIME_US] = 1000 * self._cycle
        for channel in range(JOINTS):
            self.inputs[COUNT + channel] += self.outputs[OUTPUT + channel] >> 8
            self.inputs[CURRENT + channel] = self.outputs[OUTPUT + channel] >> 5
        if self._configuration:
            self.size = len(self._configuration[0])
            self.frame[: self.size] = self._configuration.pop(0)
        else:
            self._command()
        self.board._chunk[: self.size] = memoryview(self.frame)[: self.size]
        if self._cycle % COLLECT_EVERY == 0:
            gc.collect()
        self._begun = mps2.instructions()
        return BYTES | TICK

    def _command(self):
        message = self._message
        message[1] = message[2] = SEQUENCE + self._cycle
        count = 3 + 2 * JOINTS
        message[0] = M.COMMAND
        for channel in range(JOINTS):
            message[3 + 2 * channel] = self.board.joints[channel][L.SETPOINT] + VELOCITY // 1000 + self._cycle % 3 - 1
            message[4 + 2 * channel] = VELOCITY
        if self.board.board[L.PHASE] == L.OFF:
            message[0] = M.STATE_COMMAND
            message[3] = M.ENABLE
            count = 4
        self.size = frame(self.frame, frames.CRC, encode(self.frame, message, count))

    def begin(self):
        """Do nothing: ``wait`` has set the inputs."""

    commit = feed = begin

    def read(self, buffer):
        """Tell how long the host's frame is, which ``wait`` has put into the board's buffer."""
        return self.size

    def write(self, buffer, n):
        """Take the answer."""


# ---- the parts of a cycle --------------------------------------------------------------------


def counted(function, add):
    """Return ``function``, the count of each call given to ``add``."""

    def call(*arguments):
        result = mps2.call(function, *arguments)
        add(mps2.took())
        return result

    return call


class Part:
    """Functions of the board whose counts are summed over each cycle."""

    def __init__(self, name, *places):
        self.tally = Tally(name, WARM_UP)
        self._sum = 0
        for module, function in places:
            setattr(module, function, counted(getattr(module, function), self._add))

    def _add(self, count):
        self._sum += count

    def end_cycle(self):
        """Give the cycle's sum to the tally."""
        self.tally.add(self._sum)
        self._sum = 0


def count_cycles(configuration):
    """Count whole cycles: take a command, answer it, tick."""
    cycle = Tally("four_joint_cycle", WARM_UP)
    Bench(configuration, cycle.add).run()
    cycle.show()


def count_parts(configuration):
    """Count the parts of the same cycles, and the same work in plain Python."""
    joint_tick = Tally("joint_tick", WARM_UP)
    tick.tick_joints = counted(tick.tick_joints, lambda count: joint_tick.add(count // JOINTS))
    parts = [
        Part("command_decode", (executive, "unframe"), (executive, "decode"), (executive, "fault_in")),
        Part("command_check_and_plan", (executive, "take"), (tick, "plan")),
        Part("safety", *((tick, name) for name in ("watch", "step", "actuate"))),
        Part("feedback_encode", (executive, "report"), (executive, "encode"), (executive, "frame")),
    ]

    def end_cycle(count):
        for part in parts:
            part.end_cycle()

    bench = Bench(configuration, end_cycle)
    bench.run()
    joint_tick.show()
    for part in parts:
        part.tally.show()

    floats = Tally("joint_tick_plain_float", 1)
    float_tick = counted(FloatJoint().tick, floats.add)
    for k in range(PLAIN_CALLS):
        if k % COLLECT_EVERY == 0:
            gc.collect()
        float_tick(k)
    floats.show()
    plain = Tally("command_decode_plain", 1)
    block = bytes(bench.frame[: bench.size - 1])
    decode = counted(plain_decode, plain.add)
    for _ in range(3):
        decode(block)
    plain.show()


def count_proof():
    """Count what an accepted token takes, and the witness that answers it, of a board of as many joints."""
    proof = Proof([KEY])
    # The same numbers at each run.
    proof._nonce[:] = array("i", [0x12345678, 0x3456789A])
    records = array("i", [0] * (L.BOARD_SIZE + JOINTS * L.JOINT_SIZE))
    records[L.JOINTS], records[L.PROOF_MAX_AGE] = JOINTS, 500
    message = array("i", [M.PROVE, 0, proof.ids[0], 0, 0, 0, 0, 0, 0])
    reply = array("i", [0] * (M.WITNESS_HEAD + JOINTS))
    cipher, block, mac = aes(KEY, 1), bytearray(16), bytearray(16)
    check, witness, aes_block = Tally("proof_check", 1), Tally("witness", 1), Tally("aes_block", 1)
    for n in range(PLAIN_CALLS):
        records[L.TICK] = message[3] = SEQUENCE + n
        message[4] = SEQUENCE + n
        words = (proof._nonce[0], proof._nonce[1], message[3], message[4])
        cmac(cipher, subkeys(cipher), b"".join([word.to_bytes(4, "big") for word in words]), 16, block, mac)
        for k in range(4):
            message[5 + k] = int.from_bytes(mac[4 * k : 4 * k + 4], "big") - (mac[4 * k] >> 7 << 32)
        gc.collect()
        if mps2.call(proof.take, records, message, 0):
            raise RuntimeError("the token is refused, so its count means nothing")
        check.add(mps2.took())
        mps2.call(proof.report, records, reply, 0)
        witness.add(mps2.took())
        mps2.call(cipher.encrypt, block, mac)
        aes_block.add(mps2.took())
    for tally in (check, witness, aes_block):
        tally.show()


if __name__ == "__main__":
    gc.disable()
    frames_given = [bytes.fromhex(text) for text in sys.argv[1:]]
    # What compiling has left behind.
    gc.collect()
    count_cycles(frames_given)
    # The first board's black box.
    gc.collect()
    count_parts(frames_given)
    gc.collect()
    count_proof()
