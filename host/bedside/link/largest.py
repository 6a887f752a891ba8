"""The largest frames that a board of some joints is sent, and sends, while it runs."""

from __future__ import annotations

from bedside.link import frames, schema
from bedside.link.messages import FIRST_REFUSAL

# The longest that an integer gets in CBOR; a tick has 30 bits.
_WORD = -(2**31)
_TICK = 2**30 - 1
_OUTPUT, _FLAGS = -32767, 1023
_STATE, _PHASE, _CAUSE = 3, 7, FIRST_REFUSAL - 1


def command_bytes(joints: int) -> int:
    """Return the size of the largest command for ``joints`` joints, its closing zero included."""
    return len(frames.encode([schema.COMMAND, schema.SEQ_MAX, schema.SEQ_MAX, *[_WORD, _WORD] * joints]))


def feedback_bytes(joints: int) -> int:
    """Return the size of the largest feedback of ``joints`` joints."""
    counts = [schema.SEQ_MAX] * 3
    board = [schema.SEQ_MAX, schema.SEQ_MAX, _TICK, _STATE, _PHASE, _CAUSE, *counts]
    return len(frames.encode([schema.FEEDBACK, *board, *[_WORD, _WORD, _WORD, _OUTPUT, _FLAGS] * joints]))
