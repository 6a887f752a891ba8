"""A run of the suite: who is to be tested, what a person must agree to, the tests, the report."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from bedside.errors import BedsideError
from bedside.hil import dialogue, emulated, facts, report
from bedside.hil.fixture import load_fixture
from bedside.hil.live import LiveBench
from bedside.hil.target import TargetError, chip_of, is_simulated, uf2_of
from bedside.link.messages import Identity

_SUITE = Path(__file__).parent / "suite"
# One test may home a slow joint; nothing takes longer but endurance, which says so itself.
_TIMEOUT_S = 300
# What an earlier run may have left must not be taken for this one's.
_REPORT = ("report.html", "report.json", "junit.xml", "results.jsonl")


@dataclass(frozen=True)
class Options:
    """What was asked for; ``cell``, ``fixture`` and ``only`` may be None."""

    target: str
    cell: Path | None
    no_motion: bool
    fixture: Path | None
    minutes: float
    only: str | None
    baud: int
    jobs: int
    output: Path
    is_agreed: bool


def run(options: Options) -> None:
    """Run the suite and write its report.

    Raises BedsideError for what cannot be tested, before anything moves, and in the end if a test has failed.
    """
    try:
        import pytest
    except ImportError:
        raise BedsideError("the suite needs pytest: install Bedside with its extra, bedside[hil]") from None
    _check(options)
    agreed_uid = ""
    if is_simulated(options.target):
        chip_of(options.target)
    elif uf2 := uf2_of(options.target):
        emulated.check(uf2)
    else:
        identity = _identify(options)
        dialogue.agree(options, identity)
        agreed_uid = identity.uid
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        for old in _REPORT:
            (options.output / old).unlink(missing_ok=True)
    except OSError as error:
        raise BedsideError(f"{options.output}: the report cannot be written there ({error.strerror})") from None
    results = options.output / "results.jsonl"
    begun = time.time()
    status = pytest.ExitCode(pytest.main(_arguments(options, results, agreed_uid)))
    if status == pytest.ExitCode.NO_TESTS_COLLECTED:
        raise BedsideError(f"no test applies: --only {options.only}" if options.only else "no test applies")
    if status == pytest.ExitCode.USAGE_ERROR:
        raise BedsideError("the suite could not begin; what pytest said of it stands above")
    is_ended = status in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    ended_early = "" if is_ended else status.name.lower().replace("_", " ")
    stated = facts.gather(options.target, options.cell, options.fixture, options.only, begun, ended_early)
    if not report.write(options.output, stated):
        raise BedsideError(f"not all is as it must be; {options.output / 'report.html'} says what, and why")
    if ended_early:
        raise BedsideError(f"the suite did not come to its end ({ended_early}); the report has what was done till then")


def _check(options: Options) -> None:
    """Raise TargetError for options that go against each other."""
    if is_simulated(options.target) and (options.cell or options.fixture):
        raise TargetError(f"{options.target}: has a cell and a fixture of its own; leave --cell and --fixture out")
    if options.no_motion and options.minutes:
        raise TargetError("--minutes moves the joints, --no-motion forbids it: choose one")
    if options.jobs > 1 and not is_simulated(options.target):
        raise TargetError(f"{options.target}: one board takes one test at a time; leave --jobs out")
    for path in (options.cell, options.fixture, uf2_of(options.target)):
        if path and not path.is_file():
            raise TargetError(f"{path}: there is no such file")
    if options.fixture:
        load_fixture(options.fixture)


def _identify(options: Options) -> Identity:
    """Ask the board at the port who it is, and let it go again."""
    bench = LiveBench(options.target, options.baud, options.cell)
    bench.close()
    assert bench.link.identity, "a bench's board has said who it is"
    return bench.link.identity


def _arguments(options: Options, results: Path, agreed_uid: str) -> list[str]:
    given = [
        str(_SUITE),
        "-c",
        str(_SUITE.with_suffix(".ini")),
        "--rootdir",
        str(_SUITE),
        "-p",
        "bedside.hil.plugin",
        "-p",
        "no:cacheprovider",
        "-v",
        "--tb=short",
        f"--timeout={_TIMEOUT_S}",
        f"--target={options.target}",
        f"--baud={options.baud}",
        f"--minutes={options.minutes}",
        f"--results={results}",
        f"--junitxml={options.output / 'junit.xml'}",
    ]
    given += [f"--cell={options.cell.absolute()}"] if options.cell else []
    given += [f"--fixture={options.fixture.absolute()}"] if options.fixture else []
    given += ["--no-motion"] if options.no_motion else []
    given += ["-k", options.only] if options.only else []
    given += [f"--agreed-uid={agreed_uid}"] if agreed_uid else []
    return given + (["-n", str(options.jobs)] if options.jobs > 1 else [])
