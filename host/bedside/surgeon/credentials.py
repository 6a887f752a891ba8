"""A folder of credentials: who this bridge or console is, which site it belongs to, and whom the site has taken back.

A folder has ``certificate.pem``, ``private.key``, the site's own certificate ``site.pem``, its revocation list
``revoked.pem`` and its ``relay.key``; that of a console that may move an arm also has a ``proof.key``.
"""

from __future__ import annotations

import os
import re
import stat
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bedside.errors import SurgeonError
from bedside.surgeon.authority import BRIDGE as BRIDGE
from bedside.surgeon.authority import MENTOR, OBSERVER, SURGEON, TRAINEE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateRevocationList

MOVERS = (SURGEON, MENTOR, TRAINEE)
CONSOLES = (*MOVERS, OBSERVER)
CERTIFICATE, KEY, SITE, REVOKED = "certificate.pem", "private.key", "site.pem", "revoked.pem"
RELAY_KEY, PROOF_KEY = "relay.key", "proof.key"
# Relay and proof keys are for AES-128.
SECRET_SIZE = 16

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# Ten thousand revoked certificates take half of it; more would keep a bridge's loop waiting.
_FILE_MAX = 1 << 19
# The bridge asks in every cycle, and a revocation list reaches it by hand.
_LOOK_S = 1.0
_ANEW = "copy the folder anew from where the site's keys are, or make another with 'bedside keys'"


@dataclass(frozen=True)
class Peer:
    """Whom a certificate is for; ``serial`` is the certificate's number."""

    name: str
    role: str
    serial: int


def check_name(name: str) -> None:
    """Raise SurgeonError unless ``name`` may be that of a bridge or console."""
    if not _NAME.fullmatch(name):
        raise SurgeonError(
            f"name '{name}': write at most 32 letters, digits, '-', '_' and '.', beginning with a letter or digit"
        )


def peer_of(certificate: Certificate) -> Peer:
    """Return whom ``certificate`` is for. Raises SurgeonError when Bedside issues no such ones."""
    from cryptography.x509 import NameOID

    texts = []
    for what, oid in (("name (CN)", NameOID.COMMON_NAME), ("role (OU)", NameOID.ORGANIZATIONAL_UNIT_NAME)):
        try:
            values = [attribute.value for attribute in certificate.subject.get_attributes_for_oid(oid)]
        except ValueError:
            values = []
        if len(values) != 1 or not isinstance(values[0], str):
            raise SurgeonError(
                f"a certificate with {len(values) or 'no'} {what}; 'bedside keys' issues ones with a single one"
            )
        texts.append(values[0])
    name, role = texts
    check_name(name)
    if role != BRIDGE and role not in CONSOLES:
        raise SurgeonError(f"the certificate of '{name}' has the role '{role}'; known are {BRIDGE}, {listed(CONSOLES)}")
    return Peer(name, role, certificate.serial_number)


class Revocations:
    """The site's revocation list in a file that may be replaced while it is in use.

    Only a newer list of the same site takes the place of one that was read: whatever else the file says, what was
    revoked stays revoked. ``problem`` says why the file does not count at present, and is None while it does.
    Raises SurgeonError when there is no sound list to begin with.
    """

    def __init__(self, path: Path, site: Certificate) -> None:
        self.problem: str | None = None
        self._path = path
        self._site = site
        # Noted first: what is written after that is read again.
        self._seen = _mark(path)
        self._looked_s = time.monotonic()
        self._take(load_list(path, site))

    def contains(self, serial: int) -> bool:
        """Return whether ``serial`` is revoked. Looks at the file at most once a second, reads it when it changed."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            self._look()
        # A list may be long. Going through it is left to the library, once for each peer.
        if serial not in self._known:
            self._known[serial] = self._list.get_revoked_certificate_by_serial_number(serial) is not None
        return self._known[serial]

    def _look(self) -> None:
        seen = _mark(self._path)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            new = load_list(self._path, self._site)
            if number_of(new) < number_of(self._list):
                raise SurgeonError(f"{self._path}: an older revocation list than the one in use; {_ANEW}")
        except SurgeonError as error:
            self.problem = f"{error}; until then the list read before counts"
            return
        self._take(new)
        self.problem = None

    def _take(self, new: CertificateRevocationList) -> None:
        self._list = new
        self._known: dict[int, bool] = {}


@dataclass(frozen=True)
class Credentials:
    """What a bridge or a console needs to be believed, and to know whom to believe.

    ``relay_key`` is the site's; ``proof_key`` is None for those that may not move an arm.
    """

    folder: Path
    name: str
    role: str
    certificate: Certificate
    private_key: EllipticCurvePrivateKey
    site: Certificate
    revocations: Revocations
    # A log or a traceback shows no keys.
    relay_key: bytes = field(repr=False)
    proof_key: bytes | None = field(repr=False)

    def peer(self, certificate: Certificate) -> Peer:
        """Return whom ``certificate`` is for. Raises SurgeonError for an unknown role or an odd subject."""
        return peer_of(certificate)

    def is_revoked(self, serial: int) -> bool:
        """Return whether the site has taken that certificate back; cheap enough for every cycle of a bridge."""
        return self.revocations.contains(serial)


def load_credentials(folder: Path) -> Credentials:
    """Read a folder that ``bedside keys`` made. Raises SurgeonError, which says what is wrong with it."""
    if not folder.is_dir():
        raise SurgeonError(
            f"{folder}: there is no such folder of credentials; 'bedside keys bridge NAME' or 'bedside keys console "
            "NAME' makes one where the site's keys are"
        )
    site = load_certificate(folder / SITE)
    certificate = load_certificate(folder / CERTIFICATE)
    private_key = load_private_key(folder / KEY)
    if private_key.public_key() != certificate.public_key():
        raise SurgeonError(f"{folder}: {KEY} and {CERTIFICATE} do not belong together; {_ANEW}")
    _check_issuer(folder, certificate, site)
    try:
        peer = peer_of(certificate)
    except SurgeonError as error:
        raise SurgeonError(f"{folder / CERTIFICATE}: {error}") from None
    for path, one in ((folder / SITE, site), (folder / CERTIFICATE, certificate)):
        check_dates(path, one)
    revocations = Revocations(folder / REVOKED, site)
    if revocations.contains(peer.serial):
        raise SurgeonError(
            f"{folder}: the site has revoked this certificate of '{peer.name}'; have another issued with 'bedside keys'"
        )
    return Credentials(
        folder,
        peer.name,
        peer.role,
        certificate,
        private_key,
        site,
        revocations,
        load_secret(folder / RELAY_KEY),
        load_secret(folder / PROOF_KEY) if peer.role in MOVERS else None,
    )


def load_certificate(path: Path) -> Certificate:
    """Read a certificate in PEM. Raises SurgeonError."""
    from cryptography.x509 import load_pem_x509_certificate

    text = _read(path)
    try:
        return load_pem_x509_certificate(text)
    except ValueError:
        raise SurgeonError(f"{path}: not a certificate in PEM; {_ANEW}") from None


def load_private_key(path: Path) -> EllipticCurvePrivateKey:
    """Read an ECDSA key. Raises SurgeonError, also when others may read it: then anyone may have it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    text = _read(path, private=True)
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise SurgeonError(f"{path}: not an ECDSA private key in PEM without a password; {_ANEW}")
    return key


