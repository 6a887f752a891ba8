"""The end of a tick: what drives, brakes and the run loop's contact get, and a line of it for the black box.

The black box is a ring of lines. A line is the TICK, STATE | PHASE << 8 | CAUSE << 16, OPERATOR_AGE and LINK_AGE, then
of each joint its position, its setpoint, and OUTPUT (Q15, in the joint's sense) << 16 | FLAGS. A fault lets as many
lines follow as BOX_TAIL says; then the ring is frozen, and lines are written behind it, which costs less than to ask.
"""

import micropython
from micropython import const

_STATE = const(0)
_PHASE = const(1)
_CAUSE = const(2)
_TICK = const(3)
_OPERATOR_AGE = const(4)
_LINK_AGE = const(5)
_JOINTS = const(36)
_LOOP_OPEN = const(53)
_BOX_AT = const(54)
_BOX_SIZE = const(55)
_BOX_STRIDE = const(56)
_BOX_MASK = const(57)
_BOX_AFTER = const(58)
_BOX_FIRST = const(60)
_POSITION = const(2)
_SETPOINT = const(4)
_OUTPUT = const(11)
_FLAGS = const(12)
_TRIPPED = const(15)
_DRIVE_SIGN = const(43)
_FAULT = const(3)
_CODE_BRAKE_FAILED = const(21)
_TORQUE_PHASES = const(0x7E)
_BRAKE_OPEN_PHASES = const(0xBC)
_FLAG_BRAKE_CLOSED = const(1)
_FLAG_DRIVE_ON = const(2)
# What the joint tick says; it leaves those of an unconfigured joint as they were.
_CONTROL_FLAGS = const(0xFFFC)
_RECORD_BYTES = const(320)
_OUT_DRIVES = const(8)
_OUT_BRAKES_OPEN = const(9)
_OUT_RUN_CONTACT = const(10)


@micropython.viper
def actuate(j: ptr32, outputs: ptr32, line: ptr32):
    """Bring what drives and brakes do in this phase to the port's ``outputs``, the joints' flags and the black box.

    ``j`` walks over the records, the board's first; ``line`` is the black box. A tripped joint has no torque, and its
    brake is closed. The contact in the run loop is closed while there is torque without a fault.
    """
    s = int(1) << 31
    b = j
    out = outputs
    at = b[_BOX_AT]
    line = ptr32(int(line) + (at << 2))
    phase = b[_PHASE]
    state = b[_STATE]
    line[0] = b[_TICK]
    line[1] = state | phase << 8 | b[_CAUSE] << 16
    line[2] = b[_OPERATOR_AGE]
    line[3] = b[_LINK_AGE]
    line = ptr32(int(line) + 16)
    drives = 0
    brakes_open = 0
    torque = (_TORQUE_PHASES >> phase) & 1
    brake_open = (_BRAKE_OPEN_PHASES >> phase) & 1
    run_contact = torque
    if (state == _FAULT and b[_CAUSE] != _CODE_BRAKE_FAILED) or b[_LOOP_OPEN]:
        run_contact = 0
    # What an untripped joint's hardware does, as flags.
    closed = _FLAG_BRAKE_CLOSED
    if brake_open:
        closed = 0
    bit = 1
    left = b[_JOINTS]
    while left:
        left -= 1
        j = ptr32(int(j) + _RECORD_BYTES)
        drive_on = torque
        flags = (j[_FLAGS] & _CONTROL_FLAGS) | closed
        if j[_TRIPPED]:
            if torque:
                drive_on = 0
                flags = flags | _FLAG_BRAKE_CLOSED
            elif not brake_open:
                j[_TRIPPED] = 0
        output = 0
        if drive_on:
            output = (j[_OUTPUT] ^ s) - s
            drives = drives | bit
            flags = flags | _FLAG_DRIVE_ON
            line[2] = output << 16 | flags
            if j[_DRIVE_SIGN] != 1:
                output = 0 - output
        else:
            j[_OUTPUT] = 0
            line[2] = flags
        outputs[0] = output
        outputs = ptr32(int(outputs) + 4)
        if not flags & _FLAG_BRAKE_CLOSED:
            brakes_open = brakes_open | bit
        j[_FLAGS] = flags
        line[0] = j[_POSITION]
        line[1] = j[_SETPOINT]
        line = ptr32(int(line) + 12)
        bit <<= 1
    out[_OUT_DRIVES] = drives
    out[_OUT_BRAKES_OPEN] = brakes_open
    out[_OUT_RUN_CONTACT] = run_contact
    size = b[_BOX_SIZE]
    if at < size and not b[_TICK] & b[_BOX_MASK]:
        at += b[_BOX_STRIDE]
        if at == size:
            at = 0
        b[_BOX_FIRST] = at
        if b[_BOX_AFTER]:
            b[_BOX_AFTER] = b[_BOX_AFTER] - 1
            if b[_BOX_AFTER] == 0:
                at = size
        b[_BOX_AT] = at
