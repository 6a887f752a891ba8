"""A hard timer's intervals in us, while the program makes garbage and collects it."""

import gc
from array import array
from time import ticks_diff, ticks_us

from machine import Timer

stamps = array("i", [0] * (TICKS + 1))
taken = array("i", [0])


def tick(_):
    n = taken[0]
    if n <= TICKS:
        stamps[n] = ticks_us()
        taken[0] = n + 1


timer = Timer(freq=FREQUENCY, mode=Timer.PERIODIC, hard=True, callback=tick)
while taken[0] <= TICKS:
    garbage = [bytearray(100) for _ in range(20)]
    gc.collect()
timer.deinit()
for n in range(TICKS):
    print(ticks_diff(stamps[n + 1], stamps[n]))
