"""A board with keys moves only while consoles prove that a surgeon is there and sees; a bridge alone cannot make it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bedside.cell import Cell
from bedside.hil.lockstep import PSM, BoardBench, alone
from bedside.link import causes, schema
from bedside.link.messages import DISABLED, ENABLED, HOLDING, OFF, PAUSED, RAMP, RUN, Feedback, Message, Witness
from bedside.sim.world import World
from bedside.surgeon import proof
from bedside.surgeon.proof import Prover

pytestmark = pytest.mark.requirement("proof")

NAME, ROLE = "psm1-wrist", "psm1/psm1-wrist"
ALICE, BOB, MALLORY = (bytes([n]) * 16 for n in (1, 2, 3))
COMMAND_TICKS, PROVE_TICKS = 5, 20
MAX_AGE_MS = 200


def key_file(*console_keys: bytes) -> str:
    return proof.key_file(ROLE, {f"c{k}": key for k, key in enumerate(console_keys)})


def give_keys(folder: Path, text: str) -> None:
    """Put ``text`` where the wrist board in ``folder`` looks for its keys."""
    (folder / f"{NAME}.flash").mkdir()
    (folder / f"{NAME}.flash" / "keys.json").write_text(text)


class Surgeon:
    """A console beside a ``BoardBench``, whose clock is the world's. It hears what the board witnesses."""

    def __init__(self, bench: BoardBench, key: bytes = ALICE) -> None:
        self.bench = bench
        self.prover = Prover(key, [ROLE], [bench.tick_hz], lambda: bench.world.ticks / bench.tick_hz)
        self.seq = 0
        self.heard: list[list[int]] = []
        self.listens = True
        receive = bench.link.receive

        def noted() -> list[Message]:
            messages = receive()
            for message in messages:
                if isinstance(message, Witness) and self.listens:
                    self.heard.append(message.fields)
                    self.prover.witness(0, message.fields)
            return messages

        bench.link.receive = noted  # type: ignore[method-assign]

    def send(self, fields: list[int]) -> Feedback:
        return self.bench.talk([schema.PROVE, 0, *fields])

    def look(self) -> Feedback:
        """Ask for a witness."""
        return self.send(self.prover.ask(0))

    def token(self) -> list[int]:
        self.seq += 1
        token = self.prover.token(0, self.seq)
        assert token
        return token

    def prove(self) -> Feedback:
        """See the board, and prove it."""
        self.look()
        return self.send(self.token())

    def nonce(self) -> list[int]:
        self.look()
        return self.heard[-1][:2]

    def refusals(self) -> list[str]:
        told = [causes.name_of(event.code) for event in self.bench.events]
        self.bench.events.clear()
        return told

    def enable(self) -> None:
        """Prove, enable and engage."""
        self.prove()
        self.bench.enable()
        self.prove()
        assert self.refusals() == []

    def stream(self, ticks: int, each: Callable[[int], object] = lambda _: None) -> Feedback:
        """Command the arm to hold for ``ticks``, or until it stops; ``each`` is told how many have passed."""
        bench = self.bench
        here = [position / 1e6 for position in bench.tick().positions]
        for tick in range(0, ticks, COMMAND_TICKS):
            answer = bench.tick(0)
            if answer.phase != RUN:
                return answer
            bench.command(here, [0.0] * len(here))
            each(tick)
            bench.pass_ticks(COMMAND_TICKS)
        return bench.tick(0)

    def stream_and_prove(self, ticks: int) -> Feedback:
        return self.stream(ticks, lambda tick: tick % PROVE_TICKS or self.prove())


@pytest.fixture
def keyed(tmp_path: Path) -> None:
    """The wrist board has two consoles' keys."""
    give_keys(tmp_path, key_file(ALICE, BOB))


@pytest.fixture
def surgeon(keyed: None, wrist: BoardBench) -> Surgeon:
    """A console, and a board that has its key, configured and off."""
    arm = replace(wrist.cell.arm, proof_max_age_ms=MAX_AGE_MS)
    wrist.cell = replace(wrist.cell, arm=arm)
    wrist.configure()
    return Surgeon(wrist)


def timeout(surgeon: Surgeon) -> int:
    return round(surgeon.bench.cell.arm.operator_timeout_ms * surgeon.bench.tick_hz / 1000)


def test_the_board_tells_how_many_keys_it_has(surgeon: Surgeon) -> None:
    assert surgeon.bench.link.identify().keys == 2


