"""The figures of a case, from what was captured of it.

How the age of the newest command at a board's tick is measured: console, boards and this program share a computer and
so one monotonic clock. The console's copy of each command says when it was sent; the process of the boards notes the
time of each of their ticks; feedback says how many ticks before its own each board had taken the operator sequence that
it reports. A command counts as taken when the last board has it. Its age at a tick is the time of the tick minus the
time it was sent, so it contains console, encryption, network, bridge with playout, serial line and the board itself.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from bedside.cell import Cell
from bedside.link.messages import DISABLED, ENABLED, FAULT, PAUSED, RUN
from bedside.surgeon import protocol

# Older than this beyond the network's own delay is late.
LATE_MS = 30.0
# What follows a gap of fewer command periods is followed as it is, see the bridge.
GAP_PERIODS = 2.5
# How long after a gap the arm may still be on its way to where the console is.
RECOVERY_NS = 500_000_000
_TICK, _AGE = 0, 4


@dataclass
class Ages:
    """Of the newest command, at each tick, in ms; ``late`` the share that is late."""

    p50_ms: float
    p99_ms: float
    late: float


@dataclass
class Error:
    """Of joints that turn in mrad, of joints that slide in mm."""

    mrad: float = 0.0
    mm: float = 0.0

    def widen(self, unit: str, value: float) -> None:
        """Take ``value``, in rad or m, if it is larger."""
        if unit == "rad":
            self.mrad = max(self.mrad, 1000 * value)
        else:
            self.mm = max(self.mm, 1000 * value)


@dataclass
class Moment:
    """The arm at one feedback: at which of its boards' ticks, by board, and when that was."""

    at_ns: int
    ticks: list[int]
    feedback: protocol.Feedback
    position: list[float]
    setpoint: list[float]
    boards: list[list[int]]

    @property
    def runs(self) -> bool:
        """Whether every board follows commands."""
        return self.feedback.state == ENABLED and all(board[2] == RUN for board in self.boards)


def ages_ns(ticks_ns: Sequence[int], taken: Sequence[tuple[int, int]]) -> list[int]:
    """Return how old the newest of what was ``taken`` is at each tick: pairs of when, and when it was sent.

    Ticks before the first have none.
    """
    ages: list[int] = []
    came = sorted(taken)
    newest, upto = None, 0
    for tick in ticks_ns:
        while upto < len(came) and came[upto][0] <= tick:
            sent = came[upto][1]
            newest = sent if newest is None else max(newest, sent)
            upto += 1
        if newest is not None:
            ages.append(tick - newest)
    return ages


def summary(ages: Sequence[int], delay_ms: float) -> Ages | None:
    """Return the figures of ``ages`` in ns, None if there are none."""
    if not ages:
        return None
    ordered = sorted(ages)
    late = len(ordered) - bisect_right(ordered, round((delay_ms + LATE_MS) * 1e6))
    return Ages(percentile(ordered, 50) / 1e6, percentile(ordered, 99) / 1e6, late / len(ordered))


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest rank's value."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def moments(feedback: Sequence[tuple[int, protocol.Feedback]], ticks_ns: Sequence[int]) -> list[Moment]:
    """Put the boards' ticks on the monotonic clock.

    A board's count begins anywhere. Its feedback comes after its tick, so the quickest one bounds where: at most as far
    off as that took, which is less than a tick and makes ages no smaller.
    """
    if not feedback:
        return []
    boards = len(feedback[0][1].boards)
    seen = [(came_ns, bisect_right(ticks_ns, came_ns) - 1, each, each.boards) for came_ns, each in feedback]
    first = [min(upto - found[board][_TICK] for _, upto, _, found in seen) for board in range(boards)]
    last = len(ticks_ns) - 1
    result = []
    for _, _, each, found in seen:
        ticks = [min(max(0, first[board] + found[board][_TICK]), last) for board in range(boards)]
        at_ns = sum(ticks_ns[tick] for tick in ticks) // boards
        result.append(Moment(at_ns, ticks, each, each.position, each.setpoint, found))
    return result


