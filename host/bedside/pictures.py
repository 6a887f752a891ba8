"""What pictures have in common: a column of plots on one time axis, and colours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bedside.errors import BedsideError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GRAY, RED = "#1f5fa8", "#e07b00", "#888888", "#c0282d"


def column(rows: int, height: float) -> tuple[Figure, Any]:
    """Return a figure of ``height`` inches with ``rows`` plots below each other, and their axes.

    Raises BedsideError when matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise BedsideError("pictures need matplotlib: install Bedside as its README says") from None

    figure = Figure(figsize=(11, height), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for axis in axes:
        axis.grid(True, color="#e4e4e4", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