def test_without_a_proof_it_is_not_enabled(surgeon: Surgeon) -> None:
    surgeon.look()
    surgeon.bench.operator_seq += 1
    assert surgeon.bench.state_command(schema.ENABLE).phase == OFF
    assert surgeon.bench.tick(5).phase == OFF
    assert surgeon.refusals() == ["not-proven"]


def test_an_old_proof_does_not_enable_it(surgeon: Surgeon) -> None:
    surgeon.prove()
    surgeon.bench.tick(timeout(surgeon) + 1)
    surgeon.bench.operator_seq += 1
    assert surgeon.bench.state_command(schema.ENABLE).phase == OFF
    assert surgeon.refusals() == ["not-proven"]


@pytest.mark.parametrize("key", [ALICE, BOB])
def test_with_proofs_it_moves_as_long_as_they_come(surgeon: Surgeon, key: bytes) -> None:
    surgeon.prover = Prover(key, [ROLE], [surgeon.bench.tick_hz], lambda: surgeon.bench.world.ticks / 1000)
    surgeon.enable()
    assert surgeon.stream_and_prove(400).phase == RUN
    assert surgeon.refusals() == []


def test_commands_without_proofs_pause_it_within_the_operator_timeout(surgeon: Surgeon) -> None:
    surgeon.enable()
    begun = surgeon.prove().tick
    answer = surgeon.stream(1000)
    assert (answer.state, answer.phase) == (PAUSED, RAMP)
    assert causes.name_of(answer.cause) == "proof-timeout"
    assert timeout(surgeon) < answer.tick - begun <= timeout(surgeon) + 1 + COMMAND_TICKS
    assert surgeon.refusals() == ["proof-timeout"]
    assert surgeon.bench.until_off().state != ENABLED


def spoil(surgeon: Surgeon, how: str) -> tuple[list[int], str]:
    """Return a token with which something is wrong, and what the board is to call it."""
    bench, prover = surgeon.bench, surgeon.prover
    stranger = Surgeon(bench, MALLORY)
    stranger.listens = False
    surgeon.look()
    token = surgeon.token()
    if how == "replayed":
        surgeon.send(token)
        return token, "proof-stale"
    if how == "old sequence":
        surgeon.send(surgeon.token())
        return token, "proof-stale"
    if how == "old stamp":
        surgeon.prove()
        known = prover._boards[0]
        known.stamp = token[1]
        return surgeon.token(), "proof-stale"
    if how == "future":
        known = prover._boards[0]
        known.stamp += 100
        return surgeon.token(), "proof-stale"
    if how == "wrong MAC":
        return [*token[:-1], token[-1] ^ 1], "proof-wrong"
    if how == "wrong stamp":
        return [token[0], token[1] - 1, *token[2:]], "proof-wrong"
    if how == "wrong sequence":
        return [*token[:2], token[2] + 1, *token[3:]], "proof-wrong"
    if how == "another board's key":
        other = Prover(ALICE, ["psm1/psm1-base"])
        other._boards[0].nonce, other._boards[0].stamp = prover._boards[0].nonce, prover._boards[0].stamp
        made = other.token(0, surgeon.seq)
        assert made
        return [token[0], *made[1:]], "proof-wrong"
    if how == "a stranger's key":
        return [proof.key_id(proof.board_key(MALLORY, ROLE)), *token[1:]], "proof-unknown-key"
    if how == "another nonce":
        hi, lo = prover._boards[0].nonce or (0, 0)
        prover._boards[0].nonce = hi ^ 1, lo
        return surgeon.token(), "proof-wrong"
    raise AssertionError(how)


WRONGS = ["replayed", "old sequence", "old stamp", "future", "wrong MAC", "wrong stamp", "wrong sequence"]
WRONGS += ["another board's key", "a stranger's key", "another nonce"]


@pytest.mark.parametrize("how", WRONGS)
def test_a_token_that_is_not_right_is_refused_and_feeds_nothing(surgeon: Surgeon, how: str) -> None:
    surgeon.enable()
    surgeon.prove()
    begun = surgeon.bench.tick().tick
    token, name = spoil(surgeon, how)
    surgeon.bench.pass_ticks(COMMAND_TICKS)
    surgeon.listens = False
    answer = surgeon.stream(1000, lambda _: surgeon.send(token))
    assert causes.name_of(answer.cause) == "proof-timeout"
    assert answer.tick - begun <= timeout(surgeon) + 1 + 2 * COMMAND_TICKS
    assert set(surgeon.refusals()) == {name, "proof-timeout"}


