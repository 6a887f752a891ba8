"""One part of Bedside: what the bill says of it, and which other parts it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cyclonedx.model import Property
from cyclonedx.model.component import Component

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Part:
    """A component and the ``bom-ref`` of each that it needs; None where nobody here knows what it needs.

    ``origin`` tells a reader where it comes from.
    """

    component: Component
    needs: frozenset[str] | None
    origin: str

    @property
    def ref(self) -> str:
        """The component's ``bom-ref``."""
        return str(self.component.bom_ref.value)


def properties(said: Mapping[str, str]) -> list[Property]:
    """Return what CycloneDX has no field for, under names of our own; what is empty is left out."""
    return [Property(name=f"bedside:{name}", value=value) for name, value in said.items() if value]
