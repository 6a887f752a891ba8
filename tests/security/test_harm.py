"""The measure of harm: it finds a joint where its surgeon never asked it to be, and nothing else."""

from __future__ import annotations

import pytest

from bedside.cell import load_cell
from bedside.hil.lockstep import PSM
from harm import Harm

YAW = 0


@pytest.fixture
def harm() -> Harm:
    harm = Harm(load_cell(PSM))
    harm.begin([0.0] * 7)
    return harm


def at(yaw: float) -> list[float]:
    return [yaw, *[0.0] * 6]


def test_a_joint_that_nobody_asked_to_move_may_be_off_by_its_following_error(harm: Harm) -> None:
    harm.see(at(0.099))
    assert not harm.wrong
    harm.see(at(0.101))
    assert list(harm.wrong) == ["outer_yaw"]
    harm.see(at(0.0))
    assert harm.wrong, "what was once wrong stays wrong"


def test_a_joint_may_be_where_it_was_asked_to_be_and_as_far_beyond_as_it_takes_to_stop(harm: Harm) -> None:
    harm.asked(0.0, at(0.5), at(1.0))
    # Following error, 1^2 / 2 / 20 to stop, and 10 ms until missing commands are noticed, 15 more for the machine.
    most = 0.5 + 0.1 + 0.025 + 0.025
    for yaw in (0.0, 0.5, most - 1e-6):
        harm.see(at(yaw))
    assert not harm.wrong
    harm.see(at(most + 1e-6))
    assert harm.wrong


def test_what_was_asked_long_before_the_measuring_began_allows_nothing(harm: Harm) -> None:
    harm.asked(0.0, at(0.5), at(1.0))
    harm.asked(2.0, at(0.0), at(0.0))
    harm.begin(at(0.0))
    harm.see(at(0.2))
    assert harm.wrong


def test_what_was_asked_just_before_may_still_be_carried_out(harm: Harm) -> None:
    harm.asked(0.0, at(0.5), at(1.0))
    harm.begin(at(0.0))
    harm.see(at(0.5))
    assert not harm.wrong
