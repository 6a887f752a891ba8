from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wiring
from bedside.boardfile import board_config, canonical, load_board_file, load_board_type
from bedside.boardsheet import check_board_file
from bedside.cell import load_cell
from bedside.chips import CHIPS, EspImage
from bedside.errors import BedsideError, CellError
from bedside.link.largest import command_bytes, feedback_bytes
from bedside.link.scale import board_message
from bedside.places import BOARDS

SHIPPED = sorted(BOARDS.glob("*.toml"))
DOCS = Path(__file__).resolve().parents[1] / "docs"
TRAINER = (BOARDS / "cells" / "trainer.toml").read_text()
AVAILABLE = ", ".join(map(str, [*range(23), 25, 26, 27, 28]))
# A Pico that brings out whatever its chip has.
EVERY_PIN = f"available = [{AVAILABLE}]\n", ""
NO_BENCH = 'drive = { kind = "bench" }'


def refusal(tmp_path: Path, board: str, *changes: tuple[str, str]) -> str:
    """Return why the shipped ``board`` is refused with each (right, wrong) of ``changes``; the file is named first."""
    text = (BOARDS / f"{board}.toml").read_text()
    for right, wrong in changes:
        assert right in text
        text = text.replace(right, wrong, 1)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(CellError) as refused:
        load_board_file(path)
    why = str(refused.value)
    assert why.startswith(f"{path}: ")
    return why.removeprefix(f"{path}: ")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_boards_that_ship_are_sound(path: Path) -> None:
    board = load_board_type(path.stem)
    assert board.channels == (len(board.channel) or 4)


def test_every_chip_has_a_board() -> None:
    assert {load_board_file(path).chip for path in SHIPPED} == set(CHIPS)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_no_output_of_a_shipped_board_is_on_a_pin_that_an_esp32_pulls_up_at_reset(path: Path) -> None:
    """0, 5, 14 and 15 of an ESP32; 0, 18 and 39 of an S3, where 18 goes high for a moment."""
    high = {"esp32": {0, 5, 14, 15}, "esp32s3": {0, 18, 39}}
    board = load_board_file(path)
    assert not [use for use in board.uses if ("output" in use.role and use.pin in high.get(board.chip, set()))]


