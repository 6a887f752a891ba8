"""Joints that do not know where they are find out, slowly, with little output, and only while somebody says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bedside.cell import load_cell
from bedside.hil.lockstep import BoardBench, bend_encoder
from bedside.joint import Absolute, AtEndStop, AtIndex
from bedside.link import causes, schema
from bedside.link.messages import ENABLED, FAULT, NOT_HOMED, PAUSED, RUN, Feedback
from bedside.link.scale import joint_messages
from bedside.places import BOARDS
from bedside.sim.board import BRAKE_RELEASE, Chip
from bedside.sim.plant import Plant
from bedside.sim.world import World

pytestmark = pytest.mark.requirement("homing")

TRAINER = BOARDS / "cells" / "trainer.toml"
YAW, PITCH, INSERTION = range(3)
# A joint that follows a slow setpoint overshoots where it starts.
SPEED_SLACK = 1.5
PLACE = 1e-3
DRIVE_ON = 2


@pytest.fixture
def trainer(chip: Chip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BoardBench]:
    """A board with one joint that homes at its index, one at its end stop and one by its second sensor."""
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    cell = load_cell(TRAINER)
    cell.arm.hold_ms = 200
    for joint in cell.joint[:INSERTION]:
        # Nearly as fast as the output allows, so that tests need not wait.
        assert not isinstance(joint.homing, Absolute)
        joint.homing = replace(joint.homing, speed=2 * joint.homing.speed)
    with World(cell, TRAINER, tmp_path, chip=chip) as world:
        world.advance(3)
        bench = BoardBench(world, cell, "trainer")
        # Near its stop, so that most tests need not wait.
        place(bench, PITCH, -0.93)
        yield bench
        bench.link.port.close()


def word(bench: BoardBench, channel: int) -> Feedback:
    """Say once that ``channel`` goes on homing, and let a command period pass; return the answer to the word."""
    bench.operator_seq += 1
    feedback = bench.talk([schema.HOME, 0, bench.operator_seq, channel])
    bench.tick(round(bench.tick_hz / bench.cell.arm.command_hz))
    return feedback


def home(
    bench: BoardBench, channel: int, words: int = 8000, each: Callable[[Feedback], object] = lambda _: None
) -> Feedback:
    """Home ``channel``, with ``each`` answer shown; return the answer that says that it is, or is refused."""
    for _ in range(words):
        feedback = word(bench, channel)
        each(feedback)
        if bench.events or feedback.phase != RUN or not feedback.flags[channel] & NOT_HOMED:
            return feedback
    raise AssertionError(f"neither homed nor refused: {feedback}")


def names(bench: BoardBench) -> list[str]:
    return [causes.name_of(event.code) for event in bench.events]


def place(bench: BoardBench, channel: int, at: float) -> None:
    """Let the joint of a board that is off have been at ``at`` before it was switched on, and configure the board."""
    bench.plants[channel].position = at
    bench.plants[channel].power_on()
    bench.pass_ticks(2)
    bench.configure()


@pytest.mark.parametrize(
    ("channel", "start"),
    [
        (YAW, 0.6),
        (YAW, 0.21),
        # Beyond the index: by way of the end stop.
        (YAW, -1.5),
        (PITCH, -0.7),
        (PITCH, -1.0),
        # As far from its end stop as it can be.
        (PITCH, 1.0),
        (INSERTION, 0.1),
        (INSERTION, 0.2),
    ],
)
def test_each_method_finds_the_joints_place_slowly_and_gently(trainer: BoardBench, channel: int, start: float) -> None:
    place(trainer, channel, start)
    trainer.run()
    joint, plant = trainer.joints[channel], trainer.plants[channel]
    homing = joint.homing
    fastest, hardest = [0.0], [0]

    def look(feedback: Feedback) -> None:
        fastest.append(abs(plant.velocity))
        hardest.append(abs(feedback.outputs[channel]))

    home(trainer, channel, each=look)
    feedback = word(trainer, -1)
    assert not feedback.flags[channel] & NOT_HOMED
    for _ in range(40):
        feedback = word(trainer, -1)
    assert abs(feedback.positions[channel] / 1e6 - plant.position) < (1e-4 if joint.unit == "m" else PLACE)
    if isinstance(homing, (AtIndex, AtEndStop)):
        assert homing.park is not None
        assert abs(plant.position - homing.park) < PLACE
    assert max(fastest) <= SPEED_SLACK * abs(homing.speed)  # type: ignore[union-attr]
    assert max(hardest) <= homing.output * 32768  # type: ignore[union-attr]
    assert feedback.state == ENABLED
    assert trainer.events == []


@pytest.mark.any_chip_alike
@pytest.mark.parametrize("command_hz", [20, 50, 1000])
@pytest.mark.parametrize("channel", [YAW, PITCH, INSERTION])
def test_a_joint_homes_at_any_rate_of_words(trainer: BoardBench, channel: int, command_hz: int) -> None:
    trainer.cell.arm.command_hz = command_hz
    place(trainer, YAW, 0.25)
    trainer.run()
    home(trainer, channel)
    word(trainer, -1)
    assert abs(trainer.tick().positions[channel] / 1e6 - trainer.plants[channel].position) < PLACE
    assert trainer.events == []


@pytest.mark.any_chip_alike
@pytest.mark.parametrize("channel", [YAW, PITCH, INSERTION])
def test_words_that_come_in_heaps_home_as_well(trainer: BoardBench, channel: int) -> None:
    place(trainer, YAW, 0.25)
    trainer.run()

    def again(_: Feedback) -> None:
        for _word in range(2):
            trainer.operator_seq += 1
            trainer.talk([schema.HOME, 0, trainer.operator_seq, channel])

    home(trainer, channel, each=again)
    word(trainer, -1)
    assert abs(trainer.tick().positions[channel] / 1e6 - trainer.plants[channel].position) < PLACE
    assert trainer.events == []


def test_one_joint_homes_and_the_others_hold(trainer: BoardBench) -> None:
    trainer.run()
    places = [plant.position for plant in trainer.plants]
    moved = [0.0, 0.0]

    def look(_: Feedback) -> None:
        for k, channel in enumerate((YAW, INSERTION)):
            moved[k] = max(moved[k], abs(trainer.plants[channel].position - places[channel]))

    home(trainer, PITCH, each=look)
    assert abs(trainer.plants[PITCH].position - places[PITCH]) > 0.02
    assert max(moved) < 2e-4


def test_the_first_word_moves_nothing(trainer: BoardBench) -> None:
    trainer.run()
    before = trainer.tick()
    feedback = word(trainer, PITCH)
    after = trainer.tick(0)
    assert before.positions[PITCH] + before.errors[PITCH] == after.positions[PITCH] + after.errors[PITCH]
    assert feedback.state == ENABLED


def test_without_words_the_joint_stands_pauses_and_goes_on_when_it_is_resumed(trainer: BoardBench) -> None:
    trainer.run()
    for _ in range(20):
        word(trainer, PITCH)
    assert abs(trainer.plants[PITCH].velocity) > 0.15
    # Two command periods, one of which has passed, then v/a.
    trainer.tick(5 + 10 + 20)
    assert abs(trainer.plants[PITCH].velocity) < 5e-3
    feedback = trainer.tick(150)
    assert (feedback.state, causes.name_of(feedback.cause)) == (PAUSED, "operator-timeout")
    trainer.operator_seq += 1
    trainer.state_command(schema.RESUME)
    trainer.tick()
    trainer.events.clear()
    feedback = home(trainer, PITCH)
    assert not feedback.flags[PITCH] & NOT_HOMED, (feedback, trainer.events)
    assert trainer.events == []


@pytest.mark.parametrize(
    ("sequence", "channel", "why"),
    [(0, PITCH, "old-operator-sequence"), (1, 3, "no-such-channel"), (1, 7, "no-such-channel")],
)
def test_a_word_that_is_old_or_of_no_joint_is_refused_and_feeds_nothing(
    trainer: BoardBench, sequence: int, channel: int, why: str
) -> None:
    trainer.run()
    before = trainer.tick()
    feedback = trainer.talk([schema.HOME, 0, trainer.operator_seq + sequence, channel])
    assert names(trainer) == [why]
    assert feedback.operator_age >= before.operator_age > 0


def test_a_joint_homes_only_while_the_board_is_on(trainer: BoardBench) -> None:
    word(trainer, PITCH)
    assert names(trainer) == ["not-enabled"]


def test_a_joint_that_is_not_homed_takes_slow_commands_only(trainer: BoardBench) -> None:
    trainer.run()
    trainer.engage()
    speed = abs(trainer.joints[PITCH].homing.speed)  # type: ignore[union-attr]
    here = [position / 1e6 for position in trainer.tick().positions]
    trainer.command(here, [0.0, 1.1 * speed, 0.0])
    assert names(trainer) == ["velocity-limit"]
    trainer.events.clear()
    # A far step at rest makes the board itself as fast as it may be.
    fastest = 0.0
    for _ in range(200):
        trainer.command([here[0], here[1] + 0.15, here[2]], [0.0, 0.0, 0.0])
        trainer.pass_ticks(5)
        fastest = max(fastest, abs(trainer.plants[PITCH].velocity))
    assert 0.5 * speed < fastest <= SPEED_SLACK * speed
    assert abs(trainer.tick().positions[PITCH] / 1e6 - here[1] - 0.15) < PLACE
    assert trainer.events == []


def test_a_joint_that_is_not_homed_and_is_driven_into_its_end_stop_loses_its_torque(trainer: BoardBench) -> None:
    trainer.run()
    trainer.engage()
    here = [position / 1e6 for position in trainer.tick().positions]
    homing = trainer.joints[PITCH].homing
    hardest = 0
    for _ in range(1000):
        here[PITCH] -= 0.001
        feedback = trainer.command(here, [0.0, -0.19, 0.0])
        hardest = max(hardest, abs(feedback.outputs[PITCH]))
        trainer.pass_ticks(5)
        if feedback.phase != RUN:
            break
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "encoder-stuck")
    assert hardest <= homing.output * 32768  # type: ignore[union-attr]


def homed(bench: BoardBench, *channels: int) -> None:
    """Home the joints, and take the arm over."""
    bench.run()
    for channel in channels:
        home(bench, channel)
    for _ in range(10):
        word(bench, -1)
    assert bench.events == []
    bench.engage()


def test_after_homing_the_console_begins_where_the_arm_is(trainer: BoardBench) -> None:
    homed(trainer, PITCH)
    here = [position / 1e6 for position in trainer.tick().positions]
    word(trainer, -1)
    trainer.command([here[0], here[1] + 0.05, here[2]], [0.0] * 3)
    assert names(trainer) == ["engage"]
    trainer.events.clear()
    trainer.engage()
    assert trainer.sweep(60, [0.0, 1.5, 0.0]).positions[PITCH] / 1e6 > here[1] + 0.1, "with its full speed"
    assert trainer.events == []


def test_no_command_takes_over_a_joint_that_still_moves_from_homing(trainer: BoardBench) -> None:
    trainer.run()
    for _ in range(20):
        word(trainer, PITCH)
    trainer.engage()
    assert names(trainer) == ["homing"]
    trainer.events.clear()
    trainer.tick(40)
    assert trainer.engage().state == ENABLED
    assert trainer.events == []


def is_homed(bench: BoardBench, channel: int) -> bool:
    return not bench.tick().flags[channel] & NOT_HOMED


@pytest.mark.any_chip_alike
def test_a_homed_joint_stays_homed_until_power_off(trainer: BoardBench) -> None:
    homed(trainer, PITCH, INSERTION)
    at = trainer.plants[PITCH].position
    trainer.state_command(schema.DISABLE)
    trainer.until_off()
    trainer.world.boards[0].switches = BRAKE_RELEASE
    for _ in range(200):
        trainer.plants[PITCH].position += 0.001
        trainer.pass_ticks(1)
    trainer.world.boards[0].switches = 0
    trainer.tick(100)
    trainer.configure()
    assert abs(trainer.plants[PITCH].position - at) > 0.1
    assert is_homed(trainer, PITCH)
    assert is_homed(trainer, INSERTION)
    assert abs(trainer.tick().positions[PITCH] / 1e6 - trainer.plants[PITCH].position) < PLACE
    trainer.world.boards[0].start()
    trainer.world.advance(3)
    trainer.link.identify()
    assert not is_homed(trainer, PITCH)
    assert not is_homed(trainer, INSERTION)


@pytest.mark.any_chip_alike
@pytest.mark.parametrize("change", ["scale", "place", "method"])
def test_another_encoder_or_another_home_is_to_be_found_anew(trainer: BoardBench, change: str) -> None:
    homed(trainer, PITCH)
    trainer.state_command(schema.DISABLE)
    trainer.until_off()
    joint = trainer.joints[PITCH]
    if change == "scale":
        joint = replace(joint, encoder=replace(joint.encoder, counts_per_unit=18001))
    elif change == "place":
        joint = replace(joint, homing=replace(joint.homing, position=-1.01))
    else:
        joint = replace(joint, homing=AtIndex(-1.0, speed=-0.2, output=0.05, park=-0.9))
    configure, message = joint_messages(joint, trainer.tick_hz)
    trainer.link.ask(configure)
    assert is_homed(trainer, PITCH) == (change != "scale")
    trainer.link.ask(message)
    assert not is_homed(trainer, PITCH)


@pytest.mark.any_chip_alike
def test_unhome_forgets_but_not_while_there_is_torque(trainer: BoardBench) -> None:
    homed(trainer, PITCH, INSERTION)
    trainer.state_command(schema.UNHOME)
    assert names(trainer) == ["not-disabled"]
    assert is_homed(trainer, PITCH)
    trainer.state_command(schema.DISABLE)
    trainer.until_off()
    trainer.events.clear()
    trainer.state_command(schema.UNHOME)
    assert not is_homed(trainer, PITCH)
    assert not is_homed(trainer, INSERTION)
    trainer.run()
    trainer.engage()
    trainer.command([p / 1e6 for p in trainer.tick().positions], [0.0, 0.5, 0.0])
    assert names(trainer) == ["velocity-limit"]


@pytest.mark.any_chip_alike
@pytest.mark.parametrize("fault", ["encoder-jump", "encoder-stuck", "wrong-direction"])
def test_an_encoder_fault_loses_the_place(trainer: BoardBench, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    homed(trainer, PITCH)
    trainer.sweep(60, [0.0, 1.2, 0.0])
    now = trainer.plants[PITCH].count
    readings: dict[str, Callable[[int], int]] = {
        "encoder-jump": lambda count: count + 5000,
        "encoder-stuck": lambda _: now,
        "wrong-direction": lambda count: 2 * now - count,
    }
    bend_encoder(monkeypatch, trainer.plants[PITCH], readings[fault])
    at = [position / 1e6 for position in trainer.tick(0).positions]
    for _ in range(20):
        at[PITCH] += 0.006
        trainer.command(at, [0.0, 1.2, 0.0])
        trainer.pass_ticks(5)
        if fault in names(trainer):
            break
    feedback = trainer.until_off()
    assert causes.name_of(feedback.cause) == fault
    assert feedback.flags[PITCH] & NOT_HOMED
    trainer.state_command(schema.DISABLE)
    trainer.tick(5)
    trainer.events.clear()
    trainer.operator_seq += 1
    trainer.state_command(schema.ENABLE)
    assert names(trainer) == ["not-configured"]
    trainer.configure()
    assert not is_homed(trainer, PITCH)


@pytest.mark.any_chip_alike
def test_a_joint_that_is_too_far_off_without_a_count_loses_its_place_too(
    trainer: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    joint = trainer.joints[PITCH]
    joint.drive.stuck_ms = 100
    trainer.configure()
    homed(trainer, PITCH)
    trainer.sweep(60, [0.0, 1.9, 0.0])
    now = trainer.plants[PITCH].count
    bend_encoder(monkeypatch, trainer.plants[PITCH], lambda _: now)
    at = [position / 1e6 for position in trainer.tick(0).positions]
    for _ in range(12):
        at[PITCH] += 0.0095
        trainer.command(at, [0.0, 1.9, 0.0])
        trainer.pass_ticks(5)
    feedback = trainer.until_off()
    assert causes.name_of(feedback.cause) == "following-error"
    assert feedback.flags[PITCH] & NOT_HOMED


def test_an_encoder_that_slips_is_caught_by_the_second_sensor(
    trainer: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    homed(trainer, INSERTION)
    tolerance = trainer.joints[INSERTION].sensor.tolerance  # type: ignore[union-attr]
    trainer.sweep(40, [0.0, 0.0, 0.1])
    slipped = [0]
    bend_encoder(monkeypatch, trainer.plants[INSERTION], lambda count: count - slipped[0])
    at = [position / 1e6 for position in trainer.tick(0).positions]
    for _ in range(100):
        # Ten counts, 0.1 mm, each command: slower than anything that looks wrong by itself.
        slipped[0] += 10
        at[INSERTION] += 0.0005
        feedback = trainer.command(at, [0.0, 0.0, 0.1])
        trainer.pass_ticks(5)
        if feedback.phase != RUN:
            break
    assert causes.name_of(feedback.cause) == "sensor-disagrees"
    assert slipped[0] / 1e5 < tolerance + 0.001, "found as soon as the tolerance says"
    feedback = trainer.until_off()
    assert feedback.flags[INSERTION] & NOT_HOMED
    assert names(trainer).count("sensor-disagrees") == 1
    trainer.state_command(schema.DISABLE)
    trainer.tick(20)
    assert trainer.tick().state != FAULT, "a place that nobody knows is compared with nothing"


def test_a_place_that_nobody_knows_is_compared_with_nothing_while_the_homing_is_to_come(trainer: BoardBench) -> None:
    trainer.link.ask(joint_messages(trainer.joints[INSERTION], trainer.tick_hz)[0])
    trainer.tick(5 * 8)
    assert trainer.events == []


def test_a_sensors_noise_is_no_fault(trainer: BoardBench, monkeypatch: pytest.MonkeyPatch) -> None:
    homed(trainer, INSERTION)
    true = Plant.sensor.fget  # type: ignore[attr-defined]
    n = [0]

    def noisy(plant: Plant) -> int:
        n[0] += 1
        return int(true(plant)) + (100 if n[0] // 3 % 24 < 16 else 0)

    monkeypatch.setattr(Plant, "sensor", property(noisy))
    trainer.sweep(100, [0.0, 0.0, 0.1])
    assert trainer.events == []


def test_where_there_is_no_index_the_joint_loses_its_torque_at_its_other_end(
    trainer: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer.plants[YAW].load, "index", None)
    monkeypatch.setattr(trainer.plants[YAW].load, "end_stops", (0.2, 0.5))
    trainer.run()
    home(trainer, YAW)
    feedback = trainer.tick()
    assert names(trainer) == ["homing-blocked"]
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "homing-blocked")
    assert feedback.flags[YAW] & NOT_HOMED
    assert not trainer.until_off().flags[YAW] & DRIVE_ON


def test_a_spike_on_the_index_line_is_no_index(trainer: BoardBench) -> None:
    place(trainer, YAW, 0.6)
    trainer.run()
    plant = trainer.plants[YAW]

    def spike(_: Feedback) -> None:
        if plant.index_passes == 0 and plant.position < 0.5:
            plant.index_passes, plant.index_count = 1, plant.count

    home(trainer, YAW, each=spike)
    assert names(trainer) == ["home-unsure"]
    assert not is_homed(trainer, YAW)


@pytest.mark.any_chip_alike
def test_an_end_stop_that_is_not_there_is_not_found(trainer: BoardBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a belt is torn, and the motor turns alone."""
    monkeypatch.setattr(trainer.plants[PITCH].load, "end_stops", (-10.0, 10.0))
    trainer.run()
    home(trainer, PITCH)
    assert names(trainer) == ["home-not-found"]
    for _ in range(100):
        feedback = word(trainer, PITCH)
    assert feedback.state == FAULT, "refused words feed nothing"
    assert feedback.flags[PITCH] & NOT_HOMED


