"""A console as a program has it, on a real arm, and the ways to reach its bridge."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedside.errors import SurgeonError
from bedside.surgeon.console import Console
from bedside.surgeon.credentials import load_credentials
from bedside.surgeon.remote import Route
from real_arm import Site

pytestmark = pytest.mark.real_time
ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    with contextlib.closing(Site(tmp_path, 36500 + os.getpid() % 1000, patient=True)) as site:
        site.until(lambda: site.world.ticks > 10, "boards up")
        yield site


def begin(site: Site) -> None:
    bridge = site.start("bridge")
    assert bridge.stdout
    assert "listening on" in bridge.stdout.readline()
    assert site.start("local", "arm").wait(20) == 0


def free_port() -> int:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def add_network(site: Site, line: str) -> None:
    text = site.cell_path.read_text()
    site.cell_path.write_text(text.replace("hold_ms", f"network.{line}\nhold_ms", 1))


def test_every_motion_of_crtk_leads_the_arm(site: Site) -> None:
    async def drive() -> None:
        credentials = load_credentials(site.directory / "keys" / "alice")
        async with Console.connect(credentials, Route(bridge=site.cell.arm.listen)) as arm:
            with pytest.raises(SurgeonError, match="so follows nothing; enable or resume it"):
                arm.servo_jp(arm.measured_js().position)
            await arm.request()
            await arm.enable()
            begun = arm.measured_js().position

            await arm.move_jr([0.1, 0.0, 0.0, 0.2, 0.0, 0.0, 0.0])
            moved = arm.measured_js().position
            assert moved[0] - begun[0] == pytest.approx(0.1, abs=0.01)
            assert moved[3] - begun[3] == pytest.approx(0.2, abs=0.02)
            assert not arm.operating_state().is_busy

            for k in range(100):
                arm.servo_jp([moved[0] + 0.001 * k, *moved[1:]], [0.2, *[0.0] * 6])
                await asyncio.sleep(0.005)
            arm.servo_jr([0.002, *[0.0] * 6])
            await asyncio.sleep(0.2)
            served = arm.setpoint_js().position
            assert served[0] - moved[0] == pytest.approx(0.1, abs=0.02)

            for _ in range(20):
                arm.servo_jv([-0.3, *[0.0] * 6])
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.4)
            braked = arm.measured_js()
            assert braked.position[0] < served[0] - 0.05
            assert abs(braked.velocity[0]) < 0.05, "servo_jv that is not said again ends"

            goal = [braked.position[0] + 0.05, *braked.position[1:]]
            arm.interpolate_jp(goal)
            await asyncio.sleep(1.0)
            assert arm.measured_js().position[0] == pytest.approx(goal[0], abs=0.01)

            arm.pedal = False
            with contextlib.suppress(SurgeonError):
                await asyncio.wait_for(arm.move_jr([0.3, *[0.0] * 6]), 1.0)
            assert arm.measured_js().position[0] == pytest.approx(goal[0], abs=0.02), "a released pedal holds"
            arm.pedal = True

            await arm.pause()
            assert arm.operating_state().state == "PAUSED"
            await arm.resume()
            assert arm.operating_state().state == "ENABLED"
            await arm.disable()
            assert arm.operating_state().state == "DISABLED"

    begin(site)
    asyncio.run(asyncio.wait_for(drive(), 90))


def test_bridge_and_console_that_cannot_reach_each_other_meet_at_a_relay(site: Site) -> None:
    address = f"127.0.0.1:{free_port()}"
    add_network(site, f'relay = "{address}"')
    relay = subprocess.Popen(
        [sys.executable, "-m", "bedside.cli", "relay", "--listen", address], stdout=subprocess.PIPE, text=True
    )
    site.processes.append(relay)
    assert relay.stdout
    assert "relaying at" in relay.stdout.readline()
    begin(site)
    out, _ = site.start("drive", "--relay", address, "--seconds", "1").communicate(timeout=40)
    assert "Traceback" not in out
    assert site.processes[-1].returncode == 0, out
    stranger, _ = site.start("drive", "--relay", address, "--arm", "another").communicate(timeout=40)
    assert "no bridge of arm 'another' and of this site is there now" in stranger


def test_a_console_that_the_bridge_can_reach_is_called_by_it(site: Site) -> None:
    address = f"127.0.0.1:{free_port()}"
    add_network(site, f'dial = ["{address}"]')
    begin(site)
    out, _ = site.start("drive", "--listen", address, "--seconds", "1").communicate(timeout=40)
    assert site.processes[-1].returncode == 0, out


def test_the_example_of_the_page_runs(site: Site) -> None:
    begin(site)
    (text,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "console.md").read_text(), re.DOTALL)
    issued = site.directory / ".config" / "bedside" / "issued"
    issued.mkdir(parents=True)
    (issued / "alice").symlink_to(site.directory / "keys" / "alice")
    done = subprocess.run(
        [sys.executable, "-c", text.replace("127.0.0.1:36010", site.cell.arm.listen)],
        env={**os.environ, "HOME": str(site.directory)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "OperatingState(state='ENABLED', is_homed=True, is_busy=False)" in done.stdout
