"""The bad network as a process: on loopback, and between network namespaces."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bedside import cli
from bedside.sim import namespace
from bedside.sim.namespace import BRIDGE, BRIDGE_ADDRESS, CONSOLE, CONSOLE_ADDRESS

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1])}


class Network:
    """A running ``bedside wan`` between two consoles and a bridge of this test."""

    def __init__(self, stack: ExitStack, *arguments: str) -> None:
        self.bridge = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.bridge.bind(("127.0.0.1", 0))
        to = "{}:{}".format(*self.bridge.getsockname())
        command = ["wan", "--listen", "127.0.0.1:0", "--to", to, *arguments]
        self.process = stack.enter_context(running(*command))
        assert self.process.stdout
        host, port = self.process.stdout.readline().split(" -> ")[0].split(":")
        self.consoles = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for end in (self.bridge, *self.consoles):
            end.settimeout(5)
        for console in self.consoles:
            console.connect((host, int(port)))

    def end(self) -> str:
        """Stop it and return its last line."""
        self.process.send_signal(signal.SIGTERM)
        said = self.process.communicate(timeout=10)[0]
        assert self.process.returncode == 0
        return said.splitlines()[-1]


def running(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bedside.cli", *arguments]
    return subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


@pytest.fixture
def network() -> Iterator[Callable[..., Network]]:
    with ExitStack() as stack:

        def start(*arguments: str) -> Network:
            network = Network(stack, *arguments)
            stack.callback(network.process.kill)
            return network

        yield start


@pytest.mark.real_time
def test_answers_find_their_console_after_the_delay_of_both_ways(
    network: Callable[..., Network], tmp_path: Path
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('source = "this test"\n[up]\ndelay_ms = 20\n')
    wan = network("--profile", str(mine))
    rounds = []
    for n in range(30):
        console = wan.consoles[n % 2]
        begun = time.monotonic()
        console.send(b"%d" % n)
        question, sender = wan.bridge.recvfrom(100)
        wan.bridge.sendto(b"answer to " + question, sender)
        assert console.recv(100) == b"answer to %d" % n
        rounds.append(time.monotonic() - begun)
    # What this computer takes to wake comes on top of it, mostly little.
    assert 0.040 <= min(rounds) < 0.044
    said = wan.end()
    assert said.startswith("up: 30 sent, 0 lost (0.00 %), 0 duplicated, delayed p50 2"), said
    assert "; down: 30 sent, 0 lost" in said


@pytest.mark.real_time
def test_a_signal_begins_and_ends_an_outage(network: Callable[..., Network]) -> None:
    wan = network("--profile", "clear")
    (console, _) = wan.consoles
    console.send(b"before")
    assert wan.bridge.recv(100) == b"before"
    wan.process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    console.send(b"during")
    time.sleep(0.2)
    wan.process.send_signal(signal.SIGUSR1)
    time.sleep(0.2)
    console.send(b"after")
    assert wan.bridge.recv(100) == b"after"
    assert wan.end().startswith("up: 3 sent, 1 lost (33.33 %)")


@pytest.mark.real_time
def test_one_way_passes_only_that_way(network: Callable[..., Network]) -> None:
    wan = network("--profile", "clear", "--one-way", "up")
    (console, _) = wan.consoles
    console.send(b"question")
    _, sender = wan.bridge.recvfrom(100)
    wan.bridge.sendto(b"answer", sender)
    console.settimeout(0.3)
    with pytest.raises(TimeoutError):
        console.recv(100)
    assert "; down: 1 sent, 1 lost" in wan.end()


@pytest.mark.real_time
def test_an_outage_comes_when_it_was_asked_for(network: Callable[..., Network]) -> None:
    wan = network("--profile", "clear", "--outage", "0,1000")
    wan.consoles[0].send(b"lost")
    wan.bridge.settimeout(0.3)
    with pytest.raises(TimeoutError):
        wan.bridge.recv(100)
    assert wan.end().startswith("up: 1 sent, 1 lost")


@pytest.mark.real_time
def test_a_bridge_that_is_not_there_yet_is_no_reason_to_end(network: Callable[..., Network]) -> None:
    wan = network("--profile", "clear")
    address = wan.bridge.getsockname()
    wan.bridge.close()
    for _ in range(3):
        wan.consoles[0].send(b"anyone?")
        time.sleep(0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        late.bind(address)
        late.settimeout(5)
        wan.consoles[0].send(b"now?")
        assert late.recv(100) == b"now?"


@pytest.mark.real_time
def test_consoles_that_left_make_way_for_new_ones(network: Callable[..., Network]) -> None:
    wan = network("--profile", "clear")
    first, _ = wan.consoles
    for _ in range(300):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as passing:
            passing.connect(first.getpeername())
            passing.send(b"here")
            wan.bridge.recv(100)
    assert len(list(Path(f"/proc/{wan.process.pid}/fd").iterdir())) < 300
    first.send(b"and I?")
    _, sender = wan.bridge.recvfrom(100)
    wan.bridge.sendto(b"you too", sender)
    assert first.recv(100) == b"you too"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "clear"], "say where consoles send to and where the bridge is"),
        (["--profile", "fiber"], "did you mean 'fibre'?"),
        (["--profile", "lab", "--listen", "0.0.0.0:0", "--to", "127.0.0.1:9"], "'0.0.0.0:0': only 127.0.0.1"),
        (["--profile", "lab", "--listen", "127.0.0.1:0", "--to", "192.0.2.1:9"], "'192.0.2.1:9': only 127.0.0.1"),
        (["--profile", "lab", "--listen", "here", "--to", "127.0.0.1:9"], "expected HOST:PORT"),
        (["--profile", "lab", "--listen", "127.0.0.1:9", "--to", "127.0.0.1:9"], "are the same"),
        (["--profile", "lab", "--namespace", "--to", "127.0.0.1:9"], "leave --listen and --to out"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_remedy(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["wan", *arguments]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("outage", ["5", "5,0", "-1,2", "a,b", "1,nan", "1,2,3"])
def test_an_outage_that_is_none_is_refused(outage: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["wan", "--profile", "lab", f"--outage={outage}"])
    assert "write two numbers of seconds such as 5,0.3" in capsys.readouterr().err


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*taken.getsockname())
        assert cli.main(["wan", "--profile", "lab", "--listen", address, "--to", "127.0.0.1:9"]) == 1
    assert f"address {address}: Address already in use" in capsys.readouterr().err


def test_namespaces_are_refused_to_those_who_are_not_root(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cli.main(["wan", "--profile", "lab", "--namespace"]) == 1
    assert "only root may; use sudo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lacking", "said"),
    [("ip", "needs the program 'ip'; install the package iproute2"), ("tun", "this kernel has no TUN devices")],
)
def test_what_namespaces_need_and_is_not_there_is_named(
    lacking: str, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    if lacking == "tun":
        (tmp_path / "ip").touch(0o755)
        monkeypatch.setattr(namespace, "_TUN", tmp_path / "tun")
    assert cli.main(["wan", "--profile", "lab", "--namespace"]) == 1
    assert said in capsys.readouterr().err


def namespaces() -> set[str]:
    return set(subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True).stdout.split())


def in_namespace(name: str, program: str) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", name, sys.executable, "-c", program]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def between_namespaces() -> Iterator[subprocess.Popen[str]]:
    """The lab network between two namespaces; skip where there can be none."""
    if os.geteuid() != 0:
        pytest.skip("only root may make network namespaces")
    with running("wan", "--profile", "lab", "--namespace") as process:
        assert process.stdout
        first = process.stdout.readline()
        if first.startswith("bedside wan:"):
            pytest.skip(first.strip())
        assert [process.stdout.readline().split()[1] for _ in range(2)] == [CONSOLE_ADDRESS, BRIDGE_ADDRESS]
        yield process
        process.terminate()
        process.communicate(timeout=20)
    assert not {CONSOLE, BRIDGE} & namespaces()


SERVE = f"""
import socket
with socket.create_server(("{BRIDGE_ADDRESS}", 4000)) as server:
    print("ready", flush=True)
    end, _ = server.accept()
    while data := end.recv(100_000):
        end.sendall(data)
"""
ASK = f"""
import socket, time
begun = time.monotonic()
with socket.create_connection(("{BRIDGE_ADDRESS}", 4000), timeout=10) as end:
    connected = time.monotonic()
    data = bytes(range(256)) * 400
    end.sendall(data)
    back = b""
    while len(back) < len(data):
        back += end.recv(100_000)
print(connected - begun, back == data)
"""


@pytest.mark.real_time
def test_tcp_between_namespaces_takes_the_delay_and_loses_nothing(between_namespaces: subprocess.Popen[str]) -> None:
    with in_namespace(BRIDGE, SERVE) as server:
        try:
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            with in_namespace(CONSOLE, ASK) as client:
                took, same = client.communicate(timeout=30)[0].split()
        finally:
            server.kill()
    assert same == "True"
    assert 0.040 <= float(took) < 2


@pytest.mark.real_time
def test_a_second_network_between_namespaces_is_refused_and_the_first_stays(
    between_namespaces: subprocess.Popen[str],
) -> None:
    with running("wan", "--profile", "lab", "--namespace") as second:
        said = second.communicate(timeout=20)[0]
    assert second.returncode == 1
    assert "another 'bedside wan --namespace' is running" in said
    assert {CONSOLE, BRIDGE} <= namespaces()
