"""Conformance of the board's decoder: messages at the edges of the schema, and everything just beyond."""

from __future__ import annotations

import pytest

from bedside.hil.bench import Bench
from bedside.hil.measures import Measures
from bedside.hil.vectors import framed, invalid, valid
from bedside.link import causes, frames, schema
from bedside.link.messages import DISABLED, OFF

pytestmark = pytest.mark.requirement("wire")
BAD = {"bad-frame", "bad-message"}
DRIVE_ON = 2
# What a board may refuse a sound message for that makes no sense to one that is off.
SENSELESS = {
    "not-enabled",
    "joint-count",
    "old-operator-sequence",
    "no-such-channel",
    "proof-unknown-key",
    "proof-wrong",
    "proof-stale",
    # A part of the black box that is not there.
    "configuration",
}


def told(board: Bench) -> list[str]:
    names = [causes.name_of(event.code) for event in board.events]
    board.events.clear()
    return names


def heard(board: Bench) -> None:
    """Wait until the board has dealt with what it was sent, and is as off as it was."""
    feedback = board.talk([schema.KEEP_ALIVE, 0])
    assert (feedback.state, feedback.phase) == (DISABLED, OFF)
    assert not any(flags & DRIVE_ON for flags in feedback.flags)


def test_each_message_at_the_edges_of_its_schema_is_taken(board: Bench, measures: Measures) -> None:
    vectors = list(valid())
    for vector in vectors:
        board.link.seq += 1
        board.link.port.write(framed(vector.payload(board.link.seq)))
        heard(board)
        assert set(told(board)) <= SENSELESS, vector.name
    measures.figure("valid vectors taken", len(vectors), "")
    board.configure()


def test_whatever_is_just_beyond_is_refused_and_the_next_frame_is_heard(board: Bench, measures: Measures) -> None:
    vectors = list(invalid())
    for vector in vectors:
        before = board.talk([schema.KEEP_ALIVE, 0]).refused
        board.link.seq += 1
        board.link.port.write(framed(vector.payload(board.link.seq)))
        heard(board)
        assert board.talk([schema.KEEP_ALIVE, 0]).refused == before + 1, vector.name
        assert set(told(board)) <= BAD, vector.name
    measures.figure("invalid vectors refused", len(vectors), "")


def test_a_frame_with_a_wrong_checksum_or_cut_short_is_refused(board: Bench) -> None:
    whole = frames.encode([schema.KEEP_ALIVE, board.link.seq + 1])
    damaged = [framed(bytes((0x82, schema.KEEP_ALIVE, 1)), crc) for crc in (0, 0xFFFF, 0x1234)]
    damaged += [whole[:k] + b"\0" for k in range(1, len(whole) - 1)]
    for frame in damaged:
        before = board.talk([schema.KEEP_ALIVE, 0]).refused
        board.link.port.write(frame)
        heard(board)
        assert board.talk([schema.KEEP_ALIVE, 0]).refused == before + 1, frame
    board.tick(5)
    assert set(told(board)) == {"bad-frame"}


def test_a_frame_that_comes_a_byte_at_a_time_or_behind_another_is_one(board: Bench) -> None:
    before = board.talk([schema.KEEP_ALIVE, 0]).refused
    seq = board.link.seq
    one, two, three = (frames.encode([schema.KEEP_ALIVE, seq + k]) for k in (1, 2, 3))
    board.link.seq += 3
    for byte in one:
        board.link.port.write(bytes((byte,)))
    board.link.port.write(two + three)
    assert board.exchange(seq + 3).refused == before
    assert told(board) == []
