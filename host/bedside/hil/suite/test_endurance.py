"""For as long as it is asked: all joints move, and nothing is late, refused or drifts."""

from __future__ import annotations

import pytest

from bedside.hil.bench import Bench
from bedside.hil.measures import Measures
from bedside.hil.motion import begin, reaches, seconds_for, stream, there_and_back
from bedside.link import causes
from bedside.link.messages import RUN

pytestmark = pytest.mark.requirement("endurance")
PIECE_S = 10.0
# How much worse than its first part the last part of a run may follow.
GROWTH = 1.5
NOISE = {"rad": 2e-4, "m": 2e-5}


@pytest.mark.timeout(0)
def test_it_goes_on_as_it_began(mover: Bench, measures: Measures, minutes: float) -> None:
    if not minutes:
        pytest.skip("not asked for: --minutes says for how long")
    found = reaches(mover)
    start = begin(mover)
    before = mover.tick()
    periods = [max(2.0, seconds_for(joint, reach)) for joint, reach in zip(mover.joints, found, strict=True)]
    motion = there_and_back(start, found, periods)
    errors: list[list[float]] = []
    pieces = max(2, round(60 * minutes / PIECE_S))
    piece_s = 60 * minutes / pieces
    done_s = 0.0
    for _ in range(pieces):
        begun_s = done_s
        record = stream(mover, lambda t, begun_s=begun_s: motion(begun_s + t), piece_s)  # type: ignore[misc]
        done_s = begun_s + len(record.seconds) * round(mover.tick_hz / mover.cell.arm.command_hz) / mover.tick_hz
        assert record.last
        assert record.last.phase == RUN, causes.name_of(record.last.cause)
        errors.append([record.rms_error(index) for index in range(len(mover.joints))])
    after = mover.tick()
    measures.figure("moved for", done_s / 60, "min")
    measures.figure("ticks that were late", after.late_ticks - before.late_ticks, "")
    measures.figure("frames refused", after.refused - before.refused, "", 0)
    assert after.refused == before.refused
    for index, joint in enumerate(mover.joints):
        first, last = errors[0][index], errors[-1][index]
        measures.figure(
            f"{joint.name}: tracking error at the end", 1000 * last, f"m{joint.unit}", 1000 * GROWTH * first
        )
        assert last <= GROWTH * first + NOISE[joint.unit], joint.name
    measures.curve(
        "Tracking error through the run",
        [piece_s * piece / 60 for piece in range(len(errors))],
        {joint.name: [1000 * row[index] for row in errors] for index, joint in enumerate(mover.joints)},
        x_label="min",
        y_label="RMS, mrad (mm)",
    )
