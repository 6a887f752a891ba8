from __future__ import annotations

import pytest

from rp2040.chip import Chip, ChipError
from rp2040.repl import RawRepl, ReplError

# UART 1, which is not the console: what is sent, what is interrupted for, what is due of it, what is cleared.
DATA, MASK, DUE, CLEAR = 0x8000, 0x8038, 0x8040, 0x8044
TRANSMIT = 0x20


def test_a_pin_that_the_chip_drives_is_seen_and_one_that_is_driven_is_read(chip: Chip, repl: RawRepl) -> None:
    seen: list[bool] = []
    unwatch = chip.watch(20, lambda _, level: seen.append(level))
    repl.run("pin = Pin(20, Pin.OUT)\npin.on()")
    assert seen[-1:] == [True]
    assert chip.level(20)
    unwatch()
    seen.clear()
    repl.run("Pin(20, Pin.IN)")
    assert seen == []
    for level in (True, False):
        chip.drive(21, level)
        assert repl.run("print(Pin(21, Pin.IN).value())") == f"{int(level)}\n"


def test_a_transmit_interrupt_comes_once_after_a_byte(chip: Chip, repl: RawRepl) -> None:
    heard = chip.listen(1)
    told = repl.run(
        f"poke(0x4003, {MASK}, {TRANSMIT})\n"
        f"print(peek(0x4003, {DUE}))\n"
        f"poke(0x4003, {DATA}, 65)\n"
        f"print(peek(0x4003, {DUE}))\n"
        f"poke(0x4003, {CLEAR}, {TRANSMIT})\n"
        f"print(peek(0x4003, {DUE}))\n"
    )
    assert told.split() == ["0", str(TRANSMIT), "0"]
    assert heard == b"A"


def test_time_passes_by_as_much_as_was_asked_for(chip: Chip, repl: RawRepl) -> None:
    before = chip.seconds
    chip.run(0.001)
    assert chip.seconds - before >= 0.001
    assert not chip.run_until(lambda: False, 0.001)


def test_a_program_without_a_usb_console_is_told(chip: Chip) -> None:
    with pytest.raises(ChipError, match=r"no USB console within 0\.001 s"):
        chip.console.open(0.001)


def test_a_chip_that_reads_nothing_is_told(chip: Chip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rp2040.chip._READS_WITHIN", 0.001)
    with pytest.raises(ChipError, match="has read nothing from its console"):
        chip.console.write(b"x" * 600)


def test_what_fails_on_the_chip_comes_with_its_traceback(repl: RawRepl) -> None:
    with pytest.raises(ReplError, match="on the board:\nTraceback"):
        repl.run("1 // 0")
