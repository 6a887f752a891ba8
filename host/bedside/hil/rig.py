"""A moving arm in virtual time: real firmware, the bridge's own code, motor models, and a record of each tick."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from bedside.bridge.arm import Arm
from bedside.bridge.connect import close, configure, connect
from bedside.cell import Cell, RunLoop, load_cell
from bedside.errors import BedsideError, SurgeonError
from bedside.link import causes
from bedside.link.blackbox import BlackBox, fetch
from bedside.link.board import BoardLink
from bedside.link.messages import BUILDING, ENABLED, OPENING, RESET_CAUSES, RUN, Event, Feedback, Message
from bedside.link.port import SerialPort
from bedside.places import BOARDS
from bedside.sim.board import Chip, SimBoard, unix_port
from bedside.sim.world import World
from bedside.surgeon.proof import Prover, key_file
from bedside.surgeon.protocol import ServoJp

CELL = BOARDS / "cells" / "psm.toml"
SABOTAGE = Path(__file__).parent / "sabotage.py"
COMMAND_TICKS = 5
CYCLE_TICKS = 4
PROVE_TICKS = 25
HOLD_MS = 200
# Longer than the slowest joint's stop.
RELAY_OFF_MS = 450
# Of each joint's highest speed, reached in so many commands.
SHARE = 0.6
RUN_UP = 20
# A busy machine may keep a board from answering this long; one that is dead or cut off does not answer at all.
ANSWER_S = 2.0
LOSSY_S = 0.002
# The console's, where boards have keys.
KEY = bytes(range(16))
# What a board tells when it stops by a person's word, which is no fault.
LOCAL_SWITCH = 57


@dataclass
class Record:
    """What was seen, by tick of the world: of each joint its place and speed, of each board when it left RUN."""

    places: list[list[float]] = field(default_factory=list)
    speeds: list[list[float]] = field(default_factory=list)
    left_run: dict[str, int] = field(default_factory=dict)
    notices: list[tuple[int, str, str]] = field(default_factory=list)


class Rig:
    """The arm, its bridge and its operator.

    ``serving`` says whether there is a bridge, ``commanding`` whether there is a console, ``cut`` which boards' lines
    bring the bridge nothing, and ``lossy`` that answers may fail to come. If boards are ``keyed``, ``proving`` says
    whether the console sends proof, ``seeing`` whether it is told what boards sign, and ``hoarded`` is the proof that
    the bridge passes on instead of the console's.
    """

    def __init__(self, cell: Cell, world: World, keyed: bool = False) -> None:
        self.cell = cell
        self.world = world
        self.boards: dict[str, SimBoard] = {board.name: board for board in world.boards}
        self.plants = [world.plants[joint.name] for joint in cell.joint]
        self.record = Record()
        self.told: list[str] = []
        self.serving = self.commanding = True
        self.lossy = False
        self.proving = self.seeing = True
        self.hoarded: list[list[int]] | None = None
        self.cut: set[str] = set()
        roles = [f"{cell.arm.name}/{slot.name}" for slot in cell.board]
        rates = [world.tick_hz] * len(roles)
        self._prover = Prover(KEY, roles, rates, lambda: world.ticks / world.tick_hz) if keyed else None
        self._seq = 0
        self._offsets: dict[str, int] = {}
        self._at: list[float] = []
        self._speed = [0.0] * len(cell.joint)
        self.connect()

    # ---- the bridge ----------------------------------------------------------------------

    def connect(self) -> None:
        """Start a bridge: the boards are found, checked and configured."""
        self._links = connect(self.cell)
        configure(self.cell, self._links, 1000 / COMMAND_TICKS)
        self.arm = Arm(self.cell, self._links, self.told.append)
        self.forget()
        for slot, link in zip(self.cell.board, self._links, strict=True):
            self._watch(slot.name, link)

    def forget(self) -> None:
        """Wait for no answer to what was sent until now."""
        self._answered = [link.seq for link in self._links]

    def disconnect(self) -> None:
        """End the bridge."""
        close(self._links)

    def _watch(self, name: str, link: object) -> None:
        """Note what a board says before the bridge hears it."""
        receive = link.receive  # type: ignore[attr-defined]

        def noted() -> list[Message]:
            messages: list[Message] = receive()
            for message in messages:
                self._note(name, message)
            # What a board says behind a cut cable is seen here and not by the bridge.
            return [] if name in self.cut else messages

        link.receive = noted  # type: ignore[attr-defined]

    def _note(self, name: str, message: Message) -> None:
        if isinstance(message, Feedback):
            # A board that has ticked n times does so as the world does.
            self._offsets.setdefault(name, self.world.ticks - message.tick)
            left = message.phase not in (BUILDING, OPENING, RUN)
        elif isinstance(message, Event):
            left = message.is_fault or message.code == LOCAL_SWITCH
            if left and name in self._offsets:
                joints = [joint.name for _, joint in self.cell.joints_of(name)]
                where = joints[message.channel] if 0 <= message.channel < len(joints) else name
                self.record.notices.append((message.tick + self._offsets[name], where, causes.name_of(message.code)))
        else:
            return
        if left and name in self._offsets:
            self.record.left_run.setdefault(name, message.tick + self._offsets[name])

    # ---- time ----------------------------------------------------------------------------

    def tick(self, count: int = 1) -> None:
        """Let ``count`` ticks pass, with whatever of console and bridge is there."""
        for _ in range(count):
            now_ns = self.world.ticks * 1_000_000
            if self.commanding and self.serving and self.world.ticks % COMMAND_TICKS == 0 and self._at:
                self._command(now_ns)
            if self._prover and self.serving and self.world.ticks % PROVE_TICKS == 0:
                self._prove(self._prover, now_ns)
            if self.serving and self.world.ticks % CYCLE_TICKS == 0:
                self.arm.cycle(now_ns)
            self.listen()
            self.world.advance(1)
            for name, board in self.boards.items():
                if not board.alive and name not in self.record.left_run:
                    self.record.left_run[name] = self.world.ticks
                    self.record.notices.append((self.world.ticks, name, RESET_CAUSES[board.reset_cause]))
            self.record.places.append([plant.position for plant in self.plants])
            self.record.speeds.append([plant.velocity for plant in self.plants])
        self.listen()

    def listen(self) -> None:
        """Hear every board out: nothing it was sent is still on its way when the next tick comes."""
        while True:
            sent = [link.seq for link in self._links]
            for index in range(len(self._links)):
                self._hear(index)
            # What one board says may let the bridge speak to another.
            if sent == [link.seq for link in self._links]:
                return

    def _hear(self, index: int) -> None:
        link, name = self._links[index], self.cell.board[index].name
        if not self.serving:
            link.receive()
            return
        deadline = time.monotonic() + (LOSSY_S if self.lossy or name in self.cut else ANSWER_S)
        while index not in self.arm.gone:
            self.arm.receive(index, self.world.ticks * 1_000_000)
            latest = self.arm.latest[index]
            heard = max(latest.link_seq if latest else 0, self._answered[index]) >= link.seq
            if heard or not self.boards[name].runs or time.monotonic() > deadline:
                return
            link.wait_readable(0.002)

    def _prove(self, prover: Prover, now_ns: int) -> None:
        for board, fields in self.arm.take_witnesses().items():
            if self.seeing:
                with suppress(SurgeonError):  # one of before the board was off
                    prover.witness(board, fields)
        if self.proving:
            self._seq += 1
            self.arm.prove(self.hoarded or self.tokens(prover), now_ns)

    def tokens(self, prover: Prover | None = None) -> list[list[int]]:
        """Return the newest proof that the console can give."""
        made = prover or self._prover
        assert made, "only boards with keys are given proof"
        return [made.token(board, self._seq) or made.ask(board) for board in range(len(self._links))]

    def _command(self, now_ns: int) -> None:
        self._seq += 1
        period_s = COMMAND_TICKS / 1000
        for index, joint in enumerate(self.cell.joint):
            top = SHARE * joint.limits.velocity
            self._speed[index] = min(top, self._speed[index] + top / RUN_UP)
            self._at[index] = min(joint.limits.position[1], self._at[index] + self._speed[index] * period_s)
        try:
            self.arm.command(ServoJp(0, self._seq, 0, True, list(self._at), list(self._speed)), now_ns)
        except BedsideError as error:
            self.told.append(str(error))

    # ---- what an operator does -----------------------------------------------------------

    def enable(self) -> None:
        """Enable and engage; the arm stands and follows."""
        self._at = []
        if self._prover:
            self.tick(3 * PROVE_TICKS)
        self._seq += 1
        self.listen()
        self.arm.enable(self._seq, 1000 / COMMAND_TICKS)
        here = self.arm.feedback().position
        for _ in range(400):
            self.tick()
            if self.world.ticks % COMMAND_TICKS == 0 and self.arm.state == ENABLED:
                self._seq += 1
                self.arm.command(ServoJp(0, self._seq, 0, True, here, [0.0] * len(here)), self.world.ticks * 1_000_000)
            if self.arm.is_following:
                return
        raise AssertionError(f"does not follow: {self.told}")

    def move(self, ticks: int) -> None:
        """Run up to the campaign's speed, then go on for ``ticks``; the record begins there."""
        self._at = list(self.arm.feedback().setpoint)
        self._speed = [0.0] * len(self._at)
        self.tick(RUN_UP * COMMAND_TICKS + ticks)
        self.begun = self.world.ticks
        self.record = Record([[p.position for p in self.plants]], [[p.velocity for p in self.plants]])

    def finish(self, limit: int = 1500) -> None:
        """Let time pass until the arm is off by its own word, or has been what it is for long enough."""
        for _ in range(limit // 20):
            self.tick(20)
            still = all(speed == 0.0 for tick in self.record.speeds[-20:] for speed in tick)
            if still and all(not any(board.outputs[:10]) for board in self.boards.values()):
                break

    def black_box(self, name: str) -> BlackBox:
        """End the bridge and read what board ``name`` has kept."""
        self.serving = False
        self.disconnect()
        link = BoardLink(SerialPort(f"sim:{name}", 1_000_000), name)
        with closing(link.port):
            return fetch(link, wait=lambda _: self.world.advance(50))

    def states(self) -> list[int]:
        """Return each board's state as it says it now."""
        return [latest.state for latest in self.arm.latest if latest]


@contextmanager
def rig(
    folder: Path,
    sabotage: str = "",
    *,
    run_loop: bool = False,
    keyed: bool = False,
    first_tick: int = 0,
    chip: Chip = unix_port,
) -> Iterator[Rig]:
    """Yield an enabled arm, with a run loop or keys if asked, whose wrist board breaks as ``sabotage`` says, if at all.

    The world's clock begins at ``first_tick``.
    """
    cell = load_cell(CELL)
    cell.arm.hold_ms = HOLD_MS
    cell.arm.run_loop = RunLoop(RELAY_OFF_MS) if run_loop else None
    for slot in cell.board if keyed else ():
        flash = folder / f"{slot.name}.flash"
        flash.mkdir()
        (flash / "keys.json").write_text(key_file(f"{cell.arm.name}/{slot.name}", {"console": KEY}))
    os.environ.update(BEDSIDE_SIM=str(folder), SABOTAGE=sabotage)
    with World(cell, CELL, folder, SABOTAGE if sabotage else None, chip) as world:
        world.ticks = first_tick
        world.advance(3)
        made = Rig(cell, world, keyed)
        made.enable()
        try:
            yield made
        finally:
            made.disconnect()
