"""What a surgeon sees, held against what the boards themselves have signed.

Feedback comes through the bridge, which could show another arm than there is. Boards with this console's key sign their
ticks and places some forty times a second: where feedback says otherwise, this console proves nothing any more, and
boards stop that get no proof.
"""

from __future__ import annotations

from bedside.errors import SurgeonError
from bedside.surgeon.proof import Prover
from bedside.surgeon.protocol import BOARD_FIELDS, JOINT_FIELDS, Feedback, Welcome, unpack

# Both say what a joint's encoder counts at nearly the same tick; rounding and a jerk apart, they agree.
_MARGIN = 0.005
# Two that are further apart in time say nothing of each other.
_NEAR_S = 0.2


class Sight:
    """Of one session. ``doubt`` says why this console proves nothing any more, "" while it does."""

    def __init__(self, proof_key: bytes, welcome: Welcome) -> None:
        self.doubt = ""
        # Which boards have said last that they let this console's arm move.
        self._proven = [not board.keys for board in welcome.boards]
        self._welcome = welcome
        self._prover = Prover(
            proof_key, [board.role for board in welcome.boards], [board.tick_hz for board in welcome.boards]
        )

    @property
    def is_proven(self) -> bool:
        """Whether every board has seen young proof, by its own word, so that it may be enabled."""
        return all(self._proven)

    def tokens(self, operator_seq: int) -> list[list[int]]:
        """Return a token for each board; one that has shown nothing yet is asked to. Raises SurgeonError in doubt."""
        if self.doubt:
            raise SurgeonError(self.doubt)
        boards = range(len(self._welcome.boards))
        return [self._prover.token(board, operator_seq) or self._prover.ask(board) for board in boards]

    def see(self, board: int, fields: list[int], feedback: Feedback | None) -> None:
        """Take what ``board`` has signed, and hold the newest ``feedback`` against it.

        Raises SurgeonError for a witness that is none, or not newer, which the network may do and which counts for
        nothing; sets ``doubt`` where feedback lies.
        """
        if not 0 <= board < len(self._welcome.boards):
            raise SurgeonError(f"a witness of board {board}; this arm has {len(self._welcome.boards)}")
        witness = self._prover.witness(board, fields)
        self._proven[board] = witness.is_proven
        if feedback is None:
            return
        facts = self._welcome.boards[board]
        apart_s = abs(unpack(feedback.packed_boards)[board * BOARD_FIELDS] - witness.tick) / facts.tick_hz
        if apart_s > _NEAR_S:
            return
        told = unpack(feedback.packed_joints)
        for signed, index in zip(witness.positions, facts.joints, strict=False):
            joint = self._welcome.joints[index]
            off = abs(told[index * JOINT_FIELDS] - signed) / 1e6
            if off > _MARGIN + 1.5 * joint.velocity * apart_s:
                self.doubt = (
                    f"joint '{joint.name}' is {off:g} {joint.unit} from where feedback shows it: its board has signed "
                    "otherwise, so the bridge is not to be trusted; stop the arm beside it"
                )