@pytest.mark.parametrize(
    ("board", "right", "wrong", "message"),
    [
        (
            "pico",
            "led = 25",
            "led = 2",
            "channel[0].drive.a = 2 and pins.led = 2: pin 2 is used twice; move one of them, pins.led for",
        ),
        ("pico", "led = 25", "led = 31", "led = 31: the RP2040 has no such pin; free pins that can: 25"),
        ("pico", "led = 25", "led = 23", "pins.led = 23: the RP2040's pin 23 is not to be had, it is not among those"),
        ("pico", "25, 26, 27, 28]", "25, 26, 27, 31]", "available[26] = 31: the RP2040 has no such pin; remove it"),
        ("pico", "25, 26, 27, 28]", "25, 26, 27]", "pins.supply.pin = 28: the RP2040's pin 28 is not to be had, it is"),
        ("sim", "channels = 4", "channels = 4\navailable = []", "chip = 'unix': it has no pins"),
        ("pico", "available = [0, ", 'available = ["GP0", ', "available[0] = 'GP0': write a whole number from 0 to 63"),
        (
            "esp32-s3",
            "run_loop = 42",
            "run_loop = 47",
            "move one of them, channel[0].encoder.index for example to 3, 33, 34, 35, 36, 37, …",
        ),
        ("esp32", "run_contact = 4", "run_contact = 24", "pins.run_contact = 24: the ESP32 has no such pin"),
        ("esp32", "run_contact = 4", "run_contact = 6", "the chip's flash and PSRAM hang on it; free pins that can: 4"),
        (
            "esp32",
            "run_contact = 4",
            "run_contact = 1",
            "run_contact = 1: the ESP32's pin 1 is not to be had, it is the console's",
        ),
        (
            "esp32-s3",
            "run_loop = 42",
            "run_loop = 20",
            "the ESP32-S3's pin 20 is not to be had, it is the chip's own USB",
        ),
        (
            "pico",
            "pin = 26, a_per_v",
            "pin = 22, a_per_v",
            "pin = 22: it is to be an ADC input, but the RP2040's ADC has no pin 22; free pins that can: 26",
        ),
        (
            "esp32",
            "pin = 34, a",
            "pin = 2, a",
            "an ADC input, but the ESP32's ADC has no pin 2; free pins that can: 34, 37, 38, 39",
        ),
        (
            "esp32",
            "brake = 27",
            "brake = 37",
            "brake = 37: it is to be an output (output), but the ESP32's pin 37 is an input only",
        ),
        (
            "esp32",
            "a = 25, b",
            "a = 39, b",
            "a = 39: it is to be an output (PWM output), but the ESP32's pin 39 is an input only",
        ),
        (
            "esp32",
            "e_stop = 13",
            "e_stop = 39",
            "input, pulled up, but the ESP32's pin 39 has neither pull-up nor pull-down; free pins that can: 13",
        ),
        (
            "esp32",
            "brake = 27",
            "brake = 2",
            "brake = 2: it is to be an output, but the ESP32's pin 2 is a strapping pin: high at reset",
        ),
        (
            "esp32",
            "brake = 27",
            "brake = 15",
            "brake = 15: it is to be an output, but the ESP32's pin 15 is a strapping",
        ),
        (
            "esp32",
            "e_stop = 13",
            "e_stop = 0",
            "it is to be an input, pulled up, but the ESP32's pin 0 is a strapping pin: low at reset",
        ),
        ("esp32-s3", "run_contact = 21", "run_contact = 46", "the ESP32-S3's pin 46 is a strapping pin"),
        ("pico", "tx = 0", "tx = 28", "pins.supply.pin = 28 and link.tx = 28: pin 28 is used twice"),
        ("pico", "tx = 0", "tx = 22", "link.tx = 22: UART 0 cannot have this line on pin 22; free pins that can: 0"),
        ("pico", "id = 0", "id = 1", "link.tx = 0: UART 1 cannot have this line on pin 0; no pin that can is free, so"),
        ("pico", "id = 0", "id = 2", "link.id = 2: the RP2040 has UARTs 0, 1"),
        ("esp32", "id = 2", "id = 0", "link.id = 0: the ESP32 has UARTs 1, 2 for this (0 is the console's)"),
        (
            "pico",
            'kind = "uart"\nid = 0\ntx = 0\nrx = 1',
            'kind = "console"',
            "link.kind = 'console': rp2040 cannot do that; it can: uart, usb",
        ),
        (
            "esp32-bench",
            'kind = "console"',
            'kind = "usb"',
            "link.kind = 'usb': esp32 cannot do that; it can: uart, console",
        ),
        ("sim", 'kind = "console"', 'kind = "usb"', "link.kind = 'usb': unix cannot do that; it can: console"),
        ("pico", 'kind = "uart"', 'kind = "uat"', "link.kind = 'uat': rp2040 cannot do that; it can: uart, usb"),
        (
            "pico",
            'kind = "uart"\nid = 0\ntx = 0\nrx = 1\nbaud = 1_000_000',
            'kind = "console"',
            "link.kind = 'console': rp2040 cannot do that; it can: uart, usb",
        ),
        ("pico", 'method = "uf2"', 'method = "esptool"', "flash.method = 'esptool': rp2040 cannot do that"),
        (
            "pico",
            'method = "uf2"',
            'method = "none"',
            "flash.method = 'none' has no key 'build'; it has none of its own: remove it",
        ),
        (
            "esp32",
            "offset = 0x1000",
            'offset = 0x1000\nvolume = "X"',
            "flash.method = 'esptool' has no key 'volume'; its keys are build, offset",
        ),
        (
            "pico-bench",
            NO_BENCH,
            'drive = { kind = "bench", hz = 3 }',
            "channel[0].drive.kind = 'bench' has no key 'hz'; it has none of its own: remove it",
        ),
        (
            "pico-bench",
            '"bench"',
            '"bnch"',
            'channel[0].drive.kind = \'bnch\': write "two-pwm", "pwm-direction" or "bench"',
        ),
        (
            "pico",
            'method = "uf2"\nbuild = "RPI_PICO"\nvolume = "RPI-RP2"',
            'method = "esptool"\nbuild = "X"\noffset = 0',
            "flash.method = 'esptool': rp2040 cannot do that; it can: uf2, none",
        ),
        ("esp32", "offset = 0x1000", "offset = 0", "flash.offset = 0x0: the ESP32 starts what it finds at 0x1000"),
        (
            "pico-bench",
            NO_BENCH,
            NO_BENCH + "\nbrake = 4",
            'channel[0]: a drive of kind "bench" simulates motor, encoder, current, sensor and brake',
        ),
        (
            "pico-bench",
            NO_BENCH,
            NO_BENCH + "\nencoder = { a = 4, b = 5 }",
            'channel[0]: a drive of kind "bench" simulates',
        ),
        ("pico", "encoder = { a = 4, b = 5, index = 6 }", "", 'channel[0]: a drive of kind "two-pwm" needs an encoder'),
        (
            "pico2",
            'kind = "usb"',
            'kind = "usb"\nbaud = 9600',
            "link.kind = 'usb' has no key 'baud'; it has none of its own: remove it",
        ),
        ("pico", "run_loop = 19\n", "", "pins.run_contact = 18: run_loop is missing; a board that is in the run loop"),
        ("pico", "run_contact = 18\n", "", "pins.run_loop = 19: run_contact is missing; a board that is in the run"),
        (
            "pico",
            '"1.26"',
            '"1.20"',
            'micropython = "1.20": on the RP2040 the firmware needs 1.26 or newer; give "1.26"',
        ),
        ("esp32", '"1.26"', '"1.25.9"', 'micropython = "1.25.9": on the ESP32 the firmware needs 1.26 or newer'),
        ("pico", "tick_hz = 1000", "tick_hz = 400", "tick_hz = 400: write a whole number from 500 to 4000"),
        ("pico", "tick_hz = 1000", "tick_hz = 5000", "tick_hz = 5000: write a whole number from 500 to 4000"),
        ("pico", "led = 25", 'led = "GP25"', "pins.led = 'GP25': write a whole number from 0 to 63, without quotes"),
        ("pico", "led = 25", "led = 2.5", "pins.led = 2.5: write a whole number from 0 to 63"),
        ("pico", "hz = 20_000, enable = 14", "hz = 1, enable = 14", "drive.hz = 1: write a whole number from 1000 to"),
        ("pico", '"1.26"', "1.26", 'micropython = 1.26: write a version in quotes, such as "1.26"'),
        (
            "pico",
            "RPI_PICO",
            "RPI PICO",
            "flash.build = 'RPI PICO': write a MicroPython download's name in quotes",
        ),
        ("pico", "[18, 28]", "28", "supply_v = 28: write [number, number]"),
        ("pico", "[18, 28]", '[18, "x"]', "supply_v[1] = 'x': write a number above 0 up to 100, without quotes"),
        ("pico", "bidirectional = false", "bidirectional = 2", "current.bidirectional = 2: write true or false"),
        ("pico2", "led = 25", "supply = 25", "pins.supply = 25: write a table with the keys pin, ratio"),
        (
            "pico-bench",
            NO_BENCH,
            'drive = "bench"',
            'channel[0].drive = \'bench\': write a table with kind = "two-pwm", "pwm-direction" or "bench"',
        ),
        (
            "sim",
            '[link]\nkind = "console"\nbaud = 1_000_000',
            "",
            'link is missing: write a table with kind = "uart", "usb" or "console"',
        ),
        ("pico", 'method = "uf2"\n', "", 'flash.method is missing: write "uf2", "esptool" or "none"'),
        ("pico", 'volume = "RPI-RP2"', "", "flash.volume is missing: write the label of its BOOTSEL volume in quotes"),
        ("sim", "channels = 4", "channel = 3", "channel = 3: write [[channel]] tables"),
        (
            "sim",
            "channels = 4",
            "channels = 4\nchannels = 4",
            "a key or a table stands there twice: leave one out",
        ),
        (
            "pico",
            "tick_hz = 1000",
            "channels = 2",
            "a board with pins has as many as [[channel]] tables, here 2; remove the key",
        ),
        ("pico", 'micropython = "1.26"', "", "micropython is missing"),
        ("sim", "channels = 4", "channels = 9", "9 channels: a board has 1 to 8"),
        ("sim", "channels = 4", "", "0 channels: a board has 1 to 8"),
        ("sim", "channels = 4", "channels = 4\npins = { led = 3 }", "chip = 'unix': it has no pins"),
        ("sim", '"unix"', '"unics"', "chip = 'unics' is not known; there are: unix, mps2, rp2040"),
        (
            "pico",
            "supply_v = [18, 28]",
            "supply_v = [28, 18]",
            "supply_v = [28, 18]: the lower limit must be below the upper one",
        ),
        (
            "pico",
            "ratio = 11.0",
            "ratio = 8",
            "ratio = 8: at supply_v[1] = 28 V pin 28 would have 3.5 V, but the RP2040's ADC sees up to 3.3",
        ),
        ("pico", "e_stop = 22", "estop = 22", "unknown key 'pins.estop' = 22: did you mean 'e_stop'?"),
        ("pico", "e_stop = 22", "xyzzy = 22", "unknown key 'pins.xyzzy' = 22: remove it, or see docs/boards.md"),
        ("pico", "e_stop = 22", '"two words" = 22', "unknown key 'pins.two words' = 22"),
    ],
)
def test_a_mistake_is_named_with_the_pin_or_figure_and_the_fix(
    tmp_path: Path, board: str, right: str, wrong: str, message: str
) -> None:
    assert message in refusal(tmp_path, board, (right, wrong))


