from __future__ import annotations

import gzip
import math
import os
from pathlib import Path

import pytest

from bedside.cell import Cell
from bedside.errors import SurgeonError
from bedside.surgeon.motion import Approach, Eased, Motion, Recording, Weave, load_recording
from bedside.surgeon.welcome import joint_facts

RECORDINGS = Path(os.environ.get("BEDSIDE_RECORDINGS", Path(__file__).parents[3] / "shared" / "recordings"))


def check_smooth(motion: Motion, cell: Cell, acceleration: float = 1.0) -> None:
    """Positions inside limits, speeds their derivative and inside limits, no jumps."""
    dt = 0.001
    before = motion.at(0.0)
    for k in range(1, round(motion.duration_s / dt)):
        now = motion.at(k * dt)
        for index, joint in enumerate(cell.joint):
            assert joint.limits.position[0] <= now[0][index] <= joint.limits.position[1]
            assert abs(now[1][index]) <= joint.limits.velocity
            mean = (before[1][index] + now[1][index]) / 2
            slip = abs(now[0][index] - before[0][index] - mean * dt)
            assert slip <= joint.limits.acceleration * acceleration * dt * dt
        before = now


def test_the_built_in_motion_is_smooth_and_surgical(cell: Cell) -> None:
    check_smooth(Eased(Weave(joint_facts(cell.joint), 6.0)), cell)


def test_eased_motion_starts_and_ends_at_rest(cell: Cell) -> None:
    motion = Eased(Weave(joint_facts(cell.joint), 6.0))
    assert motion.at(0.0)[1] == [0.0] * 7
    assert motion.at(motion.duration_s)[1] == [0.0] * 7
    whole = Weave(joint_facts(cell.joint), 6.0)
    assert motion.at(motion.duration_s)[0] == pytest.approx(whole.at(6.0)[0])


def test_an_approach_arrives_at_rest_within_limits(cell: Cell) -> None:
    goal = [0.8, -0.5, 0.2, 1.0, -1.0, 0.5, 1.0]
    motion = Approach([0.0, 0.0, 0.12, 0.0, 0.0, 0.0, 0.0], goal, joint_facts(cell.joint))
    check_smooth(motion, cell)
    assert motion.at(motion.duration_s) == (pytest.approx(goal), [0.0] * 7)


def write(path: Path, cell: Cell, rows: int = 20, **changes: str) -> Path:
    names = [joint.name for joint in cell.joint]
    lines = [",".join(["t_s", *(f"pos_{n}" for n in names), *(f"vel_{n}" for n in names)])]
    for k in range(rows):
        t = k * 0.01
        position = [0.1 * math.sin(3 * t) + (0.12 if n == "insertion" else 0.0) for n in names]
        lines.append(",".join(map(str, [t, *position, *[0.3 * math.cos(3 * t)] * 7])))
    text = "\n".join(lines)
    for wrong, right in changes.items():
        text = text.replace(right, wrong.replace("_", " "))
    path.write_text(text)
    return path


def test_a_recording_goes_through_its_samples_and_speeds(cell: Cell, tmp_path: Path) -> None:
    recording = load_recording(write(tmp_path / "r.csv", cell), joint_facts(cell.joint))
    for k in range(20):
        positions, speeds = recording.at(k * 0.01)
        assert positions == pytest.approx(recording.positions[k])
        assert speeds == pytest.approx(recording.speeds[k])
    assert recording.at(0.055)[0][0] == pytest.approx(0.1 * math.sin(3 * 0.055), abs=1e-7)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 rows"),
        ("t_s\n0\n1\n", "no column 'pos_outer_yaw'; a recording for this arm has: t_s, pos_outer_yaw"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(cell: Cell, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(SurgeonError) as refused:
        load_recording(tmp_path / "r.csv", joint_facts(cell.joint))
    assert message in str(refused.value)


@pytest.mark.parametrize("value", ["nan", "inf", "", "fast"])
def test_a_bad_value_is_named_by_its_line(cell: Cell, tmp_path: Path, value: str) -> None:
    path = write(tmp_path / "r.csv", cell)
    lines = path.read_text().split("\n")
    lines[5] = ",".join([*lines[5].split(",")[:3], value, *lines[5].split(",")[4:]])
    path.write_text("\n".join(lines))
    with pytest.raises(SurgeonError, match="line 6"):
        load_recording(path, joint_facts(cell.joint))


def test_time_that_stands_still_and_joints_out_of_limits_are_refused(cell: Cell, tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", cell)
    lines = path.read_text().split("\n")
    path.write_text("\n".join([*lines[:5], lines[4], *lines[5:]]))
    with pytest.raises(SurgeonError, match="line 6: t_s does not grow"):
        load_recording(path, joint_facts(cell.joint))
    path.write_text("\n".join(lines).replace("0.12,", "0.9,", 1))
    with pytest.raises(SurgeonError, match=r"insertion at 0\.9 m is outside its limits 0 to 0.24"):
        load_recording(path, joint_facts(cell.joint))


def test_a_missing_or_broken_file_is_named(cell: Cell, tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="no such file"):
        load_recording(tmp_path / "none.csv", joint_facts(cell.joint))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"t_s,a\n1,2\n" * 99)[:30])
    with pytest.raises(SurgeonError, match="cannot be read as CSV"):
        load_recording(tmp_path / "cut.csv.gz", joint_facts(cell.joint))


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings here (set BEDSIDE_RECORDINGS)")
def test_the_dvrk_recording_loads_and_starts_in_motion(cell: Cell) -> None:
    recording = load_recording(RECORDINGS / "dvrk_psm_joints_200hz.csv.gz", joint_facts(cell.joint))
    assert isinstance(recording, Recording)
    assert recording.duration_s == pytest.approx(29.99)
    assert max(map(abs, recording.at(0.0)[1])) > 1.0
    assert max(map(abs, Eased(recording).at(0.0)[1])) == 0.0
