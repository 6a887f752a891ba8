"""Joins core, wire and port: a board, its ticks, and the background work between them."""

from array import array

import micropython
from micropython import const

from blackbox import BlackBox, Ring
from core import layout as L
from core.command import take
from core.configure import configure, configure_homing, unhome
from core.homing import home
from core.report import report
from ports import LOCAL_OFF, RESET_CAUSE, SWITCHES
from tick import tick
from wire import cbor, frames
from wire import messages as M
from wire.cbor import decode, encode
from wire.frames import CRC, find_end, frame, move, unframe
from wire.messages import fault_in
from wire.text import array_of

VERSION = "0.1.0"

# Private copies of others' names, because viper code can fold only those.
_PORT_BYTES = const(2)
_PORT_TICK = const(1)
_MESSAGE_IDENTIFY = const(1)
_MESSAGE_COMMAND = const(4)
_COMMAND_HEAD = const(3)
_JOINTS = const(36)
_MESSAGE_KEEP_ALIVE = const(5)
_MESSAGE_HOME = const(10)
_LINK_AGE = const(5)
_LINK_SEQ = const(7)
_EVENT = const(27)
_REFUSED_FRAME = const(32)
_REFUSED_SCHEMA = const(33)
_REFUSED_LINK_SEQUENCE = const(34)
_TICKS = const(42)
_GUARDED = const(43)
_MAINTENANCE = const(44)
_HELD = const(45)
_DISCARDING = const(46)

# The identity's longest size: its numbers and text heads, and those of each joint; names come on top.
_IDENTITY_SIZE = 45
_IDENTITY_JOINT = 17

# Outputs that have not risen to what held the joints by then, beyond what their slew takes, never will.
_BUILD_MS = 50
# A joint still creeps up to its setpoint after a ramp; its standstill is monitored from then on.
_SETTLE_MS = 30
# The torque goes in a third of this, slow enough that a joint whose brake does not hold has not gone far when it is
# caught; in the rest one that falls slowly shows.
_YIELD_MS = 192
# A board that asks for no proof waits longer for one than any age.
_NEVER = const(0x3FFFFFFF)
# Before the first proof: where ages stop growing.
_NO_PROOF = const(0x20000000)
# A solid-state contact and its input take some milliseconds; a relay of a loop outlasts such a gap.
_LOOP_HALF_MS = 8
# The bridge enables the boards of an arm one after another, and a busy computer takes its time.
_LOOP_WAIT_MS = 250

# Bytes are read to the line's buffer from here on; before it stands what has come of a frame that is not yet whole.
_CHUNK = const(256)
# Four whole frames: what can pile up in two ticks at 1 Mbit/s.
_CHUNK_SIZE = 4 * frames.FRAME_MAX
# A zero that ends each search, and what a decoder may read beyond a frame that is cut short.
_LINE_SPARE = 8
_FRAMED_MAX = const(255)
# What a frame is more than its payload: the overhead byte, the CRC, the zero.
_FRAMING = const(4)


@micropython.viper
def _obey(board, records, message, count: int) -> int:  # type: ignore[no-untyped-def]
    """Do what the decoded ``message`` says; return 1 if it is answered with feedback."""
    b = ptr32(records)
    m = ptr32(message)
    if count < 0:
        board._refuse(_REFUSED_FRAME, -1, count)
        return 0
    field = 0 - 1
    # A sound command, which is nearly all that comes, is spared the call.
    if m[0] != _MESSAGE_COMMAND or count != _COMMAND_HEAD + 2 * b[_JOINTS] or (m[1] | m[2]) & (int(1) << 31):
        field = int(fault_in(message, count))
    if field >= 0:
        board._refuse(_REFUSED_SCHEMA, -1, field)
        return 0
    kind = m[0]
    sequence = m[1]
    if kind == _MESSAGE_IDENTIFY:
        board._identify()
        return 0
    if sequence <= b[_LINK_SEQ]:
        board._refuse(_REFUSED_LINK_SEQUENCE, -1, sequence)
        return 1
    b[_LINK_AGE] = 0
    b[_LINK_SEQ] = sequence
    if kind == _MESSAGE_COMMAND:
        why = int(take(records, message, count))
        if why:
            board._refuse_command(why)
    elif kind == _MESSAGE_HOME:
        why = int(home(records, board.homes, board.port.inputs, message))
        if why:
            board._refuse_command(why)
    elif kind != _MESSAGE_KEEP_ALIVE:
        board._manage(kind)
    return 1