def test_a_micropython_that_is_new_enough_may_be_told_in_three_numbers(tmp_path: Path) -> None:
    for version in ("1.26.0", "1.26.1", "2.0", "1.100"):
        load_board_file(written(tmp_path, (BOARDS / "pico.toml").read_text().replace("1.26", version)))


def test_an_encoders_lines_that_are_apart_are_shown_free_neighbours(tmp_path: Path) -> None:
    why = refusal(tmp_path, "pico", EVERY_PIN, ("a = 4, b = 5, index = 6", "a = 4, b = 23, index = 6"))
    assert why.endswith(
        "a = 4 and b = 23 are not neighbours; the RP2040 reads both in one instruction, so b must be a + 1; free "
        "neighbours: 4 and 5, 23 and 24"
    )


def test_a_hint_is_short(tmp_path: Path) -> None:
    why = refusal(tmp_path, "pico-bench", ("[[channel]]", "[pins]\nled = 31\n[[channel]]"))
    assert why.endswith("free pins that can: 0, 1, 2, 3, 4, 5, …")


def test_two_pins_of_one_pwm_signal_are_named_with_both_uses(tmp_path: Path) -> None:
    why = refusal(
        tmp_path, "pico", EVERY_PIN, ("a = 8, b = 9", "a = 18, b = 9"), ("run_contact = 18", "run_contact = 8")
    )
    assert why == (
        "channel[1].drive.a = 18 and channel[0].drive.a = 2: both are channel A of PWM slice 1, so they would carry "
        "the same signal; move one of them, channel[1].drive.a for example to 23, 24, 29"
    )


