"""Takes BYTES bytes from a UART and sends them back inverted; the READY pin says when they may come."""

import time

from machine import UART, Pin

uart = UART(NUMBER, BAUD, tx=Pin(0), rx=Pin(1), rxbuf=512, txbuf=512)
came = bytearray(BYTES)
view = memoryview(came)
n = 0
Pin(READY, Pin.OUT).on()
end = time.ticks_add(time.ticks_ms(), 300)
while n < BYTES and time.ticks_diff(end, time.ticks_ms()) > 0:
    waiting = uart.any()
    if waiting:
        # No more than has come: the rest would be waited for.
        n += uart.readinto(view[n : n + waiting])
uart.write(bytes(255 - byte for byte in came[:n]))
uart.flush()
print(n)
Pin(READY, Pin.IN)
