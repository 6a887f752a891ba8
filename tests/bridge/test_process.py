"""The real processes in real time: what a person can do to them at the worst moment."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bedside.link.messages import DISABLED, FAULT, OFF
from bedside.places import BOARDS
from real_arm import Site

pytestmark = pytest.mark.real_time

TRAINER = BOARDS / "cells" / "trainer.toml"
# Frames under way when a process dies, and the reading of the clock from another thread.
SLACK_TICKS = 15


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


def test_a_second_bridge_is_refused_and_the_arm_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BEDSIDE_SIM", str(tmp_path))
    with contextlib.closing(Site(tmp_path, 36900 + os.getpid() % 1000, patient=True)) as site:
        site.moving()
        second = site.start("bridge")
        out, _ = second.communicate(timeout=20)
        assert second.returncode == 1
        assert "is another bridge running?" in out
        site.until(lambda: site.speed() > 0.01, "it moves")


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