def test_of_an_encoders_line_and_another_pin_the_other_is_to_move(tmp_path: Path) -> None:
    """The encoder's would have to stay beside its neighbour."""
    why = refusal(tmp_path, "pico", ("led = 25", "led = 5"))
    assert why.startswith(
        "channel[0].encoder.b = 5 and pins.led = 5: pin 5 is used twice; move one of them, pins.led for "
    )


def test_two_frequencies_in_one_pwm_slice_are_refused(tmp_path: Path) -> None:
    changes = ("a = 2, b = 3,", "a = 2, b = 11,"), ("a = 8, b = 9, hz = 20_000", "a = 10, b = 9, hz = 25_000")
    why = refusal(tmp_path, "pico", EVERY_PIN, *changes, ("a = 10, b = 11, index", "a = 23, b = 24, index"))
    assert (
        "channel[1].drive.a = 10 and channel[0].drive.b = 11: both are of PWM slice 5, which has one frequency" in why
    )
    assert "25000 and 20000 Hz; move one of them, channel[1].drive.a for example to 8, 29" in why


def board(chip: str, channels: list[dict[str, str]]) -> str:
    """Return a board file of that chip with these channels, as inline tables."""
    image = CHIPS[chip].image
    assert isinstance(image, EspImage)
    tables = "".join("[[channel]]\n" + "".join(f"{key} = {table[key]}\n" for key in table) for table in channels)
    return (
        f'chip = "{chip}"\ndescription = "test"\nmicropython = "1.26"\nlink = {{ kind = "console", baud = 115200 }}\n'
        f'flash = {{ method = "esptool", build = "X", offset = {image.offset} }}\n{tables}'
    )


