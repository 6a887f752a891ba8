"""The board's state machine, every state and every input: all that can be reached is visited and checked.

The timers are a few ticks long, and ages beyond their timeouts count as one, so the reachable states are finite and
none of their differences is lost. One joint stands for all; its motion, its output and its faults are inputs.
"""

from __future__ import annotations

import functools
from array import array
from collections import deque
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from records import board_of, joint_with

from core import faults
from core import layout as L
from core.actuate import actuate
from core.stops import react, step
from core.watch import watch
from ports import (
    BRAKE_RELEASE,
    BRAKES_OPEN,
    DRIVES,
    E_STOP,
    INPUTS_SIZE,
    LOCAL_OFF,
    OUTPUT,
    OUTPUTS_SIZE,
    SUPPLY_MV,
    SWITCHES,
    TIME_US,
)

PARAMETERS = {
    "COMMAND_PERIOD": 1,
    "OPERATOR_TIMEOUT": 4,
    "LINK_TIMEOUT": 3,
    "HOLD": 2,
    "SETTLE": 1,
    "OPEN_TIME": 1,
    "CLOSE_TIME": 1,
    "YIELD": 1,
    "BUILD_MAX": 3,
    "SUPPLY_MIN": 18_000,
    "SUPPLY_MAX": 30_000,
    "LATE_MAX": 500,
    "PERIOD_US": 1000,
    "PROOF_TIMEOUT": 1,
}
# What a joint's hardware does.
TORQUE, BRAKE_OPEN = 1, 2
ENERGISED = {L.BUILDING, L.OPENING, L.RUN, L.RAMP, L.HOLDING, L.CLOSING}
STOPPING = {L.OFF, L.RELEASED, L.RAMP, L.HOLDING, L.CLOSING}


@dataclass(frozen=True)
class Input:
    """What comes in one tick: a request, news on the clocks, the joint's doings, a fault, switches."""

    request: int = L.REQUEST_NONE
    operator: bool = True
    link: bool = True
    proof: bool = True
    moving: bool = False
    built: bool = True
    engage: bool = False
    fault: int = 0
    late_us: int = 0
    switches: int = 0
    supply_mv: int = 24_000


REQUESTS = range(L.REQUEST_NONE, L.REQUEST_RESUME + 1)
JOINT_FAULTS = (faults.FOLLOWING_ERROR, faults.STANDSTILL, faults.MOVED_WHILE_OFF, faults.BRAKE_FAILED)
INPUTS = [
    *(
        Input(request, operator, link, moving=moving, built=built, engage=engage)
        for request, operator, link, (moving, built, engage) in product(
            REQUESTS,
            (True, False),
            (True, False),
            ((False, True, False), (True, True, False), (False, False, False), (False, True, True)),
        )
    ),
    *(Input(request, fault=fault) for request, fault in product(REQUESTS, JOINT_FAULTS)),
    *(Input(request, proof=False) for request in REQUESTS),
    *(Input(request, late_us=600) for request in REQUESTS),
    *(Input(request, supply_mv=supply) for request, supply in product(REQUESTS, (10_000, 40_000))),
    *(Input(request, switches=switch) for request, switch in product(REQUESTS, (E_STOP, BRAKE_RELEASE, LOCAL_OFF))),
]

# How far the operator has come back from the last stop: cleared, enabled (or resumed), engaged.
CLEARED, ENABLED_AGAIN, ENGAGED = 1, 2, 3


@functools.cache
def actuated(phase: int, tripped: int) -> tuple[int, int]:
    """Return what the hardware of a joint does in this phase, and whether it remains tripped."""
    records, outputs = board_of(joint_with(TRIPPED=tripped, OUTPUT=1), PHASE=phase), array("i", [0] * OUTPUTS_SIZE)
    actuate(records, outputs, array("i", [0] * 16))
    assert outputs[OUTPUT] == outputs[DRIVES], "an output without a drive"
    return outputs[DRIVES] * TORQUE | outputs[BRAKES_OPEN] * BRAKE_OPEN, records[L.BOARD_SIZE + L.TRIPPED]


