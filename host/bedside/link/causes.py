"""What a board's codes mean to a person: the cause, and what to do about it."""

from __future__ import annotations

from bedside.link.messages import Event

# Codes below are faults, which latch; from here on they are refusals, which change nothing.
FIRST_REFUSAL = 32

# code -> (name, cause with {value} in the code's unit, remedy)
CAUSES: dict[int, tuple[str, str, str]] = {
    1: (
        "operator-timeout",
        "no newer command from the console for {value} ticks",
        "check console, network and bridge; then disable, enable and start again",
    ),
    2: (
        "following-error",
        "the joint is {value} urad (um) from its setpoint",
        "look for an obstacle, a loose encoder or motor cable, or too low gains; then disable and enable",
    ),
    32: (
        "bad-frame",
        "a frame was damaged (kind {value}: -1 COBS, -2 CRC, -3 length, -4 CBOR)",
        "check cable, ground and baud rate",
    ),
    33: (
        "bad-message",
        "field {value} of a message is not what the schema allows",
        "install matching host and firmware versions",
    ),
    34: (
        "old-link-sequence",
        "link sequence {value} was not newer than the last",
        "only one bridge may use a board; restart the bridge",
    ),
    35: (
        "old-operator-sequence",
        "operator sequence {value} was not newer than the last",
        "commands came twice or out of order; restart the console if it goes on",
    ),
    36: ("joint-count", "a command for {value} joints", "compare the cell file with the board's joints"),
    37: ("not-enabled", "a command came in state {value} (0 DISABLED, 3 FAULT)", "enable the arm first"),
    38: (
        "not-disabled",
        "not possible while the arm is on or stopping (phase {value})",
        "disable the arm and wait until it is off",
    ),
    39: ("not-configured", "the board has no configuration", "let the bridge configure it before enabling"),
    40: (
        "position-limit",
        "position {value} urad (um) is outside the joint's limits",
        "command positions inside limits.position",
    ),
    41: (
        "velocity-limit",
        "velocity {value} urad/s (um/s) is above the joint's limit",
        "move more slowly, or raise limits.velocity",
    ),
    42: (
        "step-limit",
        "position {value} urad (um) is too far from the present setpoint",
        "approach the present position first, or raise limits.step",
    ),
    43: (
        "fault-latched",
        "the fault with code {value} has not been cleared",
        "find its cause, then disable, then enable",
    ),
    44: ("no-such-channel", "the board has {value} channels", "correct the joint's channel in the cell file"),
    45: (
        "configuration",
        "field {value} of the configuration makes no sense with the others",
        "check the joint in the cell file",
    ),
}

_UNKNOWN = ("unknown", "code {code} with value {value}", "install matching host and firmware versions")


def name_of(code: int) -> str:
    """Return the short name of a fault or refusal, 'none' for 0."""
    return CAUSES.get(code, _UNKNOWN)[0] if code else "none"


def explain(event: Event, where: str) -> str:
    """Return one line: where, what happened, and the remedy."""
    name, cause, remedy = CAUSES.get(event.code, _UNKNOWN)
    return f"{where}: {name}: {cause.format(value=event.value, code=event.code)}. {remedy[0].upper()}{remedy[1:]}."
