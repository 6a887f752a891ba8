"""What every board does, whatever it is: also for a real one, with ``bedside hil PORT``.

Its drives get 5 % at most, to hold where they are; nothing is commanded to move.
"""

from __future__ import annotations

import random

import pytest

from bedside.errors import LinkError
from bedside.hil.bench import Bench
from bedside.link import causes, frames, schema
from bedside.link.blackbox import fetch, release
from bedside.link.board import SCHEMA
from bedside.link.messages import DISABLED, ENABLED, FAULT, HOLDING, OFF, PAUSED, RUN, Event

BRAKE_CLOSED, DRIVE_ON = 1, 2


def names(bench: Bench) -> list[str]:
    return [causes.name_of(event.code) for event in bench.events]


def until(bench: Bench, phase: int) -> None:
    """Keep the link alive until the board is in ``phase``."""
    for _ in range(2000):
        if bench.tick().phase == phase:
            return
    raise AssertionError(f"never in phase {phase}")


def settle(bench: Bench) -> None:
    """Let what a real board tells a moment after its tick arrive."""
    bench.tick(5)


def silence(bench: Bench, ticks: int) -> list[Event]:
    """Say nothing for ``ticks``; return what the board told meanwhile."""
    bench.pass_ticks(ticks)
    return [message for message in bench.link.receive() if isinstance(message, Event)]


@pytest.mark.requirement("identity")
def test_it_says_who_it_is_and_speaks_this_protocol(board: Bench) -> None:
    identity = board.link.identify()
    assert identity.schema == SCHEMA
    assert 500 <= identity.tick_hz <= 4000
    assert identity.name
    assert identity.uid
    assert [joint.name for joint in identity.joints] == [joint.name for joint in board.joints]
    assert all(joint.position_min < joint.position_max for joint in identity.joints)


@pytest.mark.requirement("tick")
def test_its_ticks_go_on(board: Bench) -> None:
    before = board.tick().tick
    assert board.tick(100).tick >= before + 100


@pytest.mark.requirement("wire")
def test_junk_switches_nothing_on_and_the_next_frame_is_heard(board: Bench) -> None:
    rng = random.Random(3)
    whole = frames.encode([schema.STATE_COMMAND, board.link.seq + 1, 5, schema.ENABLE])
    damaged = [whole[:k] + bytes([whole[k] ^ 1 << rng.randrange(8)]) + whole[k + 1 :] for k in range(len(whole) - 1)]
    junk = [rng.randbytes(rng.randrange(1, 300)) for _ in range(20)]
    for piece in [*damaged, *junk, b"\x03\x03\x04", b"\xff" * 300]:
        board.link.port.write(piece + b"\0")
        feedback = board.tick()
        assert (feedback.state, feedback.phase) == (DISABLED, OFF)
        assert not any(flags & DRIVE_ON for flags in feedback.flags)
    assert "bad-frame" in names(board)


@pytest.mark.requirement("no-motion-at-restart")
def test_a_board_of_another_configuration_is_not_enabled_by_commands(board: Bench) -> None:
    board.command([0.0] * len(board.joints), [0.0] * len(board.joints))
    assert names(board) == ["not-enabled"]


@pytest.mark.requirement("no-motion-at-restart")
def test_it_holds_where_it_is_when_enabled_and_engaged(bench: Bench) -> None:
    before = bench.tick().positions
    bench.enable()
    for _ in range(10):
        here = [position / 1e6 for position in bench.tick(5).positions]
        feedback = bench.command(here, [0.0] * len(here))
    assert (feedback.state, feedback.phase, feedback.cause) == (ENABLED, RUN, 0)
    assert all(flags & (BRAKE_CLOSED | DRIVE_ON) == DRIVE_ON for flags in feedback.flags)
    assert feedback.positions == pytest.approx(before, abs=20_000)


