"""A whole arm in virtual time, as a test drives it."""

from __future__ import annotations

from bedside.bridge.arm import Arm
from bedside.link.messages import RUN
from bedside.sim.world import World
from bedside.surgeon.protocol import ServoJp


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
