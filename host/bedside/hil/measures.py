"""What a test has measured, for the report: figures beside what they are held to, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bedside.hil.bench import Bench

BOARD, FIGURE, CURVE, REQUIREMENTS = "board", "figure", "curve", "requirements"
# More points than a picture has columns show nothing.
_POINTS = 1200


class Measures:
    """Notes into ``properties``, a test's own; all of it is plain enough for JSON."""

    def __init__(self, properties: list[tuple[str, Any]]) -> None:
        self._properties = properties

    def board(self, bench: Bench) -> None:
        """Note who was tested."""
        identity = bench.link.identity
        assert identity, "a bench's board has said who it is"
        facts = {
            "name": identity.name,
            "role": identity.role,
            "uid": identity.uid,
            "firmware": identity.firmware,
            "build": identity.build,
            "schema": f"{identity.schema:08x}",
            "tick_hz": identity.tick_hz,
            "keys": identity.keys,
            "joints": [joint.name for joint in identity.joints],
        }
        self._properties.append((BOARD, facts))

    def figure(self, name: str, value: float, unit: str, limit: float | None = None) -> None:
        """Note a figure, and the ``limit`` that it must not exceed, if there is one."""
        self._properties.append((FIGURE, {"name": name, "value": value, "unit": unit, "limit": limit}))

    def curve(
        self,
        title: str,
        x: Sequence[float],
        lines: Mapping[str, Sequence[float]],
        *,
        x_label: str,
        y_label: str,
        marks: dict[str, float] | None = None,
    ) -> None:
        """Note ``lines`` over ``x``, and ``marks`` along it."""
        every = max(1, len(x) // _POINTS)
        curve = {
            "title": title,
            "x": [float(f"{value:.6g}") for value in x[::every]],
            "lines": {name: [float(f"{value:.6g}") for value in line[::every]] for name, line in lines.items()},
            "x_label": x_label,
            "y_label": y_label,
            "marks": marks or {},
        }
        self._properties.append((CURVE, curve))
