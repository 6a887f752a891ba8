"""Runs the control core over pseudo-random vectors and prints what comes out. The same on CPython and MicroPython."""

import sys
from array import array

try:
    import core.layout  # noqa: F401
except ImportError:
    sys.path.append("firmware")
import micropython

from core import layout as L
from core.actuate import actuate
from core.command import take
from core.faults import REACTIONS
from core.homing import home, shift
from core.joint import tick_joints
from core.profile import plan
from core.report import report
from core.stops import react, step
from core.watch import watch
from ports import (
    COUNT,
    CURRENT,
    DRIVE_FAULT,
    INDEX_COUNT,
    INDEX_PASSES,
    INPUTS_SIZE,
    OUTPUTS_SIZE,
    SENSOR,
    SUPPLY_MV,
    SWITCHES,
    TIME_US,
)

JOINTS = 2
# The largest place that a joint may have.
PLACE = 1073741823
# As far as a joint that homes, or a second sensor, may reach.
REACH = 67108864

_state = 12345


def draw(low, high):
    """Return the next pseudo-random integer from ``low`` to ``high`` (a 31-bit linear congruence, Lehmer 1951)."""
    global _state
    _state = _state * 48271 % 2147483647
    return low + _state % (high - low + 1)


def extreme(low, high):
    """Return an integer from ``low`` to ``high``: one of the two, or zero if it lies between, a third of the time."""
    kind = draw(0, 8)
    if kind == 0:
        return low
    if kind == 1:
        return high
    if kind == 2 and low <= 0 <= high:
        return 0
    return draw(low, high)


def configured(j):
    """Fill a joint's record with parameters that a configuration may give it, and with any state."""
    for k in range(L.JOINT_SIZE):
        j[k] = 0
    j[L.CONFIGURED] = 1 if draw(0, 20) else 0
    j[L.POSITION_MIN], j[L.POSITION_MAX] = -extreme(1, 1073741823), extreme(1, 1073741823)
    j[L.SPEED_MAX] = extreme(1, 2097151)
    j[L.VELOCITY_MAX] = extreme(1, 8000000)
    j[L.ACCELERATION], j[L.STOP_DECELERATION] = extreme(1, 2097151), extreme(1, 2097151)
    j[L.STEP_MAX], j[L.FOLLOWING_MAX], j[L.ENGAGE_MAX] = (extreme(1, 1000000) for _ in range(3))
    j[L.COUNT_SCALE], j[L.COUNT_SHIFT] = extreme(-65535, 65535), extreme(0, 16)
    for field in (L.KP, L.KI, L.KD, L.KV):
        # At two bits of shift or more no gain makes a term that a board refuses.
        j[field], j[field + 1] = extreme(0, 8191), extreme(2, 24)
    j[L.INTEGRAL_MAX], j[L.OUTPUT_MAX], j[L.FILTER_SHIFT] = extreme(0, 32767), extreme(1, 32767), extreme(0, 6)
    j[L.DRIVE_SIGN] = 1 if draw(0, 1) else -1
    j[L.BIAS], j[L.SLEW] = extreme(-32767, 32767), extreme(1, 32767)
    j[L.CURRENT_MAX], j[L.CURRENT_OFF] = extreme(1, 65535), extreme(1, 65535)
    j[L.CURRENT_SCALE], j[L.CURRENT_SHIFT] = extreme(1, 8191), extreme(0, 24)
    j[L.HEAT_MAX], j[L.OUTPUT_CONTINUOUS] = extreme(1, 1073741823), extreme(1, 32767)
    j[L.STEPS_MAX], j[L.STUCK_OUTPUT] = extreme(1, 16383), extreme(1, 32767)
    j[L.STANDSTILL_MAX], j[L.SLIP_MAX] = extreme(1, 1000000), extreme(0, 1000000)
    j[L.OVERSPEED_MAX], j[L.STUCK_MAX] = extreme(1, 8388480), extreme(1, 40)
    j[L.HOLD_OUTPUT] = j[L.BIAS]
    sensor(j, L.SENSOR_SCALE, j)
    j[L.COUNT] = extreme(-PLACE, PLACE)
    # Anything may follow a configuration, not only what a board at rest would do.
    for field in (L.SETPOINT, L.POSITION, L.TARGET, L.REFERENCE):
        j[field] = extreme(-PLACE, PLACE)
    j[L.SETPOINT_SPEED], j[L.INTEGRAL] = extreme(-2097151, 2097151), extreme(-8388352, 8388352)


