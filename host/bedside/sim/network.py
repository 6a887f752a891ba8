"""Networks by name, and from a user's own file: what ``bedside wan`` puts between a console and a bridge."""

from __future__ import annotations

import difflib
from pathlib import Path

from msgspec import Struct

from bedside.config import load_toml
from bedside.errors import CellError
from bedside.sim.impairment import Direction, Impairment

# Inside the package, so that an installed one has them too.
NETWORKS = Path(__file__).parent / "networks"


class Network(Struct, forbid_unknown_fields=True):
    """A path between a console and a bridge.

    ``source`` says where its numbers come from, ``up`` is from the console to the bridge, ``down`` back; without
    ``down`` both are alike.
    """

    source: str
    up: Direction
    down: Direction | None = None

    def impairments(self, seed: int) -> tuple[Impairment, Impairment]:
        """Return the two directions, up and down, as ``seed`` makes them."""
        return Impairment(self.up, seed, "up"), Impairment(self.down or self.up, seed, "down")


def names() -> list[str]:
    """Return the names of the networks that come with Bedside."""
    return sorted(path.stem for path in NETWORKS.glob("*.toml"))


def load_network(name: str) -> Network:
    """Return the network called ``name``, or the one in the file of that name if it ends in .toml. Raises CellError."""
    path = Path(name)
    if path.suffix != ".toml":
        if name not in names():
            close = difflib.get_close_matches(name, names(), n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"use {', '.join(names())}, or a file ending in .toml"
            raise CellError(f"there is no network '{name}': {hint}")
        path = NETWORKS / f"{name}.toml"
    network = load_toml(path, Network, "docs/network.md")
    for way, direction in (("up", network.up), ("down", network.down)):
        if direction:
            try:
                _check(direction)
            except CellError as error:
                raise CellError(f"{path}: {way}.{error}") from None
    return network


def _check(direction: Direction) -> None:
    """Check what one key says about another. Raises CellError."""
    if direction.jitter_p99_ms < direction.jitter_ms or (direction.jitter_p99_ms and not direction.jitter_ms):
        raise CellError(
            f"jitter_p99_ms = {direction.jitter_p99_ms:g}: write the 99th percentile beside a median jitter_ms, which "
            f"is {direction.jitter_ms:g}, above 0 and not larger"
        )
    if bool(direction.reorder) != bool(direction.reorder_ms):
        raise CellError("reorder and reorder_ms: write both, a share and for how long it is held back, or neither")
    if bool(direction.outage_every_s) != bool(direction.outage_s):
        raise CellError("outage_every_s and outage_s: write both, a mean interval and a mean length, or neither")
    if direction.others_kbit_s and not direction.rate_kbit_s:
        raise CellError(f"others_kbit_s = {direction.others_kbit_s:g}: others share a rate; add rate_kbit_s")
