"""``bedside relay``: its arguments, and what it calls."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parsers(commands: Commands) -> None:
    """Add the command to those of ``bedside``."""
    relay = commands.add_parser(
        "relay", help="forward, unread, between consoles and bridges that cannot reach each other, until Ctrl-C"
    )
    relay.add_argument("--listen", required=True, metavar="HOST:PORT", help="such as 0.0.0.0:36020 on a public host")
    relay.set_defaults(run=_relay)


def _relay(arguments: argparse.Namespace) -> None:
    from bedside.surgeon.address import parse_address
    from bedside.surgeon.relay import run_relay

    run_relay(parse_address(arguments.listen))
