"""An operating theatre in real time: boards in a thread, bridge and surgeon in processes of their own, and harm."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bedside.cell import Cell, load_cell
from bedside.hil.lockstep import PSM
from bedside.link.messages import FAULT
from bedside.sim.world import World
from bedside.surgeon import protocol
from bedside.surgeon.authority import BRIDGE, OBSERVER, SURGEON, TRAINEE
from bedside.surgeon.beside import Beside
from bedside.surgeon.credentials import PROOF_KEY, REVOKED, Credentials, load_credentials, load_secret
from bedside.surgeon.link import Link
from bedside.surgeon.local import call
from bedside.surgeon.proof import key_file
from bedside.surgeon.site import Site, make_site
from callers import Caller
from harm import Harm
from on_path import OnPath

HOSTILE = Path(__file__).parent / "hostile.py"
# A joint that is slower than this share of its highest speed stands; the arm does when all have for so long.
_STILL, _STILL_TICKS = 0.002, 40
# How long after standstill its cause is told.
_NAMED_S = 1.5
# Commands from which on a motion is well under way.
_WELL = 100
# Frames under way, and the reading of the clock from another thread, on a machine that does other things, too.
SLACK_MS = 100
# This machine may stand still for longer than the operator timeout, and the arm then stops, as it should.
_TRIES, _STALLS, _KEPT_UP = 3, 12, 0.97
ROLES = {
    "bridge": BRIDGE,
    "alice": SURGEON,
    "mallory": SURGEON,
    "mentor": "mentor",
    "trainee": TRAINEE,
    "observer": OBSERVER,
    "leaver": SURGEON,
    "sacked": SURGEON,
}


class _Watched(World):
    """Simulated boards whose every tick is looked at."""

    def __init__(self, cell: Cell, path: Path, directory: Path, look: Callable[[], None]) -> None:
        super().__init__(cell, path, directory)
        self._look = look

    def _tick(self, time_us: int) -> None:
        super()._tick(time_us)
        self._look()


class Theatre:
    """Everything of one arm. Its boards have alice's, mallory's and the trainee's keys."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.bridge_address = ("127.0.0.1", free.getsockname()[1])
        self.cell_path = directory / "cell.toml"
        text = PSM.read_text().replace("127.0.0.1:36010", f"127.0.0.1:{self.bridge_address[1]}")
        self.cell_path.write_text(text.replace("../plants", str(PSM.parent.parent / "plants")))
        self.cell: Cell = load_cell(self.cell_path)
        self.keys = directory / "keys"
        now = datetime.now(UTC)
        make_site(self.keys / "site", "site", now - timedelta(days=30))
        self.site = Site(self.keys / "site", now)
        for name, role in ROLES.items():
            self.site.issue(name, role, 1, self.keys / name)
        self.harm = Harm(self.cell)
        self._measuring = threading.Lock()
        # A console approaches the beginning of its motion and rests there: its second departure is the motion.
        self._departures = self._since_departure = 0
        self.still_ticks = 0
        # The longest that the arm has stood since the row began.
        self.stood_ticks = 0
        self.bridge: subprocess.Popen[bytes] | None = None
        self.drive: subprocess.Popen[bytes] | None = None
        self._copies = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._copies.bind(("127.0.0.1", 0))
        self._copies.setblocking(False)
        self._over = threading.Event()
        self.world = _Watched(self.cell, self.cell_path, directory, self._look)
        self._give_keys("alice", "mallory", "trainee")
        self._plants = [self.world.plants[joint.name] for joint in self.cell.joint]
        self._still = [_STILL * joint.limits.velocity for joint in self.cell.joint]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        self.path = OnPath(self.bridge_address)
        self.until(lambda: self.world.ticks > 10, "boards up")

    # ---- who is there -----------------------------------------------------------------------

    def credentials(self, name: str) -> Credentials:
        return load_credentials(self.keys / name)

    def call(self, name: str, host: str = "127.0.0.9") -> Caller:
        """Let somebody with a valid certificate open a session from another address."""
        self.served()
        return Caller(self.credentials(name), self.bridge_address, host)

    def serve(self, hostile: str = "") -> None:
        """Start the bridge; ``hostile`` says how it lies once ``turn_hostile`` is called."""
        self.end_bridge()
        self._now.unlink(missing_ok=True)
        program = [str(HOSTILE), hostile, str(self._now)] if hostile else ["-m", "bedside.cli"]
        self.bridge = self._start("bridge", [*program, "bridge", str(self.cell_path)], "bridge")
        self.until(lambda: "listening on" in self.log, "the bridge listens")

    def served(self) -> None:
        """Let there be a bridge."""
        if self.bridge is None or self.bridge.poll() is not None:
            self.serve()

    def turn_hostile(self) -> None:
        self._now.touch()

    @property
    def log(self) -> str:
        """What the bridge has said."""
        return (self.directory / "bridge.log").read_text()

    def end_bridge(self) -> None:
        self.end_drive()
        if self.bridge:
            self.bridge.send_signal(signal.SIGCONT)
            self.bridge.kill()
            self.bridge.wait()
            self.bridge = None
            self.until(lambda: self.still_ticks > _STILL_TICKS, "standstill")

    def end_drive(self) -> None:
        if self.drive:
            self.drive.kill()
            self.drive.wait()
            self.drive = None

    @contextlib.contextmanager
    def beside(self) -> Iterator[Beside]:
        """The local operator."""
        self.served()
        with contextlib.closing(Link(call(self.cell.arm.name), 50.0)) as link:
            yield Beside(link)

    def revoke(self, name: str) -> None:
        """Take a certificate back, and bring the list to the bridge."""
        self.site.revoke(name)
        new = self.keys / "bridge" / "revoked.new"
        new.write_bytes((self.keys / "site" / REVOKED).read_bytes())
        new.rename(self.keys / "bridge" / REVOKED)

    # ---- what the arm does --------------------------------------------------------------------

    def moving(self) -> None:
        """Let alice move the arm, by way of whoever is on the path."""
        for _ in range(_STALLS):
            if self.drive and self.drive.poll() is None and self._moves:
                return
            self.at_rest()
            host, port = self.path.address
            copies = f"127.0.0.1:{self._copies.getsockname()[1]}"
            options = ["--seconds", "600", "--bridge", f"{host}:{port}", "--copy-to", copies]
            self._departures = self._since_departure = 0
            drive = self.drive = self._start("drive", ["-m", "bedside.cli", "drive", *options], "alice")
            self.until(lambda drive=drive: self._moves or drive.poll() is not None, "moving")
        raise AssertionError(f"this machine does not keep an arm moving\n{self.said('drive')}\n{self.said('bridge')}")

    def goes_on(self, attack: Callable[[], None], seconds: float = 0.3) -> None:
        """Assert that ``attack``, and ``seconds`` after it, neither harm nor stop what alice does."""
        tries = 0
        for _ in range(_STALLS):
            self.moving()
            self.begin()
            begun, ticks = time.monotonic(), self.world.ticks
            try:
                attack()
                time.sleep(seconds)
            finally:
                self.path.straight()
            assert not self.harm.wrong, self.harm.wrong
            if self.stood_ticks < _STILL_TICKS:
                return
            # An arm whose world has fallen behind may have stopped for that.
            tries += self.kept_up(ticks, begun)
            if tries == _TRIES:
                break
        raise AssertionError(f"the arm does not go on\n{self.said('drive')}\n{self.said('bridge')}")

    def stops(self, attack: Callable[[], None], within_ms: float, cause: str = "", hostile: str = "") -> None:
        """Assert that ``attack`` brings the arm to rest ``within_ms`` and the ramp, without harm.

        The bridge, which is ``hostile`` if that says how, tells the ``cause``.
        """
        ramp_ms = max(500 * joint.limits.velocity / joint.limits.stop_deceleration for joint in self.cell.joint)
        most = within_ms + ramp_ms + SLACK_MS
        tries = 0
        for _ in range(_STALLS):
            if hostile:
                self.serve(hostile)
            self.moving()
            said = len(self.log)
            self.begin()
            begun, ticks = time.monotonic(), self.world.ticks
            attack()
            attacked = self.world.ticks
            self.until(lambda: self.still_ticks > _STILL_TICKS, "standstill")
            took = self.world.ticks - attacked - self.still_ticks
            assert not self.harm.wrong, self.harm.wrong
            assert took <= most, f"{took} ms, {most:.0f} allowed"
            # A board that has slowed down for want of commands names the cause when its clock has run out.
            named = time.monotonic() + _NAMED_S
            while cause not in self.log[said:] and time.monotonic() < named:
                time.sleep(0.01)
            if cause in self.log[said:]:
                return
            tries += self.kept_up(ticks, begun)
            if tries == _TRIES:
                break
        raise AssertionError(f"the arm does not stop for '{cause}'\n{self.said('drive')}\n{self.said('bridge')}")

    def rests(self, attack: Callable[[], None], seconds: float = 0.3) -> None:
        """Assert that an arm at rest does not move under ``attack``, nor ``seconds`` after it."""
        places = self.places()
        attack()
        time.sleep(seconds)
        for joint, at, was in zip(self.cell.joint, self.places(), places, strict=True):
            assert abs(at - was) < joint.limits.standstill, f"{joint.name} moved by {at - was:g} {joint.unit}"

    def begin(self) -> None:
        """Measure from here on."""
        with self._measuring:
            self.stood_ticks = 0
            self.harm.begin(self.places())

    def ask(self, position: list[float], velocity: list[float]) -> None:
        """Note what a surgeon asks for whose console is of this process."""
        with self._measuring:
            self.harm.asked(time.monotonic(), position, velocity)

    def asked_lately(self) -> list[list[float]]:
        """Where the joints were to be within the last second."""
        with self._measuring:
            return [list(position) for position in self.harm.lately]

    def at_rest(self) -> None:
        """Let the arm be off, free and armed, without a fault."""
        self.served()
        self.end_drive()
        self.path.straight()
        with self.beside() as operator:
            operator.link.receive()
            operator.stop()
            if operator.feedback.state == FAULT:
                operator.clear()
            operator.arm()

    @contextlib.contextmanager
    def stranger(self, host: str) -> Iterator[socket.socket]:
        """A socket of somebody at another address."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((host, 0))
            stranger.connect(self.bridge_address)
            yield stranger

    def places(self) -> list[float]:
        return [plant.position for plant in self._plants]

    def speed(self) -> float:
        """The largest speed of a joint, as a share of its limit."""
        return max(abs(p.velocity) / j.limits.velocity for p, j in zip(self._plants, self.cell.joint, strict=True))

    def until(self, done: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            time.sleep(0.002)
            assert time.monotonic() < deadline, f"{what}\n{self.said('drive')}\n{self.said('bridge')}"

    def said(self, who: str) -> str:
        path = self.directory / f"{who}.log"
        return path.read_text()[-2000:] if path.exists() else ""

    def close(self) -> None:
        self.path.close()
        for process in (self.drive, self.bridge):
            if process:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        self._over.set()
        self._thread.join()
        self._copies.close()

    # ---- inside -----------------------------------------------------------------------------

    @property
    def _now(self) -> Path:
        return self.directory / "now"

    @property
    def _moves(self) -> bool:
        """Whether alice's motion is well under way."""
        return self._departures == 2 and self._since_departure > _WELL and self.still_ticks == 0

    def kept_up(self, ticks: int, begun_s: float) -> bool:
        """Whether simulated time has gone on as fast as real time since then."""
        return self.world.ticks - ticks > _KEPT_UP * self.world.tick_hz * (time.monotonic() - begun_s)

    def _give_keys(self, *names: str) -> None:
        for slot, board in zip(self.cell.board, self.world.boards, strict=True):
            keys = {name: load_secret(self.keys / name / PROOF_KEY) for name in names}
            (board.flash / "keys.json").write_text(key_file(f"{self.cell.arm.name}/{slot.name}", keys))

    def _run(self) -> None:
        with self.world:
            self.world.run(self._over.is_set)

    def _look(self) -> None:
        with self._measuring:
            with contextlib.suppress(BlockingIOError):
                while True:
                    command = protocol.to_bridge(self._copies.recv(protocol.DATAGRAM_MAX))
                    assert isinstance(command, protocol.ServoJp)
                    self.harm.asked(time.monotonic(), command.position, command.velocity)
                    self._since_departure += 1
                    if not any(command.velocity):
                        self._since_departure = 0
                    elif self._since_departure == 1:
                        self._departures += 1
            self.harm.see([plant.position for plant in self._plants])
        if all(abs(plant.velocity) < still for plant, still in zip(self._plants, self._still, strict=True)):
            self.still_ticks += 1
            self.stood_ticks = max(self.stood_ticks, self.still_ticks)
        else:
            self.still_ticks = 0

    def _start(self, what: str, arguments: list[str], who: str) -> subprocess.Popen[bytes]:
        with (self.directory / f"{what}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, *arguments, "--credentials", str(self.keys / who)],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