def test_a_token_that_was_kept_back_for_too_long_feeds_nothing(surgeon: Surgeon) -> None:
    surgeon.look()
    tokens = [surgeon.token() for _ in range(2)]
    # Asking and answering pass no time.
    surgeon.bench.pass_ticks(MAX_AGE_MS - 1)
    surgeon.bench.talk([schema.KEEP_ALIVE, 0])
    surgeon.send(tokens[0])
    assert surgeon.refusals() == []
    surgeon.bench.pass_ticks(1)
    surgeon.send(tokens[1])
    assert [(event.code, event.value) for event in surgeon.bench.events] == [(55, MAX_AGE_MS)]


def test_a_bridge_that_hoards_tokens_keeps_it_moving_for_no_longer_than_their_age_allows(surgeon: Surgeon) -> None:
    surgeon.enable()
    hoard: list[list[int]] = []

    def hoarding(tick: int) -> None:
        if tick % PROVE_TICKS == 0:
            # The console makes one after the other, of which the bridge passes every second one on.
            surgeon.prove()
        elif tick % PROVE_TICKS == 10:
            surgeon.look()
            hoard.append(surgeon.token())

    surgeon.stream(400, hoarding)
    ended = surgeon.bench.tick().tick
    surgeon.listens = False

    def dole_out(_: int) -> None:
        surgeon.send(hoard.pop() if hoard else surgeon.prover.ask(0))

    # The newest first is the best that it can do, because it makes the others old; or the oldest, in their order.
    answer = surgeon.stream(2000, dole_out)
    assert causes.name_of(answer.cause) == "proof-timeout"
    assert answer.tick - ended <= MAX_AGE_MS + timeout(surgeon) + 1 + COMMAND_TICKS


def test_a_bridge_that_doles_hoarded_tokens_out_slowly_gains_no_more(surgeon: Surgeon) -> None:
    surgeon.enable()
    surgeon.stream_and_prove(100)
    surgeon.look()
    # One for each 20 ms of a second to come, all of them made now.
    hoard = [surgeon.token() for _ in range(50)]
    ended = surgeon.bench.tick().tick
    surgeon.listens = False
    answer = surgeon.stream(900, lambda tick: tick % PROVE_TICKS or surgeon.send(hoard.pop(0)))
    assert causes.name_of(answer.cause) == "proof-timeout"
    assert answer.tick - ended >= MAX_AGE_MS, "they were good for as long as they may be"
    assert answer.tick - ended <= MAX_AGE_MS + timeout(surgeon) + 1 + COMMAND_TICKS


def test_a_paused_arm_resumes_only_with_a_proof(surgeon: Surgeon) -> None:
    surgeon.enable()
    bench = surgeon.bench
    bench.state_command(schema.PAUSE)
    while bench.tick(5).phase != HOLDING:
        pass
    bench.tick(timeout(surgeon))
    bench.operator_seq += 1
    assert bench.state_command(schema.RESUME).state == PAUSED
    assert bench.tick().state == PAUSED
    assert surgeon.refusals() == ["not-proven"]
    surgeon.prove()
    bench.state_command(schema.RESUME)
    assert bench.tick().phase == RUN


def test_each_time_it_has_gone_off_it_has_another_nonce(surgeon: Surgeon) -> None:
    bench = surgeon.bench
    first = surgeon.nonce()
    assert surgeon.nonce() == first
    surgeon.enable()
    assert surgeon.nonce() == first
    surgeon.prove()
    old = surgeon.token()
    bench.state_command(schema.DISABLE)
    bench.until_off()
    surgeon.listens = False
    surgeon.send(old)
    assert surgeon.refusals() == ["proof-wrong"]
    surgeon.listens = True
    assert surgeon.nonce() != first


def test_a_proof_from_before_it_went_off_does_not_enable_it_again(surgeon: Surgeon) -> None:
    bench = surgeon.bench
    surgeon.enable()
    bench.state_command(schema.STOP)
    while bench.tick().phase != OFF:
        # Proofs go on coming all the way down.
        surgeon.prove()
    surgeon.bench.events.clear()
    bench.operator_seq += 1
    assert bench.state_command(schema.ENABLE).phase == OFF
    assert surgeon.refusals() == ["not-proven"]
    surgeon.enable()


