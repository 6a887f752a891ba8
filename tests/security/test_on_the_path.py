"""An attacker on the path between console and bridge."""

from __future__ import annotations

import itertools
import random
import struct
import time
from collections.abc import Callable

import pytest

from bedside.surgeon import protocol
from on_path import OnPath, Policy, drop, pass_on
from theatre import Theatre

pytestmark = [pytest.mark.real_time, pytest.mark.requirement("authentic")]


def every(nth: int, otherwise: Policy) -> Policy:
    """Let ``otherwise`` happen to each ``nth`` datagram."""
    number = itertools.count(1)
    return lambda data: otherwise(data) if next(number) % nth == 0 else pass_on(data)


def delayed(seconds: Callable[[], float]) -> Policy:
    return lambda data: [(seconds(), data)]


def tampered(data: bytes) -> list[tuple[float, bytes]]:
    changed = bytearray(data)
    changed[random.randrange(13, len(data))] ^= 1 << random.randrange(8)
    return [(0.0, bytes(changed))]


def overheard(path: OnPath, seconds: float, up: bool = True) -> list[bytes]:
    with path.listening() as heard:
        time.sleep(seconds)
    return [each.data for each in heard if each.up is up]


def test_eavesdrop(theatre: Theatre) -> None:
    """eavesdrop -> neither a joint's name nor a position nor a key is on the wire, from the handshake on"""
    theatre.end_drive()
    with theatre.path.listening() as heard:
        theatre.moving()
        time.sleep(0.5)
    wire = b"".join(each.data for each in heard)
    # Shorter names are in any megabyte of ciphertext by chance.
    names = [joint.name.encode() for joint in theatre.cell.joint if len(joint.name) > 5]
    positions = theatre.asked_lately()
    places = [struct.pack(">d", place) for position in positions for place in position if place]
    keys = [(theatre.keys / "alice" / name).read_bytes() for name in ("proof.key", "relay.key")]
    in_the_clear = protocol.encode(protocol.ServoJp(1, 1, 1, True, positions[-1], positions[-1]))
    assert places[-1] in in_the_clear, "what is looked for is what a message holds"
    assert len(wire) > 50_000
    assert not [found for found in (*names, *places, *map(bytes.fromhex, map(bytes.decode, keys))) if found in wire]


def test_tamper(theatre: Theatre) -> None:
    """tamper: a bit changed in one datagram of ten, both ways -> each is dropped like a lost one; the arm goes on"""

    def attack() -> None:
        theatre.path.up, theatre.path.down = every(10, tampered), every(10, tampered)
        time.sleep(0.7)

    theatre.goes_on(attack)


def test_tamper_with_all(theatre: Theatre) -> None:
    """tamper with every datagram -> none counts; the arm comes to rest within the operator timeout"""

    def attack() -> None:
        theatre.path.up = theatre.path.down = tampered

    theatre.stops(attack, theatre.cell.arm.operator_timeout_ms)


def test_replay_in_the_same_session(theatre: Theatre) -> None:
    """replay what was heard a second ago, thrice -> dropped: each record counts once; the arm goes on"""

    def attack() -> None:
        for datagram in 3 * overheard(theatre.path, 0.7):
            theatre.path.inject(datagram)
        for datagram in overheard(theatre.path, 0.1, up=False):
            theatre.path.inject(datagram, up=False)

    theatre.goes_on(attack)


def test_replay_in_a_later_session(theatre: Theatre) -> None:
    """replay a whole earlier session, handshake and all, in a later one -> its keys are gone; the arm goes on"""
    theatre.end_drive()
    with theatre.path.listening() as heard:
        theatre.moving()
        time.sleep(0.3)
    old = [each.data for each in heard if each.up]
    theatre.end_drive()
    theatre.moving()
    said = len(theatre.log)

    def attack() -> None:
        for number, datagram in enumerate(old):
            theatre.path.inject(datagram)
            if number % 8 == 0:
                time.sleep(0.001)

    attack()
    assert "is connected" not in theatre.log[said:]
    theatre.goes_on(attack)


def test_reorder(theatre: Theatre) -> None:
    """reorder: every other command 12 ms late -> newest wins, the playout buffer smooths the rest; the arm goes on"""

    def attack() -> None:
        theatre.path.up = every(2, delayed(lambda: 0.012))
        time.sleep(0.7)

    theatre.goes_on(attack)


def test_delay_sudden(theatre: Theatre) -> None:
    """delay suddenly by 0.6 s -> at rest within the operator timeout; late commands are never carried out"""

    def attack() -> None:
        theatre.path.up = delayed(lambda: 0.6)

    theatre.stops(attack, theatre.cell.arm.operator_timeout_ms)
    theatre.rests(lambda: None, 1.0)


def test_delay_creeping(theatre: Theatre) -> None:
    """delay creeping, 0.2 s more each second -> not learned as drift: the arm pauses when commands are too old"""
    begun = 0.0
    most_ms = theatre.cell.arm.network.command_max_age_ms

    def attack() -> None:
        nonlocal begun
        begun = time.monotonic()
        theatre.path.up = delayed(lambda: 0.2 * (time.monotonic() - begun))

    within_ms = most_ms / 0.2 + most_ms + theatre.cell.arm.operator_timeout_ms
    theatre.stops(attack, within_ms, "the arm pauses: commands come")


def test_drop_all(theatre: Theatre) -> None:
    """drop every command -> at rest within the operator timeout"""

    def attack() -> None:
        theatre.path.up = drop

    theatre.stops(attack, theatre.cell.arm.operator_timeout_ms)


def test_return_path_dead(theatre: Theatre) -> None:
    """drop all feedback, so that the surgeon is blind -> proofs grow old: at rest within their age and the timeout"""

    def attack() -> None:
        theatre.path.down = drop

    theatre.stops(attack, theatre.cell.arm.proof_max_age_ms + theatre.cell.arm.operator_timeout_ms)


def test_duplicate(theatre: Theatre) -> None:
    """duplicate every datagram thrice, some late -> each counts once; the arm goes on"""

    def attack() -> None:
        theatre.path.up = theatre.path.down = lambda data: [(0.0, data), (0.0, data), (0.05, data)]
        time.sleep(0.7)

    theatre.goes_on(attack)


def test_forged_records_from_the_right_address(theatre: Theatre) -> None:
    """forge records, and alerts that end a session, from the console's own address -> not sealed, so not heard"""

    def attack() -> None:
        rng = random.Random(1)
        for number in range(200):
            # Application data of the present epoch; then an alert in the clear, close_notify or fatal.
            epoch = b"\x00\x01" + (1 << 40 | number).to_bytes(6)
            theatre.path.inject(b"\x17\xfe\xfd" + epoch + b"\x00\x40" + rng.randbytes(64))
            for up, level, what in itertools.product((True, False), (1, 2), (0, 10)):
                theatre.path.inject(b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02" + bytes((level, what)), up)
            time.sleep(0.002)

    theatre.goes_on(attack)
