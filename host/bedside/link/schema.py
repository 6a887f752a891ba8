"""The host's side of protocol.cddl: message types and the hash that tells two versions apart."""

from __future__ import annotations

import hashlib
import re

IDENTIFY = 1
CONFIGURE_BOARD = 2
CONFIGURE_JOINT = 3
COMMAND = 4
KEEP_ALIVE = 5
STATE_COMMAND = 6
MAINTENANCE = 7
READ_BOX = 8
HOLD_BOX = 9
HOME = 10
CONFIGURE_HOMING = 11
PROVE = 12
IDENTITY = 16
FEEDBACK = 17
EVENT = 18
BOX_PART = 19
BOX = 20
WITNESS = 21

DISABLE = 0
ENABLE = 1
PAUSE = 2
RESUME = 3
STOP = 4
UNHOME = 5

SEQ_MAX = 0x7FFFFFFF


def schema_hash(cddl: str) -> int:
    """Return the first 31 bits of the SHA-256 of a CDDL text, comments and blanks left out."""
    bare = re.sub(r"\s+", "", re.sub(r";[^\n]*", "", cddl))
    return int.from_bytes(hashlib.sha256(bare.encode()).digest()[:4], "big") >> 1
