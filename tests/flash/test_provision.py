"""Boards are given the keys of consoles by their port, with real mpremote, in real time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bedside import cli
from bedside.cell import load_cell
from bedside.clock import PeriodicTimer
from bedside.hil.lockstep import PSM, alone
from bedside.link import schema
from bedside.link.board import BoardLink
from bedside.link.messages import RELEASED
from bedside.link.port import SerialPort
from bedside.sim.board import BRAKE_RELEASE, SimBoard
from bedside.sim.world import World
from bedside.surgeon.authority import BRIDGE, OBSERVER, SURGEON
from bedside.surgeon.find import issue_for_once
from bedside.surgeon.proof import board_key

pytestmark = pytest.mark.real_time
NAME = "psm1-slide"
PORT = f"sim:{NAME}"
ROLES = {"bridge": BRIDGE, "alice": SURGEON, "bob": SURGEON, "olga": OBSERVER}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    issue_for_once(tmp_path / "keys", ROLES)
    return tmp_path / "keys"


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimBoard]:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    over = threading.Event()
    with World(alone(load_cell(PSM), NAME), PSM, tmp_path) as world, closing(PeriodicTimer(1_000_000)) as timer:

        def tick() -> None:
            while not over.is_set():
                world.advance(min(10, timer.expirations()))

        clock = threading.Thread(target=tick)
        clock.start()
        yield world.boards[0]
        over.set()
        clock.join()


def provision(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    status = cli.main(["keys", "board", str(PSM), NAME, *arguments])
    out, err = capsys.readouterr()
    return out if status == 0 else err


def told_keys() -> int:
    with closing(SerialPort(PORT, 1_000_000)) as port:
        return BoardLink(port, NAME).identify().keys


def test_a_board_learns_consoles_and_forgets_them(
    board: SimBoard, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ["--console", str(keys / "alice"), "--console", str(keys / "bob")]
    assert provision(*both, capsys=capsys) == f"board '{NAME}': has the keys of alice, bob\n"
    assert told_keys() == 2
    (alice, _) = json.loads((board.flash / "keys.json").read_text())["keys"]
    secret = bytes.fromhex((keys / "alice" / "proof.key").read_text().strip())
    assert alice == {"console": "alice", "key": board_key(secret, f"psm1/{NAME}").hex()}, "good for this board alone"
    assert "asks for no proof" in provision("--none", capsys=capsys)
    assert told_keys() == 0
    assert not (board.flash / "keys.json").exists()


def test_a_board_that_is_on_is_left_alone(board: SimBoard, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(SerialPort(PORT, 1_000_000)) as port:
        link = BoardLink(port, NAME)
        link.identify()
        board.switches = BRAKE_RELEASE
        while link.ask([schema.KEEP_ALIVE, 0]).phase != RELEASED:
            pass
    said = provision("--console", str(keys / "alice"), capsys=capsys)
    assert "is on" in said or "not-disabled" in said
    assert not (board.flash / "keys.json").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--console", "olga"], "'olga' is a observer, and never moves an arm"),
        (["--console", "nobody"], "there is no such folder of credentials"),
        ([], "name the consoles that may move the arm with --console FOLDER, or none of them with --none"),
        (["--console", "alice", "--none"], "or none of them"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_board_is_touched(
    keys: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    paths = [str(keys / word) if not word.startswith("--") else word for word in arguments]
    assert why in provision(*paths, capsys=capsys)