def load_secret(path: Path) -> bytes:
    """Read a relay or proof key: 32 hex digits, 16 bytes. Raises SurgeonError."""
    text = _read(path, private=True).strip()
    if not re.fullmatch(rb"[0-9a-fA-F]{32}", text):
        raise SurgeonError(f"{path}: not a key of 32 hex digits; {_ANEW}")
    return bytes.fromhex(text.decode())


def load_list(path: Path, site: Certificate) -> CertificateRevocationList:
    """Read the revocation list of ``site``. Raises SurgeonError."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.x509 import load_pem_x509_crl

    def is_of(found: CertificateRevocationList) -> bool:
        key = site.public_key()
        return isinstance(key, EllipticCurvePublicKey) and found.is_signature_valid(key)

    text = _read(path)
    try:
        found = load_pem_x509_crl(text)
        if is_of(found):
            number_of(found)
            return found
    except (ValueError, TypeError, LookupError):
        raise SurgeonError(f"{path}: not a revocation list in PEM; {_ANEW}") from None
    raise SurgeonError(f"{path}: not signed by this site; {_ANEW}")


def number_of(revocations: CertificateRevocationList) -> int:
    """Return the number of a revocation list; a newer one has a higher one. Raises LookupError if it has none."""
    from cryptography.x509 import CRLNumber, ExtensionNotFound

    try:
        return revocations.extensions.get_extension_for_class(CRLNumber).value.crl_number
    except ExtensionNotFound:
        raise LookupError("a revocation list without a number") from None


def check_dates(what: object, certificate: Certificate, now: datetime | None = None) -> None:
    """Raise SurgeonError, which calls it ``what``, unless ``certificate`` is valid ``now``, by default at present."""
    now = now or datetime.now(UTC)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begin <= now <= end:
        return
    wrong = f"expired on {date(end)}" if now > end else f"is not valid before {date(begin)}"
    raise SurgeonError(
        f"{what}: {wrong}, and this computer's clock says {date(now)}; set the clock if it is wrong ('timedatectl' "
        "shows it), otherwise have another issued with 'bedside keys'"
    )


def date(when: datetime) -> str:
    """Return a moment as people write it."""
    return f"{when:%Y-%m-%d %H:%M} UTC"


def listed(words: tuple[str, ...]) -> str:
    """Return ``words`` as an enumeration."""
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _check_issuer(folder: Path, certificate: Certificate, site: Certificate) -> None:
    from cryptography.exceptions import InvalidSignature

    try:
        certificate.verify_directly_issued_by(site)
    except (ValueError, TypeError, InvalidSignature):
        raise SurgeonError(f"{folder}: {CERTIFICATE} was not issued by the site of {SITE}; {_ANEW}") from None


def _read(path: Path, private: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_FILE_MAX + 1)
    except FileNotFoundError:
        raise SurgeonError(f"{path}: is missing; {_ANEW}") from None
    except PermissionError as error:
        raise SurgeonError(
            f"{path}: cannot be read ({error.strerror}); it belongs to {_owner(path)}: give it to who runs this"
        ) from None
    except OSError as error:
        raise SurgeonError(f"{path}: cannot be read ({error.strerror}); {_ANEW}") from None
    if private and status.st_mode & _OTHERS:
        raise SurgeonError(
            f"{path}: other users may read this key (mode {stat.S_IMODE(status.st_mode):o}); 'chmod 600 {path}', and "
            "if someone may have copied it, revoke it and make another"
        )
    if len(data) > _FILE_MAX:
        raise SurgeonError(f"{path}: longer than {_FILE_MAX} bytes, which no such file is; {_ANEW}")
    return data


def _owner(path: Path) -> str:
    try:
        return path.owner()
    except (OSError, KeyError):
        return "another user"


def _mark(path: Path) -> tuple[int, int, int] | None:
    """Return what changes with a file's content, None without one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
