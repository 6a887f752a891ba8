"""A serial port of its own on the board's USB cable, beside that of MicroPython's REPL (USB CDC 1.2, ACM).

The REPL's stream costs some 15 us a byte and knows Ctrl-C; this one moves packets. Callbacks come between two steps of
the background, never in a tick, so they and the background need no lock.
"""

import struct

import machine
import micropython
from micropython import const

# Full speed: a packet has 64 bytes at most. One that is shorter ends a transfer, so that the computer hands it on at
# once; what is sent here is always shorter.
_PACKET = const(64)
_SENT_AT_ONCE = const(63)
# More frames than come, or go, while the other side does something else; powers of two.
_RING = const(2048)
_MASK = const(2047)
_FLAT = const(0xFFFF)

_STAGE_SETUP = const(1)
_SET_LINE_CODING = const(0x20)
_GET_LINE_CODING = const(0x21)
_SET_CONTROL_LINE_STATE = const(0x22)
# A request of the class, to an interface; from the board to the computer, and the other way.
_CLASS_OUT = const(0x21)
_CLASS_IN = const(0xA1)


@micropython.viper
def _copy(to: ptr8, to_at: int, to_mask: int, of: ptr8, of_at: int, of_mask: int, n: int):
    """Copy ``n`` bytes; a place behind a mask wraps, so that either side may be a ring."""
    for k in range(n):
        to[(to_at + k) & to_mask] = of[(of_at + k) & of_mask]


def descriptor(interface: int, endpoint: int) -> bytes:
    """Return the descriptors of a port whose two interfaces and two endpoint numbers begin there."""
    data = interface + 1
    return b"".join(
        [
            # Both interfaces belong together (interface association).
            struct.pack("<8B", 8, 0x0B, interface, 2, 0x02, 0x02, 0x00, 0),
            struct.pack("<9B", 9, 0x04, interface, 0, 1, 0x02, 0x02, 0x00, 0),
            struct.pack("<BBBH", 5, 0x24, 0x00, 0x0120),
            struct.pack("<5B", 5, 0x24, 0x01, 0x00, data),
            struct.pack("<4B", 4, 0x24, 0x02, 0x02),
            struct.pack("<5B", 5, 0x24, 0x06, interface, data),
            struct.pack("<BBBBHB", 7, 0x05, 0x80 | endpoint, 0x03, 8, 16),
            struct.pack("<9B", 9, 0x04, data, 0, 2, 0x0A, 0x00, 0x00, 0),
            struct.pack("<BBBBHB", 7, 0x05, endpoint + 1, 0x02, _PACKET, 0),
            struct.pack("<BBBBHB", 7, 0x05, 0x80 | endpoint + 1, 0x02, _PACKET, 0),
        ]
    )


class Cdc:
    """A stream like a UART, that waits for nothing: what the computer does not fetch in time is dropped."""

    def __init__(self) -> None:
        """Leave the bus and join it again with two ports."""
        self._usb = usb = machine.USBDevice()
        usb.active(False)
        builtin = usb.BUILTIN_DEFAULT
        usb.builtin_driver = builtin  # type: ignore[attr-defined]
        self._interface: int = builtin.itf_max
        # Endpoint 0 is everybody's.
        endpoint = max(1, builtin.ep_max)
        self._out = endpoint + 1
        self._in = 0x80 | endpoint + 1
        both = bytearray(builtin.desc_cfg + descriptor(self._interface, endpoint))
        # The configuration's head: its whole length, and how many interfaces there are now.
        struct.pack_into("<HB", both, 2, len(both), self._interface + 2)
        self._coding = bytearray(struct.pack("<IBBB", 115200, 0, 0, 8))
        self._packet = bytearray(_PACKET)
        self._going = bytearray(_PACKET)
        # A packet of each length, because to cut one out allocates.
        self._cuts = [memoryview(self._going)[:n] for n in range(_PACKET)]
        self._received = bytearray(_RING)
        self._sending = bytearray(_RING)
        self._came = self._read = self._put = self._sent = 0
        self._open = self._busy = self._listening = False
        usb.config(
            builtin.desc_dev,
            both,
            (),
            open_itf_cb=self._opened,
            reset_cb=self._reset,
            control_xfer_cb=self._control,
            xfer_cb=self._transferred,
        )
        usb.active(True)

    # ---- the stream -----------------------------------------------------------------------

    def any(self) -> int:
        """Return how many bytes have come."""
        return self._came - self._read & _MASK

    def readinto(self, buffer: bytearray, n: int) -> int:
        """Move what has come, ``n`` bytes at most, into ``buffer``; return their number."""
        n = min(n, self.any())
        _copy(buffer, 0, _FLAT, self._received, self._read, _MASK, n)
        self._read = self._read + n & _MASK
        self._listen()
        return n

    def write(self, buffer: bytearray, at: int, n: int) -> None:
        """Send ``buffer[at:at + n]``, whole or, where there is no room, not at all."""
        if not self._open or n > (self._sent - self._put - 1 & _MASK):
            return
        _copy(self._sending, self._put, _MASK, buffer, at, _FLAT, n)
        self._put = self._put + n & _MASK
        self._send()

    # ---- the bus --------------------------------------------------------------------------

    def _listen(self) -> None:
        """Take the next packet, if there is room for one."""
        if self._open and not self._listening and _RING - 1 - self.any() >= _PACKET:
            self._listening = self._submit(self._out, self._packet)

    def _send(self) -> None:
        """Give the next packet to the bus, if there is one and the last is gone."""
        n = min(_SENT_AT_ONCE, self._put - self._sent & _MASK)
        if not self._open or self._busy or not n:
            return
        _copy(self._going, 0, _FLAT, self._sending, self._sent, _MASK, n)
        self._busy = True
        if not self._submit(self._in, self._cuts[n]):
            self._busy = False
        elif self._busy:
            # Otherwise the bus was reset meanwhile, and nothing is under way.
            self._sent = self._sent + n & _MASK

    def _submit(self, endpoint: int, packet: "bytearray | memoryview") -> bool:
        """Offer ``packet`` to the bus; return whether it took it, which one that was just reset does not."""
        try:
            return self._usb.submit_xfer(endpoint, packet)
        except OSError:
            return False

    def _opened(self, _) -> None:
        # Whatever was under way when the cable was pulled is of another day.
        self._reset()
        self._open = True
        self._listen()

    def _reset(self) -> None:
        """Forget what was under way: the cable was pulled, or the computer begins anew."""
        self._open = self._busy = self._listening = False
        self._came = self._read = self._put = self._sent = 0

    def _transferred(self, endpoint: int, result: int, n: int) -> None:
        if endpoint == self._out:
            self._listening = False
            if result == 0:
                _copy(self._received, self._came, _MASK, self._packet, 0, _FLAT, n)
                self._came = self._came + n & _MASK
            self._listen()
        elif endpoint == self._in:
            self._busy = False
            self._send()

    def _control(self, stage: int, request):
        """Answer the class's requests: a speed, which means nothing here, and the control lines."""
        kind, what, _, interface, _ = struct.unpack("<BBHHH", request)
        if interface != self._interface:
            return False
        if stage != _STAGE_SETUP:
            return True
        if (kind, what) == (_CLASS_OUT, _SET_LINE_CODING) or (kind, what) == (_CLASS_IN, _GET_LINE_CODING):
            return self._coding
        return (kind, what) == (_CLASS_OUT, _SET_CONTROL_LINE_STATE)
