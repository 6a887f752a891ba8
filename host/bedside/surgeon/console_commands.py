"""``bedside drive`` and ``bedside local``: their arguments, and what they call."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bedside.errors import SurgeonError
from bedside.progress import bar, positive

if TYPE_CHECKING:
    from bedside.surgeon.beside import Beside
    from bedside.surgeon.remote import Route

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parsers(commands: Commands) -> None:
    """Add the commands to those of ``bedside``."""
    drive = commands.add_parser("drive", help="a console: take an arm and stream a motion to it")
    drive.add_argument("cell", type=Path, metavar="CELL.toml", nargs="?", help="tells where its bridge listens")
    drive.add_argument(
        "--recording", type=Path, metavar="FILE.csv[.gz]", help="play this instead of the built-in motion"
    )
    drive.add_argument("--seconds", type=positive, default=20.0, help="length of the built-in motion (default 20)")
    drive.add_argument("--rate", type=positive, metavar="HZ", help="commands a second (default: the arm's command_hz)")
    drive.add_argument("--credentials", type=Path, metavar="FOLDER", help="default: the only console's issued here")
    drive.add_argument("--bridge", metavar="HOST:PORT", help="where the bridge is (default: the cell's arm.listen)")
    drive.add_argument("--relay", metavar="HOST:PORT", help="where both meet, if the bridge cannot be reached")
    drive.add_argument("--listen", metavar="HOST:PORT", help="wait here for the bridge to call")
    drive.add_argument("--arm", metavar="NAME", help="which arm, at a relay (default: the cell's)")
    drive.add_argument("--log", type=Path, metavar="FILE.csv", help="write what came back")
    drive.add_argument("--copy-to", metavar="HOST:PORT", help="also send the commands there, on this computer")
    drive.set_defaults(run=_drive)

    local = commands.add_parser("local", help="the local operator: arm, stop, take back, clear or home an arm")
    local.add_argument("cell", type=Path, metavar="CELL.toml")
    local.add_argument(
        "act",
        nargs="?",
        choices=["arm", "stop", "take-back", "clear", "home", "unhome", "grant"],
        help="without one, a screen with keys for all of them",
    )
    local.add_argument("to", nargs="?", metavar="NAME", help="the console to which the arm is granted")
    local.add_argument(
        "--credentials", type=Path, metavar="FOLDER", help="to home boards with keys: a console's whose keys they have"
    )
    local.set_defaults(run=_local)


def _drive(arguments: argparse.Namespace) -> None:
    from bedside.clock import be_on_time
    from bedside.surgeon.address import parse_loopback
    from bedside.surgeon.console import Console
    from bedside.surgeon.drive import Copy, Log, drive
    from bedside.surgeon.find import find_credentials
    from bedside.surgeon.motion import Motion, Weave, load_recording

    async def run() -> None:
        async with Console.connect(credentials, route, arguments.rate) as arm:
            motion: Motion = (
                load_recording(arguments.recording, arm.joints)
                if arguments.recording
                else Weave(arm.joints, arguments.seconds)
            )
            with (
                contextlib.closing(Log(arguments.log, [joint.name for joint in arm.joints])) as log,
                contextlib.closing(Copy(copy_to)) as copy,
                bar("driving") as progress,
            ):
                be_on_time()
                await drive(arm, motion, log, copy, progress)

    route = _route(arguments)
    credentials = find_credentials(arguments.credentials, is_bridge=False)
    copy_to = parse_loopback(arguments.copy_to) if arguments.copy_to else None
    if arguments.recording and not arguments.recording.is_file():
        raise SurgeonError(f"{arguments.recording}: no such file")
    asyncio.run(run())


def _route(arguments: argparse.Namespace) -> Route:
    from bedside.cell import load_cell
    from bedside.surgeon.remote import Route

    cell = load_cell(arguments.cell) if arguments.cell else None
    ways = [way for way in (arguments.bridge, arguments.relay, arguments.listen) if way]
    if len(ways) > 1:
        raise SurgeonError("--bridge, --relay and --listen are three ways to reach one bridge; choose one")
    arm = arguments.arm or (cell.arm.name if cell else "")
    if arguments.relay and not arm:
        raise SurgeonError("a relay knows bridges by their arm: give its name with --arm, or its CELL.toml")
    if ways:
        return Route(arguments.bridge, arguments.relay, arguments.listen, arm)
    if cell is None:
        raise SurgeonError("where is the bridge? Give --bridge HOST:PORT, --relay or --listen, or the arm's CELL.toml")
    if cell.arm.network.relay:
        return Route(relay=cell.arm.network.relay, arm=arm)
    # What listens everywhere is reached on this computer.
    return Route(bridge=cell.arm.listen.replace("0.0.0.0:", "127.0.0.1:"))


def _local(arguments: argparse.Namespace) -> None:
    from bedside.cell import load_cell
    from bedside.surgeon.beside import Beside
    from bedside.surgeon.find import find_credentials
    from bedside.surgeon.link import Link
    from bedside.surgeon.local import call

    cell = load_cell(arguments.cell)
    if (arguments.act == "grant") != bool(arguments.to):
        raise SurgeonError("grant NAME: the console that is to have the arm, and no name for anything else")
    credentials = find_credentials(arguments.credentials, is_bridge=False) if arguments.credentials else None
    with contextlib.closing(Link(call(cell.arm.name), 50.0)) as link:
        operator = Beside(link, credentials.proof_key if credentials else None)
        if arguments.act is None:
            from bedside.surgeon.screen import show

            show(operator)
        else:
            _do(operator, arguments.act, arguments.to)


def _do(operator: Beside, act: str, to: str) -> None:
    name = operator.welcome.arm
    done: dict[str, tuple[Callable[[], None], str]] = {
        "arm": (operator.arm, "armed: remote consoles may enable it"),
        "stop": (operator.stop, "stopped and off; arm it to let anybody enable it again"),
        "take-back": (operator.take_back, "at rest, and in nobody's hands; arm it to let anybody have it again"),
        "clear": (operator.clear, "off, and without a fault"),
        "unhome": (operator.unhome, "its joints that need homing do not know where they are"),
        "grant": (lambda: operator.grant(to), f"{to} has it, and may enable or resume it"),
    }
    if act == "home":
        from bedside.clock import be_on_time

        with bar("homing", transient=True) as progress:
            be_on_time()
            operator.home(progress)
        sys.stdout.write(f"{name}: every joint is homed\n")
        return
    do, said = done[act]
    do()
    sys.stdout.write(f"{name}: {said}\n")