def drive(pwm: int, direction: int) -> str:
    return f'{{ kind = "pwm-direction", pwm = {pwm}, direction = {direction}, hz = 20000 }}'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "made.toml"
    path.write_text(text)
    return path


def test_more_encoders_than_the_chip_counts_are_refused(tmp_path: Path) -> None:
    free = iter([1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 21, 38, 39])
    channels = [
        {"drive": drive(next(free), next(free)), "encoder": f"{{ a = {next(free)}, b = {next(free)} }}"}
        for _ in range(5)
    ]
    load_board_file(written(tmp_path, board("esp32s3", channels[:4])))
    with pytest.raises(CellError, match=r"channel\[4\]\.encoder: the ESP32-S3 counts 4 encoders and this is number 5"):
        load_board_file(written(tmp_path, board("esp32s3", channels)))


@pytest.mark.parametrize("name", ["esp32", "esp32s3"])
def test_drives_run_out_of_encoders_before_they_run_out_of_pwm(name: str) -> None:
    """A drive has two PWM outputs at most, of one frequency, and an encoder; so nothing else need be checked."""
    chip = CHIPS[name]
    assert 2 * chip.counters <= chip.pwm_channels
    assert chip.counters <= chip.pwm_timers


def test_nine_channels_are_refused(tmp_path: Path) -> None:
    nine = [{"drive": '{ kind = "bench" }'}] * 9
    load_board_file(written(tmp_path, board("esp32", nine[:8])))
    with pytest.raises(CellError, match="9 channel tables: a board has 1 to 8; share the joints among more boards"):
        load_board_file(written(tmp_path, board("esp32", nine)))


# ---- whatever stands in a file -----------------------------------------------------------------

VALUES = st.one_of(
    st.integers(-5, 64),
    st.integers(-(10**30), 10**30),
    st.booleans(),
    st.floats(),
    st.text(max_size=4),
    st.sampled_from(["uart", "usb", "console", "bench", "two-pwm", "uf2", "esptool", "none", "1.26", *CHIPS]),
    # Made anew each time, for a later change may go into them.
    st.builds(list),
    st.builds(dict),
    st.builds(lambda: [{}]),
)


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    if isinstance(value, float):
        return repr(value)
    return str(value).lower()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))][1 if not path else 0 :]


