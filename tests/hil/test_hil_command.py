"""``bedside hil`` as a user runs it: the report, the dialogue before a real board moves, and what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as Xml
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedside.errors import BedsideError
from bedside.hil.live import LiveBench
from bedside.hil.load import loaded
from bedside.hil.lockstep import PSM
from bedside.link.messages import DISABLED, OFF
from bedside.places import BOARDS

TRAINER = BOARDS / "cells" / "trainer.toml"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def hil(tmp_path: Path) -> Run:
    """Return a function that runs ``bedside hil`` with a report in ``tmp_path``."""

    def run(*arguments: str, stdin: int | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bedside.cli", "hil", *arguments, "--output", str(tmp_path / "report")],
            env={**os.environ, "BEDSIDE_SIM": str(tmp_path)},
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
            check=False,
        )

    return run


@pytest.fixture
def simulated(tmp_path: Path) -> Iterator[Callable[[Path], None]]:
    """Return a function that simulates a cell's boards in real time until the test ends."""
    with contextlib.ExitStack() as stack:

        def start(cell: Path) -> None:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "bedside.cli", "sim", str(cell)],
                    env={**os.environ, "BEDSIDE_SIM": str(tmp_path)},
                    stdout=subprocess.PIPE,
                )
            )
            stack.callback(process.terminate)
            assert process.stdout
            process.stdout.readline()

        yield start


def told(report: Path) -> dict[str, object]:
    return json.loads((report / "report.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_a_simulated_arm_gets_a_report_with_verdicts_figures_and_curves(hil: Run, tmp_path: Path) -> None:
    done = hil("sim", "--only", "hold or (stops_measured and silent)", "--jobs", "2")
    assert done.returncode == 0, done.stdout[-2000:]
    report = told(tmp_path / "report")
    verdicts = {name: each["verdict"] for name, each in report["requirements"].items()}  # type: ignore[attr-defined]
    assert (verdicts["link-clock"], verdicts["brake"], verdicts["proof"]) == (
        "partly shown",
        "partly shown",
        "not tested here",
    )
    facts = report["facts"]
    assert facts["boards"][0]["name"] == "psm1-wrist"  # type: ignore[index]
    assert facts["boards"][0]["joints"] == ["wrist_pitch", "wrist_yaw", "jaw"]  # type: ignore[index]
    assert len(facts["firmware_sources_here_sha256"]) == 64  # type: ignore[index]
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert 'alt="Stop: the link falls silent"' in page
    assert "the link falls silent: ramp after, by a timeout of 30 ms" in page
    cases = Xml.parse(tmp_path / "report" / "junit.xml").getroot().iter("testcase")
    assert len(list(cases)) == len(report["tests"])  # type: ignore[arg-type]


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("cell", "board", "only"),
    [(PSM, "psm1-slide", "moving or hold or stops_measured or ticks"), (TRAINER, "trainer", "home or moving")],
)
def test_a_board_behind_a_port_moves_as_its_cell_says(
    simulated: Callable[[Path], None], hil: Run, tmp_path: Path, cell: Path, board: str, only: str
) -> None:
    simulated(cell)
    done = hil(f"sim:{board}", "--cell", str(cell), "--only", only)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "by 0." in done.stdout, "how far its joints move is told before"
    figures = [figure for test in told(tmp_path / "report")["tests"] for figure in test["figures"]]  # type: ignore[attr-defined]
    assert len(figures) > 5
    assert all(figure["limit"] is None or abs(figure["value"]) <= figure["limit"] for figure in figures)


@pytest.mark.real_time
def test_without_a_cell_nothing_is_moved_and_without_motion_nothing_is_switched_on(
    simulated: Callable[[Path], None], hil: Run, tmp_path: Path
) -> None:
    simulated(PSM)
    done = hil("sim:psm1-base", "--only", "moving or any_board")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "12 tests passed, 0 failed" in done.stdout
    assert "name its cell file with --cell" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    done = hil("sim:psm1-base", "--no-motion")
    assert done.returncode == 0, done.stdout[-3000:]
    assert "No drive will be switched on." in done.stdout
    names = {test["test"].partition("::")[2] for test in told(tmp_path / "report")["tests"]}  # type: ignore[attr-defined]
    assert "test_its_ticks_go_on" in names
    assert not [name for name in names if "holds" in name or "pauses" in name or "stops" in name]


@pytest.mark.real_time
@pytest.mark.parametrize(("answer", "begins"), [("yes", True), ("y", False), ("", False), (None, False)])
def test_a_real_boards_drives_are_switched_on_after_a_plain_yes_only(
    simulated: Callable[[Path], None], hil: Run, tmp_path: Path, answer: str | None, begins: bool
) -> None:
    simulated(PSM)
    # Behind its terminal's own name, a simulated board is as any other.
    port = os.path.realpath(tmp_path / "psm1-base")
    ours, theirs = pty.openpty()
    try:
        if answer is not None:
            os.write(ours, f"{answer}\n".encode())
        done = hil(port, "--only", "test_it_says_who_it_is", stdin=None if answer is None else theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert "its drives be switched on" in done.stdout
    assert "emergency stop within reach" in done.stdout
    assert (done.returncode == 0) == begins, done.stdout
    assert (tmp_path / "report").exists() == begins
    if answer is None:
        assert "in a terminal, or say --no-motion" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("sim", "--cell", str(PSM)), "leave --cell and --fixture out"),
        (("sim:nobody",), "there is no such port"),
        (("/dev/none", "--no-motion", "--minutes", "1"), "choose one"),
        (("/dev/none", "--jobs", "2"), "leave --jobs out"),
        (("/dev/none", "--cell", "none.toml"), "none.toml: there is no such file"),
        (("rp2040:none.uf2",), "none.uf2: there is no such file"),
        (("sim", "--only", "no_such_test"), "no test applies: --only no_such_test"),
    ],
)
def test_what_cannot_be_tested_is_refused_with_the_reason(hil: Run, arguments: tuple[str, ...], why: str) -> None:
    done = hil(*arguments)
    assert done.returncode == 1
    assert why in done.stdout.splitlines()[-1]