def test_a_console_that_has_restarted_is_taken_while_the_board_is_off(surgeon: Surgeon) -> None:
    surgeon.seq = 1000
    surgeon.look()
    old = [surgeon.token(), surgeon.token()]
    surgeon.send(old[0])
    surgeon.bench.link.identify()
    # What was made before counts no more than it did.
    surgeon.send(old[0])
    assert surgeon.refusals() == ["proof-stale"]
    surgeon.bench.pass_ticks(2)
    surgeon.seq = 0
    surgeon.enable()


def test_a_prove_message_for_an_unknown_key_is_not_answered_with_a_witness(surgeon: Surgeon) -> None:
    surgeon.send(Prover(MALLORY, [ROLE]).ask(0))
    assert surgeon.refusals() == ["proof-unknown-key"]
    assert surgeon.heard == []


def test_a_witness_tells_what_the_feedback_tells(surgeon: Surgeon) -> None:
    surgeon.enable()
    feedback = surgeon.look()
    seen = Surgeon(surgeon.bench).prover.witness(0, surgeon.heard[-1])
    assert (seen.tick, seen.state, seen.phase, seen.cause) == (
        feedback.tick,
        feedback.state,
        feedback.phase,
        feedback.cause,
    )
    assert seen.positions == feedback.positions


def test_a_board_without_keys_asks_for_no_proof(wrist: BoardBench) -> None:
    assert wrist.link.identify().keys == 0
    surgeon = Surgeon(wrist)
    surgeon.look()
    assert surgeon.refusals() == ["proof-unknown-key"]
    wrist.enable()
    assert surgeon.stream(300).phase == RUN
    assert surgeon.refusals() == []


KEY = proof.board_key(ALICE, ROLE).hex()
DAMAGED = {
    "empty": "",
    "cut short": key_file(ALICE)[:-2],
    "no keys": '{"keys": []}',
    "another thing": "[]",
    "a key too short": key_file(ALICE).replace(KEY, KEY[:-2]),
    "no hexadecimal digits": key_file(ALICE).replace(KEY, "g" * 32),
    "nine keys": key_file(*(bytes([k]) * 16 for k in range(9))),
    "no text": "\udcff",
}


@pytest.fixture(params=DAMAGED)
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    give_keys(tmp_path, "")
    content = DAMAGED[request.param].encode(errors="surrogateescape")
    (tmp_path / f"{NAME}.flash" / "keys.json").write_bytes(content)


@pytest.mark.any_chip_alike
def test_a_board_whose_keys_are_damaged_refuses_to_be_enabled_and_says_why(damaged: None, wrist: BoardBench) -> None:
    wrist.operator_seq += 1
    assert wrist.state_command(schema.ENABLE).phase == OFF
    assert wrist.tick(5).phase == OFF
    Surgeon(wrist).look()
    assert [(event.code, event.value) for event in wrist.events] == [(58, 1), (58, 1)]
    assert wrist.link.identify().keys == 0


@pytest.fixture
def without_cipher(tmp_path: Path, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> Iterator[BoardBench]:
    """A board with keys whose MicroPython has no cryptolib."""
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    give_keys(tmp_path, key_file(ALICE))
    (tmp_path / "cryptolib.py").write_text("raise ImportError('no cryptolib')\n")
    main = tmp_path / "start.py"
    main.write_text("import sys\nimport main\nmain.main(*sys.argv[1:])\n")
    with World(alone(cell, NAME), PSM, tmp_path, main) as world:
        world.advance(3)
        bench = BoardBench(world, cell, NAME)
        bench.configure()
        yield bench
        bench.link.port.close()


def test_a_board_with_keys_that_it_cannot_use_refuses_to_be_enabled(without_cipher: BoardBench) -> None:
    without_cipher.operator_seq += 1
    assert without_cipher.state_command(schema.ENABLE).phase == OFF
    assert [(event.code, event.value) for event in without_cipher.events] == [(58, 2)]


def test_keys_are_read_at_the_start(surgeon: Surgeon, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / f"{NAME}.flash")
    surgeon.bench.operator_seq += 1
    surgeon.bench.state_command(schema.ENABLE)
    assert surgeon.refusals() == ["not-proven"]
    assert surgeon.bench.tick().state == DISABLED
