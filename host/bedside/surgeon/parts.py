"""Messages that are longer than a datagram may be, in parts: those of an arm with more joints than most.

A part that is lost takes its message with it, as a lost datagram does; the next message is newer anyway.
"""

from __future__ import annotations

from itertools import count

from bedside.surgeon import protocol
from bedside.surgeon.protocol import DATAGRAM_MAX, Part

# What fits one DTLS record in a datagram that crosses every network, and leaves room for the part's own head.
PART_MAX = 1120
_COUNT_MAX = -(-DATAGRAM_MAX // PART_MAX)
_NUMBER_MASK = 0x7FFFFFFF


class Splitter:
    """Numbers the messages of one direction that need parts."""

    def __init__(self) -> None:
        self._numbers = count()

    def split(self, message: bytes) -> list[bytes]:
        """Return what to send for ``message``: itself, or its parts."""
        if len(message) <= PART_MAX:
            return [message]
        pieces = [message[at : at + PART_MAX] for at in range(0, len(message), PART_MAX)]
        number = next(self._numbers) & _NUMBER_MASK
        return [protocol.encode(Part(number, index, len(pieces), piece)) for index, piece in enumerate(pieces)]


class Joiner:
    """Puts the parts of one message at a time together again: those of the number that came last."""

    def __init__(self) -> None:
        self._number = -1
        self._pieces: dict[int, bytes] = {}

    def join(self, part: Part) -> bytes | None:
        """Take a part; return the message once it is whole, else None."""
        if not part.index < part.count <= _COUNT_MAX or len(part.data) > PART_MAX:
            return None
        if part.number != self._number:
            self._number = part.number
            self._pieces = {}
        self._pieces[part.index] = part.data
        if len(self._pieces) < part.count:
            return None
        pieces, self._pieces = self._pieces, {}
        message = b"".join(pieces[index] for index in sorted(pieces))
        # What is short needs no parts; taken, it could be a part of a part of a part.
        return message if len(message) > PART_MAX else None
