"""The arm in virtual time: real boards, the bridge's own code, no network."""

from __future__ import annotations

import math

import pytest

from bedside.bridge.arm import Arm
from bedside.cell import Cell
from bedside.errors import LinkError, SurgeonError
from bedside.link import schema
from bedside.link.messages import DISABLED, ENABLED, FAULT, OFF, PAUSED, RAMP, RUN
from bedside.sim.board import BRAKE_RELEASE, LOCAL_OFF
from bedside.sim.world import World
from bedside.surgeon.protocol import ServoJp
from lockstep import Operator

pytestmark = pytest.mark.requirement("stop-group")


@pytest.fixture
def operator(arm: Arm, world: World) -> Operator:
    return Operator(arm, world)


def test_a_command_reaches_every_joint(operator: Operator) -> None:
    operator.enable()
    begun = operator.arm.feedback().position
    operator.move(100)
    now = operator.arm.feedback()
    assert now.state == ENABLED
    moved = [b - a for a, b in zip(begun, now.position, strict=True)]
    assert all(abs(distance - (0.0135 if i == 2 else 0.135)) < 0.02 for i, distance in enumerate(moved)), moved
    assert now.seq == operator.seq
    assert operator.arm.missed_cycles == 0


@pytest.mark.parametrize("outage_ms", [80, 95, 300])
def test_boards_take_every_command_after_an_outage_in_a_fast_motion(
    operator: Operator, told: list[str], outage_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Those that come to rest meanwhile lag the farthest behind what they are sent, when they accelerate anew.
    monkeypatch.setattr(operator.arm.cell.arm, "operator_timeout_ms", 100 if outage_ms < 100 else 500)
    yaw, swing, omega = 5, 0.7, 7.0
    operator.enable()
    begun = operator.arm.feedback().setpoint
    behind = []
    cut = False
    for k in range(1, 160):
        phase = omega * 0.005 * k
        if not cut and phase > 1.2:
            # 4.6 rad/s, and still becoming faster.
            cut = True
            operator.serve(outage_ms)
        phase += omega * outage_ms / 1000 * cut
        at, speed = list(begun), [0.0] * 7
        at[yaw] += swing * (1 - math.cos(phase))
        speed[yaw] = swing * omega * math.sin(phase)
        operator.command(at, speed)
        behind.append(abs(at[yaw] - operator.arm.feedback().setpoint[yaw]))
    assert not told
    assert operator.arm.state == ENABLED
    assert max(behind) > 0.1, "the hand was not away far"
    for _ in range(80):
        operator.command(at, [0.0] * 7)
    assert operator.arm.feedback().setpoint[yaw] == pytest.approx(at[yaw], abs=1e-3)


def test_a_stop_on_one_board_stops_the_others(operator: Operator, world: World) -> None:
    operator.enable()
    operator.move(40)
    # The wrist alone hears nothing newer, so its own clock stops it.
    world.plants["wrist_yaw"].load.end_stops = (world.plants["wrist_yaw"].position - 0.5,) * 2
    operator.move(1)
    for _ in range(60):
        operator.serve(1)
        if operator.arm.feedback().boards[2][2] >= RAMP:
            break
    stopped_at = world.ticks
    while any(board[2] == RUN for board in operator.arm.feedback().boards):
        operator.serve(1)
    assert world.ticks - stopped_at <= 10


def test_a_silent_board_stops_the_others_and_is_reported(operator: Operator, world: World, told: list[str]) -> None:
    operator.enable()
    operator.move(20)
    world.boards[1].kill()
    operator.deaf.add(1)
    for _ in range(110):
        operator.serve(1)
    assert operator.arm.state == FAULT
    assert any("board 'psm1-slide': no answer for 100 ms" in line for line in told)
    operator.serve(600)
    states = operator.arm.feedback().boards
    assert states[0][2] == states[2][2] == OFF


def test_a_restarted_board_stays_off_until_the_arm_is_enabled_again(
    operator: Operator, world: World, told: list[str]
) -> None:
    operator.enable()
    operator.move(20)
    world.boards[1].kill()
    world.boards[1].start()
    world.advance(3)
    operator.serve(700)
    assert any("psm1-slide': it has restarted" in line for line in told)
    assert operator.arm.is_off
    places = [plant.position for plant in world.plants.values()]
    with pytest.raises(SurgeonError, match="not enabled"):
        operator.command(operator.arm.feedback().setpoint, [0.0] * 7)
    operator.serve(50)
    assert [plant.position for plant in world.plants.values()] == places
    operator.arm.disable()
    operator.serve(3)
    assert operator.arm.state == DISABLED
    operator.enable()
    assert operator.arm.state == ENABLED


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"position": [0.0] * 6, "velocity": [0.0] * 6}, "6 joints; this arm has 7"),
        ({"position": [9.0] * 7}, "joint 'outer_yaw': position 9 rad is outside -1.6 to 1.6"),
        ({"velocity": [4.0] * 7}, "joint 'outer_yaw': velocity 4 rad/s is above 3"),
        ({"position": [0.3, 0.0, 0.12, 0.0, 0.0, 0.0, 0.0]}, "a step of 0.3 rad is above 0.2"),
        ({"seq": 2}, "command 2 is not newer than"),
    ],
)
def test_a_bad_command_is_refused_and_moves_nothing(operator: Operator, change: dict[str, object], why: str) -> None:
    operator.enable()
    here = operator.arm.feedback().setpoint
    operator.command(here, [0.0] * 7)
    good = {
        "session": 0,
        "seq": operator.seq + 1,
        "stamp_us": 0,
        "pedal": True,
        "position": here,
        "velocity": [0.0] * 7,
    }
    with pytest.raises(SurgeonError) as refused:
        operator.arm.command(ServoJp(**{**good, **change}), operator.now)  # type: ignore[arg-type]
    assert why in str(refused.value)
    before = operator.arm.feedback().setpoint
    operator.serve(4)
    assert operator.arm.feedback().setpoint == before


