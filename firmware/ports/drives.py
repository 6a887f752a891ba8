"""What turns a share of full drive into a motor's voltage. Each has ``set(output, on, released)``.

``output`` is Q15 in the drive's sense; ``on`` false takes the torque off, so that the motor coasts; ``released`` tells
whether the joint's brake is open.
"""

import micropython
from machine import PWM, Pin

from ports.bench import Bench

_FULL = 65535


def drive_of(config, tick_hz: int):  # type: ignore[no-untyped-def]
    """Return the drive that a channel's ``drive`` table describes."""
    kind = config["kind"]
    if kind == "bench":
        return Bench(config, tick_hz)
    enable = None if config.get("enable") is None else Pin(config["enable"], Pin.OUT, value=0)
    if kind == "two-pwm":
        return TwoPwm(_pwm(config["a"], config["hz"]), _pwm(config["b"], config["hz"]), enable)
    return PwmDirection(_pwm(config["pwm"], config["hz"]), Pin(config["direction"], Pin.OUT, value=0), enable)


def _pwm(pin: int, hz: int) -> PWM:
    # Low before it is a PWM's, so that not even one pulse gets out.
    return PWM(Pin(pin, Pin.OUT, value=0), freq=hz, duty_u16=0)


class TwoPwm:
    """An H-bridge with two inputs: both low let the motor coast, both high short it.

    Between pulses the motor is shorted, not let go, because its speed then follows the output in proportion.
    """

    def __init__(self, a: PWM, b: PWM, enable: "Pin | None") -> None:
        self._a = a
        self._b = b
        self._enable = enable

    @micropython.native
    def set(self, output: int, on: int, released: int):  # type: ignore[no-untyped-def]
        """Let the outputs take effect."""
        if not on:
            self._a.duty_u16(0)
            self._b.duty_u16(0)
        elif output >= 0:
            self._a.duty_u16(_FULL)
            self._b.duty_u16(_FULL - 2 * output)
        else:
            self._a.duty_u16(_FULL + 2 * output)
            self._b.duty_u16(_FULL)
        if self._enable:
            self._enable.value(on)


class PwmDirection:
    """A driver with one PWM input and one for the direction. Without an enable line its PWM's being low is "off"."""

    def __init__(self, pwm: PWM, direction: Pin, enable: "Pin | None") -> None:
        self._pwm = pwm
        self._direction = direction
        self._enable = enable

    @micropython.native
    def set(self, output: int, on: int, released: int):  # type: ignore[no-untyped-def]
        """Let the outputs take effect."""
        if not on:
            output = 0
        self._direction.value(output < 0)
        self._pwm.duty_u16(-2 * output if output < 0 else 2 * output)
        if self._enable:
            self._enable.value(on)
