"""A whole arm in real time: its world, and bridges, consoles and local operators as people start them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bedside.bridge.connect import close, connect
from bedside.cell import Cell, load_cell
from bedside.hil.lockstep import PSM
from bedside.link import schema
from bedside.sim.world import World
from bedside.surgeon.authority import BRIDGE, SURGEON
from bedside.surgeon.find import issue_for_once

ROLES = {"bridge": BRIDGE, "alice": SURGEON}


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
            for key, longest in {"operator_timeout_ms": 500, "link_timeout_ms": 200, "hold_ms": 20_000}.items():
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
