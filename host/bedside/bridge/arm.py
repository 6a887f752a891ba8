"""The arm: one command in, a frame to each board out, their answers back together, and the stop group.

Knows neither network nor clock: the caller says when a cycle ends and hands in the time.
"""

from __future__ import annotations

from collections.abc import Callable

from bedside.bridge.connect import configure
from bedside.bridge.follow import Follower
from bedside.bridge.joined import Joined
from bedside.bridge.presence import SILENT_S, Presence
from bedside.bridge.reports import Reports
from bedside.bridge.restarts import Restarts
from bedside.cell import Cell
from bedside.errors import BedsideError, LinkError, SurgeonError
from bedside.link import schema
from bedside.link.board import BoardLink, ask_all
from bedside.link.messages import (
    BUILDING,
    DISABLED,
    ENABLED,
    FAULT,
    HOLDING,
    HOME_REFUSALS,
    OFF,
    OPENING,
    PAUSED,
    RAMP,
    RUN,
    STATES,
    Event,
    Feedback,
    Witness,
)
from bedside.link.scale import MICRO
from bedside.surgeon import protocol

# A board takes up an enable in its next tick; one that has ticked more often and is off has dropped it.
_ENABLE_TICKS = 3
_TICK_MASK = 0x3FFFFFFF
# Phases in which a board follows, or is about to.
_FOLLOWING = (BUILDING, OPENING, RUN)
_NO_JOINT = -1
# Twice as often as consoles prove; more would be no news to a board, and takes its time.
_PROVE_NS = 8_000_000


