"""A board that one can talk to: it numbers what is sent, and parses what comes."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from bedside.errors import LinkError
from bedside.link import causes, frames, schema
from bedside.link.messages import BoxHead, BoxPart, Event, Feedback, Identity, Message, parse
from bedside.link.port import SerialPort
from bedside.places import FIRMWARE

SCHEMA = schema.schema_hash((FIRMWARE / "wire" / "protocol.cddl").read_text(encoding="utf-8"))
# A board answers in a millisecond or two; one that boots or stores something may take longer.
ANSWER_S = 0.5
# A board that has just been opened may still be starting.
_IDENTIFY_TRIES = 4
Answer = TypeVar("Answer", Feedback, BoxHead, BoxPart)


class BoardLink:
    """The conversation with one board over one port."""

    def __init__(self, port: SerialPort, label: str) -> None:
        self.port = port
        self.label = label
        self.seq = 0
        # What the board said of itself last.
        self.identity: Identity | None = None
        self._decoder = frames.Decoder()
        # Faults that came while an answer was awaited, for the next ``receive``.
        self._faults: list[Message] = []

    @property
    def bad_frames(self) -> int:
        """Frames from the board that were damaged."""
        return self._decoder.bad

    def send(self, message: list[Any]) -> int:
        """Give ``message`` the next link sequence (its field 1) and send it; return that sequence."""
        self.seq += 1
        message[1] = self.seq
        self.port.write(frames.encode(message))
        return self.seq

    def receive(self) -> list[Message]:
        """Return what has come. Raises LinkError when the port is gone or the board speaks another schema."""
        events, self._faults = self._faults, []
        return events + [parse(message) for message in self._decoder.feed(self.port.read())]

    def identify(self) -> Identity:
        """Ask the board who it is. Raises LinkError when it does not say, or speaks another schema."""
        busy = ""
        for _ in range(_IDENTIFY_TRIES):
            seq = self.send([schema.IDENTIFY, 0])
            deadline = time.monotonic() + ANSWER_S
            while True:
                try:
                    came = self.wait(deadline)
                    self._faults += [message for message in came if isinstance(message, Event) and message.is_fault]
                    for message in came:
                        if isinstance(message, Identity) and message.link_seq == seq:
                            return self._same_schema(message)
                        if isinstance(message, Identity):
                            # A board that is on is not renumbered by whoever asks.
                            busy = message.name
                except LinkError as error:
                    if "this schema" not in str(error):
                        raise
                if time.monotonic() >= deadline:
                    break
        if busy:
            raise LinkError(
                f"port {self.port.name}: board '{busy}' is on; disable its arm, and if it holds a load whose brake has "
                "failed, support the load first"
            )
        raise LinkError(
            f"port {self.port.name}: nothing there answers as a Bedside board; check power, cable and baud rate, "
            "or flash the firmware"
        )

    def ask(self, message: list[Any]) -> Feedback:
        """Send ``message`` and wait for its feedback, as ``request`` does."""
        return self.request(message, Feedback)

    def request(self, message: list[Any], kind: type[Answer]) -> Answer:
        """Send ``message`` and wait for its answer of ``kind``; faults that come meanwhile are kept for ``receive``.

        Raises LinkError when the board refuses the message or does not answer.
        """
        question = Question(self, message, kind)
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            if answer := question.take(self.wait(deadline)):
                return answer
        raise self.silent()

    def keep(self, fault: Event) -> None:
        """Keep a fault for the next ``receive``."""
        self._faults.append(fault)

    def silent(self) -> LinkError:
        """Return the error that the board does not answer."""
        return LinkError(f"{self.label}: no answer on port {self.port.name}; check power and cable")

    def wait(self, deadline: float) -> list[Message]:
        """Return what comes before ``deadline`` (monotonic seconds), perhaps nothing."""
        self.wait_readable(max(0.0, deadline - time.monotonic()))
        return self.receive()

    def wait_readable(self, seconds: float) -> None:
        """Wait until something has come, ``seconds`` at most."""
        select.select([self.port.fd], [], [], seconds)

    def _same_schema(self, identity: Identity) -> Identity:
        if identity.schema != SCHEMA:
            raise LinkError(
                f"port {self.port.name}: board '{identity.name}' has firmware {identity.firmware} with another "
                f"protocol (schema {identity.schema:08x}, this host has {SCHEMA:08x}); flash the firmware that came "
                "with this host"
            )
        self.identity = identity
        return identity


class Question(Generic[Answer]):
    """A message that ``link``'s board has been sent, and the answer of ``kind`` that is to come."""

    def __init__(self, link: BoardLink, message: list[Any], kind: type[Answer]) -> None:
        self.link = link
        self._kind: type[Answer] = kind
        self._refusal: Event | None = None
        self._seq = link.send(message)

    def take(self, came: list[Message]) -> Answer | None:
        """Return the answer if it is in what ``came``; faults are kept. Raises LinkError when the board refuses."""
        found: Answer | None = None
        for message in came:
            if isinstance(message, Event):
                if message.is_fault:
                    self.link.keep(message)
                else:
                    self._refusal = message
            elif isinstance(message, (self._kind, Feedback)) and message.link_seq == self._seq:
                if self._refusal:
                    raise LinkError(causes.explain(self._refusal, self.link.label))
                if isinstance(message, self._kind):
                    found = message
        return found


def ask_all(
    links: Sequence[BoardLink],
    messages: Sequence[list[Any]],
    answered: Callable[[int, Feedback], None] = lambda place, feedback: None,
) -> None:
    """Send each board its message and wait for the feedback of all, which takes hardly longer than that of one.

    ``answered`` is told each answer, with its place among the ``links``. Raises LinkError, when all that is to come has
    come, for a board that refuses or does not answer.
    """
    errors: list[LinkError] = []
    questions: dict[int, tuple[int, Question[Feedback]]] = {}
    for place, (link, message) in enumerate(zip(links, messages, strict=True)):
        questions[link.port.fd] = place, Question(link, message, Feedback)
    deadline = time.monotonic() + ANSWER_S
    while questions and (left := deadline - time.monotonic()) > 0:
        for fd in select.select(list(questions), [], [], left)[0]:
            place, question = questions[fd]
            try:
                answer = question.take(question.link.receive())
            except LinkError as error:
                errors.append(error)
                del questions[fd]
                continue
            if answer:
                answered(place, answer)
                del questions[fd]
    errors += [question.link.silent() for _, question in questions.values()]
    if errors:
        raise errors[0]