@settings(deadline=None, max_examples=300)
@given(data=st.data(), name=st.sampled_from([path.stem for path in SHIPPED]))
def test_whatever_stands_in_a_file_gives_a_board_or_an_error_that_says_why(
    data: st.DataObject, name: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = tomllib.loads((BOARDS / f"{name}.toml").read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(places(tree)))
        table = tree
        for key in way:
            table = table[key]
        action = data.draw(st.sampled_from(["change", "change", "remove", "add"]))
        if action == "remove":
            del table[last]
        elif action == "change":
            table[last] = data.draw(VALUES)
        elif isinstance(table, dict):
            table[data.draw(st.from_regex(r"[ a-z_.é]{0,6}", fullmatch=True))] = data.draw(VALUES)
        if not places(tree):
            break
    path = tmp_path_factory.getbasetemp() / "whatever.toml"
    path.write_text("\n".join(f"{json.dumps(key)} = {toml(value)}" for key, value in tree.items()), encoding="utf-8")
    tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        lines = check_board_file(path)
    except BedsideError as error:
        lines = [str(error)]
    assert lines[0].startswith((f"{path}: ", "whatever: "))


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "9" * 5000,
        "x = " + "[" * 5000 + "]" * 5000,
        "\x00",
        "chip = 1979-05-27",
        '"a - at `$b" = 1',
        '"a - at `$.b" = 1',
        '"b" = 1\n"a - at `$.b" = 1',
    ],
)
def test_a_file_that_is_hardly_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(CellError, match=r"made\.toml"):
        load_board_file(written(tmp_path, text))


# ---- what a link carries -----------------------------------------------------------------------


def sheet(tmp_path: Path, board: str, *changes: tuple[str, str]) -> list[str]:
    text = (BOARDS / f"{board}.toml").read_text()
    for right, wrong in changes:
        assert right in text
        text = text.replace(right, wrong)
    return check_board_file(written(tmp_path, text))


def test_a_board_is_told_what_its_link_carries(tmp_path: Path) -> None:
    four = f"{NO_BENCH}\n" + f"\n[[channel]]\n{NO_BENCH}" * 3
    lines = sheet(tmp_path, "esp32-bench", ("115_200", "1_000_000"), (NO_BENCH, four))
    # As in docs/boards.md: 125 bytes of ten bits, 70 % of the wire.
    assert "link: the console at 1 Mbaud carries 4 joints at up to 560 commands a second" in lines
    assert not [line for line in lines if line.startswith("warning: ")]
    assert "link: UART 2 at 921.6 kbaud carries 2 joints at up to 786 commands a second" in sheet(tmp_path, "esp32")
    assert "link: a USB serial port of its own, which no rate of commands fills" in sheet(tmp_path, "pico2")
    assert "link: the console, simulated" in sheet(tmp_path, "sim")


def test_a_link_that_is_too_slow_for_a_cells_usual_cycle_is_warned_of(tmp_path: Path) -> None:
    lines = sheet(tmp_path, "esp32-bench")
    assert "link: the console at 115.2 kbaud carries 1 joint at up to 132 commands a second" in lines
    assert (
        "warning: the bridge speaks to each board 250 times a second unless the cell says otherwise, which does not "
        "fit; let the link be a UART at 217858 baud or more, or arm.cycle_hz and arm.command_hz 132 at most" in lines
    )
    enough = sheet(tmp_path, "esp32-bench", ("115_200", "217_858"))
    assert not any(line.startswith("warning: ") for line in enough)
    least = sheet(tmp_path, "esp32-bench", ("115_200", "9_600"))
    assert any("no cell allows fewer than 100" in line for line in least)


# ---- boards in a cell --------------------------------------------------------------------------