def test_a_joint_that_its_sensor_sees_outside_its_limits_is_not_homed(trainer: BoardBench) -> None:
    place(trainer, INSERTION, -0.008)
    trainer.run()
    home(trainer, INSERTION)
    assert names(trainer) == ["home-outside"]
    assert trainer.events[0].value == pytest.approx(-8000, abs=100)
    assert trainer.plants[INSERTION].position == pytest.approx(-0.008, abs=2e-5), "nor does it move"


def test_a_joint_that_is_kept_from_its_park_is_not_homed(trainer: BoardBench) -> None:
    place(trainer, YAW, 0.25)
    trainer.run()
    hardest = 0

    def hold(feedback: Feedback) -> None:
        nonlocal hardest
        hardest = max(hardest, abs(feedback.outputs[YAW]))
        # Within what counts as standstill at its park, but not there.
        if feedback.positions[YAW] < 150_000:
            trainer.plants[YAW].load.end_stops = (0.005, 1.65)

    home(trainer, YAW, each=hold)
    assert names(trainer) == ["homing-blocked"]
    assert hardest <= trainer.joints[YAW].homing.output * 32768  # type: ignore[union-attr]


def test_what_gives_way_is_no_end_stop(trainer: BoardBench) -> None:
    place(trainer, PITCH, -0.7)
    trainer.run()
    load = trainer.plants[PITCH].load
    stops = load.end_stops
    load.end_stops = (-0.8, 1.0)

    def give_way(feedback: Feedback) -> None:
        if feedback.positions[PITCH] < -900_000:
            load.end_stops = stops

    home(trainer, PITCH, each=give_way)
    assert names(trainer) == ["home-unsure"]
    assert trainer.events[0].value == pytest.approx(200_000, rel=0.02)
    assert not is_homed(trainer, PITCH)