def taken(seen: Sequence[Moment], ticks_ns: Sequence[int], sent: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return (when the last board took it, when it was sent) of each command that feedback names.

    ``sent`` are the sequences of commands and when they were sent, in that order; another session begins anew. A board
    takes a command between two ticks and puts its age to 0; each tick adds one. So the first tick that knows it is the
    one after as many ticks back as the age says.
    """
    result = []
    sent_ns: dict[int, int] = {}
    newest, upto = -1, 0
    for moment in seen:
        while upto < len(sent) and sent[upto][1] <= moment.at_ns:
            seq, at_ns = sent[upto]
            sent_ns[seq] = at_ns
            upto += 1
        seq = moment.feedback.seq
        if seq != newest and seq in sent_ns:
            newest = seq
            ages = zip(moment.ticks, moment.boards, strict=True)
            first = max(tick - board[_AGE] + 1 for tick, board in ages)
            result.append((ticks_ns[min(max(0, first), len(ticks_ns) - 1)], sent_ns[seq]))
    return result


def running_ticks(seen: Sequence[Moment], ticks_ns: Sequence[int], begin_ns: int, end_ns: int) -> list[int]:
    """Return the ticks from begin to end at which the arm followed commands."""
    result: list[int] = []
    for before, after in pairwise(seen):
        if before.runs and after.runs:
            low = bisect_left(ticks_ns, max(begin_ns, before.at_ns))
            high = bisect_left(ticks_ns, min(end_ns, after.at_ns))
            result += ticks_ns[low:high]
    return result


def wanted_at(commands: Sequence[protocol.ServoJp], stamps_ns: Sequence[int], at_ns: int) -> list[float] | None:
    """Return the console's setpoint at ``at_ns``, between two commands; None where it sent none."""
    after = bisect_right(stamps_ns, at_ns)
    if not 0 < after < len(commands) or stamps_ns[after] - stamps_ns[after - 1] > 100_000_000:
        return None
    share = (at_ns - stamps_ns[after - 1]) / (stamps_ns[after] - stamps_ns[after - 1])
    pairs = zip(commands[after - 1].position, commands[after].position, strict=True)
    return [before + share * (then - before) for before, then in pairs]


def tracking(
    seen: Sequence[Moment], commands: Sequence[protocol.ServoJp], cell: Cell, delay_ms: float
) -> tuple[Error, Error]:
    """Return RMS and largest error: each joint's measured position minus the console's setpoint a delay earlier.

    The worst joint of each unit counts. Nothing else is taken out: jitter, queues, playout, the bridge, the board's
    own interpolation and its control loop show.
    """
    stamps_ns = [1000 * command.stamp_us for command in commands]
    squares = [0.0] * len(cell.joint)
    rms, worst, count = Error(), Error(), 0
    for moment in seen:
        wanted = wanted_at(commands, stamps_ns, moment.at_ns - round(1e6 * delay_ms)) if moment.runs else None
        if wanted is None:
            continue
        count += 1
        for index, (joint, here, there) in enumerate(zip(cell.joint, moment.position, wanted, strict=True)):
            squares[index] += (here - there) ** 2
            worst.widen(joint.unit, abs(here - there))
    for joint, square in zip(cell.joint, squares, strict=True):
        rms.widen(joint.unit, (square / max(1, count)) ** 0.5)
    return rms, worst


def gaps(taken_ns: Sequence[int], period_ns: float) -> list[tuple[int, int]]:
    """Return when commands were missing: from one to the next that was taken more than 2.5 periods later."""
    return [(a, b) for a, b in pairwise(taken_ns) if b - a > GAP_PERIODS * period_ns]


def travel(seen: Sequence[Moment], missing: Sequence[tuple[int, int]], cell: Cell) -> Error:
    """Return how far a joint went at most from where it was when commands began to be missing, until the next."""
    farthest = Error()
    times = [moment.at_ns for moment in seen]
    for begin_ns, end_ns in missing:
        within = seen[max(0, bisect_right(times, begin_ns) - 1) : bisect_right(times, end_ns)]
        for moment in within[1:]:
            for joint, before, now in zip(cell.joint, within[0].position, moment.position, strict=True):
                farthest.widen(joint.unit, abs(now - before))
    return farthest


def largest_step(seen: Sequence[Moment], missing: Sequence[tuple[int, int]], cell: Cell) -> float:
    """Return the largest change of a joint's setpoint in a command period, in a gap and 0.5 s on, of its limit.

    Setpoints are those that the boards say they track. Where feedback was lost for longer than a period, the change is
    taken as even.
    """
    times = [moment.at_ns for moment in seen]
    period_ticks = 1000 / cell.arm.command_hz
    largest = 0.0
    for begin_ns, end_ns in missing:
        within = seen[max(0, bisect_left(times, begin_ns) - 1) : bisect_right(times, end_ns + RECOVERY_NS)]
        for before, after in pairwise(within):
            elapsed = max(1.0, (after.boards[0][_TICK] - before.boards[0][_TICK]) / period_ticks)
            for joint, a, b in zip(cell.joint, before.setpoint, after.setpoint, strict=True):
                largest = max(largest, abs(b - a) / elapsed / joint.limits.step)
    return largest


def changes(seen: Sequence[Moment]) -> tuple[int, int]:
    """Return how often the arm paused, and how often it stopped for good."""
    states = [moment.feedback.state for moment in seen]
    pairs = list(pairwise(states))
    pauses = sum(a == ENABLED and b == PAUSED for a, b in pairs)
    stops = sum(a in (ENABLED, PAUSED) and b in (DISABLED, FAULT) for a, b in pairs)
    return pauses, stops


def between(seen: Sequence[Moment], begin_ns: int, end_ns: int) -> list[Moment]:
    """Return the moments from begin to end."""
    return [moment for moment in seen if begin_ns <= moment.at_ns <= end_ns]


def longest_stall_ms(ticks_ns: Sequence[int], begin_ns: int, end_ns: int) -> float:
    """Return the longest time between two ticks: how long the computer stood still, which no board would."""
    within = ticks_ns[bisect_left(ticks_ns, begin_ns) : bisect_right(ticks_ns, end_ns)]
    return max((b - a for a, b in pairwise(within)), default=0) / 1e6
