"""``bedside hil``: its arguments, and what it calls."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parsers(commands: Commands) -> None:
    """Add the command."""
    hil = commands.add_parser("hil", help="test any board, simulated, emulated or real, and write a report")
    hil.add_argument(
        "target",
        metavar="TARGET",
        help="sim; cortex-m3 (emulated); rp2040:FILE.uf2 (emulated); or a port: a device, socket://HOST:PORT, sim:NAME",
    )
    hil.add_argument("--cell", type=Path, metavar="CELL.toml", help="its arm's cell file: without, joints only hold")
    hil.add_argument("--no-motion", action="store_true", help="switch no drive on, for a bare board")
    hil.add_argument("--fixture", type=Path, metavar="FILE.toml", help="what is wired to it: jumpers, a power relay")
    hil.add_argument("--minutes", type=float, default=0.0, help="also move for so long, for endurance")
    hil.add_argument("--only", metavar="TEXT", help="tests whose names contain it; 'and', 'or', 'not' may join several")
    hil.add_argument("--baud", type=int, default=1_000_000, help="of a port, default 1000000")
    hil.add_argument("--jobs", type=int, default=1, help="simulated arms at once, default 1")
    hil.add_argument("--output", type=Path, default=Path("build/hil"), metavar="FOLDER", help="default build/hil")
    hil.add_argument("--yes", action="store_true", help="nobody need be asked: the bench is safe to move by itself")
    hil.set_defaults(run=_hil)


def _hil(arguments: argparse.Namespace) -> None:
    from bedside.hil.run import Options, run

    run(
        Options(
            target=arguments.target,
            cell=arguments.cell,
            no_motion=arguments.no_motion,
            fixture=arguments.fixture,
            minutes=arguments.minutes,
            only=arguments.only,
            baud=arguments.baud,
            jobs=arguments.jobs,
            output=arguments.output,
            is_agreed=arguments.yes,
        )
    )
