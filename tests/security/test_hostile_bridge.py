"""The bridge itself: killed, frozen, or another program in its place, with all that a bridge has."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

import pytest

from theatre import Theatre

pytestmark = [pytest.mark.real_time, pytest.mark.requirement("proof")]

YAW = 0


@pytest.fixture
def honest_after(theatre: Theatre) -> Iterator[None]:
    """Leaves no hostile bridge behind."""
    yield
    theatre.end_bridge()


def signalled(theatre: Theatre, number: signal.Signals) -> None:
    assert theatre.bridge
    theatre.bridge.send_signal(number)


def longest_ms(theatre: Theatre) -> float:
    """How long after its last honest proof an arm may go on."""
    return theatre.cell.arm.proof_max_age_ms + theatre.cell.arm.operator_timeout_ms


def test_killed(theatre: Theatre) -> None:
    """the bridge is killed -> boards stop within the link timeout, brakes close, FAULT; a new one moves nothing"""
    theatre.stops(lambda: signalled(theatre, signal.SIGKILL), theatre.cell.arm.link_timeout_ms)
    theatre.until(lambda: all(plant.brake_closed for plant in theatre.world.plants.values()), "braked")
    theatre.rests(theatre.serve, 0.5)


def test_frozen(theatre: Theatre) -> None:
    """the bridge is frozen (SIGSTOP) for a while -> boards stop within the link timeout, FAULT; nothing moves after"""
    theatre.stops(lambda: signalled(theatre, signal.SIGSTOP), theatre.cell.arm.link_timeout_ms)
    theatre.until(lambda: all(plant.brake_closed for plant in theatre.world.plants.values()), "braked")
    theatre.rests(lambda: signalled(theatre, signal.SIGCONT), 0.5)


def test_repeats_itself(theatre: Theatre, honest_after: None) -> None:
    """a bridge repeats its last command in valid frames, with new tokens -> at rest within the operator timeout"""
    theatre.stops(
        theatre.turn_hostile, theatre.cell.arm.operator_timeout_ms, "operator-timeout: no newer command", "repeats"
    )


def test_goes_on_by_itself(theatre: Theatre, honest_after: None) -> None:
    """a bridge makes commands up, the last token with each -> at rest within the proof's age and operator timeout"""
    theatre.stops(theatre.turn_hostile, longest_ms(theatre), "proof-timeout", "goes on by itself")
    theatre.rests(lambda: None, 0.5)


def test_hoards_tokens(theatre: Theatre, honest_after: None) -> None:
    """a bridge hoards tokens for when the surgeon is gone -> they grow old: at rest within age and timeout as before"""

    def attack() -> None:
        theatre.turn_hostile()
        theatre.end_drive()

    theatre.stops(attack, longest_ms(theatre), "proof-timeout", "hoards")
    theatre.rests(lambda: None, 0.5)


def test_shows_another_arm(theatre: Theatre, honest_after: None) -> None:
    """altered feedback: a joint is shown 50 mrad off -> its board has signed otherwise: the console stops"""
    theatre.stops(theatre.turn_hostile, 500 + theatre.cell.arm.operator_timeout_ms, hostile="shows another arm")
    theatre.until(lambda: "has signed otherwise" in theatre.said("drive"), "the surgeon is told")


def test_leads_astray_and_hides_it(theatre: Theatre, honest_after: None) -> None:
    """a bridge leads a joint astray within every limit, and hides it -> the console stops before it is out of bounds"""
    theatre.stops(theatre.turn_hostile, 1500, hostile="leads astray and hides it")
    theatre.until(lambda: "has signed otherwise" in theatre.said("drive"), "the surgeon is told")


def test_jumps(theatre: Theatre, honest_after: None) -> None:
    """a bridge lies to the boards, by steps above their limits -> each board refuses: at rest within the timeout"""
    theatre.stops(theatre.turn_hostile, theatre.cell.arm.operator_timeout_ms, "step-limit", "jumps")


def test_leads_astray(theatre: Theatre, honest_after: None) -> None:
    """a bridge leads a joint astray within every limit, openly -> NOT PREVENTED; within its limits, and seen"""
    theatre.serve("leads astray")
    theatre.moving()
    with contextlib.closing(theatre.call("observer", "127.0.0.22")) as observer:
        theatre.turn_hostile()
        limits = theatre.cell.joint[YAW].limits
        low, high = limits.position
        fastest = 0.0
        for _ in range(200):
            plant = theatre.world.plants[theatre.cell.joint[YAW].name]
            assert low <= plant.position <= high
            fastest = max(fastest, abs(plant.velocity))
            time.sleep(0.005)
        assert fastest <= 1.1 * limits.velocity
        assert theatre.places()[YAW] - theatre.asked_lately()[-1][YAW] > 0.1, "it is led astray"
        feedback = observer.link.feedback
        assert feedback
        assert abs(feedback.position[YAW] - theatre.places()[YAW]) < 0.1
