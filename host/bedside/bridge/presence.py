"""Which boards of an arm are there: what each owes an answer, and for how long it has been silent."""

from __future__ import annotations

# A board that says nothing for this long has lost its cable, its power or its mind; the others stop too. By then its
# own clock has stopped it, so waiting longer than a busy machine may take for an answer costs no safety.
SILENT_S = 0.1


class Presence:
    """Of ``boards`` boards, which are asked every ``period_ns``. ``lost`` are those that count as not there."""

    def __init__(self, boards: int, period_ns: int) -> None:
        self.lost = [False] * boards
        self._period_ns = period_ns
        self._cycle_ns = 0
        # How long each board has been silent, and since when it owes an answer (0: it owes none).
        self._silent_ns = [0] * boards
        self._owing_ns = [0] * boards
        # Those of the lost that fell silent while the arm was off.
        self._lost_at_rest: set[int] = set()

    def asked(self, board: int, now_ns: int) -> None:
        """Note that a board has been sent something that it must answer."""
        self._owing_ns[board] = self._owing_ns[board] or now_ns

    def answered(self, board: int) -> bool:
        """Note that a board has said something; return whether it was lost, and is there again.

        Only one that was lost while the arm was off: nothing was on that it could have failed to stop, so that a
        person need not clear it.
        """
        self._silent_ns[board] = self._owing_ns[board] = 0
        if board not in self._lost_at_rest:
            return False
        self._lost_at_rest.discard(board)
        self.lost[board] = False
        return True

    def cycle(self, now_ns: int, is_engaged: bool) -> list[int]:
        """End a cycle; return the boards that are lost from here on."""
        # Time in which this process itself stood still says nothing about a board.
        since_ns = min(now_ns - self._cycle_ns, 2 * self._period_ns)
        self._cycle_ns = now_ns
        newly = []
        for board, lost in enumerate(self.lost):
            self._silent_ns[board] += since_ns
            if self._silent_ns[board] > SILENT_S * 1e9 and not lost:
                self.lost[board] = True
                newly.append(board)
        if not is_engaged:
            self._lost_at_rest.update(newly)
        return newly

    def is_late(self, now_ns: int) -> bool:
        """Return whether a board owes an answer for longer than a cycle."""
        return any(owing_ns and now_ns - owing_ns >= self._period_ns for owing_ns in self._owing_ns)

    def forgive(self) -> None:
        """Take the lost that answer again for being there, as a person at the arm asks."""
        self.lost = [lost and self._owing_ns[board] > 0 for board, lost in enumerate(self.lost)]

    def begin(self) -> None:
        """Count from here on: every board has just answered."""
        self._silent_ns = [0] * len(self.lost)
        self._owing_ns = [0] * len(self.lost)
