"""Files for a program that takes no bytes: written for as long as it runs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from bedside.errors import FlashError


@contextlib.contextmanager
def lent(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Yield a folder with ``files``, by their paths in it, that goes afterwards. Raises FlashError if there is no room.

    What is raised while it is there is not its own.
    """
    with contextlib.ExitStack() as end:
        try:
            folder = Path(end.enter_context(tempfile.TemporaryDirectory(prefix="bedside-")))
            for path, content in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
        except OSError as error:
            raise FlashError(
                f"{error.filename or 'TMPDIR'}: {error.strerror}; make room there, or let TMPDIR name another folder, "
                "and run the same command again; the board is as it was"
            ) from None
        yield folder
