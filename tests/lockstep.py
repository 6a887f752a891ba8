"""A board, or a whole arm, in virtual time, as a test drives it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from bedside.bridge.arm import Arm
from bedside.cell import Cell
from bedside.joint import Joint
from bedside.link import frames, schema
from bedside.link.board import BoardLink
from bedside.link.messages import OFF, RUN, Event, Feedback
from bedside.link.port import SerialPort
from bedside.link.scale import board_message, homing_message, joint_messages
from bedside.places import BOARDS
from bedside.sim.plant import Plant
from bedside.sim.world import World
from bedside.surgeon.protocol import ServoJp

PSM = BOARDS / "cells" / "psm.toml"
KEEP_ALIVE_TICKS = 5
# Only a dead board takes this long, however busy the machine.
ANSWER_S = 20.0


def alone(cell: Cell, name: str) -> Cell:
    """Return the cell of which only board ``name`` is left."""
    boards = [slot for slot in cell.board if slot.name == name]
    return replace(cell, board=boards, joint=[joint for joint in cell.joint if joint.board == name])


class BoardBench:
    """One board of a world, with the time under the test's hand: nothing passes but in ``tick``."""

    def __init__(self, world: World, cell: Cell, name: str) -> None:
        self.world = world
        self.cell = cell
        self.name = name
        self.tick_hz = world.tick_hz
        self.joints: list[Joint] = [joint for _, joint in cell.joints_of(name)]
        self.plants: list[Plant] = [world.plants[joint.name] for joint in self.joints]
        self.link = BoardLink(SerialPort(f"sim:{name}", 1_000_000), f"board '{name}'")
        self.link.identify()
        self.operator_seq = 0
        self.events: list[Event] = []
        self.last_frame = b""
        self.last: list[int] = []

    def pass_ticks(self, ticks: int) -> None:
        """Let ``ticks`` pass without a word."""
        self.world.advance(ticks)

    def configure(self) -> None:
        for joint in self.joints:
            for message in joint_messages(joint, self.tick_hz):
                self.link.ask(message)
        self.link.ask(board_message(self.cell, self.name, self.cell.arm.command_hz))

    def configure_joint(self, message: list[int]) -> None:
        """Configure a joint by ``message``, homed as its cell says."""
        self.talk(message)
        self.talk(homing_message(self.joints[message[2]]))

    def talk(self, message: list[int]) -> Feedback:
        """Send a message and return its feedback; events are collected in ``events``."""
        return self.exchange(self.link.send(message))

    def exchange(self, seq: int) -> Feedback:
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            came = self.link.wait(deadline)
            self.events += [message for message in came if isinstance(message, Event)]
            for answer in came:
                if isinstance(answer, Feedback) and answer.link_seq == seq:
                    return answer
        raise AssertionError("the board does not answer")

    def tick(self, ticks: int = 1) -> Feedback:
        """Let ``ticks`` pass with keep-alives, which feed the link's clock alone; return the state."""
        for _ in range(ticks // KEEP_ALIVE_TICKS):
            self.pass_ticks(KEEP_ALIVE_TICKS)
            self.talk([schema.KEEP_ALIVE, 0])
        self.pass_ticks(ticks % KEEP_ALIVE_TICKS)
        return self.talk([schema.KEEP_ALIVE, 0])

    def command(self, positions: list[float], velocities: list[float]) -> Feedback:
        """Send the next command, in rad and rad/s."""
        self.operator_seq += 1
        setpoints = [round(1e6 * x) for pair in zip(positions, velocities, strict=True) for x in pair]
        self.last = [schema.COMMAND, 0, self.operator_seq, *setpoints]
        return self.command_again()

    def command_again(self) -> Feedback:
        """Send the last command with a new link sequence, as a bridge would that repeats itself."""
        answer = self.talk(self.last)
        self.last_frame = frames.encode(self.last)
        return answer

    def state_command(self, command: int) -> Feedback:
        """Send DISABLE, ENABLE (PAUSE, RESUME, STOP) with the present operator sequence."""
        return self.talk([schema.STATE_COMMAND, 0, self.operator_seq, command])

    def run(self) -> Feedback:
        """Enable, and wait until the brakes are open."""
        self.operator_seq += 1
        self.state_command(schema.ENABLE)
        for _ in range(200):
            feedback = self.tick()
            if feedback.phase == RUN:
                return feedback
        raise AssertionError(f"does not run: {feedback} {self.events}")

    def enable(self) -> Feedback:
        """Enable, wait until the brakes are open, and engage: from here on the board follows."""
        self.run()
        return self.engage()

    def engage(self) -> Feedback:
        """Send the first command, at the measured position."""
        here = [position / 1e6 for position in self.tick().positions]
        return self.command(here, [0.0] * len(here))

    def sweep(self, commands: int, speeds: list[float]) -> Feedback:
        """Stream ``commands`` that accelerate smoothly to ``speeds`` (rad/s); return the last answer."""
        period = round(self.tick_hz / self.cell.arm.command_hz)
        dt = period / self.tick_hz
        at = [f / 1e6 for f in self.tick().positions]
        answer = self.tick()
        for k in range(commands):
            share = min(1.0, (k + 1) / 20)
            velocities = [speed * share for speed in speeds]
            at = [p + v * dt for p, v in zip(at, velocities, strict=True)]
            answer = self.command(at, velocities)
            self.pass_ticks(period)
        return answer

    def until_off(self, limit: int = 3000) -> Feedback:
        for _ in range(limit // 5):
            feedback = self.tick(5)
            if feedback.phase == OFF:
                return feedback
        raise AssertionError(f"still on after {limit} ticks: {feedback}")


class Operator:
    """Drives an arm in virtual time: a cycle a millisecond, a command every five."""

    def __init__(self, arm: Arm, world: World) -> None:
        self.arm = arm
        self.world = world
        self.seq = 1
        self.now = 0
        self.deaf: set[int] = set()

    def serve(self, cycles: int) -> None:
        for _ in range(cycles):
            self.world.advance(1)
            self.now += 1_000_000
            self.arm.cycle(self.now)
            self.listen()

    def listen(self) -> None:
        for board, link in enumerate(self.arm.links):
            if board in self.arm.gone or board in self.deaf:
                continue
            while not self.arm.is_answered(board) and board not in self.arm.gone:
                link.wait_readable(1.0)
                self.arm.receive(board, self.now)

    def enable(self) -> None:
        self.serve(1)
        self.arm.enable(self.seq, 200.0)
        self.serve(2)
        while any(board[2] != RUN for board in self.arm.feedback().boards):
            here = self.arm.feedback().setpoint
            self.command(here, [0.0] * len(here))

    def command(self, position: list[float], velocity: list[float]) -> None:
        self.seq += 1
        self.arm.command(ServoJp(0, self.seq, 0, True, position, velocity), self.now)
        self.listen()
        self.serve(5)

    def move(self, commands: int) -> None:
        at = self.arm.feedback().setpoint
        for k in range(commands):
            speed = 0.3 * min(1.0, k / 20)
            at = [x + speed * 0.005 * (0.1 if i == 2 else 1.0) for i, x in enumerate(at)]
            self.command(at, [speed * (0.1 if i == 2 else 1.0) for i in range(7)])

    def say_home(self) -> None:
        """Hold to run: let the arm go on homing for a command period."""
        self.seq += 1
        self.arm.home(self.seq, self.now)
        self.listen()
        self.serve(5)

    def home(self, words: int = 4000) -> None:
        """Say home until every joint is homed, or the bridge refuses."""
        for _ in range(words):
            self.say_home()
            if self.arm.feedback().is_homed:
                return
        raise AssertionError(f"not homed: {self.arm.feedback().flags}")


def bend_encoder(monkeypatch: pytest.MonkeyPatch, plant: Plant, reading: Callable[[int], int]) -> None:
    """Let the encoder of ``plant`` read ``reading`` of its true count."""
    true = Plant.count.fget
    assert true
    monkeypatch.setattr(Plant, "count", property(lambda self: reading(true(self)) if self is plant else true(self)))