class Machine:
    """One board and one joint's trip, with the plain functions under the viper decorator: nothing here is negative."""

    def __init__(self) -> None:
        self.board = [0] * L.BOARD_SIZE
        for name, value in PARAMETERS.items():
            self.board[getattr(L, name)] = value
        self.tripped = 0
        self.way_back = CLEARED

    def key(self) -> tuple[int, ...]:
        board = self.board
        # Not the first tick: that one is never late.
        board[L.TICK] = 1
        board[L.LAST_US] = board[L.LATE_TICKS] = board[L.SLIP_US] = board[L.MODE] = 0
        board[L.EVENT_TICK] = board[L.BOX_CAUSE] = board[L.BOX_TICK] = 0
        board[L.EVENT] = board[L.EVENT_CHANNEL] = board[L.EVENT_VALUE] = board[L.WATCH_VALUE] = 0
        board[L.OPERATOR_AGE] = min(board[L.OPERATOR_AGE], board[L.OPERATOR_TIMEOUT] + 1)
        board[L.LINK_AGE] = min(board[L.LINK_AGE], board[L.LINK_TIMEOUT] + 1)
        # It runs out in a tick without a proof, whatever it was.
        board[L.PROOF_AGE] = board[L.PROOF_TIMEOUT]
        return (*board, self.tripped, self.way_back)

    def restore(self, key: tuple[int, ...]) -> None:
        *self.board, self.tripped, self.way_back = key

    def tick(self, now: Input) -> tuple[int, int]:
        """One tick as the executive runs it; return (mode, hardware)."""
        board = self.board
        before = board[L.STATE]
        if now.operator:
            board[L.OPERATOR_AGE] = 0
        if now.link:
            board[L.LINK_AGE] = 0
        if now.proof:
            board[L.PROOF_AGE] = 0
        if now.engage and board[L.PHASE] == L.RUN:
            board[L.ENGAGED] = 1
            self.way_back = max(self.way_back, ENGAGED) if self.way_back >= ENABLED_AGAIN else self.way_back
        board[L.REQUEST] = now.request
        inputs = [0] * INPUTS_SIZE
        inputs[TIME_US] = PARAMETERS["PERIOD_US"] + now.late_us
        inputs[SUPPLY_MV], inputs[SWITCHES] = now.supply_mv, now.switches
        fault = watch.__wrapped__(board, inputs)
        if fault:
            react.__wrapped__(board, faults.REACTIONS, fault, 8, board[L.WATCH_VALUE])
        step.__wrapped__(board)
        mode = board[L.MODE]
        # A brake is tested only where the torque goes.
        found = now.fault and (now.fault != faults.BRAKE_FAILED or mode == L.YIELDING)
        if found and react.__wrapped__(board, faults.REACTIONS, now.fault, 0, 5):
            self.tripped = 1
        board[L.MOVING], board[L.NOT_BUILT] = int(now.moving), 0 if now.built else 2
        state = board[L.STATE]
        if state in (L.FAULT, L.PAUSED):
            self.way_back = 0
        elif state == L.DISABLED:
            self.way_back = CLEARED
        elif state == L.ENABLED and before != L.ENABLED:
            resumed = before == L.PAUSED and now.request == L.REQUEST_RESUME
            if resumed or (self.way_back == CLEARED and now.request == L.REQUEST_ENABLE):
                self.way_back = ENABLED_AGAIN
        out, self.tripped = actuated(board[L.PHASE], self.tripped)
        return mode, out


@pytest.fixture(scope="module")
def transitions() -> list[tuple[Any, ...]]:
    """Every (before, input, mode, hardware, after) that can be reached from power-on."""
    machine = Machine()
    start = machine.key()
    # Each state once, because there are many ways to most of them.
    seen = {start: start}
    todo = deque([start])
    found = []
    while todo:
        before = todo.popleft()
        for now in INPUTS:
            machine.restore(before)
            mode, out = machine.tick(now)
            key = machine.key()
            after = seen.setdefault(key, key)
            found.append((before, now, mode, out, after))
            if after is key:
                todo.append(after)
    return found


def test_every_state_and_phase_is_among_those_visited(transitions: list[tuple[Any, ...]]) -> None:
    assert {after[L.STATE] for *_, after in transitions} == {L.DISABLED, L.ENABLED, L.PAUSED, L.FAULT}
    assert {after[L.PHASE] for *_, after in transitions} == set(range(L.RELEASED + 1))
    assert {mode for _, _, mode, _, _ in transitions} == set(range(L.YIELDING + 1))
    codes = {after[L.CAUSE] for *_, after in transitions}
    injected = set(JOINT_FAULTS) | {faults.UNDERVOLTAGE, faults.OVERVOLTAGE, faults.TICK_LATE, faults.E_STOP}
    own = {faults.OPERATOR_TIMEOUT, faults.LINK_TIMEOUT, faults.HOLD_TIMEOUT, faults.NOT_BUILT}
    own.add(faults.PROOF_TIMEOUT)
    assert codes == injected | own | {0}


