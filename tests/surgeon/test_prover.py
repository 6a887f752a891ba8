"""A console signs for what its boards have witnessed, and for nothing that a bridge could have made up."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

import pytest

from bedside.errors import SurgeonError
from bedside.surgeon.proof import Prover, board_key, cmac, key_id

KEY, ROLES = bytes(range(16)), ["psm1/psm1-base", "psm1/psm1-wrist"]
HZ = 1000


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def prover(clock: Clock) -> Prover:
    return Prover(KEY, ROLES, [HZ, HZ], clock)


def signed(tick: int, *positions: int, board: int = 0, nonce: tuple[int, int] = (5, 6), word: int = 0) -> list[int]:
    """Return the witness of ``board``, as protocol.cddl says."""
    text = struct.pack(f">4I{len(positions)}i", *nonce, tick, 1 << 31 | word, *positions)
    return [*nonce, tick, word, *struct.unpack(">4i", cmac(board_key(KEY, ROLES[board]), text)), *positions]


def test_every_board_has_a_key_of_its_own_that_is_made_of_the_consoles() -> None:
    keys = [board_key(KEY, role) for role in ROLES]
    assert keys[0] == cmac(KEY, b"psm1/psm1-base") != keys[1]
    assert key_id(keys[0]) == int.from_bytes(hashlib.sha256(keys[0]).digest()[:4], "big") >> 1


def test_before_a_witness_there_is_no_token(prover: Prover) -> None:
    assert prover.token(0, 1) is None
    prover.witness(0, signed(70, 1, 2))
    assert prover.token(1, 1) is None


def test_a_token_signs_the_nonce_the_tick_that_was_seen_and_the_operators_sequence(prover: Prover) -> None:
    prover.witness(0, signed(70, 1, 2))
    key = board_key(KEY, ROLES[0])
    mac = cmac(key, struct.pack(">4I", 5, 6, 70, 9))
    assert prover.token(0, 9) == [key_id(key), 70, 9, *struct.unpack(">4i", mac)]


def test_a_witness_is_read(prover: Prover) -> None:
    seen = prover.witness(0, signed(70, -1, 2, word=2 << 24 | 5 << 16 | 24))
    assert (seen.tick, seen.state, seen.phase, seen.cause, seen.positions) == (70, 2, 5, 24, [-1, 2])


@pytest.mark.parametrize("field", range(10))
def test_a_witness_that_was_altered_is_refused(prover: Prover, field: int) -> None:
    fields = signed(70, 1, 2)
    fields[field] ^= 1
    with pytest.raises(SurgeonError, match="has not signed"):
        prover.witness(0, fields)
    assert prover.token(0, 1) is None


@pytest.mark.parametrize(
    "fields",
    [
        [],
        signed(70, 1, 2)[:8],
        [*signed(70, 1), 0],
        [*signed(70, 1, 2), 3],
        [*signed(70, 1, 2)[:3], 1 << 31, *signed(70, 1, 2)[4:]],
        [*signed(70, 1, 2)[:-1], 1 << 40],
        [*signed(70, 1, 2)[:-1], "2"],
        signed(70, 1, 2, board=1),
    ],
)
def test_what_is_no_witness_of_this_board_is_refused(prover: Prover, fields: list[int]) -> None:
    with pytest.raises(SurgeonError, match="has not signed"):
        prover.witness(0, fields)


def test_a_witness_that_is_older_than_the_last_is_refused_and_changes_nothing(prover: Prover, clock: Clock) -> None:
    prover.witness(0, signed(70, 1))
    clock.now_s += 0.1
    prover.witness(0, signed(170, 1))
    before = prover.token(0, 9)
    with pytest.raises(SurgeonError, match="tick 70 came behind that of tick 170"):
        prover.witness(0, signed(70, 1))
    assert prover.token(0, 9) == before


def test_ticks_go_on_where_they_wrap(prover: Prover, clock: Clock) -> None:
    prover.witness(0, signed(2**30 - 50, 1))
    clock.now_s += 0.1
    assert prover.witness(0, signed(50, 1)).tick == 50


def test_a_board_that_was_off_is_believed_anew_but_no_witness_from_before(prover: Prover) -> None:
    prover.witness(0, signed(70, 1))
    prover.witness(0, signed(20, 1, nonce=(7, 8)))
    with pytest.raises(SurgeonError, match="repeats old ones"):
        prover.witness(0, signed(90, 1))
    token = prover.token(0, 1)
    assert token
    assert token[1] == 20


@pytest.mark.parametrize("ahead_s", [1.05, 3600.0])
def test_ticks_further_on_than_the_consoles_clock_are_not_signed(prover: Prover, clock: Clock, ahead_s: float) -> None:
    prover.witness(0, signed(70, 1))
    clock.now_s += 10
    with pytest.raises(SurgeonError, match="a clock is wrong"):
        prover.witness(0, signed(70 + round(HZ * (10 + ahead_s)), 1))
    assert prover.token(0, 1) is None
    prover.witness(0, signed(10_070, 1))
    assert prover.token(0, 1), "the next one counts again"


@pytest.mark.parametrize("delay_s", [0.0, 0.9])
def test_a_first_witness_that_was_late_and_two_crystals_that_differ_are_borne(
    prover: Prover, clock: Clock, delay_s: float
) -> None:
    clock.now_s += delay_s
    prover.witness(0, signed(70, 1))
    for minute in range(1, 60):
        clock.now_s = 100 + 60 * minute
        prover.witness(0, signed(70 + round(60 * minute * HZ * 1.0002), 1))
