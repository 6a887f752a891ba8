"""How a command of ``make`` that starts processes ends."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from bedside.errors import BedsideError


def run(name: str, main: Callable[[], int]) -> NoReturn:
    """Exit with what ``main`` returns. However it ends, also by SIGTERM, what it has started ends with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BedsideError as error:
        sys.exit(f"{name}: {error}")
