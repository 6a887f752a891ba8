"""PWM for 5 ms on each pin of DUTIES, whose duties are of 65535."""

import time

from machine import PWM, Pin

outputs = [PWM(Pin(pin), freq=FREQUENCY, duty_u16=DUTIES[pin]) for pin in sorted(DUTIES)]
time.sleep_ms(5)
for output in outputs:
    output.deinit()
