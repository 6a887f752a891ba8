"""The playout buffer: commands wait until the ones that the network delayed more have come, but not for long.

A command is played when it is as old as the quickest of late plus the buffer's delay. The delay follows the network's
jitter, and is nothing where there is none: then a command goes on at once. When the buffer runs dry, nothing is made
up: the boards slow down by themselves.
"""

from __future__ import annotations

from collections import deque

from bedside.surgeon.protocol import ServoJp

# A second at 200 commands: what a network did before that says little of what it does now.
_WINDOW = 200
# How often the delay is taken anew, in commands.
_EVERY = 20
# One command in twenty may come too late to be played at its time; it is played at once, if nothing newer was.
_SHARE = 0.95
# Less than a board's tick and a half makes nothing smoother.
_WORTHWHILE_US = 1500
# As many commands as the longest delay can hold at the highest rate; more is a flood.
_HELD_MAX = 256


class Playout:
    """Holds commands for at most ``delay_max_us``."""

    def __init__(self, delay_max_us: int) -> None:
        self.delay_us = 0
        self._delay_max_us = delay_max_us
        # How long each of the latest commands was under way, by two clocks that have nothing to do with each other.
        self._transits_us: deque[int] = deque(maxlen=_WINDOW)
        self._base_us = 0
        self._since = 0
        self._held: list[tuple[int, ServoJp]] = []
        self._played = 0

    @property
    def due_us(self) -> int | None:
        """When the next command is to be played, None if none is held."""
        return min(due_us for due_us, _ in self._held) if self._held else None

    def offer(self, command: ServoJp, now_us: int) -> None:
        """Take a command that has come."""
        transit_us = now_us - command.stamp_us
        self._transits_us.append(transit_us)
        self._since += 1
        if len(self._transits_us) == 1 or transit_us < self._base_us:
            self._base_us = transit_us
        if self._since >= _EVERY:
            self._measure()
        if len(self._held) < _HELD_MAX and command.seq > self._played:
            self._held.append((command.stamp_us + self._base_us + self.delay_us, command))

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

    def _measure(self) -> None:
        self._since = 0
        ordered = sorted(self._transits_us)
        self._base_us = ordered[0]
        jitter_us = ordered[int(_SHARE * (len(ordered) - 1))] - ordered[0]
        self.delay_us = min(self._delay_max_us, jitter_us) if jitter_us > _WORTHWHILE_US else 0