@pytest.mark.requirement("operator-clock")
def test_without_an_operator_it_pauses_and_then_brakes(bench: Bench) -> None:
    bench.enable()
    before = bench.tick()
    until(bench, HOLDING)
    settle(bench)
    event = next(event for event in bench.events if event.is_fault)
    assert causes.name_of(event.code) == "operator-timeout"
    timeout = bench.cell.arm.operator_timeout_ms * bench.tick_hz / 1000
    # A tick that this computer has held up counts as many as it has missed.
    late = bench.tick().late_ticks - before.late_ticks
    assert timeout + 1 <= event.value <= timeout + 1 + late
    assert 0 < event.tick - before.tick <= timeout + 1
    assert bench.tick().state == PAUSED
    feedback = bench.until_off()
    assert feedback.state == FAULT
    assert all(flags & (BRAKE_CLOSED | DRIVE_ON) == BRAKE_CLOSED for flags in feedback.flags)


@pytest.mark.requirement("link-clock")
def test_without_a_link_it_stops_by_itself_within_the_timeout_and_a_tick(bench: Bench) -> None:
    bench.enable()
    last = bench.tick().tick
    told: list[Event] = []
    for _ in range(100):
        told += silence(bench, 10)
        if told:
            break
    timeout = bench.cell.arm.link_timeout_ms * bench.tick_hz / 1000
    assert causes.name_of(told[0].code) == "link-timeout"
    assert told[0].value == timeout + 1
    assert 0 < told[0].tick - last <= timeout + 2
    assert bench.until_off().state == FAULT


@pytest.mark.requirement("latch")
def test_a_fault_latches_until_it_is_cleared(bench: Bench) -> None:
    bench.enable()
    bench.until_off()
    bench.operator_seq += 1
    bench.state_command(schema.ENABLE)
    assert bench.tick(3).phase == OFF
    assert names(bench)[-1] == "fault-latched"
    bench.state_command(schema.DISABLE)
    assert bench.tick().state == DISABLED
    assert bench.enable().phase == RUN


@pytest.mark.requirement("stop")
def test_a_stop_is_taken_from_any_sequence_number(bench: Bench) -> None:
    bench.enable()
    bench.operator_seq = 0
    bench.state_command(schema.STOP)
    until(bench, HOLDING)
    feedback = bench.until_off()
    assert (feedback.state, feedback.cause) == (DISABLED, 0)


@pytest.mark.requirement("operator-clock")
def test_a_repeated_operator_sequence_feeds_no_clock(bench: Bench) -> None:
    bench.enable()
    here = [position / 1e6 for position in bench.tick().positions]
    bench.command(here, [0.0] * len(here))
    for _ in range(1000):
        bench.pass_ticks(2)
        if bench.command_again().state != ENABLED:
            break
    settle(bench)
    assert "operator-timeout" in names(bench)
    assert "old-operator-sequence" in names(bench)


@pytest.mark.requirement("configuration")
def test_it_is_neither_configured_nor_read_nor_ended_while_it_is_on(bench: Bench) -> None:
    bench.enable()
    for message in ([schema.MAINTENANCE, 0], [schema.HOLD_BOX, 0, 1], [schema.READ_BOX, 0, 0]):
        with pytest.raises(LinkError, match="not-disabled"):
            bench.link.ask(message)
        bench.tick()
    assert bench.tick().phase == RUN


@pytest.mark.requirement("black-box")
def test_its_black_box_keeps_the_stop(bench: Bench) -> None:
    release(bench.link)
    bench.enable()
    bench.until_off()
    box = fetch(bench.link, wait=lambda seconds: bench.pass_ticks(round(seconds * bench.tick_hz)))
    assert causes.name_of(box.cause) == "operator-timeout"
    assert {"fault", "ramp", "standstill", "brakes close", "torque off"} >= set(box.marks()) >= {"fault", "ramp"}
    assert causes.name_of(box.events[0].code) == "operator-timeout"
    release(bench.link)