class Arm:
    """The boards of a cell as one arm. ``tell`` gets a line of text for each fault and refusal.

    ``gone`` holds the boards whose port has disappeared, ``failure`` why; the other boards are stopped then.
    ``late_cycles`` are the caller's to count, and told with the rest.
    """

    def __init__(self, cell: Cell, links: list[BoardLink], tell: Callable[[str], None]) -> None:
        self.cell = cell
        self.links = links
        self.missed_cycles = 0
        self.late_cycles = 0
        self.cycles = 0
        self.round_us = 0
        self._tell = tell
        self._follower = Follower(cell)
        self._command_hz = cell.arm.command_hz
        self._homing_order = cell.homing_order
        self._homing = False
        # Why the board refuses to go on homing.
        self._home_failed = ""
        self._awaited = [0] * len(links)
        self._presence = Presence(len(links), round(1e9 / cell.arm.cycle_hz))
        self._joined = Joined(cell, self._presence)
        self._reports = Reports(cell, tell)
        self._restarts = Restarts(cell, links, tell)
        self._waiting = 0
        self._sent_ns = 0
        self._sent_this_cycle = False
        self._engaged = False
        self._paused = False
        self._stopping = False
        # Boards that were told to go on and have not said that they do.
        self._resuming: set[int] = set()
        # Boards that have not yet taken a command where the arm is, and the command that does it; 0: not known yet.
        self._engaging: dict[int, int] = {}
        # What a board was told that has not done it: a frame may be lost, and these must not be.
        self._told_to: dict[int, int] = {}
        self._proved_ns = 0
        self._witnesses: dict[int, list[int]] = {}
        self._enabled_tick = [0] * len(links)
        self.operator_seq = -1
        self.failure: LinkError | None = None
        self.gone: set[int] = set()

    # ---- what the arm is -----------------------------------------------------------------

    @property
    def state(self) -> int:
        """The arm's operating state: FAULT if any board is or has gone silent, PAUSED if any is, ENABLED if all are."""
        return self._joined.state

    @property
    def latest(self) -> list[Feedback | None]:
        """What each board said last, None if it was never heard."""
        return self._joined.latest

    @property
    def is_following(self) -> bool:
        """Whether every board follows commands: none still has to be taken over where it is."""
        return self.state == ENABLED and not self._engaging and not self._stopping and not self._homing

    @property
    def is_off(self) -> bool:
        """Whether no board that answers has torque."""
        return self._joined.is_off

    def is_answered(self, board: int) -> bool:
        """Return whether ``board`` has answered what it was sent last."""
        return self._awaited[board] == 0

    @property
    def is_complete(self) -> bool:
        """Whether every board has answered what was sent last."""
        return self._waiting == 0

    def feedback(self) -> protocol.Feedback:
        """Return the arm's state as the console is told it; a board that was never heard is at 0 and not homed."""
        return self._joined.feedback(self.cycles, self.missed_cycles, self.round_us, self.late_cycles)

    # ---- what it is told -----------------------------------------------------------------

    def enable(self, seq: int, command_hz: float) -> None:
        """Configure every board and enable it; operator sequences count from ``seq``.

        Raises BedsideError when a board refuses or does not answer; then every board is off, or stopping.
        """
        if self.failure:
            raise SurgeonError(str(self.failure))
        for link, lost in zip(self.links, self._presence.lost, strict=True):
            if lost:
                raise SurgeonError(f"{link.label} was silent; when it answers again, disable, then enable")
        if self.state == FAULT:
            raise SurgeonError("a board is in FAULT; find the cause, then disable (which clears it), then enable")
        if not self.is_off:
            raise SurgeonError("the arm is on or stopping; disable it and wait until it is off")
        configure(self.cell, self.links, command_hz)
        self._command_hz = command_hz
        self._presence.begin()
        try:
            self._ask_all([schema.STATE_COMMAND, 0, seq, schema.ENABLE])
        except BedsideError:
            self.stop()
            raise
        self._enabled_tick = [latest.tick if latest else 0 for latest in self._joined.latest]
        self._begin_following(seq)
        self._engaged = True
        self._stopping = False

    def pause(self) -> None:
        """Bring every board that runs to a monitored standstill. Raises SurgeonError if the arm does not run."""
        if not self._engaged or self._stopping or self._paused:
            raise SurgeonError("only an enabled arm can be paused")
        self._pause()

    def resume(self, seq: int, command_hz: float) -> None:
        """Let a paused arm follow again, from where it is; nothing moves before a command.

        Sequences count from ``seq``, the rate is that of the enable. Raises BedsideError when the arm does not stand
        still in PAUSED or a board refuses; then it stays as it is, or stops.
        """
        if self._stopping or not self._paused:
            raise SurgeonError("only a paused arm can be resumed; enable a disabled one")
        if command_hz != self._command_hz:
            raise SurgeonError(
                f"the arm was enabled for {self._command_hz:g} commands a second, not for {command_hz:g}; stream as "
                "many, or disable and enable it"
            )
        if any(latest is None or latest.phase != HOLDING or latest.state != PAUSED for latest in self._joined.latest):
            raise SurgeonError("the arm has not come to rest in PAUSED on every board; try again, or disable it")
        try:
            self._ask_all([schema.STATE_COMMAND, 0, seq, schema.RESUME])
        except BedsideError:
            self.stop()
            raise
        self._begin_following(seq)
        self._paused = False
        self._resuming = set(range(len(self.links)))

    def disable(self) -> None:
        """Stop every board that is on, and clear the fault of those that are off, as a person at the console asks."""
        self._tell_all(schema.DISABLE)
        # A board that answers again after it was silent is forgiven here, as a fault is.
        self._presence.forgive()
        self._stopping = self._engaged

    def stop(self) -> None:
        """Stop every board; a fault stays."""
        self._tell_all(schema.STOP)
        self._stopping = self._engaged

    def command(self, message: protocol.ServoJp, now_ns: int) -> None:
        """Check a command and send each board its part, at once. Raises SurgeonError; then nothing was sent."""
        self._check_enabled()
        if message.seq <= self.operator_seq:
            raise SurgeonError(f"command {message.seq} is not newer than {self.operator_seq}; late ones are dropped")
        if self._homing:
            # Joints have got their places, and their limits.
            self._begin_following(self.operator_seq)
        if self._engaging:
            # Until every board has taken a command where the arm is, none follows: one that refuses holds all.
            position, velocity = self._follower.engage(message)
        else:
            position, velocity = self._follower.follow(message, now_ns, self._joined.setpoints())
        self.operator_seq = message.seq
        self._begin_round(now_ns)
        for board, indices in enumerate(self._joined.order):
            frame = [schema.COMMAND, 0, message.seq]
            for index in indices:
                frame += round(position[index] * MICRO), round(velocity[index] * MICRO)
            self._send(board, frame)

    def home(self, seq: int, now_ns: int) -> None:
        """Let the next joint that is not homed go on homing, and all others hold. Raises SurgeonError.

        The console holds to run: this is a command, and counts as one.
        """
        self._check_enabled()
        if seq <= self.operator_seq:
            raise SurgeonError(f"home {seq} is not newer than {self.operator_seq}; late ones are dropped")
        if self._home_failed:
            raise SurgeonError(self._home_failed)
        self._homing = True
        self._engaging.clear()
        self.operator_seq = seq
        joint = next((joint for joint in self._homing_order if not self._joined.is_homed(joint)), _NO_JOINT)
        mine, channel = self._joined.drives.get(joint, (_NO_JOINT, _NO_JOINT))
        self._begin_round(now_ns)
        for board in range(len(self.links)):
            self._send(board, [schema.HOME, 0, seq, channel if board == mine else _NO_JOINT])

    def prove(self, tokens: list[list[int]], now_ns: int) -> None:
        """Pass a console's newest tokens on to the boards that have keys; what comes too often is dropped."""
        if now_ns - self._proved_ns < _PROVE_NS:
            return
        self._proved_ns = now_ns
        for board, (link, token) in enumerate(zip(self.links, tokens, strict=False)):
            if link.identity and link.identity.keys:
                self._send_frame(board, [schema.PROVE, 0, *token])

    def unhome(self) -> None:
        """Let the joints forget where they are, but for those whose encoder tells. Raises BedsideError."""
        if not self.is_off:
            raise SurgeonError("unhome is possible in DISABLED only")
        self._ask_all([schema.STATE_COMMAND, 0, max(0, self.operator_seq), schema.UNHOME])

    def cycle(self, now_ns: int) -> None:
        """End a cycle: count who did not answer, and cover silence with keep-alives."""
        self.cycles += 1
        self.missed_cycles += self._presence.is_late(now_ns)
        for board in self._presence.cycle(now_ns, self._engaged):
            self._tell(f"{self.links[board].label}: no answer for {1000 * SILENT_S:g} ms; check its power and cable")
            self._stop_group()
        for board, command in list(self._told_to.items()):
            self._send_state(board, command)
        if not self._engaged and self.is_off:
            self._restarts.configure(self._command_hz, now_ns)
        if not self._sent_this_cycle:
            self._begin_round(now_ns)
            for board in range(len(self.links)):
                self._send(board, [schema.KEEP_ALIVE, 0])
        self._sent_this_cycle = False

    def receive(self, board: int, now_ns: int) -> bool:
        """Take what ``board`` sent; return whether that completed the round."""
        link = self.links[board]
        completed = False
        try:
            messages = link.receive()
        except LinkError as error:
            self._lose(board, error)
            return False
        for message in messages:
            if isinstance(message, Feedback):
                if message.joints != len(self._joined.order[board]):
                    continue  # no answer of this board; if it goes on, the board counts as silent
                self._restarts.saw(board, self._joined.latest[board], message)
                self._joined.latest[board] = message
                if self._presence.answered(board):
                    self._tell(f"{link.label}: answers again")
                if message.link_seq >= self._awaited[board] > 0:
                    self._awaited[board] = 0
                    self._waiting -= 1
                    if self._waiting == 0:
                        self.round_us = (now_ns - self._sent_ns) // 1000
                        completed = True
                self._watch(board, message)
            elif isinstance(message, Witness):
                self._witnesses[board] = message.fields
            elif isinstance(message, Event):
                text = self._reports.take(board, link.label, message, now_ns)
                if self._homing and message.code in HOME_REFUSALS:
                    self._home_failed = text
        return completed

    def take_witnesses(self) -> dict[int, list[int]]:
        """Return what boards have signed for a console since the last call, by board."""
        found, self._witnesses = self._witnesses, {}
        return found

    # ---- inside --------------------------------------------------------------------------

    def _check_enabled(self) -> None:
        """Raise SurgeonError unless the arm takes commands."""
        if not self._engaged or self._stopping:
            raise SurgeonError("the arm is not enabled; send enable first")
        if self._paused:
            raise SurgeonError("the arm is paused; send resume, then begin where it is")
        if self.state != ENABLED:
            raise SurgeonError(f"the arm is not ENABLED on every board yet, it is {STATES[self.state]}")

    def _ask_all(self, message: list[int]) -> None:
        """Ask every board the same, and note what they answer. Raises LinkError."""
        ask_all(self.links, [list(message) for _ in self.links], self._joined.latest.__setitem__)

    def _begin_round(self, now_ns: int) -> None:
        self._waiting = 0
        self._sent_ns = now_ns
        self._sent_this_cycle = True

    def _send(self, board: int, message: list[int]) -> None:
        if board in self.gone:
            return
        try:
            self._awaited[board] = self.links[board].send(message)
        except LinkError as error:
            self._lose(board, error)
        else:
            self._presence.asked(board, self._sent_ns)
            self._waiting += 1

    def _begin_following(self, seq: int) -> None:
        """Take the arm as it stands for what the console's next command must be near."""
        self._told_to.clear()
        self._engaging = dict.fromkeys(range(len(self.links)), 0)
        self._homing = False
        self._home_failed = ""
        homed = [self._joined.is_homed(joint) for joint in range(len(self.cell.joint))]
        self._follower.begin(self.feedback().position, homed, self._command_hz)
        self.operator_seq = seq
        self._paused = False

    def _pause(self) -> None:
        self._paused = True
        self._resuming.clear()
        self._tell_all(schema.PAUSE)

    def _tell_all(self, command: int) -> None:
        """Tell every board, and again in each cycle those that follow, until they do not."""
        self._engaging.clear()
        self._told_to.clear()
        for board in range(len(self.links)):
            self._send_state(board, command)
            latest = self._joined.latest[board]
            if latest is None or latest.phase in _FOLLOWING:
                self._told_to[board] = command

    def _send_state(self, board: int, command: int) -> None:
        self._send_frame(board, [schema.STATE_COMMAND, 0, max(0, self.operator_seq), command])

    def _send_frame(self, board: int, message: list[int]) -> None:
        """Send what no round waits for."""
        if board not in self.gone:
            try:
                self.links[board].send(message)
            except LinkError as error:
                self._lose(board, error)

    def _lose(self, board: int, error: LinkError) -> None:
        """Note that a port has gone, and stop the rest of the arm."""
        self.gone.add(board)
        self._presence.lost[board] = True
        self.failure = self.failure or error
        self._tell(str(error))
        self._stop_group()

    def _watch(self, board: int, feedback: Feedback) -> None:
        """Let the others pause or stop when a board of an engaged arm does; note when all have come to rest."""
        if feedback.phase not in _FOLLOWING:
            self._told_to.pop(board, None)
        if not self._engaged:
            return
        if board in self._engaging and feedback.phase == RUN:
            # A command that comes before the board runs does not engage it; the next one will.
            self._engaging[board] = self._engaging[board] or self.operator_seq + 1
            if feedback.operator_seq >= self._engaging[board]:
                del self._engaging[board]
        if board in self._resuming and (feedback.phase == RUN or feedback.state == FAULT):
            self._resuming.discard(board)
        if not self._stopping and (feedback.phase > RUN or feedback.phase == OFF):
            if feedback.state == PAUSED and feedback.phase in (RAMP, HOLDING):
                if not self._paused and board not in self._resuming:
                    self._pause()
                return
            if feedback.phase == OFF and feedback.state == DISABLED:
                since = (feedback.tick - self._enabled_tick[board]) & _TICK_MASK
                if feedback.operator_seq != 0 and since < _ENABLE_TICKS:
                    return  # the tick that takes up the enable request has not come yet
                why = "it was not enabled" if feedback.operator_seq else "it has restarted"
                self._tell(f"{self.links[board].label}: {why}; the arm stops, enable it again")
            self._stop_group()
        if self._stopping and self.is_off:
            self._engaged = False

    def _stop_group(self) -> None:
        if self._engaged and not self._stopping:
            self.stop()
