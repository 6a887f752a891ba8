"""The bridge's end of the consoles' links: datagrams in and out, sessions, and who may ask for what.

Remote consoles come through DTLS, with a certificate of the site; the local operator through a socket of this computer.
What is handed on is authentic, of its session, newest, young enough and in authority.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from msgspec.structs import replace

from bedside.errors import SurgeonError
from bedside.surgeon import protocol, relayed
from bedside.surgeon.address import Address, Endpoint
from bedside.surgeon.authority import LOCAL, Authority
from bedside.surgeon.credentials import Credentials
from bedside.surgeon.dtls import Association
from bedside.surgeon.listener import Listener
from bedside.surgeon.local import LocalLine, LocalListener, socket_path
from bedside.surgeon.parts import Splitter
from bedside.surgeon.quality import Limits
from bedside.surgeon.sessions import Session

# Datagrams taken at once, so that a flood cannot keep the loop from its timer.
_DATAGRAMS_AT_ONCE = 16
# No record of ours is longer; more is no business of DTLS.
_DATAGRAM_SIZE = protocol.DATAGRAM_MAX + 256
# A relay, and a network's address translation, forget an end that is silent for half a minute or so.
_KNOCK_US = 5_000_000
# How often everybody is told who has the arm, and the holder how the network does.
_TELL_US = 500_000
Request = protocol.ServoJp | protocol.StateCommand | protocol.Ask | protocol.Proof


@dataclass
class Site:
    """Where consoles reach the bridge, what they are told of its arm, and what is asked of their network."""

    listen: Endpoint
    welcome: protocol.Welcome
    limits: Limits
    playout_max_us: int
    relay: Endpoint | None = None
    dial: tuple[Endpoint, ...] = ()
    # Who gets a copy of the feedback on this computer.
    copies: tuple[Endpoint, ...] = ()


class Server:
    """The sockets, the sessions behind them, and the ``authority`` among them. ``tell`` gets lines for the log."""

    def __init__(self, site: Site, credentials: Credentials, tell: Callable[[str], None]) -> None:
        self.authority = Authority(self._log)
        self._site = site
        self._tell = tell
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._udp.bind(site.listen)
            self._local = LocalListener(socket_path(site.welcome.arm))
        except (OSError, SurgeonError) as error:
            self._udp.close()
            if isinstance(error, SurgeonError):
                raise
            host, port = site.listen
            raise SurgeonError(
                f"address {host}:{port}: {error.strerror}; is another bridge running? change arm.listen"
            ) from None
        self._udp.setblocking(False)
        self.address: Endpoint = self._udp.getsockname()
        self._listener = Listener(credentials)
        self._rendezvous = relayed.rendezvous(credentials.relay_key, site.welcome.arm) if site.relay else b""
        self._lines: dict[int, LocalLine] = {}
        self._sessions: dict[Address | int, Session] = {}
        self._poller = select.epoll()
        self._poller.register(self._udp, select.EPOLLIN)
        self._poller.register(self._local.socket, select.EPOLLIN)
        # The newest that the arm has been sent, as the bridge says.
        self.operator_seq = 0
        self._splitter = Splitter()
        self._knocked_us = 0
        self._told_us = 0

    def fileno(self) -> int:
        """Return what is readable when something has come."""
        return self._poller.fileno()

    @property
    def sessions(self) -> list[Session]:
        """Every console's."""
        return list(self._sessions.values())

    @property
    def holder(self) -> Session | None:
        """The session of the console that has the arm."""
        name = self.authority.holder
        return next((each for each in self._sessions.values() if each.name == name), None) if name else None

    def receive(self, now_us: int) -> list[tuple[Session, Request]]:
        """Return what has come that counts, with its session."""
        came: list[tuple[Session, Request]] = []
        for fd, _ in self._poller.poll(0):
            if fd == self._udp.fileno():
                for _ in range(_DATAGRAMS_AT_ONCE):
                    try:
                        data, sender = self._udp.recvfrom(_DATAGRAM_SIZE)
                    except BlockingIOError:
                        break
                    except OSError:
                        continue  # a console's port is closed
                    came += self._datagram(data, sender, now_us)
            elif fd in self._lines:
                came += self._local_message(fd, now_us)
            elif line := self._local.accept():
                self._lines[line.socket.fileno()] = line
                self._poller.register(line.socket, select.EPOLLIN)
        self._flush()
        return came

    def tick(self, now_us: int) -> None:
        """Do what time asks for: timers of handshakes, pings, and the end of sessions that are silent."""
        self._listener.tick(1000 * now_us)
        for key, session in list(self._sessions.items()):
            if isinstance(key, tuple) and key not in self._listener.associations:
                self._end(key, "its link has ended, or its certificate has")
            elif session.is_gone(now_us) and not session.is_local:
                self._end(key, "nothing has come for two seconds")
            elif session.wants_ping(now_us):
                self._send(key, protocol.Ping(session.number, now_us))
        if now_us - self._told_us > _TELL_US:
            self._told_us = now_us
            self.tell_authority()
            for key, session in self._sessions.items():
                if session.timebase.is_known:
                    self._send(key, session.figures())
        if now_us - self._knocked_us > _KNOCK_US:
            self._knocked_us = now_us
            self._knock()
        self._flush()

    def tell_authority(self) -> None:
        """Tell every session who has the arm, and who asks for it."""
        authority = self.authority
        state = protocol.Authority(
            authority.armed, authority.holder, authority.present, authority.waiting, self.operator_seq
        )
        for key in self._sessions:
            self._send(key, state)
        self._flush()

    def publish(self, feedback: Callable[[], protocol.Feedback], now_us: int, cycle_us: int) -> None:
        """Send what ``feedback`` gives to whoever is due. What a receiver does not take is dropped."""
        due = [key for key, session in self._sessions.items() if session.wants_feedback(now_us, cycle_us)]
        if not due and not self._site.copies:
            return
        data = protocol.encode(feedback())
        for key in due:
            self._send_bytes(key, data)
        self._copy(data)
        self._flush()

    def witness(self, signed: dict[int, list[int]]) -> None:
        """Pass on to the console that has the arm what boards say under its key; several fit a datagram."""
        if not signed:
            return
        for key, session in self._sessions.items():
            if session.name == self.authority.holder or session.is_local:
                for board, fields in signed.items():
                    self._send(key, protocol.Witness(board, fields))
        self._flush()

    def refuse(self, session: Session, text: str, now_us: int, message: protocol.FromConsole | None = None) -> None:
        """Tell a console why ``message`` is refused, or its arm pauses, unless it has been told often enough."""
        seq = getattr(message, "seq", 0)
        if session.may_tell(now_us, isinstance(message, protocol.ServoJp)):
            self._send_to(session, protocol.Notice(text, seq))
            self._flush()

    def tell(self, text: str) -> None:
        """Tell everybody of a fault or a refusal."""
        data = protocol.encode(protocol.Notice(text))
        for key in self._sessions:
            self._send_bytes(key, data)
        self._copy(data)
        self._flush()

    def close(self) -> None:
        """End every session and give the sockets back, if that is not done yet."""
        if self._poller.closed:
            return
        for key in list(self._sessions):
            self._end(key, "the bridge ends")
        self._flush()
        for line in self._lines.values():
            line.close()
        self._poller.close()
        self._local.close()
        self._udp.close()

    # ---- in ---------------------------------------------------------------------------------

    def _datagram(self, data: bytes, sender: Address, now_us: int) -> Iterator[tuple[Session, Request]]:
        if sender == self._site.relay:
            try:
                unwrapped = relayed.unwrap(data)
            except SurgeonError:
                return
            if not isinstance(unwrapped, tuple):
                return
            flow, data = unwrapped
            sender = (*self._site.relay, flow)
        association, messages = self._listener.feed(data, sender, 1000 * now_us)
        if association and (peer := association.peer):
            for message in messages:
                yield from self._message(sender, peer.name, peer.role, message, now_us)

    def _local_message(self, fd: int, now_us: int) -> Iterator[tuple[Session, Request]]:
        line = self._lines[fd]
        try:
            for data in line.receive():
                yield from self._message(fd, line.name, LOCAL, data, now_us)
        except SurgeonError:
            self._end(fd, "its terminal has ended")
            self._poller.unregister(fd)
            self._lines.pop(fd).close()

    def _message(
        self, key: Address | int, name: str, role: str, data: bytes, now_us: int
    ) -> Iterator[tuple[Session, Request]]:
        session = self._sessions.get(key)
        message: protocol.FromConsole | None = None
        try:
            message = protocol.to_bridge(data)
            if isinstance(message, protocol.Hello):
                self._open(key, name, role, message, now_us)
                return
            if session is None:
                raise SurgeonError("there is no session; begin one with hello")
            session.heard(now_us)
            if isinstance(message, protocol.Pong):
                was_known = session.timebase.is_known
                session.answered(message, now_us)
                if not was_known:
                    # From here on commands have an age, and count.
                    self._send(key, session.figures())
            elif isinstance(message, protocol.Part):
                if whole := session.joiner.join(message):
                    yield from self._message(key, name, role, whole, now_us)
            elif isinstance(message, protocol.Bye):
                self._end(key, "it has ended its session")
            elif isinstance(message, protocol.Proof):
                if message.session == session.number and (session.is_local or name == self.authority.holder):
                    yield session, message
            elif session.takes(message, now_us):
                if not isinstance(message, protocol.Ask):
                    self.authority.need(name, self._asked(message))
                yield session, message
        except SurgeonError as error:
            if session:
                self.refuse(session, str(error), now_us, message)
            else:
                self._send(key, protocol.Notice(str(error), getattr(message, "seq", 0)))

    def _asked(self, message: protocol.ServoJp | protocol.StateCommand) -> str:
        return "servo_jp" if isinstance(message, protocol.ServoJp) else message.command

    def _open(self, key: Address | int, name: str, role: str, hello: protocol.Hello, now_us: int) -> None:
        if hello.version != protocol.VERSION:
            raise SurgeonError(
                f"this console speaks version {hello.version} of the protocol, the bridge {protocol.VERSION}; install "
                "matching versions of Bedside"
            )
        session = self._sessions.get(key)
        if session is None or session.newest_seq:
            for other, older in list(self._sessions.items()):
                if older.name == name:
                    # Its address has changed, or it was started again: what it had, it has from here on.
                    del self._sessions[other]
                    if other != key:
                        self._hang_up(other)
            session = Session(name, role, hello.feedback_hz, self._site.limits, self._site.playout_max_us)
            session.begin(now_us)
            self._sessions[key] = session
        self._send(key, replace(self._site.welcome, session=session.number, name=name, role=role))
        # Only now, because whoever is beside the arm is told.
        self.authority.join(name, role)
        if session.wants_ping(now_us):
            self._send(key, protocol.Ping(session.number, now_us))
        self.tell_authority()

    def _end(self, key: Address | int, why: str) -> None:
        if session := self._sessions.get(key):
            self._send(key, protocol.Notice(f"the session has ended: {why}"))
            del self._sessions[key]
            self.authority.leave(session.name, why)
        self._hang_up(key)

    def _log(self, text: str) -> None:
        """Let the log, and who is beside the arm, know of a step of authority."""
        self._tell(text)
        for key, session in self._sessions.items():
            if session.is_local:
                self._send(key, protocol.Notice(text))

    def _hang_up(self, key: Address | int) -> None:
        if isinstance(key, tuple):
            self._listener.drop(key)

    # ---- out --------------------------------------------------------------------------------

    def _send_to(self, session: Session, message: protocol.FromBridge) -> None:
        for key, each in self._sessions.items():
            if each is session:
                self._send(key, message)

    def _send(self, key: Address | int, message: protocol.FromBridge) -> None:
        self._send_bytes(key, protocol.encode(message))

    def _send_bytes(self, key: Address | int, data: bytes) -> None:
        if isinstance(key, int):
            if key in self._lines:
                self._lines[key].send(data)
        elif association := self._association(key):
            with contextlib.suppress(SurgeonError):  # it has ended, which the next tick notes
                for part in self._splitter.split(data):
                    association.send(part)

    def _association(self, address: Address) -> Association | None:
        association = self._listener.associations.get(address)
        return association if association and association.peer else None

    def _flush(self) -> None:
        for datagram, address in self._listener.outgoing():
            if len(address) == 3:
                self._send_datagram(relayed.wrap(address[2], datagram), address[:2])
            else:
                self._send_datagram(datagram, address)

    def _copy(self, data: bytes) -> None:
        for listener in self._site.copies:
            self._send_datagram(data, listener)

    def _knock(self) -> None:
        """Let consoles that wait for this bridge, and its relay, know where it is."""
        for console in self._site.dial:
            self._send_datagram(relayed.KNOCK, console)
        if self._site.relay:
            self._send_datagram(relayed.register(self._rendezvous), self._site.relay)

    def _send_datagram(self, data: bytes, target: Endpoint) -> None:
        with contextlib.suppress(OSError):
            self._udp.sendto(data, target)
