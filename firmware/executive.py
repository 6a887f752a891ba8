"""Joins core, wire and port: the tick, and the background work between ticks."""

from array import array

import micropython
from micropython import const

from core import layout as L
from core.configure import configure
from core.faults import DRIVE, REACTIONS
from core.joint import tick_joint
from core.limits import engages, post, refusal
from core.profile import plan
from core.report import report, report_joint
from core.stops import hardware, react, step
from core.watch import watch
from ports import BRAKES_OPEN, BYTES, COUNT, DRIVE_FAULT, DRIVES, OUTPUT, RESET_CAUSE, SWITCHES, TICK, TIME_US
from wire import cbor, frames
from wire import messages as M
from wire.text import array_of

VERSION = "0.1.0"

_FOLLOW = const(3)
_NOT_BUILT = const(2)
_JOINT_MOVING = const(1)
_TORQUE = const(1)
_BRAKE_IS_OPEN = const(2)

# The identity's longest size: its numbers and text heads, and those of each joint; names come on top.
_IDENTITY_SIZE = 40
_IDENTITY_JOINT = 17

# Outputs that have not risen to what held the joints by then never will.
_BUILD_MS = 200
# A joint still creeps up to its setpoint after a ramp; its standstill is monitored from then on.
_SETTLE_MS = 30

# Four whole frames: what can pile up in two ticks at 1 Mbit/s.
_RECEIVE_SIZE = 4 * frames.FRAME_MAX


