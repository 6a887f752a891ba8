"""What tools ask of a chip while a simulated board's REPL has the port."""

import sys

# See bedside/sim/board.py.
_RESET = 75


def reset() -> None:
    """Start the board anew."""
    sys.exit(_RESET)
