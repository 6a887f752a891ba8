"""`bedside demo`: a whole arm, each part in a process of its own, and what happens when a cable is pulled."""

from __future__ import annotations

import contextlib
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
from bedside.clock import awake, on_one_cpu
from bedside.errors import BedsideError, SurgeonError
from bedside.link.messages import OFF
from bedside.surgeon import protocol
from bedside.surgeon.authority import BRIDGE, SURGEON
from bedside.surgeon.find import issue_for_once

# The arm counts as moving when its joints' speeds, as shares of their limits, add up to this.
_MOVING = 0.2
_START_S = 30.0
_STOP_S = 15.0
# A joint that searches its range both ways, slowly.
_HOME_S = 120.0
# What a brake-to-brake demo takes besides the motion: approach, easing, stopping.
_EXTRA_S = 12.0
# A machine that runs other things too may stall for longer than a fresh command may take. Then the demo tries again,
# later with longer timeouts, and reports the operator's with which it ran.
_TIMEOUT_FACTORS = (1, 1, 2, 4, 6, 6, 6)


@dataclass
class Capture:
    """What the demo saw: feedback as the bridge copied it, commands as they left the console; times are monotonic."""

    feedback: list[tuple[float, protocol.Feedback]] = field(default_factory=list)
    commands: list[tuple[float, protocol.ServoJp]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    moving_s: float | None = None
    cut_s: float | None = None

    def restart(self) -> None:
        """Forget all but the notices."""
        self.feedback = []
        self.commands = []
        self.moving_s = None


class Watch:
    """Takes copies: of its commands from the console, of feedback and notices from the bridge."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.address = "{}:{}".format(*self.socket.getsockname())
        self.capture = Capture()

    def serve(self, timeout_s: float) -> None:
        """Capture what comes within ``timeout_s``."""
        select.select([self.socket], [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            while True:
                data = self.socket.recv(protocol.DATAGRAM_MAX)
                self._take(data, time.monotonic())

    def close(self) -> None:
        """Give the socket back."""
        self.socket.close()

    def _take(self, data: bytes, now: float) -> None:
        capture = self.capture
        try:
            message = protocol.to_console(data)
        except SurgeonError:
            command = protocol.to_bridge(data)
            if isinstance(command, protocol.ServoJp):
                capture.commands.append((now, command))
            return
        if isinstance(message, protocol.Notice):
            capture.notices.append(message.text)
        elif isinstance(message, protocol.Feedback):
            capture.feedback.append((now, message))


def run_demo(cell_path: Path, recording: Path | None, seconds: float, output: Path) -> None:
    """Run the demo and write ``summary.json``, ``report.html`` and ``demo.png`` to ``output``. Raises BedsideError."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    cell = load_cell(cell_path)
    if recording and not recording.is_file():
        raise SurgeonError(f"{recording}: no such file")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BedsideError(f"{output}: cannot be written: {error.strerror}") from None
    watch = Watch()
    with (
        Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()) as progress,
        contextlib.closing(watch),
        tempfile.TemporaryDirectory(prefix="bedside-") as ports,
        contextlib.ExitStack() as processes,
        on_one_cpu(),
        awake(),
    ):
        environment = {**os.environ, "BEDSIDE_SIM": ports, "BEDSIDE_RUN": ports}
        keys = Path(ports) / "keys"
        issue_for_once(keys, {"bridge": BRIDGE, "console": SURGEON})
        task = progress.add_task("", total=None)

        def start(name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
            log = processes.enter_context((output / f"{name}.log").open("wb"))
            command = [sys.executable, "-P", "-m", module, *arguments]
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            processes.callback(_end, process)
            return process

        def step(text: str) -> None:
            progress.update(task, description=text)

        step(f"starting {len(cell.board)} simulated boards")
        sim = start("sim", "bedside.cli", "sim", str(cell_path))
        _wait(watch, lambda: all((Path(ports) / slot.name).exists() for slot in cell.board), _START_S, sim, output)
        motion = ["--recording", str(recording.resolve())] if recording else ["--seconds", str(seconds + _EXTRA_S)]
        far, near = _free_address(), _free_address()
        cable = start("cable", "bedside.cli", "wan", "--listen", near, "--to", far, "--profile", "clear")
        again = ""
        for factor in _TIMEOUT_FACTORS:
            timeout_ms = min(500.0, factor * cell.arm.operator_timeout_ms)
            changes = {
                "listen": f'"{far}"',
                "operator_timeout_ms": f"{timeout_ms:g}",
                "link_timeout_ms": f"{min(200.0, factor * cell.arm.link_timeout_ms):g}",
            }
            copy = _cell_with(cell_path, output / "cell.toml", changes)
            step(f"the bridge identifies and configures the boards{again}")
            watch.serve(0.0)
            watch.capture.restart()
            own = ["--credentials", str(keys / "bridge")]
            bridge = start("bridge", "bedside.cli", "bridge", str(copy), *own, "--copy-to", watch.address)
            try:
                _wait(watch, lambda: bool(watch.capture.feedback), _START_S, bridge, output)
                start("clear", "bedside.cli", "local", str(copy), "clear").wait(_START_S)
                if cell.homing_order:
                    step(f"joints find out where they are{again}")
                    home = start("home", "bedside.cli", "local", str(copy), "home")
                    _wait(watch, lambda home=home: home.poll() == 0, _HOME_S, home, output)
                    watch.capture.restart()
                    _wait(watch, lambda: bool(watch.capture.feedback), _START_S, bridge, output)
                step(f"the arm is armed beside it, the console takes it, its brakes open, it moves to the start{again}")
                start("arm", "bedside.cli", "local", str(copy), "arm").wait(_START_S)
                own = ["--credentials", str(keys / "console"), "--bridge", near, "--copy-to", watch.address]
                log = ["--log", str(output / "drive.csv")]
                drive = start("drive", "bedside.cli", "drive", str(copy), *own, *log, *motion)
                _wait(watch, lambda: _note_motion(watch.capture, cell), _START_S, drive, output)
                step(f"{len(cell.joint)} joints follow {recording.name if recording else 'the built-in motion'}{again}")
                _wait(watch, lambda: _ready_to_cut(watch.capture, cell, seconds), seconds + _START_S, drive, output)
                break
            except BedsideError:
                # A machine that stalls for longer than the operator timeout stops the arm, as it should. Try again.
                if factor == _TIMEOUT_FACTORS[-1] or sim.poll() is not None:
                    raise
                again = f" (again: this machine stalled for longer than {timeout_ms:g} ms)"
                _end(bridge)
        cell.arm.operator_timeout_ms = timeout_ms
        step("the cable is pulled")
        watch.capture.cut_s = time.monotonic()
        cable.send_signal(signal.SIGUSR1)
        _wait(watch, lambda: _is_off(watch.capture), _STOP_S, None, output)
        _serve_for(watch, 0.2)
        step("the arm has stopped; writing the report")
    from bedside.report import write_report

    write_report(cell, watch.capture, output, recording.name if recording else "built-in motion")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(watch: Watch, done, timeout_s: float, process: subprocess.Popen[bytes] | None, output: Path) -> None:  # type: ignore[no-untyped-def]
    """Serve the watch until ``done()``. Raises BedsideError when ``process`` ends before that, or time is up."""
    deadline = time.monotonic() + timeout_s
    while not done():
        watch.serve(0.02)
        failed = process and process.poll()
        if failed or time.monotonic() > deadline:
            notices = "; ".join(watch.capture.notices[-3:])
            logs = ", ".join(str(path) for path in sorted(output.glob("*.log")))
            raise BedsideError(f"the demo stopped before its end. {notices or 'Nothing was reported'}. Details: {logs}")


def _serve_for(watch: Watch, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch.serve(0.02)


def _speed(capture: Capture, cell: Cell) -> float:
    latest = capture.feedback[-1][1]
    return sum(abs(v) / joint.limits.velocity for v, joint in zip(latest.velocity, cell.joint, strict=True))


def _note_motion(capture: Capture, cell: Cell) -> bool:
    if capture.moving_s is None and _speed(capture, cell) > _MOVING:
        capture.moving_s = time.monotonic()
    return capture.moving_s is not None


def _ready_to_cut(capture: Capture, cell: Cell, seconds: float) -> bool:
    assert capture.moving_s is not None
    return time.monotonic() - capture.moving_s >= seconds and _speed(capture, cell) > 2 * _MOVING


def _is_off(capture: Capture) -> bool:
    return all(board[2] == OFF for board in capture.feedback[-1][1].boards)


def _cell_with(source: Path, target: Path, changes: dict[str, str]) -> Path:
    """Copy a cell file with other values for these keys of the arm; return ``target``."""
    text = source.read_text(encoding="utf-8")
    for key, value in changes.items():
        text, found = re.subn(rf"^{key} *=.*$", f"{key} = {value}", text, count=1, flags=re.MULTILINE)
        if not found:
            text = re.sub(r"^\[arm\].*$", rf"\g<0>\n{key} = {value}", text, count=1, flags=re.MULTILINE)
    target.write_text(text, encoding="utf-8")
    return target


def _free_address() -> str:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return "{}:{}".format(*probe.getsockname())