def cell_of(tmp_path: Path, kind: str, port: str = "/dev/ttyACM0", **arm: Any) -> Path:
    """Return the trainer's cell with its board of another kind behind another port."""
    text = TRAINER.replace('type = "sim"', f'type = "{kind}"').replace('port = "sim:trainer"', f'port = "{port}"')
    for key, value in arm.items():
        text = re.sub(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
    path = tmp_path / "cell.toml"
    path.write_text(text)
    return path


def four_joints(tmp_path: Path, link: str) -> None:
    text = (BOARDS / "pico-bench.toml").read_text().replace('kind = "usb"', link)
    (tmp_path / "four.toml").write_text(text + f"\n[[channel]]\n{NO_BENCH}" * 2)


def test_four_joints_at_a_thousand_commands_a_second_need_more_than_a_megabaud(tmp_path: Path) -> None:
    assert (command_bytes(4), feedback_bytes(4)) == (56, 125)
    four_joints(tmp_path, 'kind = "uart"\nid = 0\ntx = 0\nrx = 1\nbaud = 1_000_000')
    joint = TRAINER[TRAINER.rindex("[[joint]]") :]
    more = joint.replace('name = "insertion"', 'name = "fourth"').replace("channel = 2", "channel = 3")
    path = cell_of(tmp_path, "four.toml", command_hz=200, cycle_hz=250)
    path.write_text(path.read_text() + "\n" + more)
    cell = load_cell(path)
    with pytest.raises(CellError) as refused:
        board_message(cell, "trainer", 1000)
    assert str(refused.value) == (
        "board 'trainer': 4 joints at 1000 Hz need 1250 kbaud, 125% of a link of 1000, where 70% is allowed; raise "
        f"link.baud of board file '{tmp_path}/four.toml' to 1785714 or more, give the board fewer joints, or lower "
        "arm.cycle_hz and the command rate to 560 Hz"
    )
    board_message(cell, "trainer", 560)
    for rates in ({"command_hz": 1000}, {"cycle_hz": 1000}):
        path.write_text(cell_of(tmp_path, "four.toml", **rates).read_text() + "\n" + more)
        with pytest.raises(CellError, match="4 joints at 1000 Hz need 1250 kbaud"):
            load_cell(path)


@pytest.mark.parametrize(("link", "port"), [('kind = "usb"', "/dev/ttyACM0"), ("", "sim:trainer")])
def test_a_usb_link_and_a_simulated_one_are_never_too_slow(tmp_path: Path, link: str, port: str) -> None:
    four_joints(tmp_path, link or 'kind = "uart"\nid = 0\ntx = 0\nrx = 1\nbaud = 9600')
    load_cell(cell_of(tmp_path, "four.toml", port, command_hz=2000, cycle_hz=2000))


def test_a_board_file_beside_the_cell_file_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    four_joints(tmp_path, 'kind = "usb"')
    monkeypatch.chdir("/")
    cell = load_cell(cell_of(tmp_path, "four.toml"))
    assert load_board_type(cell.board[0].type).channels == 4


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        (
            "brake = 5\n",
            "",
            "joint[yaw]: it needs a pin for its brake, but channel[0] of board 'trainer' (Raspberry Pi",
        ),
        ("b = 3, index = 4", "b = 3", "joint[yaw]: it needs a pin for its encoder.index, but channel[0] of board"),
        ("# sensor", "# sensor", "joint[insertion]: it needs a pin for its sensor, but channel[2] of board 'trainer'"),
    ],
)
def test_what_a_joint_needs_must_be_wired_on_its_channel(tmp_path: Path, right: str, wrong: str, message: str) -> None:
    text = (BOARDS / "pico2.toml").read_text() + "# sensor"
    assert right in text
    (tmp_path / "mine.toml").write_text(text.replace(right, wrong, 1))
    with pytest.raises(CellError) as refused:
        load_cell(cell_of(tmp_path, "mine.toml"))
    assert message in str(refused.value)


def test_an_encoder_that_counts_from_anywhere_is_not_absolute(tmp_path: Path) -> None:
    path = cell_of(tmp_path, "pico2")
    path.write_text(re.sub(r'homing = \{ method = "index".*', 'homing = { method = "absolute" }', path.read_text()))
    with pytest.raises(
        CellError, match=r"\[yaw\].homing.method = \"absolute\": the encoder on channel\[0\] .* counts from"
    ):
        load_cell(path)


