"""``bedside wan``: its arguments, and what it calls."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parsers(commands: Commands) -> None:
    """Add the command to those of ``bedside``."""
    wan = commands.add_parser("wan", help="be a bad network between consoles and a bridge, until Ctrl-C")
    wan.add_argument("--listen", metavar="HOST:PORT", help="where consoles send to, on this computer")
    wan.add_argument("--to", metavar="HOST:PORT", help="where the bridge listens, on this computer")
    wan.add_argument("--profile", required=True, metavar="NAME|FILE.toml", help="which network; docs/network.md")
    wan.add_argument("--seed", type=int, default=1, help="the same seed gives the same network (default 1)")
    wan.add_argument(
        "--outage",
        type=_outage,
        action="append",
        default=[],
        metavar="AT,LENGTH",
        help="nothing passes for LENGTH seconds, AT seconds after the start; may be given again",
    )
    wan.add_argument(
        "--one-way", choices=["up", "down"], help="only this way passes: up is to the bridge, down to the consoles"
    )
    wan.add_argument(
        "--namespace", action="store_true", help="between two network namespaces instead, for any protocol; for root"
    )
    wan.set_defaults(run=_wan)


def _outage(text: str) -> tuple[float, float]:
    try:
        at, length = (float(part) for part in text.split(","))
    except ValueError:
        at = length = -1.0
    if not (0 <= at < 1e6 and 0 < length < 1e6):
        raise argparse.ArgumentTypeError(f"'{text}': write two numbers of seconds such as 5,0.3, the second above 0")
    return at, length


def _wan(arguments: argparse.Namespace) -> None:
    from msgspec.structs import replace

    from bedside.errors import BedsideError
    from bedside.sim.network import Network, load_network
    from bedside.sim.wan import Way, run_relay
    from bedside.surgeon.address import parse_loopback

    network = load_network(arguments.profile)
    directions = [
        replace(direction, outages=[*direction.outages, *arguments.outage])
        for direction in (network.up, network.down or network.up)
    ]
    impairments = Network(network.source, *directions).impairments(arguments.seed)
    up, down = (
        Way(name, impairment, arguments.one_way in (None, name))
        for name, impairment in zip(("up", "down"), impairments, strict=True)
    )
    title = f"{arguments.profile}, seed {arguments.seed}"
    if arguments.namespace:
        from bedside.sim.namespace import run_namespaces

        if arguments.listen or arguments.to:
            raise BedsideError("--namespace has addresses of its own; leave --listen and --to out")
        run_namespaces(up, down, title)
        return
    if not arguments.listen or not arguments.to:
        raise BedsideError("say where consoles send to and where the bridge is: --listen HOST:PORT --to HOST:PORT")
    run_relay(up, down, parse_loopback(arguments.listen), parse_loopback(arguments.to), title)
