"""``bedside wan --namespace``: two network namespaces with a bad network between them, for any protocol.

A TUN device stands in each, and this process passes their packets on. Linux, iproute2 and root are needed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bedside.errors import BedsideError
from bedside.sim.wan import Wan, Way

CONSOLE, BRIDGE = "bedside-console", "bedside-bridge"
# Of 10.0.0.0/8, which nobody owns; they exist in the namespaces only.
CONSOLE_ADDRESS, BRIDGE_ADDRESS = "10.83.0.1", "10.83.0.2"
_TUN = Path("/dev/net/tun")
# linux/if_tun.h: TUNSETIFF, IFF_TUN and IFF_NO_PI.
_TUNSETIFF, _IFF_TUN_NO_PI = 0x400454CA, 0x1001
_PACKET_MAX = 65_535
_AT_ONCE = 16


def run_namespaces(up: Way, down: Way, title: str) -> None:
    """Be the network between two namespaces until SIGINT or SIGTERM. Raises BedsideError."""
    _check()
    # From here on a signal waits for the end of the set-up, so that all of it is taken away again.
    with Wan(up, down) as wan, contextlib.ExitStack() as made:
        console = made.enter_context(_namespace(CONSOLE, CONSOLE_ADDRESS, BRIDGE_ADDRESS))
        bridge = made.enter_context(_namespace(BRIDGE, BRIDGE_ADDRESS, CONSOLE_ADDRESS))
        wan.watch(console, partial(_pass_on, wan, up, console, bridge))
        wan.watch(bridge, partial(_pass_on, wan, down, bridge, console))
        sys.stdout.write(
            f"{title}\n"
            f"console: {CONSOLE_ADDRESS}   ip netns exec {CONSOLE} COMMAND\n"
            f"bridge:  {BRIDGE_ADDRESS}   ip netns exec {BRIDGE} COMMAND\n"
        )
        sys.stdout.flush()
        wan.run()
    sys.stdout.write(f"{up}; {down}\n")


def _check() -> None:
    """Raise BedsideError if this user, computer or kernel cannot do it."""
    if os.geteuid() != 0:
        raise BedsideError(
            "--namespace makes network devices, which only root may; use sudo, or --listen and --to without it"
        )
    if not shutil.which("ip"):
        raise BedsideError("--namespace needs the program 'ip'; install the package iproute2")
    if not _TUN.exists():
        raise BedsideError(
            f"{_TUN} is not there: this kernel has no TUN devices; try 'modprobe tun', or a virtual machine"
        )


@contextlib.contextmanager
def _namespace(name: str, address: str, peer: str) -> Iterator[int]:
    """Make a namespace with a device whose packets the yielded descriptor reads and writes; remove it at the end."""
    _ip("netns", "add", name)
    try:
        fd, device = _tun()
        try:
            _ip("link", "set", device, "netns", name)
            # Without it the device would ask for IPv6 routers, and disturb the figures.
            _ip("-n", name, "link", "set", device, "addrgenmode", "none")
            _ip("-n", name, "address", "add", address, "peer", peer, "dev", device)
            _ip("-n", name, "link", "set", device, "up")
            _ip("-n", name, "link", "set", "lo", "up")
            yield fd
        finally:
            os.close(fd)
    finally:
        _ip("netns", "delete", name)


def _tun() -> tuple[int, str]:
    """Make a TUN device; return its descriptor and the name that the kernel chose."""
    try:
        fd = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        made = fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", b"bedside%d", _IFF_TUN_NO_PI))
    except OSError as error:
        raise BedsideError(f"{_TUN}: {error.strerror}; this kernel gives no TUN device here") from None
    return fd, made[:16].rstrip(b"\0").decode()


def _ip(*arguments: str) -> None:
    # In a session of its own, so that the terminal's Ctrl-C does not end it half-way.
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, start_new_session=True)
    if done.returncode:
        said = done.stderr.strip() or f"exit status {done.returncode}"
        remedy = "this kernel may lack network namespaces"
        if "File exists" in said:
            remedy = (
                "another 'bedside wan --namespace' is running, or one was killed: end it, or "
                f"'ip netns delete {CONSOLE}; ip netns delete {BRIDGE}'"
            )
        raise BedsideError(f"ip {' '.join(arguments)}: {said}; {remedy}")


def _pass_on(wan: Wan, way: Way, source: int, target: int) -> None:
    for _ in range(_AT_ONCE):
        try:
            packet = os.read(source, _PACKET_MAX)
        except BlockingIOError:
            return
        wan.pass_on(way, packet, len(packet), partial(os.write, target))
