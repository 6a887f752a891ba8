"""The frames between ``bedside relay`` and its two kinds of clients: bridges and consoles.

Each begins with 0xB5, which no DTLS record does, and a byte that says what it is:

- ``01 id``: a bridge registers under a rendezvous id of 16 bytes; answered ``81``.
- ``02 id``: a console joins; answered ``82``, or ``83`` if no such bridge is there, or it has no room.
- ``03 flow ciphertext``: between relay and bridge, a DTLS datagram of the console that the relay knows by this number
  of four bytes, big-endian. Between relay and console the same datagram goes as it is.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from enum import IntEnum

from bedside.errors import SurgeonError

MARK = 0xB5
REGISTER, JOIN, DATA = 1, 2, 3
ID_BYTES = 16
# What a bridge calls a console with that waits for it. No relay takes part in that.
KNOCK = bytes((MARK, 0))
# How often a bridge registers and a console joins again: translations of UDP are kept for 30 s at the least that
# RFC 4787 lets them, and a relay that was started anew learns of both within this time.
REPEAT_S = 5.0

_WRAPPED = struct.Struct(">BBI")
# What DATA puts before a datagram.
WRAPPING_BYTES = _WRAPPED.size


class Answer(IntEnum):
    """What a relay says for itself."""

    REGISTERED = 0x81
    JOINED = 0x82
    NO_BRIDGE = 0x83

    @property
    def frame(self) -> bytes:
        """The answer as a datagram."""
        return bytes((MARK, self))


_ANSWERS = frozenset(Answer)


def rendezvous(relay_key: bytes, arm: str) -> bytes:
    """Return the id under which those who have the site's ``relay_key`` find the bridge of ``arm``."""
    return hmac.digest(relay_key, f"bedside relay {arm}".encode(), hashlib.sha256)[:ID_BYTES]


def register(rendezvous_id: bytes) -> bytes:
    """Return what a bridge sends to a relay, every REPEAT_S."""
    return bytes((MARK, REGISTER)) + rendezvous_id


def join(rendezvous_id: bytes) -> bytes:
    """Return what a console sends to a relay, every REPEAT_S."""
    return bytes((MARK, JOIN)) + rendezvous_id


def wrap(flow: int, datagram: bytes) -> bytes:
    """Return ``datagram`` as it goes between a relay and a bridge."""
    return _WRAPPED.pack(MARK, DATA, flow) + datagram


def unwrap(data: bytes) -> tuple[int, bytes] | Answer:
    """Return the flow and the datagram that ``data`` carries, or what the relay answers. Raises SurgeonError."""
    if len(data) > WRAPPING_BYTES and data[0] == MARK and data[1] == DATA:
        return unwrapped(data)
    if len(data) == 2 and data[0] == MARK and data[1] in _ANSWERS:
        return Answer(data[1])
    raise SurgeonError(f"a datagram of {len(data)} bytes that is no relay's: expected 0xB5 and a known kind")


def unwrapped(data: bytes) -> tuple[int, bytes]:
    """Return the flow and the datagram of ``data``, which is known to be DATA."""
    return _WRAPPED.unpack_from(data)[2], data[WRAPPING_BYTES:]


def begins_as_dtls(datagram: bytes) -> bool:
    """Return whether ``datagram`` begins as a DTLS record does: RFC 7983, section 7, and RFC 6347."""
    # Change cipher spec, alert, handshake, application data, heartbeat and the next one to come.
    return bool(datagram) and 20 <= datagram[0] <= 25