class Board:
    """A motor-controller board: its records, its port, its link."""

    def __init__(self, port, name: str, uid: str, joint_names: list[str]) -> None:  # type: ignore[no-untyped-def]
        self.port = port
        self.name = name
        self.uid = uid
        self.joint_names = joint_names
        self.n = len(joint_names)
        joints_size = sum([_IDENTITY_JOINT + len(joint) for joint in joint_names])
        if _IDENTITY_SIZE + len(name + uid) + joints_size > frames.PAYLOAD_MAX:
            raise ValueError("the board's and joints' names do not fit one frame; shorten them")
        self.board = array("i", [0] * L.BOARD_SIZE)
        self.joints = [array("i", [0] * L.JOINT_SIZE) for _ in joint_names]
        self.board[L.TICK_HZ] = port.tick_hz
        self.board[L.BUILD_MAX] = port.tick_hz * _BUILD_MS // 1000
        self.board[L.SETTLE] = port.tick_hz * _SETTLE_MS // 1000
        self.reset_cause = port.inputs[RESET_CAUSE]
        self._received = bytearray(_RECEIVE_SIZE)
        self._received_n = 0
        self._chunk = bytearray(frames.FRAME_MAX)
        self._payload = bytearray(frames.FRAME_MAX)
        self._message = array("i", [0] * cbor.ITEMS_MAX)
        self._reply = array("i", [0] * (M.FEEDBACK_HEAD + M.FEEDBACK_JOINT * self.n))
        self._event = array("i", [M.EVENT, 0, 0, 0, 0])
        self._out = bytearray(frames.FRAME_MAX + 2)
        self._framed = bytearray(frames.FRAME_MAX + 2)
        self._last_us = -1
        # What the watchdog asks about: the tick's and the background's steps, and those when it was fed last.
        self.ticks = 0
        self.polls = 0
        self._fed_ticks = 0
        self._fed_polls = 0
        self._guarded = False
        self._maintenance = False
        self._period_us = 1_000_000 // port.tick_hz
        self._refusal_tick = -1
        self._discarding = False

    # ---- the tick -----------------------------------------------------------------------

    def tick(self) -> None:
        """One control tick, from the encoders to the drives. Allocates nothing."""
        port = self.port
        board = self.board
        port.begin()
        fault = watch(board, port.inputs, self._late_us(port.inputs[TIME_US]))
        if fault:
            react(board, REACTIONS, fault, -1, board[L.WATCH_VALUE])
        self._move(step(board))
        self._actuate()
        port.commit()
        self.ticks = (self.ticks + 1) & 0x3FFFFFFF

    @micropython.native
    def _late_us(self, now_us: int) -> int:
        """Return how late this tick is after the last one, and count it if that is half a period or more."""
        last_us = self._last_us
        self._last_us = now_us
        if last_us < 0:
            return 0
        late_us: int = ((now_us - last_us) & 0x3FFFFFFF) - self._period_us
        if late_us > self._period_us >> 1:
            self.board[L.LATE_TICKS] += 1
        return late_us

    @micropython.native
    def _move(self, mode: int) -> None:
        board = self.board
        inputs = self.port.inputs
        if mode == _FOLLOW and board[L.NEW_COMMAND]:
            board[L.NEW_COMMAND] = 0
            period = board[L.COMMAND_PERIOD]
            for joint in self.joints:
                plan(joint, period)
        switches = inputs[SWITCHES]
        results = 0
        channel = 0
        for joint in self.joints:
            result = tick_joint(joint, inputs, channel, mode)
            fault = result >> 8
            if switches & (DRIVE_FAULT << channel) and not joint[L.TRIPPED]:
                fault = DRIVE
                joint[L.FAULT_VALUE] = 0
            if fault and react(board, REACTIONS, fault, channel, joint[L.FAULT_VALUE]):
                joint[L.TRIPPED] = 1
            results |= result
            channel += 1
        board[L.MOVING] = results & _JOINT_MOVING
        board[L.NOT_BUILT] = results & _NOT_BUILT

    @micropython.native
    def _actuate(self) -> None:
        board = self.board
        outputs = self.port.outputs
        is_off = board[L.PHASE] == L.OFF
        drives = 0
        brakes_open = 0
        channel = 0
        for joint in self.joints:
            if is_off:
                joint[L.TRIPPED] = 0
            state = hardware(board, joint[L.TRIPPED])
            if state & _TORQUE:
                outputs[OUTPUT + channel] = joint[L.OUTPUT] * joint[L.DRIVE_SIGN]
                drives |= 1 << channel
                joint[L.FLAGS] |= L.FLAG_DRIVE_ON
            else:
                outputs[OUTPUT + channel] = 0
                joint[L.OUTPUT] = 0
            if state & _BRAKE_IS_OPEN:
                brakes_open |= 1 << channel
            else:
                joint[L.FLAGS] |= L.FLAG_BRAKE_CLOSED
            channel += 1
        outputs[DRIVES] = drives
        outputs[BRAKES_OPEN] = brakes_open

    # ---- background ---------------------------------------------------------------------

    def run(self) -> None:
        """Serve ticks and the link until maintenance is asked for. The caller makes the outputs safe."""
        port = self.port
        while not self._maintenance:
            due = port.wait()
            self.polls = (self.polls + 1) & 0x3FFFFFFF
            if due & BYTES:
                self.receive()
            if due & TICK:
                self.tick()
                if self.board[L.EVENT]:
                    self._send_fault()
            self._feed()

    def _feed(self) -> None:
        """Feed the hardware watchdog if the tick and the background, its poll of the link included, have advanced.

        Whether bytes came does not matter: a lost link must not reset a board. The first enable starts the watchdog.
        """
        if self._guarded and self.ticks != self._fed_ticks and self.polls != self._fed_polls:
            self._fed_ticks = self.ticks
            self._fed_polls = self.polls
            self.port.feed()

    @micropython.native
    def receive(self) -> None:
        """Read the link once and answer every whole frame in it."""
        got = self.port.read(self._chunk)
        start = self._received_n
        if start + got > _RECEIVE_SIZE - frames.FRAME_MAX:
            start = 0
        if got == 0:
            return
        buffer = self._received
        frames.append(buffer, start, self._chunk, got)
        stop = start + got
        first = 0
        end = frames.find_end(buffer, start, stop)
        while end >= 0:
            if self._discarding:
                self._discarding = False
            elif end > first:
                self._take(first, end)
            first = end + 1
            end = frames.find_end(buffer, first, stop)
        frames.move_down(buffer, first, stop)
        self._received_n = stop - first
        if self._received_n > frames.FRAME_MAX:
            # No frame is this long: drop it up to its end, and say so once.
            self._received_n = 0
            if not self._discarding:
                self._refuse(M.REFUSED_FRAME, -1, frames.BAD_LENGTH)
            self._discarding = True

    @micropython.native
    def _take(self, first: int, end: int) -> None:
        """Decode and obey the frame ``_received[first:end]``."""
        n = frames.unframe(self._received, first, end, self._payload)
        if n < 0:
            self._refuse(M.REFUSED_FRAME, -1, n)
            return
        message = self._message
        count = cbor.decode(self._payload, n, message)
        if count < 0:
            self._refuse(M.REFUSED_FRAME, -1, count)
            return
        field = M.fault_in(message, count)
        if field >= 0:
            self._refuse(M.REFUSED_SCHEMA, -1, field)
            return
        kind = message[0]
        if kind == M.IDENTIFY:
            self.board[L.LINK_AGE] = 0
            self.board[L.LINK_SEQ] = message[1]
            if self.board[L.PHASE] == L.OFF:
                # A new host, perhaps a new console: operator sequences begin anew.
                self.board[L.OPERATOR_SEQ] = 0
            self._send_identity()
            return
        if message[1] <= self.board[L.LINK_SEQ]:
            self._refuse(M.REFUSED_LINK_SEQUENCE, -1, message[1])
        else:
            self.board[L.LINK_AGE] = 0
            self.board[L.LINK_SEQ] = message[1]
            if kind == M.COMMAND:
                self._command(count)
            elif kind == M.STATE_COMMAND:
                self._state_command()
            elif kind == M.CONFIGURE_JOINT:
                self._configure_joint()
            elif kind == M.CONFIGURE_BOARD:
                self._configure_board()
            elif kind == M.MAINTENANCE:
                self._maintain()
        self._send_feedback()

    @micropython.native
    def _command(self, count: int) -> None:
        board = self.board
        message = self._message
        phase = board[L.PHASE]
        if phase != L.RUN and phase != L.OPENING and phase != L.BUILDING:
            self._refuse(M.REFUSED_NOT_ENABLED, -1, board[L.STATE])
            return
        if message[2] <= board[L.OPERATOR_SEQ]:
            self._refuse(M.REFUSED_OPERATOR_SEQUENCE, -1, message[2])
            return
        if count != 3 + 2 * self.n:
            self._refuse(M.REFUSED_JOINT_COUNT, -1, (count - 3) // 2)
            return
        k = 3
        channel = 0
        for joint in self.joints:
            why = refusal(joint, message[k], message[k + 1])
            if why:
                self._refuse(why, channel, message[k + 1] if why == L.REFUSED_VELOCITY_LIMIT else message[k])
                return
            k += 2
            channel += 1
        if phase == L.RUN and not board[L.ENGAGED]:
            # The first command says where the console takes the arm to be. It moves nothing.
            channel = 0
            for joint in self.joints:
                if not engages(joint, message[3 + 2 * channel]):
                    self._refuse(M.REFUSED_ENGAGE, channel, message[3 + 2 * channel] - joint[L.POSITION])
                    return
                channel += 1
            board[L.ENGAGED] = 1
        elif phase == L.RUN:
            board[L.NEW_COMMAND] = 0
            k = 3
            for joint in self.joints:
                post(joint, message[k], message[k + 1], board[L.TICK_HZ])
                k += 2
            board[L.NEW_COMMAND] = 1
        board[L.OPERATOR_SEQ] = message[2]
        board[L.OPERATOR_AGE] = 0

    def _state_command(self) -> None:
        board = self.board
        wanted = self._message[3]
        phase = board[L.PHASE]
        # What stops is taken from any sequence number, in every state. Disable, a person's word, also clears a fault.
        if wanted == M.STOP:
            board[L.REQUEST] = L.REQUEST_STOP
        elif wanted == M.DISABLE:
            board[L.REQUEST] = L.REQUEST_CLEAR
        elif board[L.REQUEST] == L.REQUEST_STOP or board[L.REQUEST] == L.REQUEST_CLEAR:
            pass  # a stop that waits for the tick is not put aside by what came after it
        elif wanted == M.PAUSE:
            if phase != L.RUN:
                self._refuse(M.REFUSED_NOT_ENABLED, -1, board[L.STATE])
            else:
                board[L.REQUEST] = L.REQUEST_PAUSE
        elif self._message[2] <= board[L.OPERATOR_SEQ]:
            self._refuse(M.REFUSED_OPERATOR_SEQUENCE, -1, self._message[2])
        elif board[L.STATE] == L.FAULT:
            self._refuse(M.REFUSED_FAULT_LATCHED, -1, board[L.CAUSE])
        elif wanted == M.RESUME:
            if board[L.STATE] != L.PAUSED or phase != L.HOLDING or board[L.SETTLING]:
                self._refuse(M.REFUSED_NOT_PAUSED, -1, phase)
            else:
                board[L.OPERATOR_SEQ] = self._message[2]
                board[L.REQUEST] = L.REQUEST_RESUME
        elif phase == L.RELEASED:
            self._refuse(M.REFUSED_RELEASED, -1, 0)
        elif phase != L.OFF:
            self._refuse(M.REFUSED_NOT_DISABLED, -1, phase)
        elif not self._configured():
            self._refuse(M.REFUSED_NOT_CONFIGURED, -1, 0)
        else:
            board[L.OPERATOR_SEQ] = self._message[2]
            board[L.REQUEST] = L.REQUEST_ENABLE
            self._guarded = True

    def _maintain(self) -> None:
        if self.board[L.PHASE] != L.OFF:
            self._refuse(M.REFUSED_NOT_DISABLED, -1, self.board[L.PHASE])
        else:
            self._maintenance = True

    def _configured(self) -> bool:
        for joint in self.joints:
            if not joint[L.CONFIGURED]:
                return False
        return self.board[L.OPERATOR_TIMEOUT] > 0

    def _configure_board(self) -> None:
        board = self.board
        message = self._message
        if board[L.PHASE] != L.OFF:
            self._refuse(M.REFUSED_NOT_DISABLED, -1, board[L.PHASE])
            return
        if message[3] < 2 * message[2]:
            self._refuse(M.REFUSED_CONFIGURATION, -1, 3)
            return
        board[L.COMMAND_PERIOD] = self._ticks_of_us(message[2])
        board[L.OPERATOR_TIMEOUT] = self._ticks_of_us(message[3])
        board[L.LINK_TIMEOUT] = self._ticks_of_us(message[4])
        board[L.HOLD] = self._ticks_of_us(1000 * message[5])
        board[L.SUPPLY_MIN] = message[6]
        board[L.SUPPLY_MAX] = message[7]
        board[L.LATE_MAX] = message[8]

    def _configure_joint(self) -> None:
        message = self._message
        if self.board[L.PHASE] != L.OFF:
            self._refuse(M.REFUSED_NOT_DISABLED, -1, self.board[L.PHASE])
            return
        channel = message[2]
        if channel >= self.n:
            self._refuse(M.REFUSED_CHANNEL, channel, self.n)
            return
        fault = configure(self.joints[channel], message, self.board[L.TICK_HZ], self.port.inputs[COUNT + channel])
        if fault:
            self._refuse(M.REFUSED_CONFIGURATION, channel, fault)
            return
        self.board[L.OPEN_TIME] = max([joint[L.BRAKE_OPEN] for joint in self.joints])
        self.board[L.CLOSE_TIME] = max([joint[L.BRAKE_CLOSE] for joint in self.joints])

    def _ticks_of_us(self, duration_us: int) -> int:
        """Round down, so that a timeout never becomes longer than it was asked to be, but to one tick at least."""
        ticks: int = duration_us // 1000 * self.board[L.TICK_HZ] // 1000 + duration_us % 1000 // self._period_us
        return max(1, ticks)

    # ---- answers ------------------------------------------------------------------------

    def _refuse(self, code: int, channel: int, value: int) -> None:
        """Count a refusal and tell the host why; at most once a tick, so that a flood of junk costs little."""
        board = self.board
        board[L.REFUSED] = (board[L.REFUSED] + 1) & 0x3FFFFFFF
        if self._refusal_tick != board[L.TICK]:
            self._refusal_tick = board[L.TICK]
            self._send_event(code, channel, value)

    def _send_fault(self) -> None:
        board = self.board
        self._send_event(board[L.EVENT], board[L.EVENT_CHANNEL], board[L.EVENT_VALUE])
        board[L.EVENT] = 0

    def _send_event(self, code: int, channel: int, value: int) -> None:
        event = self._event
        event[1] = self.board[L.TICK]
        event[2] = code
        event[3] = channel
        event[4] = value
        self._send(cbor.encode(event, 5, self._out))

    @micropython.native
    def _send_feedback(self) -> None:
        reply = self._reply
        report(self.board, reply)
        base = M.FEEDBACK_HEAD
        for joint in self.joints:
            report_joint(joint, self.board, reply, base)
            base += M.FEEDBACK_JOINT
        self._send(cbor.encode(reply, len(reply), self._out))

    def _send_identity(self) -> None:
        fields: list[int | str] = [M.IDENTITY, self.board[L.LINK_SEQ], M.SCHEMA, VERSION, self.board[L.TICK_HZ]]
        fields += [self.reset_cause, self.name, self.uid]
        for name, joint in zip(self.joint_names, self.joints):
            fields += [name, joint[L.POSITION_MIN], joint[L.POSITION_MAX], joint[L.VELOCITY_MAX]]
        self._send(array_of(fields, self._out))

    def _send(self, n: int) -> None:
        self.port.write(self._framed, frames.frame(self._out, n, self._framed))
