"""A serial port that is anything but a sound board: it answers each frame as a test says."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bedside.link import frames, schema
from bedside.link.board import SCHEMA

# Given the message that came, or None when it is time to talk unasked: the bytes to answer with, None to vanish.
Answerer = Callable[[list[Any] | None], bytes | None]


@contextlib.contextmanager
def impostor(directory: Path, name: str, answer: Answerer) -> Iterator[str]:
    """Yield the name of a simulated board's port with ``answer`` behind it."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    link = directory / name
    link.symlink_to(os.ttyname(slave))
    over = threading.Event()

    def serve() -> None:
        nonlocal slave
        decoder = frames.Decoder()
        while not over.is_set():
            came = select.select([master], [], [], 0.02)[0]
            try:
                messages = decoder.feed(os.read(master, 4096)) if came else [None]
            except OSError:
                return
            for message in messages:
                said = answer(message)
                if said is None:
                    os.close(slave)
                    os.close(master)
                    slave = -1
                    return
                os.write(master, said)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"sim:{name}"
    finally:
        over.set()
        thread.join()
        link.unlink()
        if slave >= 0:
            os.close(slave)
            os.close(master)


def identity(
    seq: int,
    *,
    name: str = "psm1-base",
    firmware: str = "0.1.0",
    schema_hash: int = SCHEMA,
    build: str = "",
    arm: str = "psm1",
    joints: tuple[str, ...] = ("outer_yaw",),
) -> bytes:
    """Return the frame of an identity."""
    described = [word for joint in joints for word in (joint, 0, 0, 0)]
    return frames.encode(
        [schema.IDENTITY, seq, schema_hash, firmware, 1000, 0, name, f"uid-{name}", build, arm, 0, *described]
    )


def feedback(seq: int, tick: int = 0) -> bytes:
    """Return the frame of a board's feedback that is off."""
    return frames.encode([schema.FEEDBACK, seq, 0, tick, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])


def answer(message: list[Any] | None, **who: Any) -> bytes:
    """Answer as a sound board would that keeps no fault."""
    kind, seq = message[:2] if message else (0, 0)
    if kind == schema.IDENTIFY:
        return identity(seq, **who)
    if kind == schema.KEEP_ALIVE:
        return feedback(seq)
    return frames.encode([schema.BOX, seq, 8, 4, 1, 0, 0, 0, 0, *[0] * 12]) if kind == schema.HOLD_BOX else b""
