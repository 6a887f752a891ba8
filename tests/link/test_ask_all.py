"""Asking all boards of an arm at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from bedside.bridge.connect import close, configure, connect
from bedside.cell import Cell
from bedside.errors import LinkError
from bedside.link import schema
from bedside.link.board import ANSWER_S, BoardLink, ask_all
from bedside.link.messages import Event, Feedback
from bedside.sim.world import World


@pytest.fixture
def links(world: World, cell: Cell) -> Iterator[list[BoardLink]]:
    links = connect(cell)
    yield links
    close(links)


def keep_alives(links: list[BoardLink]) -> list[list[int]]:
    return [[schema.KEEP_ALIVE, 0] for _ in links]


def test_each_answer_is_told_with_its_place(links: list[BoardLink]) -> None:
    links[1].send([schema.KEEP_ALIVE, 0])
    answers: dict[int, Feedback] = {}
    ask_all(links, keep_alives(links), answers.__setitem__)
    assert {place: answer.link_seq for place, answer in answers.items()} == {
        place: link.seq for place, link in enumerate(links)
    }


def test_a_board_that_refuses_is_named_when_the_others_have_answered(links: list[BoardLink]) -> None:
    answers: dict[int, Feedback] = {}
    messages = keep_alives(links)
    messages[0] = [schema.READ_BOX, 0, 1 << 24]
    with pytest.raises(LinkError, match="psm1-base"):
        ask_all(links, messages, answers.__setitem__)
    assert sorted(answers) == [1, 2]


def test_one_silence_for_all_boards_is_waited_for(links: list[BoardLink], world: World) -> None:
    stopped = [board.process.pid for board in world.boards[1:] if board.process]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    answers: dict[int, Feedback] = {}
    begun = time.monotonic()
    with pytest.raises(LinkError, match="psm1-slide': no answer"):
        ask_all(links, keep_alives(links), answers.__setitem__)
    assert ANSWER_S <= time.monotonic() - begun < 2 * ANSWER_S
    assert list(answers) == [0]
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


def test_a_fault_that_comes_meanwhile_is_kept(links: list[BoardLink], world: World, cell: Cell) -> None:
    configure(cell, links, cell.arm.command_hz)
    world.plants["jaw"].position += 0.1
    world.advance(50)
    ask_all(links, keep_alives(links))
    assert any(isinstance(message, Event) and message.is_fault for message in links[2].receive())
