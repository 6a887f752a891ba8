"""DTLS 1.2 (RFC 6347) between consoles and a bridge: datagrams in, datagrams out, no socket.

Both ends show certificates of one site. Whoever can forge a peer's address may disturb a handshake, which is then tried
again; an established association ignores everything that its peer did not seal.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from cryptography import x509
from OpenSSL import SSL
from OpenSSL.crypto import X509

from bedside.errors import SurgeonError
from bedside.surgeon.credentials import BRIDGE, CONSOLES, Credentials, Peer, check_dates
from bedside.surgeon.relayed import begins_as_dtls

# Datagrams of this size cross every network that carries IPv6 (1280 bytes), also inside a tunnel.
DATAGRAM_MAX = 1200
# A record adds 37 bytes with AES-GCM.
MESSAGE_MAX = DATAGRAM_MAX - 37
# Ethernet carries nothing longer in one piece, and no Bedside sends it.
RECEIVED_MAX = 1500
# More than a handshake's longest part, and than messages that wait together.
_READ = 1 << 14
_SUITES = b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"
_HEADER = 13
# OpenSSL's SSL_MODE_NO_AUTO_CHAIN, and its number of DTLS 1.2; pyOpenSSL has no names for them.
_NO_AUTO_CHAIN, _DTLS_1_2 = 0x8, 0xFEFD


@dataclass
class _Verdict:
    """What the check of a peer's certificate has found. OpenSSL's callback leaves it here."""

    peer: Peer | None = None
    why: str | None = None


class Association:
    """One peer. ``peer`` is None until the handshake is done, ``over`` says why an association has ended."""

    def __init__(self, connection: SSL.Connection) -> None:
        self.peer: Peer | None = None
        self.over: str | None = None
        self._verdict = _Verdict()
        # Not the association itself: a cycle would keep both until a garbage collection, which a bridge does without.
        connection.set_app_data(self._verdict)
        self._connection = connection
        self._has_output = True
        self._shake()

    def feed(self, datagram: bytes) -> list[bytes]:
        """Take a datagram; return the messages in it, often one, none if it was not sealed by the peer.

        Raises SurgeonError when the association is over, with why.
        """
        if self.over is None and is_dtls(datagram):
            self._connection.bio_write(datagram)
            self._has_output = True
            if self.peer is None:
                self._shake()
            messages = self._messages() if self.peer and self.over is None else []
            if messages:
                return messages
        if self.over is not None:
            raise SurgeonError(self.over)
        return []

    def send(self, message: bytes) -> None:
        """Seal ``message``, 1 to MESSAGE_MAX bytes, for ``outgoing``. Raises SurgeonError when it cannot be sent."""
        if self.over is not None:
            raise SurgeonError(self.over)
        if self.peer is None:
            raise SurgeonError("the handshake is not done yet: wait until the association has a peer")
        if not 1 <= len(message) <= MESSAGE_MAX:
            raise SurgeonError(f"a message of {len(message)} bytes; allowed are 1 to {MESSAGE_MAX}")
        self._connection.send(message)
        self._has_output = True

    def outgoing(self) -> list[bytes]:
        """Return the datagrams to send now."""
        if not self._has_output:
            return []
        self._has_output = False
        return _datagrams(drain(self._connection))

    def timeout_s(self) -> float | None:
        """Return after how long ``on_timeout`` is due, None if it is not."""
        return None if self.over is not None else self._connection.DTLSv1_get_timeout()

    def on_timeout(self) -> None:
        """Send a lost part of the handshake again, if it is time for that."""
        if self.over is None:
            try:
                if self._connection.DTLSv1_handle_timeout():
                    self._has_output = True
            except SSL.Error:
                self.over = "the other side does not answer the handshake any more; check the network, and try again"

    def close(self) -> None:
        """Tell the peer that this is the end."""
        if self.over is None:
            self.over = "it was closed here"
            # In the middle of a handshake there is nothing to close.
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
                self._has_output = True

    def _shake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            self.over = self._verdict.why or f"the handshake failed: {_words(error)}"
            return
        self.peer = self._verdict.peer
        if self.peer is None:
            self.over = "the handshake ended without a certificate"

    def _messages(self) -> list[bytes]:
        messages = []
        try:
            while True:
                messages.append(self._connection.recv(RECEIVED_MAX))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.over = "the other side has closed it"
        except SSL.Error as error:
            self.over = f"it broke: {_words(error)}"
        return messages


def connect(credentials: Credentials, expected_bridge: str | None) -> Association:
    """Begin a handshake with a bridge of the same site, with the one of that name if one is expected.

    Raises SurgeonError when these are a bridge's own credentials.
    """
    if credentials.role not in CONSOLES:
        raise SurgeonError(
            f"{credentials.folder}: credentials of a {credentials.role}; a console needs a console's own"
        )
    connection = SSL.Connection(context_for(credentials, (BRIDGE,), expected_bridge), None)
    connection.set_connect_state()
    connection.set_ciphertext_mtu(DATAGRAM_MAX)
    return Association(connection)


def is_dtls(datagram: bytes) -> bool:
    """Return whether ``datagram`` may be DTLS that a Bedside sends: with something in it, and in one piece."""
    return _HEADER < len(datagram) <= RECEIVED_MAX and begins_as_dtls(datagram)


def context_for(credentials: Credentials, roles: tuple[str, ...], name: str | None) -> SSL.Context:
    """Return what OpenSSL needs to know for peers of ``roles``, and of that ``name`` if there is one."""

    def verify(connection: SSL.Connection, certificate: X509, code: int, depth: int, is_sound: int) -> bool:
        verdict: _Verdict = connection.get_app_data()
        try:
            found = certificate.to_cryptography()
            if not is_sound:
                _explain(code, found)
            elif depth == 0:
                verdict.peer = _check(credentials, found, roles, name)
        except (SurgeonError, ValueError) as error:
            verdict.why = str(error)
            return False
        return True

    context = SSL.Context(SSL.DTLS_METHOD)
    context.set_min_proto_version(_DTLS_1_2)
    context.set_max_proto_version(_DTLS_1_2)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_QUERY_MTU)
    # Both ends have the site's certificate: without it, each side's part of a handshake fits a datagram.
    context.set_mode(_NO_AUTO_CHAIN)
    # A resumed session would not show its certificate again.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_SUITES)
    context.use_certificate(credentials.certificate)
    context.use_privatekey(credentials.private_key)
    store = context.get_cert_store()
    assert store is not None
    store.add_cert(X509.from_cryptography(credentials.site))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
    return context


def _check(credentials: Credentials, certificate: x509.Certificate, roles: tuple[str, ...], name: str | None) -> Peer:
    """Return whom a certificate of the site is for. Raises SurgeonError when it is not to be let in."""
    peer = credentials.peer(certificate)
    if peer.role not in roles:
        raise SurgeonError(
            f"'{peer.name}' is a {peer.role}, but a certificate of a {' or '.join(roles)} is needed here"
        )
    if name is not None and peer.name != name:
        raise SurgeonError(f"this is bridge '{peer.name}', not '{name}'; check its address")
    if credentials.is_revoked(peer.serial):
        raise SurgeonError(f"the site has revoked the certificate of '{peer.name}'; have another issued")
    return peer


def _explain(code: int, certificate: x509.Certificate) -> None:
    """Raise SurgeonError for what OpenSSL found wrong with ``certificate``."""
    if code in (SSL.X509VerificationCodes.ERR_CERT_HAS_EXPIRED, SSL.X509VerificationCodes.ERR_CERT_NOT_YET_VALID):
        check_dates("the other side's certificate", certificate)
    if code == SSL.X509VerificationCodes.ERR_INVALID_PURPOSE:
        raise SurgeonError("the other side's certificate is for the other part: a bridge's and a console's differ")
    raise SurgeonError(
        f"the other side's certificate is not of this site (OpenSSL's code {code}); both ends need credentials of one"
    )


def _words(error: SSL.Error) -> str:
    """Return what OpenSSL says of an error."""
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    reason = reasons[-1][2] if reasons else "no reason given"
    if "alert" in reason:
        return f"the other side refused this one ({reason}); its own message says why"
    return f"{reason}; if that happens again, the other side may run another version"


def drain(connection: SSL.Connection) -> bytes:
    """Return what OpenSSL has to send."""
    found = b""
    with contextlib.suppress(SSL.WantReadError):
        found = connection.bio_read(_READ)
        # A full read may have left something; asking for nothing takes an exception, as long as sealing a message.
        while len(found) % _READ == 0:
            found += connection.bio_read(_READ)
    return found


def _datagrams(records: bytes) -> list[bytes]:
    """Return ``records``, which a memory BIO joins, in datagrams."""
    found, begin, end = [], 0, 0
    while end < len(records):
        after = end + _HEADER + int.from_bytes(records[end + 11 : end + 13])
        if after - begin > DATAGRAM_MAX and end > begin:
            found.append(records[begin:end])
            begin = end
        end = after
    return [*found, records[begin:]] if records else []
