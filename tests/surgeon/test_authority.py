from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedside.errors import SurgeonError
from bedside.surgeon.authority import LOCAL, MENTOR, NOBODY, OBSERVER, SURGEON, TRAINEE, Authority

pytestmark = pytest.mark.requirement("authority")

ROLES = {"sue": SURGEON, "sam": SURGEON, "mia": MENTOR, "max": MENTOR, "tom": TRAINEE, "olga": OBSERVER, "nurse": LOCAL}
STEPS = ("request", "release", "hand_over", "grant", "take_back", "stop", "arm")


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def authority(log: list[str]) -> Authority:
    authority = Authority(log.append)
    for name, role in ROLES.items():
        authority.join(name, role)
    authority.arm("nurse")
    return authority


def test_nobody_has_an_arm_that_is_not_armed() -> None:
    authority = Authority(lambda _: None)
    authority.join("sue", SURGEON)
    with pytest.raises(SurgeonError, match="not armed: ask the local operator"):
        authority.request("sue")
    assert authority.holder == NOBODY


def test_a_free_arm_is_taken_and_one_that_is_held_is_waited_for(authority: Authority) -> None:
    authority.request("sue")
    authority.request("sue")
    assert (authority.holder, authority.changes) == ("sue", 1)
    with pytest.raises(SurgeonError, match="sue has the arm; it is told that sam asks"):
        authority.request("sam")
    assert authority.waiting == ["sam"]
    authority.hand_over("sue", "sam")
    assert (authority.holder, authority.waiting) == ("sam", [])


def test_a_trainee_is_given_the_arm_and_the_mentor_takes_it_back(authority: Authority, log: list[str]) -> None:
    with pytest.raises(SurgeonError, match="a trainee is given the arm by a mentor"):
        authority.request("tom")
    authority.request("mia")
    authority.hand_over("mia", "tom")
    authority.take_back("mia")
    assert authority.holder == "mia"
    assert log[-3:] == [
        "mia has the arm: requested by mia",
        "tom has the arm: handed over by mia",
        "mia has the arm: taken back by mia",
    ]


def test_a_mentor_takes_back_from_a_surgeon_but_not_from_a_mentor(authority: Authority) -> None:
    authority.request("sue")
    authority.take_back("mia")
    with pytest.raises(SurgeonError, match="mia is a mentor, too"):
        authority.take_back("max")
    for name in ("sam", "tom", "olga"):
        with pytest.raises(SurgeonError, match="only a mentor"):
            authority.take_back(name)


def test_an_observer_never_has_the_arm(authority: Authority) -> None:
    with pytest.raises(SurgeonError, match="an observer"):
        authority.request("olga")
    authority.request("mia")
    with pytest.raises(SurgeonError, match="an observer"):
        authority.hand_over("mia", "olga")
    for command in ("servo_jp", "enable", "disable", "pause", "resume"):
        with pytest.raises(SurgeonError, match="it sees"):
            authority.need("olga", command)


@pytest.mark.parametrize("command", ["clear", "home", "unhome", "release_brakes", "arm", "stop"])
def test_what_is_done_beside_the_arm_is_refused_to_all_others_with_the_reason(
    authority: Authority, command: str
) -> None:
    authority.request("mia")
    for name in ("mia", "sue", "tom", "olga"):
        with pytest.raises(SurgeonError, match=r"local operator|switch on the arm"):
            authority.need(name, command)
    authority.release("mia")
    authority.need("nurse", command)


def test_a_remote_console_cannot_pose_as_the_local_operator(authority: Authority) -> None:
    authority.request("sue")
    for name in ("mia", "sam", "tom", "olga", "sue"):
        with pytest.raises(SurgeonError, match="local operator"):
            authority.stop(name)
        with pytest.raises(SurgeonError, match="local operator"):
            authority.arm(name)
    assert authority.holder == "sue"


def test_the_local_operator_takes_the_arm_back_before_homing_it(authority: Authority) -> None:
    authority.request("sue")
    for command in ("enable", "home", "unhome"):
        with pytest.raises(SurgeonError, match="sue has the arm; take it back first"):
            authority.need("nurse", command)
    authority.take_back("nurse")
    authority.need("nurse", "home")


def test_the_local_operator_does_not_stream_motion(authority: Authority) -> None:
    for command in ("servo_jp", "resume"):
        with pytest.raises(SurgeonError, match="a console's"):
            authority.need("nurse", command)
    with pytest.raises(SurgeonError, match="beside the arm"):
        authority.request("nurse")


def test_only_who_has_the_arm_moves_it_and_mentors_may_stop_it(authority: Authority) -> None:
    authority.request("sue")
    authority.need("sue", "servo_jp")
    for name in ("sam", "mia", "tom"):
        with pytest.raises(SurgeonError, match="sue has the arm"):
            authority.need(name, "servo_jp")
    for command in ("disable", "pause"):
        authority.need("mia", command)
        authority.need("nurse", command)
        with pytest.raises(SurgeonError, match="sue has the arm"):
            authority.need("sam", command)


def test_a_local_stop_takes_the_arm_and_nobody_gets_it_until_it_is_armed_again(authority: Authority) -> None:
    authority.request("sue")
    authority.stop("nurse")
    for step in (authority.request, authority.take_back):
        with pytest.raises(SurgeonError, match="not armed"):
            step("mia")
    with pytest.raises(SurgeonError, match="not armed"):
        authority.grant("nurse", "sue")
    authority.arm("nurse")
    authority.request("mia")


def test_an_arm_whose_console_is_gone_is_free_and_nobody_moves_it(authority: Authority) -> None:
    authority.request("sue")
    authority.leave("sue", "it has ended its session")
    assert authority.holder == NOBODY
    with pytest.raises(SurgeonError, match="not connected"):
        authority.need("sue", "servo_jp")
    authority.leave("sue", "again")
    assert authority.changes == 2


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from([*ROLES]), st.sampled_from([*ROLES, "", "eve"]))))
def test_whatever_is_asked_the_arm_is_in_one_pair_of_hands_that_may_have_it(steps: list[tuple[str, str, str]]) -> None:
    authority = Authority(lambda _: None)
    for name, role in ROLES.items():
        authority.join(name, role)
    for step, name, to in steps:
        before, changes = authority.holder, authority.changes
        try:
            if step in ("hand_over", "grant"):
                getattr(authority, step)(name, to)
            else:
                getattr(authority, step)(name)
        except SurgeonError:
            pass
        assert authority.changes == changes + (authority.holder != before)
        assert authority.holder == NOBODY or authority.armed
        assert ROLES.get(authority.holder) not in (OBSERVER, LOCAL)
        assert authority.holder not in authority.waiting
        movers = [each for each in ROLES if _may_move(authority, each)]
        assert movers == ([authority.holder] if authority.holder else [])


def _may_move(authority: Authority, name: str) -> bool:
    try:
        authority.need(name, "servo_jp")
    except SurgeonError:
        return False
    return True
