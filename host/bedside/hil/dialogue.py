"""What a person must know and agree to before a real board's drives are switched on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from bedside.cell import load_cell
from bedside.hil.fixture import Fixture, load_fixture
from bedside.hil.motion import reach_max
from bedside.hil.target import TargetError
from bedside.joint import Absolute
from bedside.link.messages import Identity
from bedside.link.scale import MICRO

if TYPE_CHECKING:
    from bedside.hil.run import Options

_SIMULATED, _UID = "sim:", "sim-"
_YES = "yes"


def agree(options: Options, identity: Identity) -> None:
    """Tell what will move and how far, and ask for a plain yes. Raises TargetError for anything else.

    A board that is simulated, or whose drives stay off, needs none.
    """
    say = sys.stdout.write
    fixture = load_fixture(options.fixture) if options.fixture else None
    say("\n".join([*_told(options, identity, fixture), ""]))
    if options.no_motion or _is_simulated(options.target, identity, fixture):
        return
    if options.is_agreed:
        say("agreed by --yes\n")
        return
    if not sys.stdin.isatty():
        raise TargetError("drives are switched on only when a person agrees: run it in a terminal, or say --no-motion")
    try:
        answer = input(f"Type {_YES} to begin, anything else to leave it: ")
    except EOFError:
        answer = ""
    if answer.strip() != _YES:
        raise TargetError("not agreed, so nothing was switched on")


def _is_simulated(target: str, identity: Identity, fixture: Fixture | None) -> bool:
    """Return whether nothing real can move or be switched: by the names of ports, and by the board's own word."""
    ports = [target, *([fixture.load.port] if fixture and fixture.load else [])]
    named = all(port.startswith(_SIMULATED) and "/" not in port for port in ports)
    return named and identity.uid.startswith(_UID) and not (fixture and fixture.power)


def _told(options: Options, identity: Identity, fixture: Fixture | None) -> list[str]:
    """Return the lines of the dialogue."""
    lines = [
        f"Board '{identity.role}' ({identity.uid}), firmware {identity.firmware}, build {identity.build or '-'}, "
        f"{identity.tick_hz} Hz, joints: {', '.join(joint.name for joint in identity.joints)}"
    ]
    if options.no_motion:
        return [*lines, "No drive will be switched on."]
    if not options.cell:
        return [
            *lines,
            "Its brakes will open and its drives be switched on, to hold where they are with 5 % at most; that may not",
            "carry a load. Nothing is commanded to move.",
            *_BEFORE,
        ]
    lines.append("Its joints will move, each alone and a little first, then all together:")
    cell = load_cell(options.cell)
    ends = {joint.name: (joint.position_min / MICRO, joint.position_max / MICRO) for joint in identity.joints}
    for _, joint in cell.joints_of(identity.name):
        low, high = joint.limits.position
        far, speed = reach_max(joint)
        lines.append(
            f"  {joint.name}: by {far:.3g} {joint.unit} at most at {speed:.3g} {joint.unit}/s, within {low:g} to "
            f"{high:g} {joint.unit}{_told_otherwise(ends.get(joint.name), (low, high))}"
        )
        if not isinstance(joint.homing, Absolute):
            lines.append(f"  {joint.name} homes: over its whole range, at {abs(joint.homing.speed):g} {joint.unit}/s")
    if fixture and fixture.load:
        lines.append(f"  under a load: the board at {fixture.load.port} opens its brakes and resists with 5 %.")
    if fixture and fixture.power:
        lines.append("  and its supply is taken away once, in motion: brakes must hold what it carries.")
    if options.minutes:
        lines.append(f"  and goes on for {options.minutes:g} minutes.")
    return [*lines, *_BEFORE]


def _told_otherwise(ends: tuple[float, float] | None, limits: tuple[float, float]) -> str:
    """Return a warning if the board's own limits are not the cell's."""
    if ends == (0.0, 0.0):
        return ""  # it has not been told any yet
    same = ends is not None and all(abs(a - b) < 1e-3 for a, b in zip(ends, limits, strict=True))
    return "" if same else "  (the board has other limits now: the cell's are written to it)"


_BEFORE = (
    "Before you agree: nobody's hands are near, nothing stands in the way, what a joint carries may fall without harm,",
    "and you have the emergency stop within reach and have tried it. Ctrl-C stops the arm, too.",
)