@pytest.mark.real_time
def test_a_cell_that_has_no_such_board_is_refused(simulated: Callable[[Path], None], hil: Run) -> None:
    simulated(PSM)
    done = hil("sim:psm1-base", "--cell", str(TRAINER))
    assert done.returncode == 1
    assert "has no board 'psm1-base'" in done.stdout


def test_a_report_that_cannot_be_written_is_told_before_anything_is_tested(hil: Run, tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way")
    done = hil("sim", "--only", "test_it_says")
    assert done.returncode == 1
    assert "cannot be written there" in done.stdout


@pytest.mark.real_time
def test_a_ports_name_that_leads_out_of_the_simulators_folder_is_no_simulated_board(
    simulated: Callable[[Path], None], hil: Run, tmp_path: Path
) -> None:
    simulated(PSM)
    port = os.path.relpath(os.path.realpath(tmp_path / "psm1-base"), tmp_path)
    done = hil(f"sim:{port}", "--only", "test_it_says_who_it_is")
    assert done.returncode == 1
    assert "only when a person agrees" in done.stdout


def test_a_run_that_is_interrupted_stops_the_board_and_reports_what_was_done(tmp_path: Path) -> None:
    output = tmp_path / "report"
    output.mkdir()
    (output / "report.html").write_text("of yesterday")
    process = subprocess.Popen(
        [sys.executable, "-m", "bedside.cli", "hil", "sim", "--only", "homing or moving", "--output", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if "PASSED" in line:
            break
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "did not come to its end (interrupted)" in said
    report = told(output)
    assert report["facts"]["ended_early"] == "interrupted"  # type: ignore[index]
    assert "met" not in {each["verdict"] for each in report["requirements"].values()}  # type: ignore[attr-defined]
    assert "of yesterday" not in (output / "report.html").read_text(encoding="utf-8")


@pytest.mark.real_time
def test_a_second_board_is_the_load_of_what_moves_and_is_off_afterwards(
    simulated: Callable[[Path], None], hil: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(PSM)
    fixture = tmp_path / "load.toml"
    fixture.write_text('description = "x"\nboard = "sim.toml"\n[load]\nport = "sim:psm1-base"\n')
    arguments = ("--cell", str(PSM), "--fixture", str(fixture), "--only", "each_joint_alone or drifts")
    done = hil("sim:psm1-wrist", *arguments)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "under a load: the board at sim:psm1-base" in done.stdout
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    load = LiveBench("sim:psm1-base", 1_000_000)
    feedback = load.tick()
    load.close()
    assert (feedback.state, feedback.phase) == (DISABLED, OFF)


@pytest.mark.real_time
def test_a_load_that_is_not_there_or_lets_go_fails_what_was_measured(
    simulated: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated(PSM)
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    with pytest.raises(BedsideError, match="there is no such port"), loaded("sim:nobody", 1_000_000):
        pass
    with loaded("sim:psm1-base", 1_000_000) as led:
        time.sleep(1.5)
    assert len(led) > 100, "it was commanded all the while"
    monkeypatch.setattr(LiveBench, "pace", lambda *_: time.sleep(0.6))
    with pytest.raises(BedsideError, match=r"let go: (operator|link)-timeout"), loaded("sim:psm1-base", 1_000_000):
        time.sleep(2)
