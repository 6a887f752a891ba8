"""Runs the control core over pseudo-random vectors and prints what comes out. The same on CPython and MicroPython."""

import sys
from array import array

try:
    import core.layout  # noqa: F401
except ImportError:
    sys.path.append("firmware")
import micropython  # noqa: F401

from core import layout as L
from core.joint import tick_joint
from core.limits import post, refusal
from core.profile import plan
from core.report import report_joint
from core.stops import step, stop_following

_state = 12345


def draw(low, high):
    """Return the next pseudo-random integer from ``low`` to ``high`` (a 31-bit linear congruence, Lehmer 1951)."""
    global _state
    _state = _state * 48271 % 2147483647
    return low + _state % (high - low + 1)


def joint():
    """Return a joint record with random, allowed parameters."""
    j = array("i", [0] * L.JOINT_SIZE)
    j[L.POSITION_MIN], j[L.POSITION_MAX] = -draw(1, 3000000), draw(1, 3000000)
    j[L.SPEED_MAX] = draw(1, 2097151)
    j[L.VELOCITY_MAX] = draw(1, 8000000)
    j[L.ACCELERATION], j[L.STOP_DECELERATION] = draw(1, 2097151), draw(1, 200000)
    j[L.STEP_MAX], j[L.FOLLOWING_MAX] = draw(1, 1000000), draw(1, 1000000)
    j[L.COUNT_SCALE], j[L.COUNT_SHIFT] = draw(-65535, 65535), draw(0, 16)
    for field in (L.KP, L.KI, L.KD, L.KV):
        j[field], j[field + 1] = draw(0, 8191), draw(0, 24)
    j[L.INTEGRAL_MAX], j[L.OUTPUT_MAX], j[L.FILTER_SHIFT] = draw(0, 32767), draw(1, 32767), draw(0, 6)
    j[L.DRIVE_SIGN] = 1 if draw(0, 1) else -1
    return j


def main(count):
    """Print one line for every eight vectors."""
    b = array("i", [0] * L.BOARD_SIZE)
    b[L.TICK_HZ] = 1000
    b[L.COMMAND_PERIOD], b[L.OPERATOR_TIMEOUT], b[L.HOLD] = 5, 30, 40
    reply = array("i", [0] * 16)
    j = joint()
    for n in range(count):
        if n % 50 == 0:
            j = joint()
        count_now = j[L.COUNT] + (draw(-20, 20) if draw(0, 30) else draw(-60000, 60000))
        position, velocity = j[L.SETPOINT] + draw(-60000, 60000), draw(-8000000, 8000000)
        why = refusal(j, position, velocity)
        if draw(0, 4) == 0:
            post(j, position, velocity, 1000)
            plan(j, draw(1, 14))
        if draw(0, 20) == 0:
            b[L.REQUEST] = draw(0, 3)
        if draw(0, 9) == 0:
            b[L.OPERATOR_AGE] = 0
        mode = step(b)
        result = tick_joint(j, count_now, mode)
        b[L.MOVING] = result & 1
        if result & 2:
            stop_following(b, j, 0)
        report_joint(j, b, reply, 0)
        if n % 8 == 0:
            print(n, why, mode, list(j), list(b), list(reply))


main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
