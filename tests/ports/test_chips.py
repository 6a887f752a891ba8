"""The ports of real chips, on MicroPython's unix port with a double of ``machine`` that records what pins are told."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from any_board import PASSED, run_suite
from bedside.hil.live import LiveBench
from bedside.places import FIRMWARE
from bedside.sim.board import interpreter

ROOT = Path(__file__).parents[2]
DOUBLE = Path(__file__).parent / "double"
ENVIRONMENT = {"MICROPYPATH": f"{DOUBLE}:{FIRMWARE}:.frozen"}
TWO_PWM = {"kind": "two-pwm", "a": 2, "b": 3, "hz": 20000}
DIRECTION = {"kind": "pwm-direction", "pwm": 6, "direction": 7, "hz": 20000, "enable": 8, "fault": 9}
PINS = {
    "e_stop": 22,
    "local": 17,
    "brake_release": 21,
    "maintenance": 20,
    "run_loop": 19,
    "run_contact": 18,
    "led": 25,
    "supply": {"pin": 28, "ratio": 11.0},
}
CHANNELS = [
    {
        "drive": TWO_PWM,
        "encoder": {"a": 4, "b": 5, "index": 12},
        "brake": 10,
        "current": {"pin": 26, "a_per_v": 2.0, "zero_v": 1.65, "bidirectional": True},
        "sensor": {"pin": 27},
    },
    {"drive": DIRECTION, "encoder": {"a": 14, "b": 15}, "brake": 11, "current": {"pin": 29, "a_per_v": 1.0}},
]
LINK = {"kind": "uart", "id": 0, "tx": 0, "rx": 1, "baud": 1_000_000}
BENCHES = [{"drive": {"kind": "bench"}}, {"drive": {"kind": "bench"}}]
# Bits of SWITCHES, and indices into inputs and outputs: firmware/ports/__init__.py.
E_STOP, BRAKE_RELEASE, MAINTENANCE, RUN_LOOP, LOCAL_OFF, FAULT_OF_1 = 1, 2, 4, 16, 32, 512


def config_of(channels: list[Any], pins: dict[str, Any], link: dict[str, Any]) -> dict[str, Any]:
    joints = ["x", "y"][: len(channels)]
    return {
        "name": "t",
        "role": "a/t",
        "joints": joints,
        "tick_hz": 1000,
        "link": link,
        "pins": pins,
        "channel": channels,
    }


Run = Callable[[str], Any]


@pytest.fixture(params=["rp2", "esp32"])
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def on_board(family: str, tmp_path: Path) -> Run:
    """Return a function that runs lines of MicroPython behind ``port = …`` and returns what they make of ``result``."""
    config = tmp_path / "board.json"
    config.write_text(json.dumps(config_of(CHANNELS, PINS, LINK)))

    def run(lines: str) -> Any:
        begin = "import json, sys, machine, board, ports\nfrom machine import PWM, Pin, levels, volts, counts\n"
        begin += f"from ports import *\nchip = sys.modules['ports.{family}'] if board else None\n"
        begin += "port, config = chip.open_board(sys.argv[2])\n"
        script = tmp_path / "script.py"
        script.write_text(f"{begin}{lines}\nprint(json.dumps(result))\n")
        done = subprocess.run(
            [interpreter(), str(script), family, str(config)],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout.splitlines()[-1])

    return run


SET = "port.outputs[0], port.outputs[1], port.outputs[DRIVES] = {}, {}, {}\nport.commit()\n"


@pytest.mark.parametrize(
    ("outputs", "pins"),
    [
        ((0, 0, 0), {"2": 0, "3": 0, "6": 0}),
        ((9000, 9000, 0), {"2": 0, "3": 0, "6": 0}),
        ((0, 0, 3), {"2": 65535, "3": 65535, "6": 0}),
        ((32767, 32767, 3), {"2": 65535, "3": 1, "6": 65534}),
        ((-32767, -32767, 3), {"2": 1, "3": 65535, "6": 65534}),
        ((8192, -8192, 1), {"2": 65535, "3": 49151, "6": 0}),
    ],
)
def test_a_drive_coasts_when_off_and_brakes_at_no_output(
    on_board: Run, outputs: tuple[int, int, int], pins: dict[str, int]
) -> None:
    result = on_board(SET.format(*outputs) + "result = [PWM.duties, levels[7], levels[8]]")
    assert result == [pins, int(outputs[1] < 0 and outputs[2] & 2 > 0), outputs[2] >> 1]


def test_brakes_run_contact_and_light_follow_their_outputs(on_board: Run) -> None:
    lines = "port.outputs[BRAKES_OPEN], port.outputs[RUN_CONTACT], port.outputs[DRIVES] = 2, 1, 1\nport.commit()\n"
    lines += "result = [[levels[pin] for pin in (10, 11, 18, 25)]]\nport.outputs[0] = 5000\nport.safe()\n"
    lines += "result += [[levels[pin] for pin in (10, 11, 18, 25)], PWM.duties]"
    assert on_board(lines) == [[0, 1, 1, 1], [0, 0, 0, 0], {"2": 0, "3": 0, "6": 0}]


def test_every_output_is_off_before_anything_else_happens(on_board: Run) -> None:
    lines = "result = [PWM.duties, [levels[pin] for pin in (2, 3, 6, 7, 8, 10, 11, 18)]]"
    assert on_board(lines) == [{"2": 0, "3": 0, "6": 0}, [0] * 8]


@pytest.mark.parametrize(
    ("levels", "switches"),
    [
        # Nothing is connected: the wires of the emergency stop and of the local switch are cut.
        ({}, E_STOP | LOCAL_OFF),
        ({22: 0}, LOCAL_OFF),
        ({17: 0}, E_STOP),
        ({22: 0, 17: 0}, 0),
        ({22: 0, 17: 0, 21: 0}, BRAKE_RELEASE),
        ({22: 0, 17: 0, 20: 0}, MAINTENANCE),
        ({22: 0, 17: 0, 19: 1}, RUN_LOOP),
        ({22: 0, 17: 0, 9: 0}, FAULT_OF_1),
    ],
)
def test_switches_fail_to_a_stop(on_board: Run, levels: dict[int, int], switches: int) -> None:
    assert on_board(f"levels.update({levels})\nport.begin()\nresult = port.inputs[SWITCHES]") == switches


def test_voltages_become_milliamperes_millivolts_and_sensor_counts(on_board: Run) -> None:
    lines = "volts.update({26: 2150, 27: 1650, 28: 2182, 29: 400})\nport.outputs[1] = -5\nport.begin()\n"
    lines += "result = [port.inputs[k] for k in (CURRENT, CURRENT + 1, SENSOR, SUPPLY_MV)]"
    current, other, sensor, supply = on_board(lines)
    assert current == pytest.approx(1000, abs=5)
    assert other == pytest.approx(-400, abs=3)
    assert sensor == pytest.approx(16384, abs=10)
    assert supply == pytest.approx(24_000, abs=30)


def test_the_index_catches_the_count_at_its_edge(on_board: Run) -> None:
    lines = "counts.update({0: -1234, 1: 77})\nPin.irqs[12](None)\ncounts[0] = 5\nport.begin()\n"
    lines += "result = [port.inputs[k] for k in (COUNT, COUNT + 1, INDEX_COUNT, INDEX_PASSES)]"
    assert on_board(lines) == [5, 77, -1234, 1]


def test_what_is_kept_outlasts_a_reset(on_board: Run) -> None:
    lines = "for k in range(TO_KEEP, OUTPUTS_SIZE): port.outputs[k] = -k\nport.commit()\n"
    lines += "port, _ = chip.open_board(sys.argv[2])\nresult = [port.outputs[k] for k in range(TO_KEEP, OUTPUTS_SIZE)]"
    assert on_board(lines) == [-k for k in range(12, 19)]


def test_the_watchdog_runs_from_the_first_feed_and_then_maintenance_takes_a_reset(on_board: Run) -> None:
    lines = "result = [machine.WDT.fed]\nport.rest()\nport.feed()\nport.feed()\nresult.append(machine.WDT.fed)\n"
    lines += "try:\n    port.rest()\nexcept SystemExit: pass\nport, _ = chip.open_board(sys.argv[2])\n"
    assert on_board(lines + "result.append(port.outputs[TO_REST])") == [0, 2, 1]


def test_a_tick_with_every_pin_in_use_allocates_nothing(on_board: Run, family: str) -> None:
    if family != "rp2":
        pytest.skip("its ticks are no interrupts")
    lines = "begin, commit, out = port.begin, port.commit, port.outputs\ndef tick():\n    begin()\n    commit()\n"
    lines += "result = []\nvolts.update({26: 2150, 28: 2182, 29: 400})\nport.start(tick)\n"
    lines += "for value in (0, 20000, -20000):\n    out[0] = out[1] = value\n    out[DRIVES] = out[BRAKES_OPEN] = 3\n"
    lines += "    machine.idle()\n    result.append(port.wait())"
    assert len(on_board(lines)) == 3, "what the tick raises, wait raises"


def test_an_exception_in_the_interrupt_makes_all_safe_and_is_raised_in_the_background(
    on_board: Run, family: str
) -> None:
    if family != "rp2":
        pytest.skip("its ticks are no interrupts")
    lines = "def tick(): raise ValueError('broken')\n" + SET.format(20000, 20000, 3)
    lines += "port.start(tick)\nmachine.idle()\nresult = [PWM.duties, machine.Timer.running]\n"
    lines += "try:\n    port.wait()\nexcept ValueError as error: result.append(str(error))"
    assert on_board(lines) == [{"2": 0, "3": 0, "6": 0}, None, "broken"]


def test_the_links_interrupt_goes_before_the_tick(on_board: Run, family: str) -> None:
    if family != "rp2":
        pytest.skip("its ticks are no interrupts")
    # Of UART 0, interrupt 20.
    lines = "words = machine.mem32.words\nresult = [[hex(address), hex(words[address])] for address in words]"
    assert on_board(lines) == [["0xe000e414", "0x80808040"]]


@pytest.mark.parametrize(("word", "runs"), [(0, 1), (1, 0), (0x2000_0001, 1)])
def test_only_who_asked_for_maintenance_gets_it_whatever_a_boot_program_left_in_the_kept_words(
    on_board: Run, word: int, runs: int
) -> None:
    lines = f"port.outputs[TO_REST] = {word}\nport.commit()\nimport main, executive\nruns = []\n"
    lines += "def run(*_):\n    runs.append(1)\n    raise ValueError\nexecutive.Board = run\n"
    lines += "try:\n    main.main(sys.argv[2])\nexcept ValueError:\n    pass\nresult = len(runs)"
    assert on_board(lines) == runs


def test_a_wired_joint_behind_a_simulated_one_is_counted_as_its_own(on_board: Run, family: str, tmp_path: Path) -> None:
    mixed = config_of([BENCHES[0], CHANNELS[0]], {}, LINK)
    (tmp_path / "board.json").write_text(json.dumps(mixed))
    lines = "counts.update({1: 77})\nport.begin()\nPin.irqs[12](None)\n"
    assert on_board(f"{lines}result = [port.inputs[k] for k in (COUNT, COUNT + 1, INDEX_COUNT + 1)]") == [0, 77, 77]


@pytest.fixture
def bench_board(family: str, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A board of that family with simulated motors, in real time behind a port; its name and its process."""
    config = tmp_path / "board.json"
    config.write_text(json.dumps(config_of(BENCHES, {"led": 25}, LINK)))
    master, slave = pty.openpty()
    tty.setraw(slave)
    command = [interpreter(), "-X", "heapsize=512K", str(DOUBLE / "board.py"), family, str(config), "0" * 16]
    with subprocess.Popen(command, stdin=master, stdout=master, env=ENVIRONMENT) as process:
        yield os.ttyname(slave), process
        process.kill()
    os.close(master)
    os.close(slave)


@pytest.mark.real_time
@pytest.mark.parametrize("enabled", [False, True])
def test_ctrl_c_at_the_console_ends_the_program_until_the_arm_is_enabled_first(
    bench_board: tuple[str, subprocess.Popen[bytes]], enabled: bool
) -> None:
    port, process = bench_board
    bench = LiveBench(port, 1_000_000)
    bench.recover()
    bench.configure()
    if enabled:
        bench.enable()
    bench.link.port.close()
    process.send_signal(signal.SIGINT)
    # With Ctrl-C as data, the signal is not MicroPython's to handle.
    assert process.wait(20) == (-signal.SIGINT if enabled else 130)


@pytest.mark.real_time
def test_the_suite_for_any_board_passes_on_a_board_without_motors(
    bench_board: tuple[str, subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    done = run_suite(bench_board[0], tmp_path / "hil")
    assert done.returncode == 0, done.stdout[-3000:]
    assert PASSED in done.stdout
