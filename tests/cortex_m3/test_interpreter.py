from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import serial

from cortex_m3 import board

pytestmark = pytest.mark.usefixtures("emulator")

Run = Callable[[str], str]


@pytest.fixture
def run_text(tmp_path: Path) -> Run:
    """Run a program's text on the Cortex-M3; return what it printed."""

    def run(text: str) -> str:
        script = tmp_path / "script.py"
        script.write_text(text, encoding="utf-8")
        return board.run(script, "first argument", "2,3").decode()

    return run


def failure(run_text: Run, text: str) -> tuple[int, str]:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        run_text(text)
    return failed.value.returncode, failed.value.stdout.decode()


def test_it_is_a_small_32_bit_board(run_text: Run) -> None:
    told = run_text(
        "import sys, gc\ngc.collect()\nprint(sys.platform, sys.maxsize, sys.argv[1:], gc.mem_free() > 180000)"
    )
    assert told == f"mps2 {2**31 - 1} ['first argument', '2,3'] True\n"


def test_viper_sees_negative_words_and_wraps_at_32_bits(run_text: Run) -> None:
    told = run_text(
        "from array import array\n"
        "import micropython\n"
        "@micropython.viper\n"
        "def half(p: ptr32) -> int:\n"
        "    return p[0] >> 1\n"
        "@micropython.viper\n"
        "def square(x: int) -> int:\n"
        "    return x * x\n"
        "print(half(array('i', [-5])), square(0x10001))\n"
    )
    assert told == f"-3 {0x20001}\n"


def test_ticks_wrap_at_2_to_the_30(run_text: Run) -> None:
    told = run_text(
        "import time\n"
        "a = time.ticks_add(0, -5)\n"
        "b = time.ticks_us()\n"
        "time.sleep_us(2000)\n"
        "print(a, time.ticks_diff(3, a), time.ticks_diff(a, 3), time.ticks_diff(time.ticks_us(), b) >= 2000)\n"
    )
    assert told == f"{2**30 - 5} 8 -8 True\n"


def test_an_exception_is_told_and_ends_with_status_1(run_text: Run) -> None:
    status, told = failure(run_text, "def f():\n    1 / 0\nf()\n")
    assert status == 1
    assert 'script.py", line 2, in f\nZeroDivisionError' in told
    assert failure(run_text, "raise SystemExit(3)") == (3, "")
    assert failure(run_text, "raise SystemExit('broken')") == (1, "broken\n")
    assert failure(run_text, "import nothing_of_this_name")[0] == 1


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("def f(): f()\nf()", 1, "RuntimeError: maximum recursion depth exceeded"),
        ("x = []\nwhile True: x.append(bytearray(1000))", 1, "MemoryError"),
        ("import micropython\nmicropython.heap_lock()\n[1.5 * 2, []]", 1, "MemoryError"),
        ("@micropython.viper\ndef f():\n    ptr32(0x70000000)[0] = 1\nf()", 70, "fault: vector 3, pc 0x2000"),
        ("@micropython.viper\ndef f():\n    ptr32(0)[0] = 1\nf()", 70, "fault: vector 3"),
        ("@micropython.asm_thumb\ndef f():\n    label(L)\n    push({r1, r2})\n    b(L)\nf()", 70, "fault: vector 3"),
    ],
    ids=["recursion", "memory", "heap lock", "bus", "code", "stack"],
)
def test_nothing_hangs(run_text: Run, text: str, status: int, reason: str) -> None:
    code, told = failure(run_text, "import micropython\n" + text)
    assert code == status
    assert reason in told


def test_the_repl_answers_on_a_socket_and_heeds_control_c() -> None:
    with board.serve() as url, serial.serial_for_url(url, timeout=10) as port:
        # What it said before anybody was connected is gone; Ctrl-B lets it say so again.
        port.write(b"\r\x02")
        assert port.read_until(b"MicroPython").endswith(b"MicroPython")
        port.read_until(b">>> ")
        port.write(b"import time\rwhile True: print('busy'); time.sleep_ms(20)\r\r")
        port.read_until(b"\r\nbusy\r\n")
        port.write(b"\x03")
        assert b"KeyboardInterrupt" in port.read_until(b">>> ")
        # As mpremote does it: a soft reset, the raw REPL, a program, its output between marks.
        port.write(b"\x01\x04")
        port.read_until(b"soft reboot\r\n")
        assert port.read_until(b"raw REPL; CTRL-B to exit\r\n>").endswith(b">")
        port.write(b"print(6 * 7)\x04")
        assert port.read_until(b"\x04>") == b"OK42\r\n\x04\x04>"
