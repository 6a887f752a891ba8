"""The defects of RAVEN II's link, one by one: what an attacker, or chance, does with each."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable, Callable

import pytest

from bedside.errors import SurgeonError
from bedside.surgeon.console import Console
from bedside.surgeon.motion import Weave
from bedside.surgeon.remote import Route
from on_path import drop, pass_on
from theatre import Theatre

pytestmark = [pytest.mark.real_time, pytest.mark.requirement("authentic")]

YAW = 0
# How often a row that needs the machine to keep up is begun again.
STALLS = 4
# RAVEN forgets its sequence when a packet is more than so far behind.
BEHIND = 1000
# Less than the loss at which the arm pauses; in bursts of three, as networks lose.
LOST, OF = 3, 30


def by(theatre: Theatre, act: Callable[[Console], Awaitable[None]]) -> None:
    """Let a surgeon at a console of this process have the enabled arm, and do something with it."""

    async def run() -> None:
        host, port = theatre.bridge_address
        async with Console.connect(theatre.credentials("mallory"), Route(bridge=f"{host}:{port}")) as arm:
            arm.on_command = lambda seq, position, velocity: theatre.ask(position, velocity)
            await arm.request()
            await arm.enable()
            theatre.begin()
            await act(arm)

    for left in reversed(range(STALLS)):
        theatre.end_drive()
        theatre.at_rest()
        begun, ticks = time.monotonic(), theatre.world.ticks
        try:
            asyncio.run(run())
            break
        except (AssertionError, SurgeonError):
            # An arm whose world has fallen behind may have stopped for that.
            if not left or theatre.kept_up(ticks, begun):
                raise
        finally:
            assert not theatre.harm.wrong, theatre.harm.wrong


async def until(done: Callable[[], bool], what: str) -> None:
    for _ in range(500):
        if done():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(what)


def test_gap(theatre: Theatre) -> None:
    """RAVEN: motion behind a gap is dropped -> setpoints are absolute: with a tenth of them lost no drift is left"""
    number = itertools.count()

    def attack() -> None:
        theatre.path.up = lambda data: drop(data) if next(number) % OF < LOST else pass_on(data)
        time.sleep(1.0)

    theatre.goes_on(attack)
    offs = [abs(at - wanted) for at, wanted in zip(theatre.places(), theatre.asked_lately()[-1], strict=True)]
    allowed = [joint.limits.following for joint in theatre.cell.joint]
    assert all(off < most for off, most in zip(offs, allowed, strict=True)), offs


def test_forward_lock_out(theatre: Theatre) -> None:
    """RAVEN: one packet far ahead locks the console out -> the holder's own leap is followed on; nobody else has one"""

    async def act(arm: Console) -> None:
        arm.link.seq += 1_000_000
        start = arm.feedback.position
        await arm.move_jp([start[YAW] + 0.05, *start[1:]])
        assert abs(theatre.places()[YAW] - start[YAW] - 0.05) < 0.01

    by(theatre, act)


def test_silent_reset_of_the_sequence(theatre: Theatre) -> None:
    """RAVEN: a sequence that falls far behind is taken for a new one -> commands count as stale; the arm pauses"""

    async def act(arm: Console) -> None:
        arm.link.seq += 2 * BEHIND
        await asyncio.sleep(0.2)
        places = theatre.places()
        # A console learns from its bridge what was sent last; one whose memory is damaged does not.
        old = itertools.count(arm.link.seq - BEHIND - 500)
        arm.link.next_seq = lambda: next(old)  # type: ignore[method-assign]
        with pytest.raises(SurgeonError):
            await arm.play(Weave(arm.joints, 30.0))
        await until(lambda: theatre.still_ticks > 40, "standstill")
        assert abs(theatre.places()[YAW] - places[YAW]) < 0.02
        await until(lambda: arm.link.figures is not None and arm.link.figures.stale > 10, "the count is told")

    by(theatre, act)


def test_lost_console(theatre: Theatre) -> None:
    """RAVEN: 5 s until a lost console matters -> killed or frozen: at rest within the operator timeout"""
    for number in (signal.SIGSTOP, signal.SIGKILL):

        def attack(number: signal.Signals = number) -> None:
            assert theatre.drive
            theatre.drive.send_signal(number)

        theatre.stops(attack, theatre.cell.arm.operator_timeout_ms)


def test_no_limit_on_a_packet(theatre: Theatre) -> None:
    """RAVEN: no limit on a packet's step, speed or place -> each is refused with the joint, the value and the limit"""

    async def act(arm: Console) -> None:
        here = arm.feedback.position
        still = [0.0] * len(here)
        for place, speed, why in ((0.9, 0.0, "a step of"), (2.0, 0.0, "outside"), (0.0, 9.0, "velocity 9")):
            position = [here[YAW] + place, *here[1:]]
            told: list[str] = []
            for _ in range(200):
                seq = arm.link.servo_jp(position, [speed, *still[1:]])
                # Between them the console says where it holds the arm, which may overtake them, and some are not told.
                await asyncio.sleep(0.02)
                told = [notice.text for notice in arm.link.notices if notice.seq <= seq and why in notice.text]
                if told:
                    break
            assert told, why
            assert "outer_yaw" in told[0]
        assert max(abs(at - was) for at, was in zip(theatre.places(), here, strict=True)) < 0.01

    by(theatre, act)


def test_checksum(theatre: Theatre) -> None:
    """RAVEN: the checksum is not checked -> one changed bit anywhere in a datagram, and it does not count"""
    changed = itertools.count()

    def one_bit(data: bytes) -> list[tuple[float, bytes]]:
        at = next(changed)
        flipped = bytearray(data)
        flipped[at * 7 % len(data)] ^= 1 << at % 8
        return [(0.0, bytes(flipped)), (0.0, data)] if at % 2 else pass_on(data)

    def attack() -> None:
        theatre.path.up = one_bit
        time.sleep(0.7)

    theatre.goes_on(attack)


def test_any_sender(theatre: Theatre) -> None:
    """RAVEN: any sender is accepted -> what the console has sealed counts from its own address only"""
    with theatre.path.listening() as heard:
        theatre.moving()
        time.sleep(0.3)
    own = [each.data for each in heard if each.up]

    def attack() -> None:
        with theatre.stranger("127.0.0.67") as stranger:
            for datagram in own:
                stranger.send(datagram)

    theatre.goes_on(attack)