def test_a_lost_port_stops_the_rest(operator: Operator, world: World) -> None:
    operator.enable()
    operator.move(20)
    world.boards[2].close()
    world.boards.pop(2)
    operator.serve(700)
    assert operator.arm.failure is not None
    assert "port sim:psm1-wrist: disappeared" in str(operator.arm.failure)
    assert operator.arm.is_off
    with pytest.raises(SurgeonError, match="disappeared"):
        operator.arm.enable(999, 200.0)


def test_a_restart_of_the_bridge_moves_nothing(operator: Operator, world: World, cell: Cell) -> None:
    operator.enable()
    operator.move(40)
    world.advance(500)  # the old bridge is dead; each board has stopped itself
    places = [plant.position for plant in world.plants.values()]
    for link in operator.arm.links:
        link.identify()
    restarted = Operator(Arm(cell, operator.arm.links, lambda _: None), world)
    restarted.seq = operator.seq
    restarted.serve(50)
    assert restarted.arm.state == FAULT
    with pytest.raises(SurgeonError, match="not enabled"):
        restarted.command([0.0] * 7, [0.0] * 7)
    with pytest.raises(SurgeonError, match="FAULT; find the cause"):
        restarted.arm.enable(restarted.seq, 200.0)
    restarted.serve(50)
    assert [plant.position for plant in world.plants.values()] == places


@pytest.mark.parametrize("command_every", [1, 4, 5])
def test_a_silent_board_is_noticed_while_commands_flow(
    operator: Operator, world: World, told: list[str], command_every: int
) -> None:
    operator.enable()
    here = operator.arm.feedback().setpoint
    operator.deaf.add(1)
    for cycle in range(120):
        if cycle % command_every == 0 and not told:
            operator.seq += 1
            operator.arm.command(ServoJp(0, operator.seq, 0, True, here, [0.0] * 7), operator.now)
            operator.listen()
        operator.serve(1)
    assert any("board 'psm1-slide': no answer for 100 ms" in line for line in told)
    assert operator.arm.missed_cycles > 90


def test_the_first_command_must_be_near_the_arm(operator: Operator) -> None:
    operator.enable()
    far = [0.0, 0.0, 0.12, 0.0, 0.0, 0.0, 0.3]
    with pytest.raises(SurgeonError, match=r"joint 'jaw': a step of 0\.3 rad is above 0\.25"):
        operator.arm.command(ServoJp(0, operator.seq + 1, 0, True, far, [0.0] * 7), operator.now)


