"""The result of a case, as ``results.json`` has it, and what pictures need besides."""

from __future__ import annotations

from dataclasses import dataclass, field

from bedside.surgeon.protocol import ServoJp
from wan import figures
from wan.figures import Ages, Error, Moment
from wan.run import Capture


@dataclass
class Result:
    """``delay_ms`` is the network's own, ``allowed`` what the cell file allows it beyond its defaults.

    ``ages`` are by transport; the largest ``step`` is a share of the joint's limit. ``stall_ms`` is how long this
    computer stood still, and ``was_silent`` whether it kept a board from answering, which here nothing else does.
    """

    case: str
    profile: str
    allowed: dict[str, float]
    delay_ms: float
    seconds: float
    commands: int
    ages: dict[str, Ages]
    missing: dict[str, str]
    rms: Error
    worst: Error
    pauses: int
    stops: int
    gaps: int
    longest_gap_ms: float
    travel: Error
    step: float
    stall_ms: float
    was_silent: bool


@dataclass
class Trace:
    """What pictures are drawn from: ages in ns by transport, the arm during the motion, what the console sent."""

    ages_ns: dict[str, list[int]] = field(default_factory=dict)
    moments: list[Moment] = field(default_factory=list)
    commands: list[ServoJp] = field(default_factory=list)
    cuts_ns: list[tuple[int, int]] = field(default_factory=list)
    joints: list[str] = field(default_factory=list)


def evaluate(capture: Capture) -> tuple[Result, Trace]:
    """Work a capture out."""
    cell, case = capture.cell, capture.case
    begin_ns = next(at_ns for at_ns, what in capture.said if what == "begun")
    end_ns = next(at_ns for at_ns, what in capture.said if what == "ended")
    every = figures.moments(capture.feedback, capture.ticks_ns)
    seen = figures.between(every, begin_ns, end_ns)
    sent = [(command.seq, 1000 * command.stamp_us) for command in capture.commands]
    taken = figures.taken(every, capture.ticks_ns, sent)
    ticks = figures.running_ticks(seen, capture.ticks_ns, begin_ns, end_ns)
    ages_ns = {"bedside": figures.ages_ns(ticks, taken)}
    ages_ns |= {kind: figures.ages_ns(ticks, came) for kind, came in capture.others.items()}
    ages = {kind: found for kind, each in ages_ns.items() if (found := figures.summary(each, case.delay_ms))}
    in_motion = [when for when, _ in taken if begin_ns <= when <= end_ns]
    missing = figures.gaps(in_motion, 1e9 / cell.arm.command_hz)
    rms, worst = figures.tracking(seen, capture.commands, cell, case.delay_ms)
    pauses, stops = figures.changes(seen)
    longest_ns = max((b - a for a, b in missing), default=0)
    result = Result(
        case.name,
        case.profile,
        case.allowed,
        case.delay_ms,
        (end_ns - begin_ns) / 1e9,
        sum(begin_ns <= at_ns <= end_ns for _, at_ns in sent),
        ages,
        capture.missing,
        rms,
        worst,
        pauses,
        stops,
        len(missing),
        longest_ns / 1e6,
        figures.travel(seen, missing, cell),
        figures.largest_step(seen, missing, cell),
        figures.longest_stall_ms(capture.ticks_ns, begin_ns, end_ns),
        any("no answer for" in notice for notice in capture.notices),
    )
    joints = [f"{joint.name}, {joint.unit}" for joint in cell.joint]
    return result, Trace(ages_ns, seen, capture.commands, capture.cuts_ns, joints)
