"""What tests of several areas share; the boards are fixtures of ``bedside.hil.plugin``."""

from __future__ import annotations

import micropython  # noqa: F401 - gives firmware modules their pointer types under CPython
import pytest

from cortex_m3 import board as cortex_m3

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def emulator() -> None:
    """Skip what needs the emulated Cortex-M3 where it is not installed; build its interpreter where it is."""
    if missing := cortex_m3.available():
        pytest.skip(missing)
    cortex_m3.build()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once why the emulator's tests were skipped."""
    if missing := cortex_m3.available():
        terminalreporter.write_line(f"tests/cortex_m3 skipped: {missing}")