def test_a_stop_keeps_the_fault_and_only_disable_clears_it(operator: Operator, world: World) -> None:
    operator.enable()
    operator.move(10)
    operator.serve(800)
    assert operator.arm.state == FAULT
    operator.arm.stop()
    operator.serve(5)
    assert operator.arm.state == FAULT
    operator.arm.disable()
    operator.serve(5)
    assert operator.arm.state == DISABLED


def test_when_one_board_refuses_to_be_enabled_none_is(operator: Operator, world: World) -> None:
    operator.serve(1)
    world.boards[0].switches = LOCAL_OFF
    world.advance(1)
    with pytest.raises(LinkError, match=r"psm1-base.*switch"):
        operator.arm.enable(1, 200.0)
    operator.serve(100)
    assert operator.arm.is_off
    assert all(plant.brake_closed for plant in world.plants.values())


def test_a_board_that_pauses_takes_the_others_with_it_and_resume_brings_all_back(
    operator: Operator, cell: Cell
) -> None:
    operator.enable()
    operator.move(40)
    operator.arm.links[2].send([schema.STATE_COMMAND, 0, 0, schema.PAUSE])
    operator.serve(5)
    assert [board[1] for board in operator.arm.feedback().boards] == [PAUSED] * 3
    assert operator.arm.state == PAUSED
    with pytest.raises(SurgeonError, match="the arm is paused; send resume"):
        operator.command(operator.arm.feedback().position, [0.0] * 7)
    operator.serve(90)
    operator.seq += 1
    operator.arm.resume(operator.seq, 200.0)
    here = operator.arm.feedback().position
    operator.serve(2)
    operator.command(here, [0.0] * 7)
    operator.serve(10)
    assert operator.arm.feedback().position == pytest.approx(here, abs=1e-3), "nothing moves"
    operator.move(40)
    assert operator.arm.state == ENABLED


def test_a_silent_console_pauses_the_arm_and_after_the_hold_time_brakes_it(operator: Operator, world: World) -> None:
    operator.enable()
    operator.move(40)
    operator.serve(150)
    assert operator.arm.state == PAUSED
    operator.serve(600)
    assert operator.arm.state == FAULT
    assert operator.arm.is_off
    assert all(plant.brake_closed for plant in world.plants.values())


def test_resume_is_refused_unless_every_board_stands_still_in_pause(operator: Operator) -> None:
    with pytest.raises(SurgeonError, match="only a paused arm can be resumed"):
        operator.arm.resume(5, 200.0)
    operator.enable()
    operator.move(40)
    with pytest.raises(SurgeonError, match="only a paused arm can be resumed"):
        operator.arm.resume(operator.seq + 1, 200.0)
    operator.arm.pause()
    operator.serve(2)
    with pytest.raises(SurgeonError, match="has not come to rest"):
        operator.arm.resume(operator.seq + 1, 200.0)
    with pytest.raises(SurgeonError, match="only an enabled arm can be paused"):
        operator.arm.pause()


def test_an_enable_that_a_board_drops_leaves_no_board_on(operator: Operator, world: World, told: list[str]) -> None:
    """Staff press the brake release in the moment of the enable."""
    wrist = next(board for board in world.boards if board.name == "psm1-wrist")
    operator.serve(1)
    operator.arm.enable(operator.seq, 200.0)
    wrist.switches = BRAKE_RELEASE
    world.advance(1)
    wrist.switches = 0
    operator.serve(10)
    assert "it was not enabled" in "".join(told)
    with pytest.raises(SurgeonError):
        operator.command(operator.arm.feedback().setpoint, [0.0] * 7)
    operator.serve(400)
    assert operator.arm.is_off


def test_commands_are_refused_until_every_board_is_enabled(operator: Operator) -> None:
    operator.serve(1)
    operator.arm.enable(operator.seq, 200.0)
    with pytest.raises(SurgeonError, match="not ENABLED on every board"):
        operator.arm.command(ServoJp(0, 2, 0, True, operator.arm.feedback().position, [0.0] * 7), operator.now)


