"""`bedside bridge`: opens what the loop needs, in an order in which nothing is disturbed that cannot be run."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from bedside.bridge.arm import Arm
from bedside.bridge.connect import close, configure, connect
from bedside.bridge.loop import Bridge
from bedside.bridge.status import StatusFeed
from bedside.cell import Cell
from bedside.surgeon.address import Endpoint, parse_address, resolve
from bedside.surgeon.credentials import Credentials
from bedside.surgeon.quality import Limits
from bedside.surgeon.server import Server, Site
from bedside.surgeon.welcome import welcome


def run_bridge(cell: Cell, credentials: Credentials, copies: Sequence[Endpoint]) -> None:
    """Run the arm of ``cell`` until SIGINT or SIGTERM; ``copies`` get its feedback, too. Raises BedsideError."""
    lines: list[str] = []
    tell = lines.append
    # First of all, because two bridges of one arm must not both reach for its boards.
    site = _site(cell, copies)
    server = Server(site, credentials, lambda text: tell(text))
    with contextlib.closing(server):
        links = connect(cell, lines.append)
        try:
            configure(cell, links, cell.arm.command_hz)
            site.welcome = welcome(cell, [link.identity.keys if link.identity else 0 for link in links])
            status = StatusFeed([joint.name for joint in cell.joint], [joint.unit for joint in cell.joint])
            with contextlib.closing(status):
                tell = status.tell
                host, port = server.address
                status.tell(f"{cell.arm.name}: {len(links)} boards, listening on {host}:{port}")
                for line in lines:
                    status.tell(line)

                def tell_all(text: str) -> None:
                    status.tell(text)
                    server.tell(text)

                Bridge(cell, Arm(cell, links, tell_all), server, status).run()
                # Sessions end while there is still somebody to tell.
                server.close()
        finally:
            close(links)


def _site(cell: Cell, copies: Sequence[Endpoint]) -> Site:
    network = cell.arm.network
    limits = Limits(round(1000 * network.command_max_age_ms), round(1000 * network.round_trip_max_ms), network.loss_max)
    return Site(
        parse_address(cell.arm.listen),
        welcome(cell, [0] * len(cell.board)),
        limits,
        round(1000 * network.playout_max_ms),
        resolve(network.relay) if network.relay else None,
        tuple(map(resolve, network.dial)),
        tuple(copies),
    )
