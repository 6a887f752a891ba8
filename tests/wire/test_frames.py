from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from bedside.link import frames as host
from wire import cbor, frames

INT32 = st.integers(-(2**31), 2**31 - 1)


def board_frame(items: list[int]) -> bytes:
    out = bytearray(frames.FRAME_MAX + 2)
    n = frames.frame(out, frames.CRC, cbor.encode(out, array("i", items), len(items)))
    return bytes(out[:n])


def read(line: bytes) -> int:
    """Return how many items the board finds in the frame, or less than 0 if it refuses it."""
    spare = bytearray(line + bytes(8))
    size = frames.unframe(spare, frames.CRC, 0)
    return cbor.decode(spare, array("i", [0] * cbor.ITEMS_MAX), 1, size) if size > 0 else -1


@given(st.lists(INT32, min_size=1, max_size=48))
def test_both_sides_write_the_same_bytes(items: list[int]) -> None:
    assert board_frame(items) == host.encode(items)


@given(st.lists(INT32, min_size=1, max_size=48))
def test_the_board_reads_what_the_host_writes(items: list[int]) -> None:
    line, out = bytearray(b"\0" + host.encode(items) + bytes(8)), array("i", [0] * cbor.ITEMS_MAX)
    n = frames.unframe(line, frames.CRC, 1)
    assert cbor.decode(line, out, 2, n) == len(items)
    assert list(out[: len(items)]) == items


@given(st.lists(st.lists(INT32, min_size=1, max_size=5), max_size=6), st.integers(1, 9))
def test_the_host_reads_a_stream_in_any_pieces(messages: list[list[int]], size: int) -> None:
    stream = b"".join(map(board_frame, messages))
    decoder = host.Decoder()
    pieces = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert [message for piece in pieces for message in decoder.feed(piece)] == messages
    assert decoder.bad == 0


@given(st.binary(max_size=300))
def test_junk_between_frames_costs_at_most_one_message(junk: bytes) -> None:
    decoder = host.Decoder()
    came = list(decoder.feed(board_frame([5, 1]) + junk + b"\0" + board_frame([5, 2])))
    assert came[0] == [5, 1]
    assert came[-1] == [5, 2]


@given(st.binary(min_size=1, max_size=20), st.integers(0, cbor.ITEMS_MAX))
def test_a_decoder_reads_no_more_than_five_bytes_beyond_what_it_is_given(payload: bytes, count: int) -> None:
    """Whatever number of items is announced; the pointer raises IndexError beyond."""
    line = bytearray(bytes([0x98, count]) + payload + b"\x1a\x01\x01\x01\x01")
    cbor.decode(line, array("i", [0] * cbor.ITEMS_MAX), 0, len(line) - 5)


@given(st.lists(INT32, min_size=1, max_size=20), st.data())
def test_a_flipped_bit_is_noticed(items: list[int], data: st.DataObject) -> None:
    line = bytearray(board_frame(items))
    at = data.draw(st.integers(0, len(line) - 2))
    line[at] ^= 1 << data.draw(st.integers(0, 7))
    end = line.index(0)
    assert read(line) < 0
    assert frames.find_end(line, 0) == end, "what follows the frame is still found"


def test_a_frame_that_loses_a_zero_at_its_end_is_noticed() -> None:
    """A CRC that ends in zero fits without it, too; but an array that ends a byte early is none."""
    line = board_frame([-3504, -499])
    assert line[-2:] == b"\x01\0", "the last byte of the CRC is zero"
    line = line[:-2] + b"\0\0"
    assert frames.unframe(bytearray(line + bytes(8)), frames.CRC, 0) > 0
    assert read(line) < 0
    decoder = host.Decoder()
    assert list(decoder.feed(line)) == []
    assert decoder.bad == 1


def test_a_line_that_babbles_without_end_does_not_fill_the_memory() -> None:
    decoder = host.Decoder()
    for _ in range(1000):
        assert list(decoder.feed(b"\x55" * 100)) == []
    assert len(decoder._rest) <= host.FRAME_MAX
    assert decoder.bad
