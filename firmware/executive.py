"""Joins core, wire and port: the tick, and the background work between ticks."""

from array import array

import micropython
from micropython import const

from core import layout as L
from core.configure import configure
from core.faults import REACTIONS
from core.joint import tick_joints
from core.limits import apart, post, refusal
from core.profile import plan
from core.report import report
from core.stops import actuate, hardware, react, step
from core.watch import watch
from ports import COUNT, RESET_CAUSE
from wire import cbor, frames
from wire import messages as M
from wire.cbor import decode, encode
from wire.frames import append, find_end, frame, move_down, unframe
from wire.messages import fault_in
from wire.text import array_of

VERSION = "0.1.0"

# Private copies of others' names, because a module's attribute costs native code more than the array access it indexes.
_PORT_BYTES = const(2)
_PORT_TICK = const(1)
_PORT_TIME_US = const(0)
_RUN = const(3)
_OPENING = const(2)
_BUILDING = const(1)
_MESSAGE_COMMAND = const(4)
_MESSAGE_KEEP_ALIVE = const(5)
_STATE = const(0)
_PHASE = const(1)
_LINK_AGE = const(5)
_OPERATOR_AGE = const(4)
_OPERATOR_SEQ = const(6)
_LINK_SEQ = const(7)
_NEW_COMMAND = const(8)
_COMMAND_PERIOD = const(9)
_ENGAGED = const(23)
_LATE_TICKS = const(24)
_EVENT = const(27)
_MOVING = const(30)
_NOT_BUILT = const(31)
_WATCH_VALUE = const(34)
_TICK_HZ = const(35)
_FOLLOW = const(3)
_JOINT_MOVING = const(1)
_JOINT_NOT_BUILT = const(2)
_JOINT_FAULT = const(4)
_TIME_MASK = const(0x3FFFFFFF)

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
        # One array, so that viper code passes over all joints in one call.
        self.records = array("i", [0] * (L.JOINT_SIZE * self.n))
        records = memoryview(self.records)
        self.joints = [records[L.JOINT_SIZE * k : L.JOINT_SIZE * (k + 1)] for k in range(self.n)]
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

    @micropython.native
    def tick(self) -> None:
        """One control tick, from the encoders to the drives. Allocates nothing."""
        port = self.port
        board = self.board
        records = self.records
        n = self.n
        port.begin()
        inputs = port.inputs
        now_us = inputs[_PORT_TIME_US]
        late_us = 0
        if self._last_us >= 0:
            late_us = ((now_us - self._last_us) & _TIME_MASK) - self._period_us
            if late_us > self._period_us >> 1:
                board[_LATE_TICKS] += 1
        self._last_us = now_us
        fault = watch(board, inputs, late_us)
        if fault:
            react(board, REACTIONS, fault, -1, board[_WATCH_VALUE])
        mode = step(board)
        if mode == _FOLLOW and board[_NEW_COMMAND]:
            board[_NEW_COMMAND] = 0
            plan(records, n, board[_COMMAND_PERIOD])
        results = tick_joints(records, inputs, n, mode)
        if results & _JOINT_FAULT:
            self._react_to_joints()
        board[_MOVING] = results & _JOINT_MOVING
        board[_NOT_BUILT] = results & _JOINT_NOT_BUILT
        actuate(records, port.outputs, n, hardware(board))
        port.commit()
        self.ticks = (self.ticks + 1) & _TIME_MASK

    def _react_to_joints(self) -> None:
        channel = 0
        for joint in self.joints:
            fault = joint[L.FAULT_CODE]
            if fault and react(self.board, REACTIONS, fault, channel, joint[L.FAULT_VALUE]):
                joint[L.TRIPPED] = 1
            channel += 1

    # ---- background ---------------------------------------------------------------------

    @micropython.native
    def run(self) -> None:
        """Serve ticks and the link until maintenance is asked for. The caller makes the outputs safe."""
        port = self.port
        while not self._maintenance:
            due = port.wait()
            self.polls = (self.polls + 1) & 0x3FFFFFFF
            if due & _PORT_BYTES:
                self.receive()
            if due & _PORT_TICK:
                self.tick()
                if self.board[_EVENT]:
                    self._send_fault()
            self._feed()

    @micropython.native
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
        append(buffer, start, self._chunk, got)
        stop = start + got
        first = 0
        end = find_end(buffer, start, stop)
        while end >= 0:
            if self._discarding:
                self._discarding = False
            elif end > first:
                self._take(first, end)
            first = end + 1
            end = find_end(buffer, first, stop)
        move_down(buffer, first, stop)
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
        payload = self._payload
        n = unframe(self._received, first, end, payload)
        if n < 0:
            self._refuse(M.REFUSED_FRAME, -1, n)
            return
        message = self._message
        count = decode(payload, n, message)
        if count < 0:
            self._refuse(M.REFUSED_FRAME, -1, count)
            return
        field = fault_in(message, count)
        if field >= 0:
            self._refuse(M.REFUSED_SCHEMA, -1, field)
            return
        board = self.board
        kind = message[0]
        if kind == M.IDENTIFY:
            self._identify()
            return
        if message[1] <= board[_LINK_SEQ]:
            self._refuse(M.REFUSED_LINK_SEQUENCE, -1, message[1])
        else:
            board[_LINK_AGE] = 0
            board[_LINK_SEQ] = message[1]
            if kind == _MESSAGE_COMMAND:
                self._command(count)
            elif kind != _MESSAGE_KEEP_ALIVE:
                self._manage(kind)
        self._send_feedback()

    def _identify(self) -> None:
        self.board[L.LINK_AGE] = 0
        self.board[L.LINK_SEQ] = self._message[1]
        if self.board[L.PHASE] == L.OFF:
            # A new host, perhaps a new console: operator sequences begin anew.
            self.board[L.OPERATOR_SEQ] = 0
        self._send_identity()

    def _manage(self, kind: int) -> None:
        if kind == M.STATE_COMMAND:
            self._state_command()
        elif kind == M.CONFIGURE_JOINT:
            self._configure_joint()
        elif kind == M.CONFIGURE_BOARD:
            self._configure_board()
        elif kind == M.MAINTENANCE:
            self._maintain()

    @micropython.native
    def _command(self, count: int) -> None:
        board = self.board
        message = self._message
        records = self.records
        n = self.n
        phase = board[_PHASE]
        if phase != _RUN and phase != _OPENING and phase != _BUILDING:
            self._refuse(M.REFUSED_NOT_ENABLED, -1, board[_STATE])
            return
        if message[2] <= board[_OPERATOR_SEQ]:
            self._refuse(M.REFUSED_OPERATOR_SEQUENCE, -1, message[2])
            return
        if count != 3 + 2 * n:
            self._refuse(M.REFUSED_JOINT_COUNT, -1, (count - 3) // 2)
            return
        why = refusal(records, message, n)
        if why:
            self._refuse_setpoint(why & 0xFF, why >> 8)
            return
        if phase == _RUN:
            if board[_ENGAGED]:
                board[_NEW_COMMAND] = 0
                post(records, message, n, board[_TICK_HZ])
                board[_NEW_COMMAND] = 1
            else:
                # The first command says where the console takes the arm to be. It moves nothing.
                channel = apart(records, message, n)
                if channel >= 0:
                    self._refuse_setpoint(M.REFUSED_ENGAGE, channel)
                    return
                board[_ENGAGED] = 1
        board[_OPERATOR_SEQ] = message[2]
        board[_OPERATOR_AGE] = 0

    def _refuse_setpoint(self, why: int, channel: int) -> None:
        value = self._message[3 + 2 * channel]
        if why == L.REFUSED_VELOCITY_LIMIT:
            value = self._message[4 + 2 * channel]
        elif why == M.REFUSED_ENGAGE:
            value -= self.joints[channel][L.POSITION]
        self._refuse(why, channel, value)

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
        self._send(encode(event, 5, self._out))

    @micropython.native
    def _send_feedback(self) -> None:
        reply = self._reply
        out = self._out
        n = encode(reply, report(self.board, self.records, reply, self.n), out)
        self.port.write(self._framed, frame(out, n, self._framed))

    def _send_identity(self) -> None:
        fields: list[int | str] = [M.IDENTITY, self.board[L.LINK_SEQ], M.SCHEMA, VERSION, self.board[L.TICK_HZ]]
        fields += [self.reset_cause, self.name, self.uid]
        for name, joint in zip(self.joint_names, self.joints):
            fields += [name, joint[L.POSITION_MIN], joint[L.POSITION_MAX], joint[L.VELOCITY_MAX]]
        self._send(array_of(fields, self._out))

    def _send(self, n: int) -> None:
        self.port.write(self._framed, frame(self._out, n, self._framed))
