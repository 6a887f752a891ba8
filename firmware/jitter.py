"""Runs on a board whose REPL has the port, sent by ``bedside doctor``: its memory, its files, and its ticks' jitter."""

import gc
import json
import os
import sys
from array import array
from time import ticks_add, ticks_diff, ticks_us

import micropython

_FOLDER = 0x4000


def size(folder: str) -> int:
    """Return how many bytes the files below ``folder`` have, 0 if there is no such folder."""
    total = 0
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return 0
    for entry in entries:
        path = folder + "/" + entry[0]
        total += size(path) if entry[1] == _FOLDER else os.stat(path)[6]
    return total


def manifests() -> "dict[str, str]":
    """Return what stands in each slot's manifest."""
    found = {}
    for slot in ("a", "b"):
        try:
            with open(slot + "/manifest.json") as file:
                found[slot] = file.read()
        except OSError:
            pass
    return found


def cyclic(times: "array[int]", period_us: int) -> None:
    """Note when each tick begins of a loop that waits for its time, as the firmware's does without a timer."""
    start = due = ticks_us()
    for k in range(len(times)):
        due = ticks_add(due, period_us)
        while ticks_diff(due, ticks_us()) > 0:
            pass
        times[k] = ticks_diff(ticks_us(), start)


def timed(times: "array[int]", tick_hz: int) -> None:
    """Note when each tick begins of a timer that interrupts, as the RP2's firmware has it."""
    from machine import Timer

    start = ticks_us()
    at = array("i", [0])
    last = len(times)

    # Native code, because a bytecode frame would be allocated, which an interrupt may not.
    @micropython.native
    def note(timer):  # type: ignore[no-untyped-def]
        if at[0] < last:
            times[at[0]] = ticks_diff(ticks_us(), start)
            at[0] = at[0] + 1

    timer = Timer(-1)
    timer.init(mode=Timer.PERIODIC, freq=tick_hz, callback=note, hard=True)
    try:
        while at[0] < last and ticks_diff(ticks_us(), start) < 3_000_000:
            pass
    finally:
        timer.deinit()


def examine(tick_hz: int, ticks: int) -> None:
    """Print, as JSON: bytes of memory free and in all, of files free and in each slot, manifests, when ticks began."""
    gc.collect()
    free, used = gc.mem_free(), gc.mem_alloc()
    disk = os.statvfs(".")
    times = array("i", [0] * ticks)
    gc.collect()
    if sys.platform == "rp2":
        timed(times, tick_hz)
    else:
        cyclic(times, 1_000_000 // tick_hz)
    sizes = {slot: size(slot) for slot in ("a", "b")}
    print(json.dumps([free, free + used, disk[1] * disk[3], sizes, manifests(), list(times)]))
