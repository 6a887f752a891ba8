"""What a board's codes mean to a person: the cause, and what to do about it."""

from __future__ import annotations

from bedside.link.messages import Event

# code -> (name, cause with {value} in the code's unit or {fault} it names, remedy)
CAUSES: dict[int, tuple[str, str, str]] = {
    1: (
        "operator-timeout",
        "no newer command from the console for {value} ticks; the arm pauses",
        "check console and network; resume, or after the hold time disable and enable",
    ),
    2: (
        "following-error",
        "the joint is {value} urad (um) from its setpoint",
        "look for an obstacle, a loose encoder or motor cable, or too low gains; then disable and enable",
    ),
    3: (
        "link-timeout",
        "no valid frame from the bridge for {value} ticks",
        "check the bridge and the board's cable; then disable and enable",
    ),
    4: (
        "hold-timeout",
        "the arm was paused for {value} ticks",
        "disable, enable and start again",
    ),
    5: (
        "standstill",
        "the joint moved {value} urad (um) while it was to hold",
        "look for what pushed it, or for a drive that does not hold it; then disable and enable",
    ),
    6: (
        "encoder-jump",
        "the encoder counted {value} in one tick",
        "check the encoder's cable, shield and supply; then disable and enable",
    ),
    7: (
        "encoder-stuck",
        "the encoder stood still for {value} ticks while the joint was driven",
        "look for a jammed joint, a loose encoder or motor cable; then disable and enable",
    ),
    8: (
        "wrong-direction",
        "the joint sped up against its drive, to {value} in 1/256 urad a tick",
        "compare encoder.counts_per_unit's sign with drive.reversed; look for what pulls the joint",
    ),
    9: (
        "overspeed",
        "the joint is too fast: {value} in 1/256 urad a tick",
        "look for a loose load or encoder, or too high gains; then disable and enable",
    ),
    10: (
        "overcurrent",
        "the motor draws {value} mA",
        "look for a jammed joint or a short circuit; then disable and enable",
    ),
    11: ("drive-fault", "the drive reports a fault", "check the drive's supply, temperature and wiring"),
    12: (
        "moved-while-off",
        "the joint moved {value} urad (um) although its brake is closed",
        "check the brake before the arm is used again; use its release to move it by hand",
    ),
    13: (
        "current-while-off",
        "the motor draws {value} mA although its drive is off",
        "the drive's bridge may be shorted: take the supply away and replace it",
    ),
    14: ("undervoltage", "the supply has {value} mV", "check the power supply, its cable and its fuse"),
    15: (
        "overvoltage",
        "the supply has {value} mV",
        "check the power supply; motors that brake feed it: add a brake resistor, or lower stop_deceleration",
    ),
    16: (
        "tick-late",
        "a tick began {value} us late",
        "too much load on the board: lower tick_hz or move joints to another board",
    ),
    17: ("e-stop", "the emergency stop is pressed", "when it is safe, release it, then disable and enable"),
    18: (
        "output-not-built",
        "the drives did not reach what holds the joints",
        "check output_max and the motor's heat; then disable and enable",
    ),
    19: (
        "run-loop",
        "the run loop is open",
        "see what the other boards tell; check the loop's wire and contacts; then disable and enable",
    ),
    20: (
        "run-loop-stuck",
        "the run loop stays alive although this board's contact is open",
        "look for a contact that is welded, or a wire around it",
    ),
    21: (
        "brake-failed",
        "the joint moved {value} urad (um) when its torque went: its brake does not hold, so its motor does",
        "support the joint, then disable, which takes the torque away; repair the brake before the arm is used again",
    ),
    22: (
        "sensor-disagrees",
        "the encoder and the second sensor are {value} urad (um) apart",
        "look for a slipping coupling or belt, a loose sensor or a wrong scale; then home the joint again",
    ),
    23: (
        "homing-blocked",
        "the joint pushed for {value} ticks on its way home and got nowhere",
        "look for an encoder that does not count, a brake that does not open, a missing index, or what is in its way; "
        "homing.output may be too little for its load",
    ),
    24: (
        "proof-timeout",
        "no proof for {value} ticks that a surgeon is there and sees; the arm pauses",
        "check console and network, both ways; resume, or after the hold time disable and enable",
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
        "the fault '{fault}' has not been cleared",
        "find its cause, then disable, then enable",
    ),
    44: ("no-such-channel", "the board has {value} channels", "correct the joint's channel in the cell file"),
    45: (
        "configuration",
        "field {value} of the configuration makes no sense with the others",
        "check the joint in the cell file",
    ),
    46: (
        "engage",
        "the first command is {value} urad (um) from the joint",
        "begin at the measured position, as told in the latest feedback",
    ),
    47: (
        "not-paused",
        "only an arm that is PAUSED and at standstill resumes (phase {value})",
        "wait until it holds; after a fault disable and enable instead",
    ),
    48: ("brake-released", "someone holds the brakes open", "let go of the brake release first"),
    49: (
        "home-not-found",
        "no index and no end stop as far as the joint got, {value} urad (um) by its encoder",
        "check the index or the stop, homing.output against the joint's friction, and the sign of homing.speed",
    ),
    50: (
        "home-unsure",
        "what was found differs by {value} urad (um) when it is asked twice",
        "look for what gives way: a slack coupling, a cable that drags, a noisy sensor; then home again",
    ),
    51: ("homing", "a joint still moves from homing", "let it come to rest, then send the measured position"),
    52: (
        "home-outside",
        "by its second sensor the joint is at {value} urad (um), outside its limits",
        "move it into them with the brake release, or slowly by commands; check sensor.zero and sensor.counts_per_unit",
    ),
    53: (
        "proof-unknown-key",
        "the console's key is none of the {value} that the board has",
        "let the board have the console's key, or drive from a console whose key it has",
    ),
    54: (
        "proof-wrong",
        "a proof with key {value} was not made for this board since it was last off",
        "one or two are usual when the board has been off; if it goes on, the board has an old key of this console",
    ),
    55: (
        "proof-stale",
        "a proof came twice, out of order or too late: what its surgeon saw was {value} ticks old",
        "look for a slow network, either way; arm.proof_max_age_ms is what is allowed",
    ),
    56: (
        "not-proven",
        "the last proof that a surgeon is there is {value} ticks old (536870912: there was none)",
        "enable from a console whose key the board has, while it shows the arm",
    ),
    57: ("local-switch", "the local switch forbids motion", "a person beside the arm turns it; then enable"),
    58: (
        "keys-unusable",
        "the board has keys but cannot use them (1: its keys.json is damaged, 2: its MicroPython has no AES): {value}",
        "write its keys anew, or flash a MicroPython that has cryptolib",
    ),
}

_UNKNOWN = ("unknown", "code {code} with value {value}", "install matching host and firmware versions")


def name_of(code: int) -> str:
    """Return the short name of a fault or refusal, 'none' for 0."""
    return CAUSES.get(code, _UNKNOWN)[0] if code else "none"


def explain(event: Event, where: str) -> str:
    """Return one line: where, what happened, and the remedy."""
    name, cause, remedy = CAUSES.get(event.code, _UNKNOWN)
    cause = cause.format(value=event.value, code=event.code, fault=name_of(event.value))
    return f"{where}: {name}: {cause}. {remedy[0].upper()}{remedy[1:]}."
