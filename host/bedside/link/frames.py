"""Frames on the serial line, the host's side: COBS(CBOR || CRC-16) || 0x00, as protocol.cddl says."""

from __future__ import annotations

import binascii
from typing import Any

import cbor2
from cobs import cobs

# What a board may send; longer than any frame of the protocol. Capped before anything is decoded, so that a line
# that babbles without ever sending a zero cannot fill the memory.
FRAME_MAX = 512


def encode(message: list[Any]) -> bytes:
    """Return ``message`` as one frame, its closing zero included."""
    payload: bytes = cbor2.dumps(message)
    framed: bytes = cobs.encode(payload + binascii.crc_hqx(payload, 0xFFFF).to_bytes(2, "big"))
    return framed + b"\0"


class Decoder:
    """Turns bytes as they come into messages; what is not a whole, sound frame is counted in ``bad`` and skipped."""

    def __init__(self) -> None:
        self.bad = 0
        self._rest = b""

    def feed(self, data: bytes) -> list[list[Any]]:
        """Return the messages that ``data`` completes: lists that start with an integer type."""
        *whole, self._rest = (self._rest + data).split(b"\0")
        if len(self._rest) > FRAME_MAX:
            self._rest = b""
            self.bad += 1
        messages = []
        for block in whole:
            if not block:
                continue
            message = _decode(block)
            if message is None:
                self.bad += 1
            else:
                messages.append(message)
        return messages


def _decode(block: bytes) -> list[Any] | None:
    try:
        framed = cobs.decode(block)
        if len(framed) < 3 or binascii.crc_hqx(framed, 0xFFFF):
            return None
        message = cbor2.loads(framed[:-2])
    except (cobs.DecodeError, cbor2.CBORDecodeError):
        return None
    if type(message) is not list or not message or type(message[0]) is not int:
        return None
    return message
