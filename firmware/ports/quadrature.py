"""Quadrature encoders on the RP2 chips: one PIO state machine a joint counts every edge, without the CPU.

A state machine looks at its two lines once a loop, at most ten cycles apart, so it follows 12.5 million steps a second
at 125 MHz. The lines of the last look and of this one, four bits, are the address that it jumps to: the program's first
sixteen words are a table, so the program has to stand at address 0. MicroPython gives a program the highest place where
it fits and lets nobody choose; a program of 32 words fits at address 0 only.
"""

from array import array

import micropython
import rp2
from machine import Pin
from micropython import const

# Where the program begins, behind the table; as an instruction, the jump to there.
_START = const(16)

# Word offsets of the PIO's registers (RP2040 datasheet, table 367; the same on RP2350).
_FSTAT = const(1)
_FLEVEL = const(3)
_RXF0 = const(8)
_IRQ = const(12)
_RX_EMPTY = const(256)
# PIO0 is at 0x50200000, and each further one 1 MB on: the constant itself is no small integer, so viper builds it.
_BASE_MB = const(0x502)

# Four old words and a fresh one are five looks at the FIFO. A loop is over before viper has looked twice, so this many
# mean that the state machine stands.
_LOOKS = const(24)
# More than any joint steps in a tick, so that the board's own check sees it.
_JUMP = const(1 << 24)
# Sixteen jumps come back to none, so that reported counts stay small integers; that step is a jump, too.
_JUMPED_MASK = const(0xFFFFFFF)
_COUNTER_MASK = const(0x3FFFFFFF)
# Two words a channel: the state machine's latest count, and by how much the reported one has jumped.
_KEPT_WORDS = const(2)

_CHANNELS = const(8)


@rp2.asm_pio(in_shiftdir=rp2.PIO.SHIFT_LEFT, out_shiftdir=rp2.PIO.SHIFT_RIGHT)
def count_edges():
    """Count in Y: up while A leads B. OSR holds the lines of the last look, B << 1 | A, in its lowest two bits."""
    # The table: a row for the lines of the last look, a column for those of this one.
    for step in (
        ("report", "forward", "back", "illegal"),
        ("back", "report", "illegal", "forward"),
        ("forward", "illegal", "report", "back"),
        ("illegal", "back", "forward", "report"),
    ):
        for way in step:
            jmp(way)

    # The lines as they are when the count begins are no step.
    irq(clear, rel(0))
    set(y, 0)
    mov(osr, pins)

    wrap_target()
    out(isr, 2)
    in_(pins, 2)
    mov(osr, isr)
    mov(pc, isr)

    # The jump is taken unless Y was 0, and Y is one less in any case.
    label("back")
    jmp(y_dec, "report")
    jmp("report")

    # Both lines have changed: a step was missed, and nobody knows which way it went.
    label("illegal")
    irq(rel(0))
    jmp("report")

    # There is no increment, but in two's complement y + 1 is ~(~y - 1).
    label("forward")
    mov(y, invert(y))
    jmp(y_dec, "turn")
    label("turn")
    mov(y, invert(y))

    label("report")
    mov(isr, y)
    push(noblock)
    wrap()


@micropython.viper
def look(inputs: ptr32, first: int, channels: int, lost: ptr32, kept: ptr32):
    """Put the counts of ``channels``, a bit for each, into ``inputs[first + channel]``.

    A state machine pushes its count in every loop and drops what does not fit, so its FIFO holds old counts; the one
    behind them is at most ten cycles older than this look. A state machine that stands counts as one that loses counts.
    """
    s = int(1) << 31
    channel = 0
    while channels >> channel:
        if not channels >> channel & 1:
            channel += 1
            continue
        machine = channel & 3
        pio = ptr32((int(_BASE_MB) + (channel >> 2)) << 20)
        state = ptr32(int(kept) + channel * (4 * _KEPT_WORDS))
        empty = _RX_EMPTY << machine
        flag = 1 << machine
        count = state[0]
        left = ((pio[_FLEVEL] >> (machine * 8 + 4)) & 15) + 1
        looks = int(_LOOKS)
        while left and looks:
            looks -= 1
            if not pio[_FSTAT] & empty:
                count = pio[_RXF0 + machine]
                left -= 1
        if left or pio[_IRQ] & flag:
            pio[_IRQ] = flag
            lost[channel] = (lost[channel] + 1) & _COUNTER_MASK
            state[1] = (state[1] + _JUMP) & _JUMPED_MASK
        count = (count ^ s) - s
        state[0] = count
        inputs[first + channel] = count + state[1]
        channel += 1


class Encoders:
    """The encoders of a board, channel k on state machine k: four on each PIO, whose whole program memory they take."""

    def __init__(self, pins: "list[tuple[int, int] | None]") -> None:
        """Begin to count at 0; ``pins`` are the GPIO numbers of each channel's A and B, None where it has none.

        Raises ValueError if a state machine cannot read them: B has to be the pin behind A.
        """
        channels = len(pins)
        if channels > _CHANNELS:
            raise ValueError("there are state machines for %d encoders, not %d" % (_CHANNELS, channels))
        lines = [(channel, pair[0], pair[1]) for channel, pair in enumerate(pins) if pair]
        for _, a, b in lines:
            if b != a + 1:
                raise ValueError("encoder pins %d and %d: connect B to the pin behind A's, %d" % (a, b, a + 1))
        # How often a look has found that a channel has lost counts.
        self.lost = array("i", [0] * channels)
        self._kept = array("i", [0] * (_KEPT_WORDS * channels))
        self._one = array("i", [0] * channels)
        # A bit for each channel that is counted.
        self._channels = sum([1 << channel for channel, _, _ in lines])
        # All pulls are on before the first line is looked at: a line that still rises is no step.
        for _, a, b in lines:
            Pin(a, Pin.IN, Pin.PULL_UP)
            Pin(b, Pin.IN, Pin.PULL_UP)
        for channel, a, _ in lines:
            machine = rp2.StateMachine(channel, count_edges, in_base=Pin(a))
            machine.exec(_START)
            machine.active(1)

    def read(self, inputs: "array[int]", first: int) -> None:
        """Put the counts of all channels that have some into ``inputs[first]`` and behind it, 32 bits with sign.

        A channel that has lost counts jumps by 2^24 each time that is found, and counts on from there. Allocates
        nothing, and takes a bounded time whatever the state machines do.
        """
        look(inputs, first, self._channels, self.lost, self._kept)

    def read_one(self, channel: int) -> int:
        """Return one channel's count, as ``read`` would give it.

        Allocates nothing while the count is within 30 bits, which no joint leaves; for an interrupt.
        """
        look(self._one, 0, 1 << channel, self.lost, self._kept)
        return self._one[channel]