def sensor(owner, field, j):
    """Give the joint a second sensor that a board does not refuse, or none; its scale stands in ``owner[field]``."""
    j[L.SENSOR_SHIFT] = draw(6, 16)
    owner[field] = extreme(-65535, 65535) if draw(0, 2) else 0
    j[L.SENSOR_ZERO] = extreme(-1, 1) * (REACH - (32768 * abs(owner[field]) >> j[L.SENSOR_SHIFT]))
    j[L.SENSOR_MAX] = extreme(1, 1073741823)


@micropython.viper
def mix(checksum: int, values: ptr32, count: int) -> int:  # noqa: F821
    """Return ``checksum`` with ``values`` added to it. In viper, because long integers are slow on a real board."""
    k = 0
    while k < count:
        value = values[k]
        checksum = ((checksum * 31) ^ (value & 0xFFFF) ^ ((value >> 16) & 0xFFFF)) & 0x3FFFFFF
        k += 1
    return checksum


def main(count):
    """Print one line for every vector: a checksum of all that the tick wrote, and now and then the whole of it."""
    records = array("i", [0] * (L.BOARD_SIZE + JOINTS * L.JOINT_SIZE))
    b = memoryview(records)[: L.BOARD_SIZE]
    joints = [memoryview(records)[L.BOARD_SIZE + L.JOINT_SIZE * k :][: L.JOINT_SIZE] for k in range(JOINTS)]
    b[L.JOINTS], b[L.TICK_HZ], b[L.PERIOD_US] = JOINTS, 1000, 1000
    b[L.COMMAND_PERIOD], b[L.OPERATOR_TIMEOUT], b[L.LINK_TIMEOUT], b[L.HOLD] = 5, 30, 20, 40
    b[L.SETTLE], b[L.BUILD_MAX], b[L.OPEN_TIME], b[L.CLOSE_TIME] = 3, 9, 5, 5
    b[L.SUPPLY_MIN], b[L.SUPPLY_MAX], b[L.LATE_MAX] = 18000, 30000, 500
    reply = array("i", [0] * 24)
    inputs = array("i", [0] * INPUTS_SIZE)
    outputs = array("i", [0] * OUTPUTS_SIZE)
    command = array("i", [0] * (3 + 2 * JOINTS))
    b[L.BOX_STRIDE], b[L.BOX_SIZE], b[L.BOX_TAIL] = 4 + 3 * JOINTS, 9 * (4 + 3 * JOINTS), 6
    box = array("i", [0] * (10 * (4 + 3 * JOINTS)))
    for n in range(count):
        if n % 40 == 0:
            for j in joints:
                configured(j)
        inputs[SUPPLY_MV] = draw(17990, 30010)
        inputs[SWITCHES] = 0 if draw(0, 30) else draw(0, 3)
        if draw(0, 99) == 0:
            inputs[SWITCHES] |= DRIVE_FAULT << draw(0, JOINTS - 1)
        for k, j in enumerate(joints):
            step_by = draw(-20, 20) if draw(0, 30) else extreme(-60000, 60000)
            inputs[COUNT + k] = max(-PLACE, min(PLACE, j[L.COUNT] + step_by))
            inputs[CURRENT + k] = extreme(-70000, 70000)
            inputs[SENSOR + k] = extreme(-70000, 70000)
            command[3 + 2 * k], command[4 + 2 * k] = extreme(-PLACE, PLACE), extreme(-8000000, 8000000)
            if draw(0, 2):
                command[3 + 2 * k] = max(-PLACE, min(PLACE, j[L.SETPOINT] + draw(-60000, 60000)))
        command[2] = max(0, b[L.OPERATOR_SEQ] + draw(-2, 8))
        phase = b[L.PHASE]
        if draw(0, 2):
            b[L.PHASE] = draw(L.BUILDING, L.RUN)
        why = take(records, command, 3 + 2 * JOINTS if draw(0, 20) else 3 + 2 * draw(1, 8))
        b[L.PHASE] = phase
        if draw(0, 4) == 0:
            b[L.COMMAND_PERIOD] = draw(1, 14)
            plan(records)
            b[L.COMMAND_PERIOD] = 5
        if draw(0, 9) == 0:
            b[L.REQUEST] = draw(0, 5)
        if draw(0, 9) == 0:
            b[L.OPERATOR_AGE] = b[L.LINK_AGE] = 0
            b[L.ENGAGED] = 1
        inputs[TIME_US] = (inputs[TIME_US] + 1000 + (0 if draw(0, 40) else extreme(-500, 600))) & 0x3FFFFFFF
        fault = watch(records, inputs)
        if fault:
            react(records, REACTIONS, fault, -1, b[L.WATCH_VALUE])
        step(records)
        if draw(0, 200) == 0:
            b[L.BOX_CAUSE], b[L.BOX_AT] = 0, b[L.BOX_FIRST]
        if draw(0, 9) == 0:
            b[L.MODE] = draw(L.REST, L.SETTLED)
        result = tick_joints(records, inputs)
        b[L.MOVING], b[L.NOT_BUILT] = result & L.JOINT_MOVING, result & L.JOINT_NOT_BUILT
        for k, j in enumerate(joints):
            if j[L.FAULT_CODE]:
                j[L.TRIPPED] = react(records, REACTIONS, j[L.FAULT_CODE], k, j[L.FAULT_VALUE])
            if draw(0, 5) == 0:
                j[L.TRIPPED] = 0
        actuate(records, outputs, box)
        size = report(records, reply)
        checksum = 17
        for values in (array("i", (why, result, size)), records, outputs, reply, box):
            checksum = mix(checksum, values, len(values))
        print(n, checksum)
        if n % 500 == 0:
            print(list(records), list(reply))


