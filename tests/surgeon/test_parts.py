from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from bedside.surgeon import protocol
from bedside.surgeon.dtls import MESSAGE_MAX
from bedside.surgeon.parts import Joiner, Splitter
from bedside.surgeon.protocol import DATAGRAM_MAX, Part

MESSAGES = st.binary(min_size=1, max_size=DATAGRAM_MAX)


def parts_of(message: bytes, splitter: Splitter) -> list[Part]:
    found = [protocol.to_console(part) for part in splitter.split(message)]
    assert all(isinstance(part, Part) for part in found)
    return found  # type: ignore[return-value]


@given(st.binary(min_size=1121, max_size=DATAGRAM_MAX), st.randoms(use_true_random=False))
def test_a_long_message_comes_back_whole_in_any_order(message: bytes, order: random.Random) -> None:
    splitter = Splitter()
    parts = parts_of(message, splitter)
    order.shuffle(parts)
    joiner = Joiner()
    assert [joiner.join(part) for part in parts] == [None] * (len(parts) - 1) + [message]


@given(MESSAGES)
def test_every_part_fits_a_record(message: bytes) -> None:
    assert all(len(part) <= MESSAGE_MAX for part in Splitter().split(message))


def test_a_message_that_fits_goes_as_it_is() -> None:
    assert Splitter().split(b"x" * 1120) == [b"x" * 1120]


def test_a_lost_part_takes_only_its_own_message_with_it() -> None:
    splitter, joiner = Splitter(), Joiner()
    first, second = parts_of(b"a" * 3000, splitter), parts_of(b"b" * 3000, splitter)
    assert [joiner.join(part) for part in first[:-1]] == [None, None]
    assert [joiner.join(part) for part in second] == [None, None, b"b" * 3000]
    assert joiner.join(first[-1]) is None


def test_parts_of_two_messages_are_never_mixed() -> None:
    splitter, joiner = Splitter(), Joiner()
    first, second = parts_of(b"a" * 3000, splitter), parts_of(b"b" * 3000, splitter)
    assert [joiner.join(part) for part in (*first[:2], second[2])] == [None] * 3
    assert [joiner.join(part) for part in second[:2]] == [None, b"b" * 3000]


@given(st.lists(st.builds(Part, *[st.integers(0, 9)] * 3, st.binary(max_size=2000)), max_size=50))
def test_whatever_parts_come_nothing_longer_than_a_message_is_made(parts: list[Part]) -> None:
    joiner = Joiner()
    for part in parts:
        assert len(joiner.join(part) or b"") <= DATAGRAM_MAX + 1120
        assert len(joiner._pieces) <= 4


def test_a_short_message_in_parts_is_dropped_because_it_could_be_a_part_again() -> None:
    inner = protocol.encode(Part(1, 0, 1, b"x" * 100))
    assert Joiner().join(Part(1, 0, 1, inner)) is None
