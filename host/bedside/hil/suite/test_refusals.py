"""What a board refuses over its port, and that a refusal moves nothing and loses nothing."""

from __future__ import annotations

import pytest

from bedside.cell import Cell
from bedside.hil.lockstep import BoardBench
from bedside.link import causes, frames, schema
from bedside.link.messages import DISABLED, RUN, Feedback
from bedside.link.scale import board_message, joint_message
from bedside.sim.world import World

pytestmark = pytest.mark.requirement("configuration")


def names(bench: BoardBench) -> list[str]:
    return [causes.name_of(event.code) for event in bench.events]


@pytest.mark.requirement("no-motion-at-restart")
def test_enabling_right_after_configuring_finds_the_setpoint_at_the_joint(world: World, cell: Cell) -> None:
    slide = BoardBench(world, cell, "psm1-slide")
    slide.configure()
    assert slide.plants[0].position == 0.12
    assert slide.enable().phase == RUN
    assert slide.plants[0].position == pytest.approx(0.12, abs=1e-4)


def test_enable_is_refused_until_every_joint_is_configured(world: World, cell: Cell) -> None:
    bench = BoardBench(world, cell, "psm1-wrist")
    bench.talk(joint_message(bench.joints[0], 1000))
    bench.talk(board_message(cell, bench.name, 200.0))
    bench.operator_seq += 1
    bench.state_command(schema.ENABLE)
    assert bench.tick().state == DISABLED
    assert names(bench) == ["not-configured"]


def test_configuration_is_refused_while_enabled(wrist: BoardBench) -> None:
    wrist.enable()
    wrist.talk(joint_message(wrist.joints[0], 1000))
    assert wrist.tick().phase == RUN
    assert names(wrist) == ["not-disabled"]


def test_a_gain_out_of_range_is_refused_and_the_old_configuration_stays(wrist: BoardBench) -> None:
    message = joint_message(wrist.joints[0], 1000)
    message[12] = 9000
    wrist.link.send(message)
    wrist.tick()
    assert names(wrist) == ["bad-message"]
    assert wrist.events[0].value == 12, "the event names the field"
    assert wrist.enable().phase == RUN


def test_limits_that_make_no_sense_together_are_refused(wrist: BoardBench) -> None:
    message = joint_message(wrist.joints[0], 1000)
    message[3], message[4] = message[4], message[3]
    wrist.talk(message)
    assert (names(wrist), wrist.events[0].value) == (["configuration"], 3)


def test_a_timeout_below_two_command_periods_is_refused(wrist: BoardBench) -> None:
    wrist.talk([schema.CONFIGURE_BOARD, 0, 20_000, 30_000, 30_000, 100, 20_000, 28_000, 500, 0, 0, 500_000])
    assert names(wrist) == ["configuration"]


def test_a_channel_that_the_board_has_not_is_refused(wrist: BoardBench) -> None:
    message = joint_message(wrist.joints[0], 1000)
    message[2] = 3
    wrist.talk(message)
    assert names(wrist) == ["no-such-channel"]


@pytest.mark.requirement("limits")
@pytest.mark.parametrize(
    ("positions", "velocities", "why"),
    [
        ([1.6, 0.0, 0.0], [0.0] * 3, "position-limit"),
        ([0.0] * 3, [0.0, 7.0, 0.0], "velocity-limit"),
        ([0.3, 0.0, 0.0], [0.0] * 3, "step-limit"),
        ([0.0] * 2, [0.0] * 2, "joint-count"),
        ([0.0] * 4, [0.0] * 4, "joint-count"),
    ],
)
def test_a_command_beyond_a_limit_moves_nothing_and_feeds_no_clock(
    wrist: BoardBench, positions: list[float], velocities: list[float], why: str
) -> None:
    wrist.enable()
    wrist.command([0.0] * 3, [0.0] * 3)
    age = wrist.tick(7).operator_age
    after = wrist.command(positions, velocities)
    assert names(wrist) == [why]
    assert after.operator_age == age
    assert [p + e for p, e in zip(after.positions, after.errors, strict=True)] == [0, 0, 0]


@pytest.mark.requirement("wire")
def test_a_repeated_frame_is_refused(wrist: BoardBench) -> None:
    wrist.enable()
    frame = frames.encode([schema.COMMAND, wrist.link.seq + 1, wrist.operator_seq + 1, *(1000, 0) * 3])
    wrist.link.port.write(frame)
    wrist.link.port.write(frame)
    wrist.link.seq += 1
    wrist.tick(2)
    assert "old-link-sequence" in names(wrist)


@pytest.mark.requirement("wire")
@pytest.mark.parametrize(
    "junk",
    [
        b"\x00" * 50,
        b"\x01" * 700 + b"\x00",
        bytes(range(1, 256)) * 3 + b"\x00",
        frames.encode([4, 1, 2, 3, 4])[:-4] + b"\x00",
        b"\x05\x00",
    ],
    ids=["zeros", "oversized", "garbage", "truncated", "tiny"],
)
def test_junk_on_the_line_is_counted_and_the_next_frame_is_heard(wrist: BoardBench, junk: bytes) -> None:
    before = wrist.tick()
    for at in range(0, len(junk), 50):
        wrist.link.port.write(junk[at : at + 50])
    after = wrist.tick()
    assert isinstance(after, Feedback)
    assert (after.refused > before.refused) == bool(junk.strip(b"\0"))
    assert set(names(wrist)) <= {"bad-frame"}


@pytest.mark.requirement("tick")
def test_a_late_tick_is_counted(wrist: BoardBench) -> None:
    before = wrist.tick().late_ticks
    wrist.world.ticks += 3
    assert wrist.tick(2).late_ticks == before + 1


@pytest.mark.parametrize("kind", ["configure", "identify", "maintenance"])
def test_what_needs_an_idle_board_comes_too_late_once_it_is_told_to_enable(wrist: BoardBench, kind: str) -> None:
    """Between the enable and the tick that takes it up as well."""
    wrist.operator_seq = 12
    wrist.state_command(schema.ENABLE)
    if kind == "identify":
        wrist.link.identify()
    else:
        wrist.talk(joint_message(wrist.joints[0], 1000) if kind == "configure" else [schema.MAINTENANCE, 0])
        assert names(wrist)[-1] == "not-disabled"
    while wrist.tick().phase != RUN:
        pass
    assert wrist.tick().operator_seq == 12
    wrist.operator_seq = 11
    wrist.engage()
    assert names(wrist)[-1] == "old-operator-sequence"


@pytest.mark.requirement("link-clock")
def test_an_identify_that_is_repeated_does_not_keep_a_board_awake(wrist: BoardBench) -> None:
    wrist.enable()
    frame = frames.encode([schema.IDENTIFY, 1])
    for _ in range(40):
        wrist.link.port.write(frame)
        wrist.world.advance(1)
    feedback = wrist.tick(0)
    assert causes.name_of(feedback.cause) == "link-timeout"


def test_a_joint_that_would_take_seconds_to_stop_is_refused(wrist: BoardBench) -> None:
    message = joint_message(wrist.joints[0], 1000)
    message[7] = 2_000_000
    wrist.talk(message)
    assert names(wrist)[-1] == "configuration"
    assert wrist.events[-1].value == 7
