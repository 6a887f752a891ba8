"""One case: every process that takes part, and what was captured of them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bedside.cell import Cell, load_cell
from bedside.clock import awake, on_cpus
from bedside.errors import BedsideError, SurgeonError
from bedside.places import BOARDS
from bedside.sim.namespace import BRIDGE as BRIDGE_SPACE
from bedside.sim.namespace import BRIDGE_ADDRESS, CONSOLE
from bedside.surgeon import protocol
from bedside.surgeon.authority import BRIDGE, SURGEON
from bedside.surgeon.find import issue_for_once
from wan.boards import read_times
from wan.cases import Case
from wan.reference import read_log

CELL = BOARDS / "cells" / "psm.toml"
_CPUS = os.sched_getaffinity(0)
# Real boards have their own CPU; so do these, if there are two.
_BOARDS, _HOST = {max(_CPUS)}, _CPUS - {max(_CPUS)} or _CPUS
_START_S, _END_S = 30.0, 10.0
# Beyond the motion: a handshake, an approach of some seconds, and as much again for each time it has to go on.
_EXTRA_S = 40.0
_TLS_PORT = 36433


@dataclass
class Capture:
    """What was seen of a case. Times are of the monotonic clock, in ns.

    ``ticks_ns`` are those of the boards; ``feedback`` is as the bridge gave it, with when it came, ``commands`` as they
    left the console; ``said`` what the console did. ``others`` are the messages of other transports, by when they came
    and were sent; ``missing`` says why one is not there.
    """

    case: Case
    cell: Cell
    ticks_ns: list[int] = field(default_factory=list)
    feedback: list[tuple[int, protocol.Feedback]] = field(default_factory=list)
    commands: list[protocol.ServoJp] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    said: list[tuple[int, str]] = field(default_factory=list)
    cuts_ns: list[tuple[int, int]] = field(default_factory=list)
    others: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


class Processes:
    """Starts programs, each with a log in ``output``, and ends them."""

    def __init__(self, output: Path, folder: Path) -> None:
        self._output = output
        self._environment = {**os.environ, "BEDSIDE_SIM": str(folder), "BEDSIDE_RUN": str(folder)}
        self._stack = contextlib.ExitStack()

    def start(self, name: str, module: str, *arguments: str, space: str = "") -> subprocess.Popen[bytes]:
        """Run a module, in a network namespace if one is named."""
        log = self._stack.enter_context((self._output / f"{name}.log").open("wb"))
        inside = ["ip", "netns", "exec", space] if space else []
        process = subprocess.Popen(
            [*inside, sys.executable, "-P", "-m", module, *arguments],
            env=self._environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._stack.callback(end, process)
        return process

    def said(self, name: str) -> str:
        """Return what a process has written."""
        return (self._output / f"{name}.log").read_text(errors="replace")

    def until_said(self, name: str, what: str, process: subprocess.Popen[bytes]) -> None:
        """Wait until a process has written ``what``. Raises BedsideError when it ends before, or takes too long."""
        deadline = time.monotonic() + _START_S
        while what not in self.said(name):
            if process.poll() is not None or time.monotonic() > deadline:
                raise BedsideError(f"'{name}' did not start: {self.said(name).strip() or 'it said nothing'}")
            time.sleep(0.02)

    def close(self) -> None:
        """End what still runs."""
        self._stack.close()


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(case: Case, recording: Path | None, seconds: float, seed: int, output: Path) -> Capture:
    """Run a case; logs go to ``output``. Raises BedsideError when a part does not start, or the motion does not end."""
    output.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="bedside-") as name,
        contextlib.closing(Processes(output, Path(name))) as processes,
        contextlib.closing(_socket()) as watch,
        awake(),
        on_cpus(_HOST),
    ):
        folder = Path(name)
        near, far = _free_address(), _free_address()
        cell_path = _cell_with(folder / "cell.toml", far, case.allowed)
        capture = Capture(case, load_cell(cell_path))
        keys = folder / "keys"
        issue_for_once(keys, {"bridge": BRIDGE, "console": SURGEON})
        times = folder / "ticks"
        with on_cpus(_BOARDS):
            boards = processes.start("boards", "wan.boards", str(cell_path), str(times))
        processes.until_said("boards", "up", boards)
        copy_to = "{}:{}".format(*watch.getsockname())
        own = ["--credentials", str(keys / "bridge"), "--copy-to", copy_to]
        bridge = processes.start("bridge", "bedside.cli", "bridge", str(cell_path), *own)
        processes.until_said("bridge", "listening on", bridge)
        networks = [_network(processes, "network", case, seed, near, far)]
        others = _Others(processes, case, seed, capture, keys, folder)
        networks += others.networks
        if processes.start("arm", "bedside.cli", "local", str(cell_path), "arm").wait(_START_S):
            raise BedsideError(f"the arm cannot be armed: {processes.said('arm').strip()}")
        # What has come until now waited, so nobody knows when it came.
        _receive(watch, Capture(case, capture.cell), 0.0)
        arguments = [str(keys / "console"), near, copy_to, str(recording or ""), str(seconds)]
        console = processes.start("console", "wan.surgeon", *arguments)
        _watch(watch, capture, processes, console, networks, seconds)
        others.end()
        end(boards)
        capture.ticks_ns = list(read_times(times))
        return capture


def _network(processes: Processes, name: str, case: Case, seed: int, near: str, far: str) -> subprocess.Popen[bytes]:
    arguments = ["--listen", near, "--to", far, "--profile", case.profile, "--seed", str(seed)]
    network = processes.start(name, "bedside.cli", "wan", *arguments)
    processes.until_said(name, "->", network)
    return network


class _Others:
    """The other transports, each through a network of its own that is as bad."""

    def __init__(self, processes: Processes, case: Case, seed: int, capture: Capture, keys: Path, folder: Path) -> None:
        self.networks: list[subprocess.Popen[bytes]] = []
        self._processes = processes
        self._capture = capture
        self._folder = folder
        self._keys = keys
        self._ends: dict[str, list[subprocess.Popen[bytes]]] = {}
        joints = [0.123456789] * len(capture.cell.joint)
        message = protocol.ServoJp(1 << 30, 1 << 16, time.monotonic_ns() // 1000, True, joints, joints)
        self._stream = [f"{capture.cell.arm.command_hz:g}", str(len(protocol.encode(message)))]
        near, far = _free_address(), _free_address()
        self.networks.append(_network(processes, "network-udp", case, seed, near, far))
        self._begin("udp", near, far)
        try:
            arguments = ["--namespace", "--profile", case.profile, "--seed", str(seed)]
            network = processes.start("network-tls", "bedside.cli", "wan", *arguments)
            processes.until_said("network-tls", "bridge:", network)
        except BedsideError as error:
            capture.missing["tls"] = str(error)
            return
        self.networks.append(network)
        address = f"{BRIDGE_ADDRESS}:{_TLS_PORT}"
        self._begin("tls", address, address, CONSOLE, BRIDGE_SPACE)

    def _begin(self, kind: str, near: str, far: str, console: str = "", bridge: str = "") -> None:
        log = str(self._folder / kind)
        takes = ["take", kind, far, str(self._keys / "bridge"), log]
        sends = ["send", kind, near, str(self._keys / "console"), *self._stream]
        taker = self._processes.start(f"{kind}-take", "wan.reference", *takes, space=bridge)
        self._processes.until_said(f"{kind}-take", "ready", taker)
        self._ends[kind] = [self._processes.start(f"{kind}-send", "wan.reference", *sends, space=console), taker]

    def end(self) -> None:
        """End them, and note what came."""
        for kind, processes in self._ends.items():
            for process in processes:
                end(process)
            try:
                self._capture.others[kind] = read_log(self._folder / kind)
            except FileNotFoundError:
                self._capture.missing[kind] = self._processes.said(f"{kind}-take").strip()


def _watch(
    watch: socket.socket,
    capture: Capture,
    processes: Processes,
    console: subprocess.Popen[bytes],
    networks: list[subprocess.Popen[bytes]],
    seconds: float,
) -> None:
    """Capture until the console has ended; cut the networks when it is time. Raises BedsideError if it does not end."""
    deadline = time.monotonic() + seconds + _EXTRA_S
    to_come = [(at, is_end) for at, length in capture.case.outages for at, is_end in ((at, False), (at + length, True))]
    begun_ns = 0
    looked_s = 0.0
    while console.poll() is None:
        now = time.monotonic()
        if now > deadline:
            raise BedsideError(f"the motion did not end: {processes.said('console')[-500:]}")
        wait_s = 0.05
        if begun_ns and to_come:
            left_s = begun_ns / 1e9 + to_come[0][0] - now
            wait_s = min(wait_s, max(0.0, left_s))
            if left_s <= 0:
                _cut(capture, networks, to_come.pop(0)[1])
        _receive(watch, capture, wait_s)
        if not begun_ns and now - looked_s > 0.2:
            looked_s = now
            begun_ns = next((at_ns for at_ns, what in _said(processes) if what == "begun"), 0)
    capture.said = _said(processes)
    if not any(what == "ended" for _, what in capture.said):
        raise BedsideError(f"the motion did not end: {processes.said('console')[-500:]}")


def _cut(capture: Capture, networks: list[subprocess.Popen[bytes]], is_end: bool) -> None:
    for network in networks:
        network.send_signal(signal.SIGUSR1)
    now_ns = time.monotonic_ns()
    if is_end:
        capture.cuts_ns[-1] = (capture.cuts_ns[-1][0], now_ns)
    else:
        capture.cuts_ns.append((now_ns, now_ns))


def _said(processes: Processes) -> list[tuple[int, str]]:
    lines = processes.said("console").splitlines()
    return [(line[0], line[1]) for line in map(json.loads, filter(lambda line: line.startswith("["), lines))]


def _receive(watch: socket.socket, capture: Capture, wait_s: float) -> None:
    select.select([watch], [], [], wait_s)
    with contextlib.suppress(BlockingIOError):
        while True:
            data = watch.recv(protocol.DATAGRAM_MAX)
            now_ns = time.monotonic_ns()
            try:
                message = protocol.to_console(data)
            except SurgeonError:
                command = protocol.to_bridge(data)
                if isinstance(command, protocol.ServoJp):
                    capture.commands.append(command)
                continue
            if isinstance(message, protocol.Feedback):
                capture.feedback.append((now_ns, message))
            elif isinstance(message, protocol.Notice):
                capture.notices.append(message.text)


def _socket() -> socket.socket:
    watch = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    watch.bind(("127.0.0.1", 0))
    watch.setblocking(False)
    watch.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    return watch


def _free_address() -> str:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return "{}:{}".format(*probe.getsockname())


def _cell_with(target: Path, listen: str, allowed: dict[str, float]) -> Path:
    """Write the cell's copy that listens there, and allows the network that; return ``target``."""
    text = CELL.read_text(encoding="utf-8")
    text = re.sub(r"^listen *=.*$", f'listen = "{listen}"', text, count=1, flags=re.MULTILINE)
    text = text.replace('"../plants', f'"{CELL.parent.parent / "plants"}')
    own = "".join(f"{key} = {value:g}\n" for key, value in allowed.items())
    target.write_text(text + (f"\n[arm.network]\n{own}" if own else ""), encoding="utf-8")
    return target