def test_there_is_torque_only_while_enabled_paused_or_in_a_stop(transitions: list[tuple[Any, ...]]) -> None:
    for before, now, _, out, after in transitions:
        if out & TORQUE:
            assert after[L.PHASE] in ENERGISED, (before, now)
            if after[L.STATE] in (L.DISABLED, L.FAULT):
                assert after[L.PHASE] in (L.RAMP, L.HOLDING, L.CLOSING), (before, now)


def test_the_brake_is_closed_without_torque_unless_a_person_holds_it_open(transitions: list[tuple[Any, ...]]) -> None:
    for before, now, _, out, after in transitions:
        if out & BRAKE_OPEN and not out & TORQUE:
            assert after[L.PHASE] == L.RELEASED, (before, now)
            assert after[L.STATE] == L.DISABLED, (before, now)
            assert now.switches & BRAKE_RELEASE, (before, now)


def test_no_way_leads_from_a_stop_to_motion_but_clear_enable_and_engage(transitions: list[tuple[Any, ...]]) -> None:
    for before, now, mode, _, after in transitions:
        if mode == L.FOLLOW:
            assert after[-1] == ENGAGED or after[L.STATE] == L.FAULT, (before, now)
            assert before[L.ENGAGED] or now.engage, (before, now)


def test_a_fault_stays_until_it_is_cleared_while_off(transitions: list[tuple[Any, ...]]) -> None:
    for before, now, _, _, after in transitions:
        if before[L.STATE] == L.FAULT and after[L.STATE] != L.FAULT:
            assert before[L.PHASE] == L.OFF, (before, now)
            assert now.request == L.REQUEST_CLEAR, (before, now)


def test_the_first_cause_is_kept(transitions: list[tuple[Any, ...]]) -> None:
    """But for a brake that does not hold, which a person must hear of."""
    alarm = faults.BRAKE_FAILED
    for before, now, _, _, after in transitions:
        if before[L.CAUSE] and after[L.CAUSE] not in (before[L.CAUSE], alarm) and before[L.STATE] == L.FAULT:
            assert now.request == L.REQUEST_CLEAR, (before, now)
            assert before[L.PHASE] == L.OFF, (before, now)


def test_a_stop_is_taken_in_every_state(transitions: list[tuple[Any, ...]]) -> None:
    for before, now, mode, _, after in transitions:
        if now.request in (L.REQUEST_STOP, L.REQUEST_CLEAR):
            assert after[L.PHASE] in STOPPING, (before, now)
            assert mode != L.FOLLOW, (before, now)


def test_every_stop_ends_off(transitions: list[tuple[Any, ...]]) -> None:
    machine = Machine()
    for start in {after for *_, after in transitions}:
        machine.restore(start)
        machine.tick(Input(L.REQUEST_STOP))
        for _ in range(30):
            machine.tick(Input())
        if machine.board[L.CAUSE] == faults.BRAKE_FAILED:
            machine.tick(Input(L.REQUEST_CLEAR))
        assert machine.board[L.PHASE] in (L.OFF, L.RELEASED), start


def test_the_brake_opens_only_behind_an_output_that_has_built(transitions: list[tuple[Any, ...]]) -> None:
    for before, now, _, out, after in transitions:
        if after[L.PHASE] == L.OPENING and before[L.PHASE] != L.OPENING:
            assert before[L.PHASE] == L.BUILDING, (before, now)
            assert before[L.NOT_BUILT] == 0, (before, now)
            assert out & TORQUE or after[-2], (before, now)


def test_torque_goes_only_after_the_brake_has_had_its_time(transitions: list[tuple[Any, ...]]) -> None:
    """But for the faults whose reaction is to take it at once."""
    at_once = {code for code, reaction in faults.TABLE if reaction in (faults.OFF, faults.TRIP)}
    for before, now, _, out, after in transitions:
        had_torque = before[L.PHASE] in ENERGISED and not before[-2]
        if had_torque and not out & TORQUE:
            waited = before[L.PHASE] == L.CLOSING and before[L.TIMER] == 0
            told = before[L.CAUSE] == faults.BRAKE_FAILED and now.request == L.REQUEST_CLEAR
            now_fault = told or now.fault in at_once or now.supply_mv > 30_000 or after[L.CAUSE] == faults.NOT_BUILT
            assert waited or now_fault, (before, now, after)


def test_resume_is_taken_only_at_monitored_standstill(transitions: list[tuple[Any, ...]]) -> None:
    for before, now, _, _, after in transitions:
        if before[L.STATE] == L.PAUSED and after[L.STATE] == L.ENABLED:
            assert now.request == L.REQUEST_RESUME, (before, now)
            assert before[L.PHASE] == L.HOLDING, (before, now)
            assert before[L.SETTLING] == 0, (before, now)
            assert after[L.ENGAGED] == 0, (before, now)