def test_a_sensor_that_does_not_hold_still_tells_no_place(trainer: BoardBench, monkeypatch: pytest.MonkeyPatch) -> None:
    n = [0]

    def wild(plant: Plant) -> int:
        n[0] += 1
        return n[0] % 7 * 100

    monkeypatch.setattr(Plant, "sensor", property(wild))
    trainer.run()
    home(trainer, INSERTION)
    assert names(trainer) == ["home-unsure"]


def test_a_dead_encoder_is_no_end_stop(trainer: BoardBench, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer.run()
    now, begun = trainer.plants[PITCH].count, trainer.plants[PITCH].position
    bend_encoder(monkeypatch, trainer.plants[PITCH], lambda _: now)
    home(trainer, PITCH)
    feedback = trainer.tick(5)
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "homing-blocked")
    assert not feedback.flags[PITCH] & DRIVE_ON
    assert abs(trainer.plants[PITCH].position - begun) < 0.1


def test_an_encoder_that_flickers_is_no_end_stop_either(trainer: BoardBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of its two channels is dead."""
    trainer.run()
    now, begun = trainer.plants[PITCH].count, trainer.plants[PITCH].position
    bend_encoder(monkeypatch, trainer.plants[PITCH], lambda count: now + count % 2)
    home(trainer, PITCH)
    feedback = trainer.tick(5)
    assert (feedback.state, causes.name_of(feedback.cause)) == (FAULT, "homing-blocked")
    assert not feedback.flags[PITCH] & DRIVE_ON
    assert abs(trainer.plants[PITCH].position - begun) < 0.1


def test_an_encoder_that_counts_backwards_is_found_at_little_speed(
    trainer: BoardBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer.run()
    now, begun = trainer.plants[PITCH].count, trainer.plants[PITCH].position
    bend_encoder(monkeypatch, trainer.plants[PITCH], lambda count: 2 * now - count)
    home(trainer, PITCH, 400)
    feedback = trainer.tick()
    assert feedback.state == FAULT
    assert causes.name_of(feedback.cause) in {"wrong-direction", "following-error", "encoder-stuck"}
    assert abs(trainer.plants[PITCH].position - begun) < 0.2


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("position of the index beyond the limits", (5, 1_700_000), 5),
        ("faster than the joint", (6, 2_100_000), 6),
        ("no direction", (6, 0), 6),
        ("as much as moves the joint for certain", (7, 3_300), 7),
        ("a sensor that reaches too far", (10, 70_000_000), 10),
        ("too fast to stop where it parks", (6, 700_000), 6),
    ],
)
def test_a_homing_that_makes_no_sense_is_refused(
    trainer: BoardBench, field: str, value: tuple[int, int], why: int
) -> None:
    message = joint_messages(trainer.joints[YAW], trainer.tick_hz)[1]
    message[value[0]] = value[1]
    trainer.talk(message)
    assert [event.value for event in trainer.events] == ([why]), field


def test_a_park_that_is_not_behind_the_stop_is_refused(trainer: BoardBench) -> None:
    message = joint_messages(trainer.joints[PITCH], trainer.tick_hz)[1]
    message[6] = -message[6]
    trainer.talk(message)
    assert [event.value for event in trainer.events] == [6]


@pytest.mark.parametrize(("stop", "park"), [(-1_000_000, -985_000), (-500_000, 0)])
def test_an_end_stop_near_the_park_or_within_the_limits_is_refused(trainer: BoardBench, stop: int, park: int) -> None:
    joint = trainer.joints[PITCH]
    joint = replace(joint, limits=replace(joint.limits, position=(-0.99, 0.95)))
    configure, message = joint_messages(joint, trainer.tick_hz)
    trainer.talk(configure)
    message[4], message[5] = stop, park
    trainer.talk(message)
    assert [event.value for event in trainer.events] == [5]


def test_a_joint_whose_limits_came_without_its_homing_is_not_enabled(trainer: BoardBench) -> None:
    trainer.link.ask(joint_messages(trainer.joints[PITCH], trainer.tick_hz)[0])
    trainer.operator_seq += 1
    trainer.state_command(schema.ENABLE)
    assert names(trainer) == ["not-configured"]


@pytest.mark.any_chip_alike
def test_a_sensor_that_is_read_otherwise_homes_anew(trainer: BoardBench) -> None:
    homed(trainer, INSERTION)
    trainer.state_command(schema.DISABLE)
    trainer.until_off()
    joint = trainer.joints[INSERTION]
    assert joint.sensor
    joint = replace(joint, sensor=replace(joint.sensor, zero=0.12))
    for message in joint_messages(joint, trainer.tick_hz):
        trainer.link.ask(message)
    assert not is_homed(trainer, INSERTION)
