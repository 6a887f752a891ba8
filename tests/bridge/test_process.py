"""The real processes in real time: what a person can do to them at the worst moment."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedside.bridge.connect import close, connect
from bedside.cell import Cell, load_cell
from bedside.link import schema
from bedside.link.messages import DISABLED, FAULT, OFF
from bedside.places import BOARDS
from bedside.sim.world import World
from bedside.surgeon.authority import BRIDGE, SURGEON
from bedside.surgeon.find import issue_for_once
from lockstep import PSM

pytestmark = pytest.mark.real_time

ROLES = {"bridge": BRIDGE, "alice": SURGEON}
TRAINER = BOARDS / "cells" / "trainer.toml"
# Frames under way when a process dies, and the reading of the clock from another thread.
SLACK_TICKS = 15


class Site:
    """An arm in real time: its world in a thread of this process, bridge and console in processes of their own.

    A ``patient`` one has the longest timeouts, for tests that are about something else.
    """

    def __init__(
        self, directory: Path, port: int, cell: Path = PSM, roles: dict[str, str] = ROLES, patient: bool = False
    ) -> None:
        self.directory = directory
        self.cell_path = directory / "cell.toml"
        text = cell.read_text().replace("127.0.0.1:36010", f"127.0.0.1:{port}")
        if patient:
            for key, longest in {"operator_timeout_ms": 500, "link_timeout_ms": 200}.items():
                text = re.sub(rf"^{key} = .*", f"{key} = {longest}", text, flags=re.MULTILINE)
        self.cell_path.write_text(text.replace("../plants", str(PSM.parent.parent / "plants")))
        self.cell: Cell = load_cell(self.cell_path)
        issue_for_once(directory / "keys", roles)
        self.processes: list[subprocess.Popen[str]] = []
        self._over = threading.Event()
        self.world = World(self.cell, self.cell_path, directory)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self.world:
            self.world.run(self._over.is_set)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        own = {"bridge": "bridge", "drive": "alice"}.get(arguments[0])
        keys = ["--credentials", str(self.directory / "keys" / own)] if own else []
        command = [sys.executable, "-m", "bedside.cli", arguments[0], str(self.cell_path), *keys, *arguments[1:]]
        process = subprocess.Popen(
            command,
            env={**os.environ, "BEDSIDE_SIM": str(self.directory), "BEDSIDE_RUN": str(self.directory)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.processes.append(process)
        return process

    def until(self, done: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            time.sleep(0.002)
            assert time.monotonic() < deadline, f"{what}: {[plant.velocity for plant in self.world.plants.values()]}"

    def speed(self) -> float:
        """The largest speed of a joint, as a share of its limit, by its plant."""
        joints = self.cell.joint
        return max(abs(self.world.plants[joint.name].velocity) / joint.limits.velocity for joint in joints)

    def moving(self) -> tuple[subprocess.Popen[str], subprocess.Popen[str]]:
        """Start bridge and console, and return them when the arm moves well."""
        self.until(lambda: self.world.ticks > 10, "boards up")
        bridge = self.start("bridge")
        assert bridge.stdout
        assert "listening on" in bridge.stdout.readline()
        for _ in range(4):
            assert self.start("local", "arm").wait(20) == 0
            drive = self.start("drive", "--seconds", "30")
            self.until(lambda drive=drive: self.speed() > 0.1 or drive.poll() is not None, "moving")
            if drive.poll() is None:
                return bridge, drive
            # This machine stalled for longer than the operator timeout, and the arm stopped, as it should.
            self.start("local", "clear").wait(20)
        raise AssertionError("this machine does not keep an arm moving for a second")

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        self._over.set()
        self._thread.join()

    def states(self) -> list[tuple[int, int]]:
        """State and phase of each board, asked directly."""
        links = connect(self.cell)
        answers = [link.ask([schema.KEEP_ALIVE, 0]) for link in links]
        close(links)
        return [(answer.state, answer.phase) for answer in answers]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Site]:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    site = Site(tmp_path, 36100 + os.getpid() % 1000)
    yield site
    site.close()


def test_kill_9_of_the_bridge_stops_every_joint_within_its_limits(site: Site) -> None:
    bridge, _ = site.moving()
    world = site.world
    joints = site.cell.joint
    speeds = [abs(world.plants[joint.name].velocity) for joint in joints]
    bridge.send_signal(signal.SIGKILL)
    killed_at = world.ticks
    places = [world.plants[joint.name].position for joint in joints]
    site.until(lambda: site.speed() < 0.002, "standstill", 10)
    ramp_ms = max(v / joint.limits.stop_deceleration for v, joint in zip(speeds, joints, strict=True)) * 1000
    timeout_ms = site.cell.arm.operator_timeout_ms
    assert world.ticks - killed_at <= timeout_ms + 1 + ramp_ms + 20 + SLACK_TICKS
    for joint, place, speed in zip(joints, places, speeds, strict=True):
        travel = abs(world.plants[joint.name].position - place)
        reaction_s = (timeout_ms + 1 + SLACK_TICKS) / 1000
        assert travel <= 1.1 * (1.5 * speed * reaction_s + speed**2 / 2 / joint.limits.stop_deceleration) + 0.002
    site.until(lambda: all(plant.brake_closed and not plant.current for plant in world.plants.values()), "braked", 10)
    assert site.states() == [(FAULT, OFF)] * 3


def test_a_bridge_started_again_moves_nothing(site: Site) -> None:
    bridge, drive = site.moving()
    bridge.kill()
    site.until(lambda: all(plant.brake_closed for plant in site.world.plants.values()), "braked")
    drive.wait(10)
    places = [plant.position for plant in site.world.plants.values()]
    again = site.start("bridge")
    assert again.stdout
    assert "listening on" in again.stdout.readline()
    assert site.start("local", "arm").wait(20) == 0
    refused = site.start("drive", "--seconds", "2")
    assert refused.wait(20) == 1
    assert refused.stdout
    assert "the local operator clears it" in refused.stdout.read()
    assert [plant.position for plant in site.world.plants.values()] == places


def test_ctrl_c_on_the_bridge_stops_the_arm_and_leaves_quietly(site: Site) -> None:
    bridge, drive = site.moving()
    bridge.send_signal(signal.SIGINT)
    out, _ = bridge.communicate(timeout=20)
    assert bridge.returncode == 0
    assert "Traceback" not in out
    assert site.states() == [(DISABLED, OFF)] * 3
    assert drive.wait(20) == 1
    assert drive.stdout
    assert "Traceback" not in drive.stdout.read()


def test_ctrl_c_on_the_console_stops_the_arm_and_leaves_quietly(site: Site) -> None:
    bridge, drive = site.moving()
    drive.send_signal(signal.SIGINT)
    out, _ = drive.communicate(timeout=20)
    assert drive.returncode == 130
    assert "Traceback" not in out
    bridge.send_signal(signal.SIGINT)
    bridge.communicate(timeout=20)
    assert site.states() == [(DISABLED, OFF)] * 3


def test_a_second_bridge_is_refused(site: Site) -> None:
    site.moving()
    second = site.start("bridge")
    out, _ = second.communicate(timeout=20)
    assert second.returncode == 1
    assert "is another bridge running?" in out
    assert site.speed() > 0


def test_a_console_that_freezes_leaves_a_fault_that_only_a_person_clears(site: Site) -> None:
    bridge, drive = site.moving()
    drive.send_signal(signal.SIGSTOP)
    site.until(lambda: all(plant.brake_closed for plant in site.world.plants.values()), "braked")
    drive.send_signal(signal.SIGCONT)
    assert drive.wait(20) == 1
    time.sleep(0.5)
    bridge.send_signal(signal.SIGINT)
    bridge.communicate(timeout=20)
    states = site.states()
    assert (FAULT, OFF) in states, "neither the console's end nor the bridge's cleared it"
    # A board that the bridge has stopped with the others, a moment before its own time was over, has no fault.
    assert set(states) <= {(FAULT, OFF), (DISABLED, OFF)}


def test_an_arm_homes_before_it_drives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    with contextlib.closing(Site(tmp_path, 37100 + os.getpid() % 1000, TRAINER)) as site:
        site.until(lambda: site.world.ticks > 10, "board up")
        bridge = site.start("bridge")
        assert bridge.stdout
        assert "listening on" in bridge.stdout.readline()
        assert site.start("local", "arm").wait(20) == 0
        early, _ = site.start("drive", "--seconds", "1").communicate(timeout=20)
        assert "not homed: yaw, pitch, insertion; the local operator homes the arm" in early
        for _ in range(4):
            out, _ = site.start("local", "home").communicate(timeout=60)
            if "every joint is homed" in out:
                break
            # This machine stalled for longer than a timeout, and the arm stopped, as it should.
            assert "the arm has stopped by itself" in out
            site.start("local", "clear").wait(20)
        assert "trainer: every joint is homed" in out
        again = site.start("local", "home")
        assert again.communicate(timeout=20)[0].strip() == "trainer: every joint is homed"
        drive = site.start("drive", "--seconds", "1")
        site.until(lambda: site.speed() > 0.05 or drive.poll() is not None, "moving")
        assert drive.poll() is None