def homing(count):
    """Print a checksum of all that a word to a homing board wrote, whatever its joints are doing; and of its shift."""
    records = array("i", [0] * (L.BOARD_SIZE + JOINTS * L.JOINT_SIZE))
    b = memoryview(records)[: L.BOARD_SIZE]
    joints = [memoryview(records)[L.BOARD_SIZE + L.JOINT_SIZE * k :][: L.JOINT_SIZE] for k in range(JOINTS)]
    homes = array("i", [0] * (L.HOME_SIZE * JOINTS))
    inputs = array("i", [0] * INPUTS_SIZE)
    word = array("i", [10, 0, 0, 0])
    b[L.JOINTS], b[L.TICK_HZ] = JOINTS, 1000
    for n in range(count):
        if n % 10 == 0:
            for k, j in enumerate(joints):
                configured(j)
                h = memoryview(homes)[L.HOME_SIZE * k : L.HOME_SIZE * (k + 1)]
                for field in range(L.HOME_SIZE):
                    h[field] = 0
                h[L.HOME_METHOD] = draw(L.HOME_INDEX, L.HOME_SENSOR)
                h[L.HOME_PLACE] = extreme(-PLACE, PLACE)
                h[L.HOME_PARK] = extreme(-REACH, REACH)
                h[L.HOME_SPEED] = extreme(1, 2097151) * (1 if draw(0, 1) else -1)
                sensor(h, L.HOME_SENSOR_SCALE, j)
                j[L.ZERO] = extreme(-REACH, REACH)
                j[L.NOT_HOMED] = L.FLAG_NOT_HOMED if draw(0, 9) else 0
            b[L.ENGAGED] = draw(L.NOBODY, L.HOMING)
            b[L.REQUEST] = 0
            b[L.COMMAND_PERIOD] = extreme(1, 100)
        for k, j in enumerate(joints):
            j[L.POSITION], j[L.SETPOINT] = (extreme(-REACH, REACH) for _ in range(2))
            j[L.SETPOINT_SPEED] = draw(-1, 1)
            if draw(0, 3) == 0:
                j[L.SETPOINT] = j[L.POSITION] = homes[L.HOME_SIZE * k + L.HOME_PARK]
                j[L.SETPOINT_SPEED] = 0
            j[L.COMMAND], j[L.TARGET], j[L.REFERENCE] = j[L.SETPOINT], j[L.SETPOINT], j[L.POSITION]
            j[L.POSITION_MIN], j[L.POSITION_MAX] = -extreme(1, 2 * REACH), extreme(1, 2 * REACH)
            j[L.OUTPUT] = extreme(-32767, 32767)
            j[L.FLAGS] = draw(0, 1023)
            inputs[COUNT + k] = j[L.COUNT]
            inputs[INDEX_COUNT + k] = max(-PLACE, min(PLACE, j[L.COUNT] + extreme(-20000, 20000)))
            inputs[INDEX_PASSES + k] += draw(0, 1)
            inputs[SENSOR + k] = extreme(-70000, 70000)
        b[L.PHASE] = L.RUN if draw(0, 9) else draw(L.OFF, L.RELEASED)
        b[L.TICK] = (b[L.TICK] + extreme(0, 2000)) & 0x3FFFFFFF
        word[2] = b[L.OPERATOR_SEQ] + draw(0, 8)
        word[3] = draw(-1, JOINTS)
        why = home(records, homes, inputs, word)
        checksum = 17
        for values in (array("i", (why,)), records, homes):
            checksum = mix(checksum, values, len(values))
        if b[L.REQUEST]:
            b[L.REQUEST] = 0
            if draw(0, 9):
                shift(records)
                checksum = mix(checksum, records, len(records))
        print("homing", n, why, checksum)


main(int(sys.argv[1]) if len(sys.argv) > 1 else 12000)
homing(6000)
