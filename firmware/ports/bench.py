"""A motor that is not there: a board without one simulates it, and can be tested whole on a table.

A geared motor without load: its speed approaches what the output asks for, as a motor's does behind its winding and
its own back-EMF, and friction stops it.
"""

import micropython
from micropython import const

# Speeds and places are counts with as many binary digits more: a joint that creeps moves by fractions of one.
_FRACTION = const(10)
_ONE = const(1024)
# Counts in a tick: with more, a product would no longer be a small integer.
_FULL_MAX = const(240_000)
# What a motor draws that is held, and turns at no speed.
_STALL_MA = 500


class Bench:
    """A simulated joint. ``count`` is its encoder's, ``current_ma`` its motor's."""

    def __init__(self, config, tick_hz: int) -> None:  # type: ignore[no-untyped-def]
        self.count = 0
        self.current_ma = 0
        # Full output's speed in counts a tick, and how much of what lacks to it a tick makes up for.
        self._full = min(_FULL_MAX, max(8, config.get("counts_per_s", 100_000) * _ONE // tick_hz))
        self._gain = max(1, 1024 * 1000 // (config.get("time_constant_ms", 20) * tick_hz))
        self._friction = round(32768 * config.get("friction", 0.002))
        self._stall_ma = config.get("stall_ma", _STALL_MA)
        self._speed = 0
        self._fraction = 0

    @micropython.native
    def set(self, output: int, on: int, released: int):  # type: ignore[no-untyped-def]
        """Let one tick pass."""
        if not on:
            output = 0
        speed = self._speed
        if not released:
            speed = 0
        else:
            # What turns it, less what holds it.
            turning = speed > 0 or (speed == 0 and output > self._friction)
            turning_back = speed < 0 or (speed == 0 and output < -self._friction)
            friction = self._friction if turning else -self._friction if turning_back else output
            wanted = (output - friction) * (self._full >> 3) >> 12
            step = (wanted - speed) * self._gain >> 10
            if speed and (speed + step > 0) != (speed > 0):
                step = -speed
            speed += step
        self._speed = speed
        place = self._fraction + speed
        self.count += place >> _FRACTION
        self._fraction = place & _ONE - 1
        back = speed * 4096 // (self._full >> 3)
        self.current_ma = (output - back) * self._stall_ma >> 15 if on else 0
