"""The run loop's exercise: at every enable each board proves that its contact opens the loop and that it sees it open.

The loop is one wire through a contact on every board; alive means run. All boards see it behind the last contact, so
they need no other word among themselves: it comes alive when the last of them has closed its contact, and from that
moment each counts ticks. In its own slot a board opens its contact, must see the loop die, closes it, and must see it
come back. The brakes wait for the end of the exercise.
"""

import micropython
from micropython import const

_PHASE = const(1)
_NOT_BUILT = const(31)
_WATCH_VALUE = const(34)
_LOOP_BOARDS = const(48)
_LOOP_SLOT = const(49)
_LOOP_HALF = const(50)
_LOOP_TICK = const(51)
_LOOP_WAITS = const(52)
_LOOP_OPEN = const(53)
_BUILDING = const(1)
_INPUT_SWITCHES = const(2)
_INPUT_RUN_LOOP = const(16)
_CODE_RUN_LOOP = const(19)
_CODE_RUN_LOOP_STUCK = const(20)


@micropython.viper
def exercise(b: ptr32, inputs: ptr32) -> int:
    """Go on with the exercise by a tick; return 0, or the code of the fault that it found.

    A slot is two LOOP_HALF long; the contact is open from its first quarter to its third, so that boards may be some
    ticks apart and a contact has its time.
    """
    b[_LOOP_OPEN] = 0
    if b[_PHASE] != _BUILDING:
        b[_LOOP_WAITS] = 0
        return 0
    live = inputs[_INPUT_SWITCHES] & _INPUT_RUN_LOOP
    tick = b[_LOOP_TICK]
    b[_NOT_BUILT] = 1
    if tick == 0 and not live:
        # Others have not closed theirs yet; how long that may take is the building's limit.
        return 0
    tick += 1
    b[_LOOP_TICK] = tick
    b[_WATCH_VALUE] = tick
    half = b[_LOOP_HALF]
    own = tick - 2 * half * b[_LOOP_SLOT]
    opens = half >> 1
    if own == opens + half and live:
        return _CODE_RUN_LOOP_STUCK
    if own >= opens and own < opens + half:
        b[_LOOP_OPEN] = 1
    if tick == 2 * half * b[_LOOP_BOARDS]:
        if not live:
            return _CODE_RUN_LOOP
        b[_LOOP_WAITS] = 0
    return 0
