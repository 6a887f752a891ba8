"""One board as a test drives it, wherever it is: everything is said to it through its link."""

from __future__ import annotations

import time
from collections.abc import Sequence

from bedside.cell import Cell
from bedside.hil.fixture import Jumper, Power
from bedside.joint import Joint
from bedside.link import frames, schema
from bedside.link.board import BoardLink
from bedside.link.messages import OFF, RUN, Event, Feedback
from bedside.link.scale import board_message, homing_message, joint_messages

KEEP_ALIVE_TICKS = 5
# Only a dead board takes this long, however busy the machine.
ANSWER_S = 20.0


class Bench:
    """One board, whose joints are those of ``cell`` that it drives; ``link`` is to be identified already.

    What it tells besides answers is collected in ``events``. Times are in ticks of the board.
    """

    def __init__(self, cell: Cell, name: str, link: BoardLink, tick_hz: int) -> None:
        self.cell = cell
        self.name = name
        self.link = link
        self.tick_hz = tick_hz
        self.joints: list[Joint] = [joint for _, joint in cell.joints_of(name)]
        self.operator_seq = 0
        self.events: list[Event] = []
        self.last_frame = b""
        self.last: list[int] = []

    def pass_ticks(self, ticks: int) -> None:
        """Let ``ticks`` pass without a word."""
        raise NotImplementedError

    def now_s(self) -> float:
        """Return the time by another clock than the board's, seconds."""
        raise NotImplementedError

    def take_own_clocks(self) -> None:
        """Configure the timeouts of the cell, if they are not those that the board has."""

    def pace(self, ticks: int) -> None:
        """Let pass what is left of ``ticks`` since this was called last, as for a stream of commands."""
        self.pass_ticks(ticks)

    @property
    def unplugs(self) -> bool:
        """Whether ``plug`` can take a wire away by itself; else it is there as long as somebody leaves it."""
        return False

    def plug(self, jumpers: Sequence[Jumper]) -> None:
        """Let these jumpers, and no others, be there, as far as that is not for a person to do."""

    def power(self, power: Power, is_on: bool) -> None:
        """Switch the board's supply; when it comes on, wait until the board answers. Raises BedsideError."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the board back."""
        self.link.port.close()

    def configure(self) -> None:
        """Tell the board of its joints."""
        for joint in self.joints:
            for message in joint_messages(joint, self.tick_hz):
                self.link.ask(message)
        self.link.ask(self.board_message())

    def board_message(self) -> list[int]:
        """Return what the board is told of itself, as its cell says."""
        return board_message(self.cell, self.name, self.cell.arm.command_hz)

    def configure_joint(self, message: list[int]) -> None:
        """Configure a joint by ``message``, homed as its cell says."""
        self.talk(message)
        self.talk(homing_message(self.joints[message[2]]))

    def talk(self, message: list[int]) -> Feedback:
        """Send a message and return its feedback; events are collected in ``events``."""
        return self.exchange(self.link.send(message))

    def exchange(self, seq: int) -> Feedback:
        """Return the feedback that answers what was sent as ``seq``."""
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
        """Keep the link alive until the board is off, ``limit`` ticks at most."""
        for _ in range(limit // 5):
            feedback = self.tick(5)
            if feedback.phase == OFF:
                return feedback
        raise AssertionError(f"still on after {limit} ticks: {feedback}")
