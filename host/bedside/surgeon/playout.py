"""The playout buffer: commands wait until the ones that the network delayed more have come, but not for long.

A command is played as long after it was sent as the latest that came took, and the schedule falls back from there only
a little with each command: what bunched up behind a delay comes out nearly as evenly as it went in, and the next delay
finds something held. Where there is no jitter a command goes on at once. When the buffer runs dry, nothing is made up:
the boards slow down by themselves.
"""

from __future__ import annotations

from bedside.surgeon.protocol import ServoJp

# After a delay the hand is played back this much faster, which neither surgeon nor joint notices. On the networks of
# ``bedside wan`` a fifth of it makes commands some 4 ms older, and twice of it leaves a tenth more gaps.
_FASTER = 0.05
# A path may have become longer for good, and clocks drift, so the quickest command is forgotten at 2 ms a second.
_FORGOTTEN = 0.002
# Less than a board's tick and a half makes nothing smoother.
_WORTHWHILE_US = 1500
# As many commands as the longest delay can hold at the highest rate; more is a flood.
_HELD_MAX = 256


class Playout:
    """Holds commands for at most ``delay_max_us``."""

    def __init__(self, delay_max_us: int) -> None:
        self._delay_max_us = delay_max_us
        # How long the quickest command was under way, and how long after it was sent one is played; by two clocks that
        # have nothing to do with each other. None before the first.
        self._base_us: int | None = None
        self._offset_us = 0
        self._stamp_us = 0
        self._held: list[tuple[int, ServoJp]] = []
        self._played = 0

    @property
    def delay_us(self) -> int:
        """How long a command waits now that was under way no longer than the quickest."""
        wait_us = self._offset_us - self._base_us if self._base_us is not None else 0
        return wait_us if wait_us > _WORTHWHILE_US else 0

    @property
    def due_us(self) -> int | None:
        """When the next command is to be played, None if none is held."""
        return min(due_us for due_us, _ in self._held) if self._held else None

    def offer(self, command: ServoJp, now_us: int) -> None:
        """Take a command that has come."""
        transit_us = now_us - command.stamp_us
        if self._base_us is None:
            self._base_us = self._offset_us = transit_us
        elapsed_us = max(0, command.stamp_us - self._stamp_us)
        self._stamp_us = max(self._stamp_us, command.stamp_us)
        self._base_us = min(transit_us, self._base_us + round(_FORGOTTEN * elapsed_us))
        # One that is so late that the buffer cannot make up for it is not waited for again.
        late_us = min(transit_us, self._base_us + self._delay_max_us)
        self._offset_us = max(late_us, self._offset_us - round(_FASTER * elapsed_us))
        wait_us = min(self._offset_us - transit_us, self._delay_max_us)
        if len(self._held) < _HELD_MAX and command.seq > self._played:
            self._held.append((now_us + (wait_us if wait_us > _WORTHWHILE_US else 0), command))

    def take(self, now_us: int) -> ServoJp | None:
        """Return the newest command that is due, and drop those that it overtook; None if none is due."""
        due = [command for due_us, command in self._held if due_us <= now_us]
        if not due:
            return None
        newest = max(due, key=lambda command: command.seq)
        self._played = newest.seq
        self._held = [(due_us, held) for due_us, held in self._held if held.seq > newest.seq]
        return newest

    def clear(self) -> None:
        """Forget what is held: it was meant for an arm that did not stop meanwhile."""
        self._held.clear()
