"""Which pin does what on a board, and whether its chip can do that there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bedside.chips import Chip
from bedside.errors import CellError

OUTPUT, PWM, PULLED_UP, PULLED_DOWN, ADC, TX, RX = (
    "output",
    "PWM output",
    "input, pulled up",
    "input, pulled down",
    "ADC input",
    "UART transmits",
    "UART receives",
)
_DRIVEN = (OUTPUT, PWM, TX)


@dataclass(frozen=True)
class Use:
    """What a key of a board file has a pin for; ``hz`` is of a PWM output, ``uart`` of a UART's line."""

    pin: int
    key: str
    role: str
    hz: int = 0
    uart: int = 0


def check(chip: Chip, uses: list[Use]) -> None:
    """Raise CellError for the first pin that the chip does not have, cannot use so, or that is used twice."""
    for use in uses:
        if why := _unable(chip, use):
            raise CellError(f"{use.key} = {use.pin}: {why}; {_instead(chip, use, uses)}")
    for index, use in enumerate(uses):
        for other in uses[:index]:
            if why := _clash(chip, use, other):
                raise CellError(
                    f"{use.key} = {use.pin} and {other.key} = {other.pin}: {why}; {_move(chip, [use, other], uses)}"
                )


def check_encoder(chip: Chip, key: str, a: Use, b: Use, uses: list[Use]) -> None:
    """Raise CellError unless the lines of the encoder at ``key`` are where the chip can read them together."""
    if not chip.neighbours or b.pin == a.pin + 1:
        return
    others = [use for use in uses if use not in (a, b)]
    pairs = [
        f"{pin} and {pin + 1}"
        for pin in sorted(chip.gpios)
        if _fits(chip, replace(a, pin=pin), others) and _fits(chip, replace(b, pin=pin + 1), others)
    ]
    raise CellError(
        f"{key}: a = {a.pin} and b = {b.pin} are not neighbours; the {chip.title} reads both in one instruction, so b "
        f"must be a + 1; free neighbours: {_some(pairs) or 'none, so free two'}"
    )


def _unable(chip: Chip, use: Use) -> str:
    """Return why the chip cannot have ``use`` on its pin; nothing if it can."""
    pin, role = use.pin, use.role
    if pin not in chip.gpios:
        return f"the {chip.title} has no such pin"
    if pin in chip.taken:
        return f"the {chip.title}'s pin {pin} is not to be had, {chip.taken[pin]}"
    if role in _DRIVEN and pin in chip.input_only:
        return f"it is to be an output ({role}), but the {chip.title}'s pin {pin} is an input only"
    if role == ADC and pin not in chip.adc:
        return f"it is to be an ADC input, but the {chip.title}'s ADC has no pin {pin}"
    if role in (PULLED_UP, PULLED_DOWN) and pin in chip.no_pull:
        return f"it is to be an {role}, but the {chip.title}'s pin {pin} has neither pull-up nor pull-down"
    if role in (TX, RX):
        lines = chip.uarts[use.uart].tx if role == TX else chip.uarts[use.uart].rx
        if pin not in lines:
            return f"UART {use.uart} cannot have this line on pin {pin}"
    if role != ADC and pin in chip.strapping and (role in _DRIVEN or pin in chip.boot):
        what = "an output" if role in _DRIVEN else f"an {role}"
        return f"it is to be {what}, but the {chip.title}'s pin {pin} is a strapping pin: {chip.strapping[pin]}"
    return ""


def _clash(chip: Chip, use: Use, other: Use) -> str:
    """Return why the chip cannot have both, each of which it could have alone; nothing if it can."""
    if use.pin == other.pin:
        return f"pin {use.pin} is used twice"
    if not chip.pwm_slices or use.role != PWM or other.role != PWM:
        return ""
    one, two = (pin >> 1 & chip.pwm_slices - 1 for pin in (use.pin, other.pin))
    if one != two:
        return ""
    if use.pin & 1 == other.pin & 1:
        return f"both are channel {'AB'[use.pin & 1]} of PWM slice {one}, so they would carry the same signal"
    if use.hz != other.hz:
        return f"both are of PWM slice {one}, which has one frequency, not {use.hz} and {other.hz} Hz"
    return ""


def _fits(chip: Chip, use: Use, others: Iterable[Use]) -> bool:
    return not _unable(chip, use) and not any(_clash(chip, use, other) for other in others)


def _free(chip: Chip, use: Use, uses: list[Use]) -> str:
    others = [other for other in uses if other is not use]
    found = [pin for pin in sorted(chip.gpios) if _fits(chip, replace(use, pin=pin), others)]
    return _some(found)


def _some(found: Sequence[object]) -> str:
    """Return the first of what was ``found``, as many as a person wants to read."""
    return ", ".join(map(str, found[:6])) + (", …" if len(found) > 6 else "")


def _instead(chip: Chip, use: Use, uses: list[Use]) -> str:
    free = _free(chip, use, uses)
    return f"free pins that can: {free}" if free else "no pin that can is free, so free one or leave this out"


def _move(chip: Chip, pair: list[Use], uses: list[Use]) -> str:
    # The lines of an encoder cannot move one without the other.
    movable = [use for use in pair if not (chip.neighbours and use.key.endswith((".encoder.a", ".encoder.b")))]
    for use in movable:
        if free := _free(chip, use, uses):
            return f"move one of them, {use.key} for example to {free}"
    return "leave one of them out"
