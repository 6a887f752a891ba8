"""Wire vectors: messages that a board must take, and bytes that it must refuse, made from protocol.cddl itself."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from dataclasses import dataclass

import cbor2
from cobs import cobs

from bedside.hil.shapes import Message, bounds, messages
from bedside.link import schema

# What ends the program, or switches torque on, is no business of a conformance test; configurations have tests of their
# own, and would have to be put right again.
_NOT_SENT = {"maintenance", "state-command", "configure-board", "configure-joint", "configure-homing"}
# A board counts on from its last link sequence, so that field is the sender's.
_LINK_SEQ = 1


@dataclass(frozen=True)
class Vector:
    """A payload, as a function of the link sequence: ``items`` with that in its place, or ``raw`` bytes of CBOR."""

    name: str
    items: tuple[object, ...] = ()
    raw: bytes = b""

    def payload(self, link_seq: int) -> bytes:
        """Return the CBOR of it."""
        if self.raw:
            return self.raw
        encoded: bytes = cbor2.dumps([*self.items[:_LINK_SEQ], link_seq, *self.items[_LINK_SEQ + 1 :]])
        return encoded


def framed(payload: bytes, crc: int | None = None) -> bytes:
    """Return ``payload`` as a frame, with another ``crc`` than its own if one is given."""
    check = binascii.crc_hqx(payload, 0xFFFF) if crc is None else crc
    encoded: bytes = cobs.encode(payload + check.to_bytes(2, "big"))
    return encoded + b"\0"


def valid() -> Iterator[Vector]:
    """Yield messages that fit the schema, each field at its lowest and its highest."""
    for name, shape in _shapes():
        middle = _middle(shape, shape.least)
        for at, field in enumerate(shape.head):
            if at > _LINK_SEQ and not isinstance(field, type):
                for value in set(bounds(field)):
                    yield Vector(f"{name}, field {at} at {value}", (*middle[:at], value, *middle[at + 1 :]))
        yield Vector(f"{name}, {shape.most} of its group", _middle(shape, shape.most))


def invalid() -> Iterator[Vector]:
    """Yield what no field may be, and CBOR that is none, or not the shortest."""
    for name, shape in _shapes():
        middle = _middle(shape, max(shape.least, 1 if shape.group else 0))
        for at in range(_LINK_SEQ + 1, len(middle)):
            field = (*shape.head, *shape.group)[at]
            assert not isinstance(field, type)
            low, high = bounds(field)
            for value in (low - 1, high + 1, *_NO_INTEGERS, 1 << 40, -(1 << 40)):
                yield Vector(f"{name}, field {at} is {value!r}", (*middle[:at], value, *middle[at + 1 :]))
        if len(middle) > _LINK_SEQ + 1:
            yield Vector(f"{name}, a field too few", middle[:-1])
        else:
            yield Vector(f"{name}, without a link sequence", raw=cbor2.dumps([middle[0]]))
        yield Vector(f"{name}, a field too many", (*_middle(shape, shape.most), 0))
    yield from (Vector(f"message type {kind}", (kind, 0)) for kind in (0, 15, 16, 17, 200, -1))
    for what, raw in _NOT_OURS.items():
        yield Vector(what, raw=raw)


_NO_INTEGERS: tuple[object, ...] = (1.5, None, True, "1", [1], {})
_KEEP_ALIVE = schema.KEEP_ALIVE
_NOT_OURS = {
    "no payload": b"\x80",
    "an integer": b"\x05",
    "a map": b"\xa1\x01\x02",
    "an array of indefinite length": bytes((0x9F, _KEEP_ALIVE, 1, 0xFF)),
    "a length that is longer than it need be": bytes((0x98, 2, _KEEP_ALIVE, 1)),
    "an integer that is longer than it need be": bytes((0x82, 0x18, _KEEP_ALIVE, 1)),
    "an integer of eight bytes": bytes((0x82, _KEEP_ALIVE, 0x1B)) + bytes(7) + b"\1",
    "a tag": bytes((0x82, _KEEP_ALIVE, 0xC0, 1)),
    "half a float": bytes((0x82, _KEEP_ALIVE, 0xF9, 0x3C, 0)),
    "an array that ends early": bytes((0x83, _KEEP_ALIVE, 1)),
    "bytes behind the array": bytes((0x82, _KEEP_ALIVE, 1, 0)),
    "more items than a message has": bytes((0x98, 97)) + bytes(97),
    "more bytes than a frame has": cbor2.dumps([_KEEP_ALIVE, *[1 << 30] * 60]),
}


def _shapes() -> list[tuple[str, Message]]:
    return [(name, shape) for name, shape in messages("to-board").items() if name not in _NOT_SENT]


def _middle(shape: Message, times: int) -> tuple[int, ...]:
    """Return a message whose fields are zero where that is allowed."""
    fields = (*shape.head, *shape.group * times)
    return tuple(0 if 0 in field else bounds(field)[0] for field in fields if not isinstance(field, type))
