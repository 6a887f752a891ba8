"""Encoders read as an interrupt reads them; the READY pin says that they count, DONE that they stand."""

from array import array

import micropython
from machine import Pin

from ports.quadrature import Encoders

inputs = array("i", [0] * 4)
encoders = Encoders([(a, a + 1) for a in ENCODERS])
done = Pin(DONE, Pin.IN, Pin.PULL_DOWN)
Pin(READY, Pin.OUT).on()
# Busy, because the emulator's PIO rests while the CPU sleeps.
while not done.value():
    pass
micropython.heap_lock()
encoders.read(inputs, 1)
micropython.heap_unlock()
print(inputs[1], inputs[2], encoders.read_one(0), encoders.lost[0], encoders.lost[1])
Pin(READY, Pin.IN)
