"""A second board whose motor turns with the joints under test, as their load: it resists gently, and is led along."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from bedside.errors import BedsideError
from bedside.hil.live import LiveBench
from bedside.link import causes
from bedside.link.messages import RUN
from bedside.link.scale import MICRO


@contextlib.contextmanager
def loaded(port: str, baud: int) -> Iterator[list[int]]:
    """Let the board at ``port`` hold with 5 % of its drives where it is led, which costs whoever leads it some torque.

    Yields what will hold the ticks at which it was led on. It is off again at the end. Raises BedsideError when it does
    not hold; then what was measured was without a load.
    """
    bench = LiveBench(port, baud)
    over = threading.Event()
    failed: list[str] = []
    led: list[int] = []

    def hold() -> None:
        period = round(bench.tick_hz / bench.cell.arm.command_hz)
        still = [0.0] * len(bench.joints)
        try:
            feedback = bench.enable()
            while not over.is_set():
                if feedback.phase != RUN:
                    failed.append(f"{bench.link.label}: the load has let go: {causes.name_of(feedback.cause)}")
                    return
                led.append(feedback.tick)
                feedback = bench.command([position / MICRO for position in feedback.positions], still)
                bench.pace(period)
        except (BedsideError, AssertionError) as error:
            failed.append(str(error))

    try:
        bench.recover()
        bench.configure()
        holding = threading.Thread(target=hold)
        holding.start()
        try:
            yield led
        finally:
            over.set()
            holding.join()
            bench.recover()
    finally:
        bench.close()
    if failed:
        raise BedsideError(failed[0])
