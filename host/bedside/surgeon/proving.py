"""A console's part in the proof that a surgeon is there, over its link: takes what boards sign, and sends tokens."""

from __future__ import annotations

import contextlib
import time

from bedside.errors import SurgeonError
from bedside.surgeon import protocol
from bedside.surgeon.link import Link
from bedside.surgeon.seeing import Sight

# How often a console proves that its surgeon is there: twice in the shortest operator timeout that is sensible.
PROVE_HZ = 40


class Proving:
    """Of the session that ``link`` has begun, with the console's key if it has one."""

    def __init__(self, link: Link, proof_key: bytes | None) -> None:
        assert link.welcome, "a link that has begun has been welcomed"
        self._link = link
        is_asked = any(board.keys for board in link.welcome.boards)
        self._sight = Sight(proof_key, link.welcome) if proof_key and is_asked else None
        # Whether boards ask for proof that this console cannot give.
        self.lacks_key = is_asked and proof_key is None
        self._proven_s = 0.0
        self._proven_seq = 0

    @property
    def is_proven(self) -> bool:
        """Whether every board that asks for proof has some, by its own word; True where this console has no key."""
        return self._sight is None or self._sight.is_proven

    def see(self, feedback: protocol.Feedback | None) -> None:
        """Take what boards have signed under this console's key, and hold ``feedback`` against it."""
        for witness in self._link.witnesses:
            if self._sight:
                with contextlib.suppress(SurgeonError):  # what is older than another, or no witness, counts for nothing
                    self._sight.see(witness.board, witness.fields, feedback)
        self._link.witnesses.clear()

    def prove(self) -> None:
        """Send a token for each board, if it is time. Raises SurgeonError when feedback is not to be believed."""
        now = time.monotonic()
        if self._sight is None or now - self._proven_s <= 1 / PROVE_HZ:
            return
        self._proven_s = now
        # Each proof is newer than the last; a command since then has made it so already.
        self._proven_seq = self._link.seq if self._link.seq > self._proven_seq else self._link.next_seq()
        self._link.prove(self._sight.tokens(self._proven_seq))
