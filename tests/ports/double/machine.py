"""A chip's ``machine`` on MicroPython's unix port: it records what pins are told, and lets a test say what they see.

Time passes in ``idle``, where a hard timer's callback is called as on the chip: with the heap locked.
"""

import select
import sys
import time

import micropython

PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
# What has been told to which pin, in order: (kind, pin, value).
traffic = []
# What a test lets pins see.
levels = {}
volts = {}
counts = {}


class _Memory:
    """What programs write to addresses."""

    def __init__(self):
        self.words = {}

    def __getitem__(self, address):
        return self.words.get(address, 0x80808080)

    def __setitem__(self, address, word):
        self.words[address] = word


mem32 = _Memory()


def unique_id():
    return b"\xe6\x60\x58\x38\x83\x4a\x2b\x31"


def reset_cause():
    return PWRON_RESET


def reset():
    sys.exit(75)


class Pin:
    IN, OUT, PULL_UP, PULL_DOWN, IRQ_RISING = range(5)
    irqs = {}
    modes = {}

    def __init__(self, number, mode=None, pull=None, value=None):
        self.number = number
        if mode is not None:
            Pin.modes[number] = (mode, pull)
        if value is not None:
            self.value(value)

    def value(self, level=None):
        if level is None:
            return levels.get(self.number, 1 if Pin.modes[self.number][1] == Pin.PULL_UP else 0)
        if levels.get(self.number) != level:
            levels[self.number] = level
        return None

    def irq(self, handler=None, trigger=None, hard=False):
        Pin.irqs[self.number] = handler


class PWM:
    duties = {}

    def __init__(self, pin, freq, duty_u16):
        self.number = pin.number
        PWM.duties[self.number] = duty_u16

    def duty_u16(self, duty):
        if not 0 <= duty <= 65535:
            raise ValueError("duty")
        PWM.duties[self.number] = duty


class ADC:
    ATTN_11DB = 3

    def __init__(self, pin, atten=None):
        self.number = pin.number

    def read_u16(self):
        return volts.get(self.number, 0) * 65535 // 3300

    def read_uv(self):
        return volts.get(self.number, 0) * 1000


class UART:
    """Standard input and output."""

    def __init__(self, number, baud, tx, rx, rxbuf, txbuf):
        self._poll = select.poll()
        self._poll.register(sys.stdin, select.POLLIN)
        self._one = bytearray(1)

    def any(self):
        for _ in self._poll.ipoll(0):
            return 1
        return 0

    def readinto(self, buffer, n):
        sys.stdin.buffer.readinto(self._one)
        buffer[0] = self._one[0]
        return 1

    def write(self, buffer, at, n):
        sys.stdout.buffer.write(buffer, at, n)


class Timer:
    PERIODIC = 1
    running = None

    def __init__(self, number):
        pass

    def init(self, mode, freq, callback, hard):
        self.period_us = 1000000 // freq
        self.callback = callback
        self.due = time.ticks_us() + self.period_us
        Timer.running = self

    def deinit(self):
        Timer.running = None

    def fire(self):
        """Call back as an interrupt does: nothing may be allocated."""
        callback = self.callback
        micropython.heap_lock()
        try:
            callback(self)
        finally:
            micropython.heap_unlock()


def idle():
    """Let time pass to the timer's next interrupt."""
    timer = Timer.running
    if timer:
        left = timer.due - time.ticks_us()
        if left > 0:
            time.sleep_us(left)
        timer.due += timer.period_us
        timer.fire()


class WDT:
    fed = 0

    def __init__(self, timeout):
        WDT.timeout = timeout

    def feed(self):
        WDT.fed += 1


class RTC:
    kept = b""

    def memory(self, content=None):
        if content is None:
            return RTC.kept
        RTC.kept = bytes(content)
        return None


class Encoder:
    def __init__(self, unit, a, b, phases=1, filter_ns=0):
        self.unit = unit
        if phases != 4:
            raise ValueError("one edge in four is counted")

    def value(self):
        return counts.get(self.unit, 0)


class _Builtin:
    """What MicroPython's own serial port says of itself: two interfaces, three endpoint numbers."""

    itf_max = 2
    ep_max = 3
    desc_dev = bytes(18)
    desc_cfg = bytes([9, 2, 75, 0, 2, 1, 0, 0x80, 50]) + bytes(66)


class USBDevice:
    """One side of a USB cable; a test is the computer: it calls what ``config`` was given."""

    BUILTIN_DEFAULT = _Builtin
    now = None

    def __new__(cls):
        if USBDevice.now is None:
            USBDevice.now = object.__new__(cls)
            USBDevice.now.transfers = {}
            USBDevice.now.sent = []
            USBDevice.now.on = True
        return USBDevice.now

    def active(self, on):
        self.on = on

    def config(self, desc_dev, desc_cfg, desc_strs, open_itf_cb, reset_cb, control_xfer_cb, xfer_cb):
        if self.on:
            raise OSError(22)
        self.descriptors = bytes(desc_cfg)
        self.opened, self.reset, self.control, self.transferred = open_itf_cb, reset_cb, control_xfer_cb, xfer_cb

    def submit_xfer(self, endpoint, buffer):
        if endpoint in self.transfers:
            return False
        self.transfers[endpoint] = buffer
        return True

    def host_writes(self, endpoint, content):
        """Be the computer that sends a packet; return whether the board was ready for it."""
        buffer = self.transfers.pop(endpoint, None)
        if buffer is None:
            return False
        buffer[: len(content)] = content
        self.transferred(endpoint, 0, len(content))
        return True

    def host_reads(self, endpoint):
        """Be the computer that fetches a packet; return it, or None."""
        buffer = self.transfers.pop(endpoint, None)
        if buffer is None:
            return None
        content = bytes(buffer)
        self.transferred(endpoint, 0, len(content))
        return content