@pytest.mark.parametrize("what", ["stop", "pause", "disable"])
def test_a_stop_whose_frame_is_lost_is_sent_again(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    operator.enable()
    operator.move(20)
    port = operator.arm.links[0].port
    write = port.write
    lost: list[bytes] = []
    monkeypatch.setattr(port, "write", lambda data: write(data) if lost else lost.append(data))
    getattr(operator.arm, what)()
    operator.serve(10)
    assert lost
    assert all(board[2] != RUN for board in operator.arm.feedback().boards)


def test_an_arm_is_taken_over_only_where_it_is(operator: Operator, world: World, cell: Cell) -> None:
    """On every joint, before any board hears of it: else one would stay behind while the others move."""
    operator.enable()
    operator.arm.pause()
    operator.serve(100)
    operator.seq += 1
    operator.arm.resume(operator.seq, 200.0)
    operator.serve(1)
    begun = world.plants["outer_yaw"].position
    at = operator.arm.feedback().position
    at[4] += 2 * cell.joint[4].limits.engage
    with pytest.raises(SurgeonError, match="begin at its measured position"):
        operator.command(at, [0.0] * 7)
    assert world.plants["outer_yaw"].position == pytest.approx(begun, abs=1e-4)


def test_no_board_follows_until_all_do(
    operator: Operator, world: World, cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell.joint[5].brake, "open_ms", 150)
    operator.serve(1)
    operator.arm.enable(operator.seq, 200.0)
    operator.serve(2)
    at = operator.arm.feedback().position
    begun = world.plants["outer_yaw"].position
    while operator.arm.feedback().boards[2][2] != RUN:
        operator.command([at[0] + 0.01, *at[1:]], [0.0] * 7)
        assert world.plants["outer_yaw"].position == pytest.approx(begun, abs=1e-3)
    assert operator.arm.feedback().boards[0][2] == RUN
    for _ in range(20):
        operator.command([at[0] + 0.01, *at[1:]], [0.0] * 7)
    assert world.plants["outer_yaw"].position == pytest.approx(begun + 0.01, abs=2e-3)


def test_a_fault_found_while_an_answer_is_awaited_is_told(operator: Operator, world: World, told: list[str]) -> None:
    wrist = next(board for board in world.boards if board.name == "psm1-wrist")
    operator.serve(1)
    wrist.stray_ma[0] = 300
    world.advance(5)
    with pytest.raises(LinkError, match="fault-latched"):
        operator.arm.enable(operator.seq, 200.0)
    operator.serve(1)
    assert "current-while-off" in "".join(told)


def test_a_board_that_was_silent_while_the_arm_was_off_needs_nobody_to_clear_it(
    operator: Operator, told: list[str]
) -> None:
    operator.serve(5)
    operator.deaf.add(1)
    operator.serve(150)
    with pytest.raises(SurgeonError, match="'psm1-slide' was silent"):
        operator.arm.enable(1, 200.0)
    operator.deaf.clear()
    operator.serve(20)
    assert told[-1] == "board 'psm1-slide': answers again"
    operator.enable()
    operator.move(5)
    assert operator.arm.state == ENABLED


def test_a_board_that_has_restarted_is_configured_before_anybody_enables_the_arm(
    operator: Operator, world: World
) -> None:
    operator.serve(5)
    world.boards[1].kill()
    world.boards[1].start()
    world.advance(3)
    slide = operator.arm.links[1]
    assert slide.identify().joints[0].position_max == 0
    operator.serve(3)
    assert slide.identify().joints[0].position_max > 0
    operator.enable()
    operator.move(5)
    assert operator.arm.state == ENABLED


def test_a_board_that_has_restarted_in_motion_is_configured_when_the_arm_is_off(
    operator: Operator, world: World
) -> None:
    operator.enable()
    operator.move(10)
    world.boards[1].kill()
    world.boards[1].start()
    world.advance(3)
    operator.serve(2)
    assert operator.arm.links[1].identify().joints[0].position_max == 0
    operator.serve(800)
    assert operator.arm.is_off
    assert operator.arm.links[1].identify().joints[0].position_max > 0
