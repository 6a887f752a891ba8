from __future__ import annotations

import contextlib
import math

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedside.errors import SurgeonError
from bedside.surgeon import protocol

FINITE = st.floats(allow_nan=False, allow_infinity=False)
COUNT = st.integers(0, 2**31 - 1)


@given(COUNT, COUNT, st.lists(st.tuples(FINITE, FINITE), max_size=8))
def test_a_command_comes_back_as_it_was(session: int, seq: int, joints: list[tuple[float, float]]) -> None:
    sent = protocol.ServoJp(session, seq, [p for p, _ in joints], [v for _, v in joints])
    assert protocol.to_bridge(protocol.encode(sent)) == sent


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_clear_refusal(data: bytes) -> None:
    with contextlib.suppress(SurgeonError):
        assert isinstance(protocol.to_bridge(data), protocol.ServoJp | protocol.StateCommand)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    for position, velocity in (([bad], [0.0]), ([0.0], [bad])):
        with pytest.raises(SurgeonError, match="NaN or infinite; send finite numbers"):
            protocol.to_bridge(cbor2.dumps([1, 0, 1, position, velocity]))


@pytest.mark.parametrize(
    "message",
    [
        [1, 0, 1, [0.0, 0.0], [0.0]],
        [1, 0, -1, [0.0], [0.0]],
        [1, 0, 2**40, [0.0], [0.0]],
        [1, 0, 1, [True], [0.0]],
        [1, 0, 1, "here", [0.0]],
        [2, 0, 1, "explode", 0.0],
        [9, 0],
        {"position": [0.0]},
        None,
    ],
)
def test_what_is_not_in_the_protocol_is_refused(message: object) -> None:
    with pytest.raises(SurgeonError):
        protocol.to_bridge(cbor2.dumps(message))


def test_an_oversized_datagram_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(SurgeonError, match="no message is longer"):
        protocol.to_bridge(b"\xff" * (protocol.DATAGRAM_MAX + 1))