class Board:
    """A motor-controller board: its records, its port, its link, and the ``ring`` of its black box.

    ``build`` names the flashed firmware and configuration that run, if they were flashed; ``arm`` whose board it is.
    ``proof`` has the consoles' keys, if there are any; it is loaded behind this module, whose own need more memory.
    """

    def __init__(  # type: ignore[no-untyped-def]
        self,
        port,
        name: str,
        uid: str,
        joint_names: list[str],
        ring: Ring,
        proof,
        build: str = "",
        arm: str = "",
    ) -> None:
        self.port = port
        self.name = name
        self.uid = uid
        self.build = build
        self.arm = arm
        self._proof = proof
        self.joint_names = joint_names
        self.n = len(joint_names)
        joints_size = sum([_IDENTITY_JOINT + len(joint) for joint in joint_names])
        if _IDENTITY_SIZE + len(name + uid + build + arm) + joints_size > frames.PAYLOAD_MAX:
            raise ValueError("the board's and joints' names do not fit one frame; shorten them")
        # One array, so that viper code passes over the board and all joints with one pointer.
        self.records = array("i", [0] * (L.BOARD_SIZE + L.JOINT_SIZE * self.n))
        records = memoryview(self.records)
        self.board = records[: L.BOARD_SIZE]
        ends = [L.BOARD_SIZE + L.JOINT_SIZE * k for k in range(self.n + 1)]
        self.joints = [records[ends[k] : ends[k + 1]] for k in range(self.n)]
        self.homes = array("i", [0] * (L.HOME_SIZE * self.n))
        for joint in self.joints:
            joint[L.NOT_HOMED] = joint[L.FLAGS] = L.FLAG_NOT_HOMED
        self.board[L.JOINTS] = self.n
        self.board[L.TICK_HZ] = port.tick_hz
        self.board[L.PERIOD_US] = 1_000_000 // port.tick_hz
        self.board[L.SETTLE] = port.tick_hz * _SETTLE_MS // 1000
        self.board[L.YIELD] = port.tick_hz * _YIELD_MS // 1000
        self.board[L.LOOP_HALF] = port.tick_hz * _LOOP_HALF_MS // 1000
        self.board[L.PROOF_AGE] = _NO_PROOF
        self.reset_cause = port.inputs[RESET_CAUSE]
        self._line = bytearray(_CHUNK + _CHUNK_SIZE + _LINE_SPARE)
        self._chunk = memoryview(self._line)[_CHUNK : _CHUNK + _CHUNK_SIZE]
        self._message = array("i", [0] * cbor.ITEMS_MAX)
        self._reply = array("i", [0] * (M.FEEDBACK_HEAD + M.FEEDBACK_JOINT * self.n))
        self._event = array("i", [M.EVENT, 0, 0, 0, 0])
        self._out = bytearray(frames.FRAME_MAX + 2)
        self._refusal_tick = -1
        self._box = BlackBox(self.board, port, ring)
        # What a tick in an interrupt needs: to take a method of another object would allocate.
        self._inputs, self._outputs, self._ring = port.inputs, port.outputs, self._box.ring
        self._begin, self._commit = port.begin, port.commit

    @micropython.native
    def tick(self):  # type: ignore[no-untyped-def]
        """One control tick, for a port that has a timer. Native code, because a bytecode frame would be allocated."""
        tick(self.records, self._inputs, self._outputs, self._ring, self._begin, self._commit)

    # ---- background ---------------------------------------------------------------------

    @micropython.viper
    def run(self):  # type: ignore[no-untyped-def]
        """Serve ticks and the link until maintenance is asked for. The caller makes the outputs safe.

        The hardware watchdog, which the first enable starts, is fed here if the tick has advanced: so it is as long as
        both go on, this loop with its poll of the link. Whether bytes came does not matter: a lost link must not reset
        a board.
        """
        port = self.port
        wait = port.wait
        read = port.read
        write = port.write
        begin = port.begin
        commit = port.commit
        feed = port.feed
        inputs = port.inputs
        outputs = port.outputs
        records = self.records
        box = self._box.ring
        chunk = self._chunk
        line = self._line
        message = self._message
        reply = self._reply
        out = self._out
        # Looked up once, not in each round.
        crc = CRC
        taken_out = unframe
        decoded = decode
        obeyed = _obey
        reported = report
        encoded = encode
        framed = frame
        ticked = tick
        b = ptr32(records)
        bytes_ = ptr8(line)
        fed_ticks = b[_TICKS]
        while not b[_MAINTENANCE]:
            due = int(wait())
            if due & _PORT_BYTES:
                at = _CHUNK - b[_HELD]
                came = _CHUNK + int(read(chunk))
                stop = int(came)
                # Up to the last zero there are whole frames.
                while stop > at and bytes_[stop - 1]:
                    stop -= 1
                if b[_DISCARDING] and at < stop:
                    b[_DISCARDING] = 0
                    at = int(find_end(line, at)) + 1
                while at < stop:
                    size = int(taken_out(line, crc, at))
                    if size > 0:
                        if int(obeyed(self, records, message, decoded(line, message, at + 1, size))):
                            write(out, framed(out, crc, encoded(out, reply, reported(records, reply))))
                        at += size + _FRAMING
                    else:
                        at = int(self._skip(at, size))
                b[_HELD] = 0
                if at < came:
                    self._hold(at, came)
            if due & _PORT_TICK:
                ticked(records, inputs, outputs, box, begin, commit)
            if b[_EVENT]:
                self._send_fault()
            if b[_GUARDED] and b[_TICKS] != fed_ticks:
                fed_ticks = b[_TICKS]
                feed()

    def _skip(self, at: int, code: int) -> int:
        """Go on behind the frame at ``at`` that was refused, or that is empty, with ``code``."""
        end = find_end(self._line, at)
        if end > at:
            self._refuse(M.REFUSED_FRAME, -1, code)
        return end + 1

    def _hold(self, at: int, came: int) -> None:
        """Keep the beginning of a frame, ``_line[at:came]``, for what comes next."""
        if self.board[L.DISCARDING] or came - at > _FRAMED_MAX:
            # No frame is this long: drop it up to its end, and say so once.
            if not self.board[L.DISCARDING]:
                self._refuse(M.REFUSED_FRAME, -1, frames.BAD_LENGTH)
            self.board[L.DISCARDING] = 1
        else:
            move(self._line, _CHUNK - (came - at), at, came)
            self.board[L.HELD] = came - at

    def _identify(self) -> None:
        board = self.board
        sequence = self._message[1]
        idle = self._is_idle()
        # A board that is on takes it as any message: what is repeated neither feeds the link's clock nor renumbers.
        if idle or sequence > board[L.LINK_SEQ]:
            board[L.LINK_AGE] = 0
            board[L.LINK_SEQ] = sequence
        if idle:
            # A new host, perhaps a new console: operator sequences begin anew.
            board[L.OPERATOR_SEQ] = 0
            self._proof.begin_anew()
        self._send_identity()

    def _is_idle(self) -> bool:
        """Return whether nothing has torque, and nothing is about to have."""
        return self.board[L.PHASE] == L.OFF and self.board[L.REQUEST] != L.REQUEST_ENABLE

    def _manage(self, kind: int) -> None:
        if kind == M.STATE_COMMAND:
            self._state_command()
        elif kind == M.PROVE:
            self._prove()
        elif not self._is_idle():
            self._refuse(M.REFUSED_NOT_DISABLED, -1, self.board[L.PHASE])
        elif kind == M.CONFIGURE_JOINT or kind == M.CONFIGURE_HOMING:
            self._configure_joint(configure if kind == M.CONFIGURE_JOINT else configure_homing)
        elif kind == M.CONFIGURE_BOARD:
            self._configure_board()
        elif kind == M.MAINTENANCE:
            self.board[L.MAINTENANCE] = 1
        elif kind == M.HOLD_BOX:
            self._box.hold(self._message[2])
            self._message[0] = M.BOX
            self._send(encode(self._out, self._message, self._box.head(self._message)))
        elif kind == M.READ_BOX:
            self._read_box(self._message[2])

    def _prove(self) -> None:
        proof = self._proof
        if proof.fault:
            self._refuse(M.REFUSED_KEYS, -1, proof.fault)
            return
        self._end_proofs()
        slot = proof.slot_of(self._message)
        why = proof.take(self.records, self._message, slot)
        if why:
            self._refuse_command(why)
        if slot >= 0:
            # One call after the other: with all of them in one line the frame would be allocated.
            count = proof.report(self.records, self._reply, slot)
            count = encode(self._out, self._reply, count)
            self._send(count)

    def _end_proofs(self) -> None:
        """Let no proof count any more that was made before the board went off."""
        if self._proof.is_used and self._is_idle():
            self._proof.renew()
            self.board[L.PROOF_AGE] = _NO_PROOF

    def _may_move(self) -> bool:
        """Return whether a person and a proof allow motion; tell the host what does not."""
        board = self.board
        self._end_proofs()
        if self.port.inputs[SWITCHES] & LOCAL_OFF:
            self._refuse(L.REFUSED_LOCAL_SWITCH, -1, board[L.PHASE])
        elif self._proof.fault:
            self._refuse(M.REFUSED_KEYS, -1, self._proof.fault)
        elif board[L.PROOF_AGE] > board[L.PROOF_TIMEOUT]:
            self._refuse(M.REFUSED_NOT_PROVEN, -1, board[L.PROOF_AGE])
        else:
            return True
        return False

    def _read_box(self, place: int) -> None:
        if place >= self.board[L.BOX_SIZE]:
            self._refuse(M.REFUSED_CONFIGURATION, -1, 2)
            return
        self._message[0] = M.BOX_PART
        self._send(encode(self._out, self._message, self._box.part(place, self._message)))

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
            # A stop that waits for the tick is not put aside by what came after it.
            self._refuse(M.REFUSED_NOT_DISABLED, -1, phase)
        elif wanted == M.UNHOME:
            if self._is_idle():
                for channel in range(self.n):
                    unhome(self.records, self.homes, channel)
            else:
                self._refuse(M.REFUSED_NOT_DISABLED, -1, phase)
        elif wanted == M.PAUSE:
            if phase == L.RUN:
                board[L.REQUEST] = L.REQUEST_PAUSE
            elif board[L.STATE] != L.PAUSED:
                self._refuse(L.REFUSED_NOT_ENABLED, -1, board[L.STATE])
        elif self._message[2] <= board[L.OPERATOR_SEQ]:
            self._refuse(L.REFUSED_OPERATOR_SEQUENCE, -1, self._message[2])
        elif board[L.STATE] == L.FAULT:
            self._refuse(M.REFUSED_FAULT_LATCHED, -1, board[L.CAUSE])
        elif wanted == M.RESUME:
            if board[L.STATE] != L.PAUSED or phase != L.HOLDING or board[L.SETTLING]:
                self._refuse(M.REFUSED_NOT_PAUSED, -1, phase)
            elif self._may_move():
                board[L.OPERATOR_SEQ] = self._message[2]
                board[L.REQUEST] = L.REQUEST_RESUME
        elif phase == L.RELEASED:
            self._refuse(M.REFUSED_RELEASED, -1, 0)
        elif phase != L.OFF:
            self._refuse(M.REFUSED_NOT_DISABLED, -1, phase)
        elif not self._configured():
            self._refuse(M.REFUSED_NOT_CONFIGURED, -1, 0)
        elif self._may_move():
            board[L.OPERATOR_SEQ] = self._message[2]
            self._proof.is_used = True
            # No tool that sends Ctrl-C when it is connected to the console takes the torque away.
            micropython.kbd_intr(-1)
            board[L.REQUEST] = L.REQUEST_ENABLE
            board[L.GUARDED] = 1

    def _configured(self) -> bool:
        for channel in range(self.n):
            if self.joints[channel][L.CONFIGURED] != 1 or not self.homes[L.HOME_SIZE * channel + L.HOME_METHOD]:
                return False
        return self.board[L.OPERATOR_TIMEOUT] > 0

    def _configure_board(self) -> None:
        board = self.board
        message = self._message
        if message[3] < 2 * message[2]:
            self._refuse(M.REFUSED_CONFIGURATION, -1, 3)
            return
        if message[9] and message[10] >= message[9]:
            self._refuse(M.REFUSED_CONFIGURATION, -1, 10)
            return
        board[L.COMMAND_PERIOD] = self._ticks_of_us(message[2])
        board[L.OPERATOR_TIMEOUT] = self._ticks_of_us(message[3])
        board[L.LINK_TIMEOUT] = self._ticks_of_us(message[4])
        board[L.HOLD] = self._ticks_of_us(1000 * message[5])
        board[L.SUPPLY_MIN] = message[6]
        board[L.SUPPLY_MAX] = message[7]
        board[L.LATE_MAX] = message[8]
        board[L.LOOP_BOARDS] = message[9]
        board[L.LOOP_SLOT] = message[10]
        board[L.PROOF_TIMEOUT] = board[L.OPERATOR_TIMEOUT] if self._proof.is_needed else _NEVER
        board[L.PROOF_MAX_AGE] = self._ticks_of_us(message[11])
        self._set_build_max()

    def _configure_joint(self, take_up) -> None:  # type: ignore[no-untyped-def]
        message = self._message
        channel = message[2]
        if channel >= self.n:
            self._refuse(M.REFUSED_CHANNEL, channel, self.n)
            return
        fault = take_up(self.records, self.homes, message, self.port.inputs)
        if fault:
            self._refuse(M.REFUSED_CONFIGURATION, channel, fault)
            return
        self.board[L.OPEN_TIME] = max([joint[L.BRAKE_OPEN] for joint in self.joints])
        self.board[L.CLOSE_TIME] = max([joint[L.BRAKE_CLOSE] for joint in self.joints])
        self._set_build_max()

    def _set_build_max(self) -> None:
        """Give the outputs the time that the slowest slew takes, and the run loop that of its exercise."""
        board = self.board
        slowest = 0
        for channel, joint in enumerate(self.joints):
            most = self.homes[L.HOME_SIZE * channel + L.HOME_OUTPUT_MAX]
            slowest = max(slowest, most // max(1, joint[L.SLEW]))
        board[L.BUILD_MAX] = board[L.TICK_HZ] * _BUILD_MS // 1000 + slowest
        if board[L.LOOP_BOARDS]:
            board[L.BUILD_MAX] += board[L.TICK_HZ] * _LOOP_WAIT_MS // 1000
            board[L.BUILD_MAX] += 2 * board[L.LOOP_HALF] * board[L.LOOP_BOARDS]

    def _ticks_of_us(self, duration_us: int) -> int:
        """Round down, so that a timeout never becomes longer than it was asked to be, but to one tick at least."""
        ticks: int = duration_us // 1000 * self.board[L.TICK_HZ] // 1000 + duration_us % 1000 // self.board[L.PERIOD_US]
        return max(1, ticks)

    # ---- answers ------------------------------------------------------------------------

    def _refuse_command(self, why: int) -> None:
        self._refuse(why, self.board[L.REFUSAL_CHANNEL], self.board[L.REFUSAL_VALUE])

    def _refuse(self, code: int, channel: int, value: int) -> None:
        """Count a refusal and tell the host why; at most once a tick, so that a flood of junk costs little."""
        board = self.board
        board[L.REFUSED] = (board[L.REFUSED] + 1) & 0x3FFFFFFF
        if self._refusal_tick != board[L.TICK]:
            self._refusal_tick = board[L.TICK]
            self._send_event(board[L.TICK], code, channel, value)

    def _send_fault(self) -> None:
        board = self.board
        code = board[L.EVENT]
        # Before it is sent: a tick may bring the next one any time.
        board[L.EVENT] = 0
        self._send_event(board[L.EVENT_TICK], code, board[L.EVENT_CHANNEL], board[L.EVENT_VALUE])

    def _send_event(self, tick: int, code: int, channel: int, value: int) -> None:
        event = self._event
        event[1] = tick
        event[2] = code
        event[3] = channel
        event[4] = value
        self._send(encode(self._out, event, 5))

    def _send_identity(self) -> None:
        fields: list[int | str] = [M.IDENTITY, self.board[L.LINK_SEQ], M.SCHEMA, VERSION, self.board[L.TICK_HZ]]
        fields += [self.reset_cause, self.name, self.uid, self.build, self.arm, len(self._proof.ids)]
        for name, joint in zip(self.joint_names, self.joints):
            fields += [name, joint[L.POSITION_MIN], joint[L.POSITION_MAX], joint[L.VELOCITY_MAX]]
        self._send(array_of(fields, self._out))

    def _send(self, n: int) -> None:
        self.port.write(self._out, frame(self._out, CRC, n))
