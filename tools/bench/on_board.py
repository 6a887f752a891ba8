"""Runs on MicroPython: the joint tick and the frame decoder against plain Python that does the same. Prints ns each."""

import time
from array import array

from plain import FloatJoint, plain_decode

from core import layout as L
from core.joint import tick_joints
from core.profile import plan
from ports import COUNT, INPUTS_SIZE
from wire import cbor, frames
from wire import messages as M

REPEATS = 500
ROUNDS = 15


def _median(function):
    """Return the nanoseconds of one repeat, the median of rounds."""
    times = []
    for _ in range(ROUNDS):
        begun = time.ticks_us()
        function(REPEATS)
        times.append(time.ticks_diff(time.ticks_us(), begun))
    return sorted(times)[ROUNDS // 2] * 1000 // REPEATS


# ---- the joint tick ------------------------------------------------------------------------

records = array("i", [0] * (L.BOARD_SIZE + L.JOINT_SIZE))
records[L.JOINTS], records[L.COMMAND_PERIOD], records[L.MODE] = 1, 5, L.FOLLOW
joint = memoryview(records)[L.BOARD_SIZE :]
joint[L.CONFIGURED] = 1
joint[L.POSITION_MIN], joint[L.POSITION_MAX] = -1600000, 1600000
joint[L.SPEED_MAX], joint[L.ACCELERATION], joint[L.STOP_DECELERATION] = 3000 << 8, 40 << 8, 20 << 8
joint[L.FOLLOWING_MAX], joint[L.COUNT_SCALE], joint[L.COUNT_SHIFT] = 100000, 32768, 12
for _field in (L.KP, L.KI, L.KD, L.KV):
    joint[_field], joint[_field + 1] = 4000, 12
joint[L.INTEGRAL_MAX], joint[L.OUTPUT_MAX], joint[L.FILTER_SHIFT], joint[L.DRIVE_SIGN] = 10000, 32767, 2, 1
joint[L.SLEW], joint[L.STEPS_MAX], joint[L.OVERSPEED_MAX] = 6554, 1127, 4000 << 8
joint[L.CURRENT_MAX], joint[L.CURRENT_SCALE], joint[L.CURRENT_SHIFT], joint[L.HEAT_MAX] = 1400, 6991, 14, 9102222
joint[L.OUTPUT_CONTINUOUS], joint[L.STUCK_OUTPUT], joint[L.STUCK_MAX] = 1475, 32767, 15
joint[L.STANDSTILL_MAX], joint[L.SLIP_MAX] = 10000, 10000
inputs = array("i", [0] * INPUTS_SIZE)
float_joint = FloatJoint()
joint[L.COMMAND], joint[L.COMMAND_SPEED] = 512, 256


def viper_tick(repeats):
    """Do a joint's share of Board.tick, with a command each fifth time."""
    for k in range(repeats):
        if k % 5 == 0:
            plan(records)
        inputs[COUNT] = k & 63
        tick_joints(records, inputs)


def float_tick(repeats):
    """Do the same in floats."""
    j = float_joint
    for k in range(repeats):
        if k % 5 == 0:
            j.plan(j.command, 0.001, 5)
        j.tick(k & 63)


# ---- the frame decoder ---------------------------------------------------------------------


values = array("i", [M.COMMAND, 123456, 98765, 250000, -700000, -130000, 420000, 1000000, 90000])
framed = bytearray(frames.FRAME_MAX)
size = frames.frame(framed, frames.CRC, cbor.encode(framed, values, len(values))) - 1
block = bytes(framed[:size])
line = bytearray(frames.FRAME_MAX)
out = array("i", [0] * cbor.ITEMS_MAX)
assert plain_decode(block) == list(values)


def viper_decode(repeats):
    """Take a frame as Board does."""
    for _ in range(repeats):
        line[: size + 1] = framed[: size + 1]
        n = frames.unframe(line, frames.CRC, 0)
        n = cbor.decode(line, out, 1, n)
        if M.fault_in(out, n) >= 0:
            raise ValueError


def generic_decode(repeats):
    """Take the same frame in plain Python."""
    for _ in range(repeats):
        plain_decode(block)


for name, function in (
    ("tick_viper", viper_tick),
    ("tick_float", float_tick),
    ("decode_viper", viper_decode),
    ("decode_plain", generic_decode),
):
    print(name, _median(function))
