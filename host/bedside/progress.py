"""What commands of several areas share of their terminal: a bar of progress, and a check of an argument."""

from __future__ import annotations

import argparse
import contextlib
import math
import time
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def bar(what: str, transient: bool = False) -> Iterator[Callable[[float, float], None]]:
    """Show a bar of ``what``; yield what is told how much is done, and of how much.

    It draws four times a second and from nowhere else, so that a terminal delays few commands.
    """
    from rich.progress import Progress

    with Progress(auto_refresh=False, transient=transient) as shown:
        task = shown.add_task(what, total=None)
        drawn = time.monotonic()

        def progress(done: float, whole: float) -> None:
            nonlocal drawn
            if shown.console.is_terminal and time.monotonic() - drawn > 0.25:
                drawn = time.monotonic()
                shown.update(task, completed=done, total=whole, refresh=True)

        yield progress


def positive(text: str) -> float:
    """Return a number above 0. Raises argparse.ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text}: must be a number above 0")
    return value
