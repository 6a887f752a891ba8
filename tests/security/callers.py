"""Those who call a bridge with whatever certificate they have, from whichever address."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from bedside.errors import SurgeonError
from bedside.surgeon import credentials, protocol
from bedside.surgeon.address import Endpoint
from bedside.surgeon.credentials import Credentials, Revocations
from bedside.surgeon.link import Link
from bedside.surgeon.remote import Remote, Route

# A bridge tells ten refusals a second at most, and a datagram may be lost.
_AGAIN_S = 1.1


def unchecked(folder: Path, site: Path, role: str = "surgeon") -> Credentials:
    """Return the credentials in ``folder`` as an attacker uses them: whatever is wrong with them, of ``site``."""
    certificate = credentials.load_certificate(folder / credentials.CERTIFICATE)
    site_certificate = credentials.load_certificate(site / credentials.SITE)
    return Credentials(
        folder,
        credentials.peer_of(certificate).name,
        role,
        certificate,
        credentials.load_private_key(folder / credentials.KEY),
        site_certificate,
        Revocations(site / credentials.REVOKED, site_certificate),
        bytes(16),
        bytes(16),
    )


class Elsewhere(Remote):
    """A line from ``host``, an address of this computer's loopback network."""

    def __init__(self, who: Credentials, bridge: Endpoint, host: str) -> None:
        self._host = host
        super().__init__(who, Route(bridge=f"{bridge[0]}:{bridge[1]}"))

    def _reach(self, who: Credentials, route: Route) -> None:
        self._socket.bind((self._host, 0))
        super()._reach(who, route)


class Caller:
    """A session of somebody with a certificate, which answers pings by itself. Raises SurgeonError if it is not let in.

    ``ended`` says why it has ended, "" while it has not.
    """

    def __init__(self, who: Credentials, bridge: Endpoint, host: str = "127.0.0.9") -> None:
        self.ended = ""
        self.link = Link(Elsewhere(who, bridge, host), 50.0)
        try:
            self.link.begin()
        except SurgeonError:
            self.link.close()
            raise
        self._one = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        # Until the bridge has asked what time it is here, it takes no command at all.
        time.sleep(0.15)

    def say(self, what: Callable[[Link], int]) -> int:
        """Say something; return its sequence."""
        with self._one:
            return what(self.link)

    def send(self, message: protocol.FromConsole) -> None:
        """Send any message, with whatever numbers."""
        with self._one:
            self.link._line.send(protocol.encode(message))

    def refusal(self, what: Callable[[Link], int], seconds: float = 4.0) -> str:
        """Say something; return why it is refused, "" if it is not. What may have been lost is said again."""
        begun, said = time.monotonic(), 0
        seqs: list[int] = []
        while (passed := time.monotonic() - begun) < seconds and not self.ended:
            if passed > said * _AGAIN_S:
                seqs.append(self.say(what))
                said += 1
            with self._one:
                for seq in seqs:
                    if why := self.link.refusal_of(seq):
                        return why
            time.sleep(0.005)
        return ""

    def until_ended(self, seconds: float) -> str:
        """Return why the session has ended, "" if it has not within ``seconds``."""
        self._over.wait(seconds)
        return self.ended

    def close(self) -> None:
        """Leave."""
        self._over.set()
        self._thread.join()
        self.link.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            self.link.wait(0.02)
            try:
                with self._one:
                    self.link.receive()
            except SurgeonError as error:
                self.ended = str(error)
                self._over.set()
