"""What is tried: each network by itself, and outages of some lengths."""

from __future__ import annotations

from dataclasses import dataclass, field

from bedside.sim.network import load_network, names

# Networks that need more than a cell file allows unless it says otherwise, and what.
_LONGER = {"geostationary": {"command_max_age_ms": 500.0, "round_trip_max_ms": 1500.0}}
# Outages are put into a network that has hardly any of its own.
_OUTAGES_IN = "fibre"
_OUTAGES_AT_S = (4.0, 8.0, 12.0, 16.0)


@dataclass
class Case:
    """A network, what the cell file allows it beyond its defaults, and (at, length) of outages in seconds of motion."""

    name: str
    profile: str
    allowed: dict[str, float] = field(default_factory=dict)
    outages: list[tuple[float, float]] = field(default_factory=list)

    @property
    def folder(self) -> str:
        """The name of a folder for its logs."""
        return self.name.replace(" ", "-")

    @property
    def delay_ms(self) -> float:
        """The network's own delay, of commands."""
        return load_network(self.profile).up.delay_ms


def profiles() -> list[Case]:
    """Return a case for each network that is bad."""
    return [Case(name, name, _LONGER.get(name, {})) for name in names() if name != "clear"]


def outages() -> list[Case]:
    """Return cases of short gaps, and of one beyond the operator timeout."""
    return [
        Case(f"outages of {length_ms} ms", _OUTAGES_IN, {}, [(at, length_ms / 1000) for at in at_s])
        for length_ms, at_s in ((50, _OUTAGES_AT_S), (80, _OUTAGES_AT_S), (1000, _OUTAGES_AT_S[1:2]))
    ]