@pytest.mark.parametrize(("measured", "least_mv"), [(True, 18_000), (False, 0)])
def test_a_supply_that_is_not_measured_is_not_too_low(tmp_path: Path, measured: bool, least_mv: int) -> None:
    text = (BOARDS / "pico-bench.toml").read_text() + '\n[[channel]]\ndrive = { kind = "bench" }\n'
    (tmp_path / "mine.toml").write_text(text + ("[pins]\nsupply = { pin = 28, ratio = 11.0 }\n" if measured else ""))
    message = board_message(load_cell(cell_of(tmp_path, "mine.toml")), "trainer", 200.0)
    assert message[6] == least_mv


def test_a_run_loop_needs_its_two_pins_on_every_board(tmp_path: Path) -> None:
    four_joints(tmp_path, 'kind = "usb"')
    path = cell_of(tmp_path, "four.toml")
    load_cell(path)
    path.write_text(path.read_text().replace("[arm]", "[arm]\nrun_loop = { relay_off_ms = 3000 }"))
    with pytest.raises(CellError, match=r"the arm has a run loop, but the board file has no pins\.run_loop"):
        load_cell(path)


def test_a_board_is_told_its_file_as_it_stands_for_as_many_joints_as_it_has(tmp_path: Path) -> None:
    text = (BOARDS / "pico2.toml").read_text()
    text = text.replace("27, 28]", "27, 28, 29]").replace("brake = 17", "brake = 17\nsensor = { pin = 29 }")
    (tmp_path / "mine.toml").write_text(text)
    config = board_config(load_cell(cell_of(tmp_path, "mine.toml")), "trainer")
    raw = tomllib.loads((tmp_path / "mine.toml").read_text())
    assert config == {
        "name": "trainer",
        "role": "trainer/trainer",
        "joints": ["yaw", "pitch", "insertion"],
        "tick_hz": 1000,
        **{key: raw[key] for key in ("link", "pins", "channel")},
    }
    psm = load_cell(BOARDS / "cells" / "psm.toml")
    psm.board[0].type = "pico2"
    assert board_config(psm, "psm1-base")["channel"] == raw["channel"][:2]
    assert board_config(psm, "psm1-slide")["pins"] == {}


def test_a_config_is_the_same_bytes_wherever_it_is_made() -> None:
    assert canonical({"b": [1, 2.5, True], "a": {"é": "x"}}) == '{"a":{"é":"x"},"b":[1,2.5,true]}'.encode()


# ---- what people read ----------------------------------------------------------------------------


def test_the_wiring_page_has_the_pin_tables_of_the_board_files() -> None:
    assert wiring.PAGE.read_text() == wiring.written(), "run 'make wiring'"


def test_the_board_of_the_guide_is_sound_and_its_mistake_is_what_it_says(tmp_path: Path) -> None:
    page = (DOCS / "boards.md").read_text()
    [text] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    path = tmp_path / "xiao.toml"
    path.write_text(text)
    lines = check_board_file(path)
    assert lines[0] == "xiao: Seeed Studio XIAO RP2040, one joint, link on USB"
    assert [line for line in lines if line.startswith("pins that are left")] == []
    [printed] = re.findall(r"^\| GPIO \|(.*)\|$", page, re.MULTILINE)
    board = load_board_file(path)
    assert {use.pin for use in board.uses} == set(board.available or []) == set(map(int, printed.split("|")))
    path.write_text(text.replace("b = 7", "b = 4"))
    with pytest.raises(CellError) as refused:
        check_board_file(path)
    assert str(refused.value).replace(str(path), "xiao.toml") in page


def test_a_board_file_is_told_with_its_pins_and_what_it_lacks(tmp_path: Path) -> None:
    lines = check_board_file(BOARDS / "pico2.toml")
    assert (
        "pin 22  pins.e_stop               input, pulled up       contact to ground, closed while all is well" in lines
    )
    assert "channel 0: no second sensor: a coupling or an encoder that slips is not noticed" in lines
    assert any(line.startswith("no supply measurement: ") for line in lines)
    assert not any(line.startswith("no e-stop input: ") for line in lines)
    text = (BOARDS / "pico2.toml").read_text().replace("e_stop = 22\n", "")
    assert any(line.startswith("no e-stop input: ") for line in check_board_file(written(tmp_path, text)))
