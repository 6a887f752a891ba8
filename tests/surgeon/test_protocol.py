from __future__ import annotations

import contextlib
import math

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedside.errors import SurgeonError
from bedside.surgeon import protocol

FINITE = st.floats(allow_nan=False, allow_infinity=False)
COUNT = st.integers(0, 2**31 - 1)
STAMP = st.integers(0, 2**62 - 1)
WORD = st.integers(-(2**31), 2**31 - 1)
FROM_CONSOLE = st.one_of(
    st.lists(st.tuples(FINITE, FINITE), max_size=8).flatmap(
        lambda joints: st.builds(
            protocol.ServoJp,
            COUNT,
            COUNT,
            STAMP,
            st.booleans(),
            st.just([p for p, _ in joints]),
            st.just([v for _, v in joints]),
        )
    ),
    st.builds(protocol.StateCommand, COUNT, COUNT, STAMP, st.sampled_from(["enable", "clear"]), FINITE),
    st.builds(protocol.Hello, COUNT, st.floats(0.1, 2000)),
    st.builds(protocol.Pong, COUNT, STAMP, STAMP),
    st.builds(protocol.Ask, COUNT, COUNT, st.sampled_from(["request", "stop"]), st.text(max_size=64)),
    st.builds(protocol.Proof, COUNT, st.lists(st.lists(WORD, min_size=7, max_size=7), max_size=16)),
    st.builds(protocol.Bye, COUNT),
    st.builds(protocol.Part, COUNT, COUNT, COUNT, st.binary()),
)
FACTS = st.lists(
    st.builds(protocol.BoardFacts, st.text(), st.integers(500, 4000), st.integers(0, 8), st.lists(COUNT)), max_size=3
)
JOINTS = st.lists(st.builds(protocol.JointFacts, *[st.text()] * 2, *[FINITE] * 4), max_size=3)
FROM_BRIDGE = st.one_of(
    st.builds(protocol.Feedback, *[COUNT] * 5, st.binary(), st.binary()),
    st.builds(protocol.Notice, st.text(), COUNT),
    st.builds(protocol.Welcome, COUNT, *[st.text()] * 3, FINITE, FINITE, FACTS, JOINTS),
    st.builds(protocol.Ping, COUNT, STAMP),
    st.builds(
        protocol.Authority, st.booleans(), st.text(), st.dictionaries(st.text(), st.text()), st.lists(st.text()), COUNT
    ),
    st.builds(protocol.Witness, COUNT, st.lists(WORD)),
    st.builds(protocol.Figures, *[FINITE] * 5, COUNT, COUNT),
)


@given(FROM_CONSOLE)
def test_what_a_console_says_comes_back_as_it_was(sent: protocol.FromConsole) -> None:
    assert protocol.to_bridge(protocol.encode(sent)) == sent


@given(FROM_BRIDGE)
def test_what_a_bridge_says_comes_back_as_it_was(sent: protocol.FromBridge) -> None:
    assert protocol.to_console(protocol.encode(sent)) == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_clear_refusal(data: bytes) -> None:
    for read in (protocol.to_bridge, protocol.to_console):
        with contextlib.suppress(SurgeonError):
            assert isinstance(read(data), msgspec.Struct)


@given(FROM_CONSOLE, st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_message_is_a_message_or_a_clear_refusal(sent: protocol.FromConsole, at: int, byte: int) -> None:
    data = bytearray(protocol.encode(sent))
    data[at % len(data)] = byte
    with contextlib.suppress(SurgeonError):
        protocol.to_bridge(bytes(data))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    for position, velocity in (([bad], [0.0]), ([0.0], [bad])):
        with pytest.raises(SurgeonError, match="NaN or infinite; send finite numbers"):
            protocol.to_bridge(cbor2.dumps([1, 0, 1, 0, True, position, velocity]))
    with pytest.raises(SurgeonError, match="NaN or infinite"):
        protocol.to_bridge(cbor2.dumps([2, 0, 1, 0, "enable", bad]))


@pytest.mark.parametrize(
    "message",
    [
        [1, 0, 1, 0, True, [0.0, 0.0], [0.0]],
        [1, 0, -1, 0, True, [0.0], [0.0]],
        [1, 0, 2**40, 0, True, [0.0], [0.0]],
        [1, 0, 1, -1, True, [0.0], [0.0]],
        [1, 0, 1, 0, 1, [0.0], [0.0]],
        [1, 0, 1, 0, True, [True], [0.0]],
        [1, 0, 1, 0, True, "here", [0.0]],
        [2, 0, 1, 0, "explode", 0.0],
        [5, 2, 0.0],
        [7, 0, 1, "steal", "sue"],
        [7, 0, 1, "grant", "x" * 65],
        [8, 0, [[0] * 6]],
        [8, 0, [[2**31] * 7]],
        [8, 0, [[0] * 7] * 17],
        [99, 0],
        {"position": [0.0]},
        None,
    ],
)
def test_what_is_not_in_the_protocol_is_refused(message: object) -> None:
    with pytest.raises(SurgeonError):
        protocol.to_bridge(cbor2.dumps(message))


def test_an_oversized_message_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(SurgeonError, match="none is longer"):
        protocol.to_bridge(b"\xff" * (protocol.DATAGRAM_MAX + 1))
