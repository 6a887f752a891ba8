"""A site: its certificate authority in a folder, and the credentials that it issues and takes back.

The folder has ``site.key``, ``site.pem``, ``revoked.pem``, ``relay.key`` and, in ``issued/``, every certificate that it
ever issued. These certificates and the revocation list are the only record.
"""

from __future__ import annotations

import contextlib
import difflib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bedside.errors import SurgeonError
from bedside.places import config_directory
from bedside.surgeon import credentials
from bedside.surgeon.credentials import BRIDGE, CONSOLES, Peer, check_dates, check_name, date, load_certificate, peer_of
from bedside.surgeon.files import alone, explained, part_of, put_in_place, replace, sync, write_new

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

SITE_KEY, ISSUED = "site.key", "issued"


def site_folder() -> Path:
    """Return where this user's site is unless another folder is named."""
    return config_directory() / "site"


def issued_folder() -> Path:
    """Return the folder of the credentials that are issued here, one folder a name."""
    return config_directory() / "issued"


@dataclass(frozen=True)
class Entry:
    """A certificate that was issued; ``revoked`` is when it was taken back."""

    peer: Peer
    certificate: Certificate
    revoked: datetime | None

    def state(self, now: datetime) -> str:
        """Return 'revoked', 'expired' or 'valid'."""
        if self.revoked:
            return "revoked"
        return "expired" if now > self.certificate.not_valid_after_utc else "valid"


@dataclass(frozen=True)
class Issued:
    """Credentials that were made. ``proof`` says what became of the proof key: 'new', 'kept' or '' without one.

    ``finished`` tells that an earlier run had made them and was ended before they were in place.
    """

    folder: Path
    certificate: Certificate
    proof: str
    revoked: list[Peer]
    finished: bool = False


@dataclass(frozen=True)
class Spread:
    """What was revoked, which folders here have the new list, and who, by name, would still let the revoked one in."""

    revoked: list[Peer]
    updated: list[Path]
    deceived: list[str]


def make_site(folder: Path, name: str, now: datetime) -> None:
    """Make a site called ``name`` in ``folder``. Raises SurgeonError, also when something is there: it is not replaced.

    The folder appears when it is whole; what an earlier run has left half made is made anew.
    """
    from bedside.surgeon.certificates import new_authority, new_key, new_list, pem

    check_name(name)
    if not folder.name:
        raise SurgeonError(f"{folder}: is no name for a new folder; give one with --folder")
    with explained(folder):
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone(folder.parent):
            if folder.exists():
                raise SurgeonError(
                    f"{folder}: is there already, and a site's keys are never overwritten; name another place with "
                    "--folder, or move this one away if you are sure"
                )
            part = part_of(folder)
            shutil.rmtree(part, ignore_errors=True)
            try:
                part.mkdir(mode=0o700)
                key = new_key()
                authority = new_authority(name, key, now)
                write_new(part / SITE_KEY, pem(key), 0o600)
                write_new(part / credentials.SITE, pem(authority))
                write_new(part / credentials.REVOKED, pem(new_list(authority, key, None, [], now)))
                write_new(part / credentials.RELAY_KEY, _new_secret(), 0o600)
                (part / ISSUED).mkdir()
                sync(part)
                part.rename(folder)
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
            sync(folder.parent)


class Site:
    """A site's folder as it is ``now``; one process at a time changes it. Raises SurgeonError when it is not whole."""

    def __init__(self, folder: Path, now: datetime) -> None:
        if not folder.is_dir():
            raise SurgeonError(f"{folder}: there is no site; make one with 'bedside keys site', or name its folder")
        self.folder = folder
        self.certificate = load_certificate(folder / credentials.SITE)
        self._now = now

    @property
    def entries(self) -> list[Entry]:
        """Everything that was issued, by name, the oldest first."""
        revocations = credentials.load_list(self.folder / credentials.REVOKED, self.certificate)
        found = []
        for path in (self.folder / ISSUED).glob("*.pem"):
            certificate = load_certificate(path)
            peer = peer_of(certificate)
            entry = revocations.get_revoked_certificate_by_serial_number(peer.serial)
            found.append(Entry(peer, certificate, entry.revocation_date_utc if entry else None))
        return sorted(found, key=lambda entry: (entry.peer.name, entry.certificate.not_valid_before_utc))

    def issue(self, name: str, role: str, days: int, output: Path | None = None, again: bool = False) -> Issued:
        """Make credentials for ``name`` in the folder ``output``, by default one of ``issued_folder()``.

        ``again`` takes back what the name has. The certificate is recorded before its folder is in place, so that none
        is ever out that cannot be revoked; a run that ended between the two is finished by the next one.
        Raises SurgeonError.
        """
        check_name(name)
        folder = output or issued_folder() / name
        if not folder.name:
            raise SurgeonError(f"{folder}: is no name for a new folder; give one with --output")
        check_dates(self.folder / credentials.SITE, self.certificate, self._now)
        longest = (self.certificate.not_valid_after_utc - self._now).days
        if not 1 <= days <= longest:
            raise SurgeonError(f"{days} days: allowed are 1 to {longest}, because the site's own certificate ends then")
        with explained(folder), alone(self.folder):
            folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = part_of(folder)
            mine = [entry for entry in self.entries if entry.peer.name == name]
            begun = self._begun(part, mine)
            valid = [entry for entry in mine if entry.state(self._now) == "valid" and entry is not begun]
            if begun and begun.peer.role == role:
                return self._finish(part, folder, begun.certificate, mine, True)
            if valid and not again:
                raise SurgeonError(
                    f"'{name}' has a certificate as {valid[-1].peer.role} until "
                    f"{date(valid[-1].certificate.not_valid_after_utc)}; --again makes another and revokes that one"
                )
            self._check_place(folder, name)
            shutil.rmtree(part, ignore_errors=True)
            try:
                certificate = self._make(part, name, role, days, self._kept_proof(folder, mine))
                record = self.folder / ISSUED / f"{name}-{certificate.serial_number:x}.pem"
                replace(record, (part / credentials.CERTIFICATE).read_bytes())
            except BaseException:
                shutil.rmtree(part, ignore_errors=True)
                raise
            return self._finish(part, folder, certificate, mine, False)

    def revoke(self, name: str) -> Spread:
        """Take back every certificate of ``name``; the folders here learn of it at once. Raises SurgeonError."""
        with explained(self.folder), alone(self.folder):
            entries = self.entries
            mine = [entry for entry in entries if entry.peer.name == name]
            if not mine:
                close = difflib.get_close_matches(name, {entry.peer.name for entry in entries}, n=1)
                hint = f"did you mean '{close[0]}'?" if close else "see 'bedside keys list'"
                raise SurgeonError(f"'{name}': this site has issued nothing to such a name; {hint}")
            revoked = [entry.peer for entry in mine if not entry.revoked]
            self._revoke(revoked)
            # A bridge lets consoles in, a console believes bridges.
            believers = {role for entry in mine for role in (CONSOLES if entry.peer.role == BRIDGE else (BRIDGE,))}
            deceived = {
                entry.peer.name
                for entry in entries
                if entry.peer.role in believers and entry.peer.name != name and entry.state(self._now) == "valid"
            }
            return Spread(revoked, self._spread(), sorted(deceived))

    def _begun(self, part: Path, mine: list[Entry]) -> Entry | None:
        """Return what an earlier run has recorded but not put in place."""
        try:
            serial = load_certificate(part / credentials.CERTIFICATE).serial_number
        except SurgeonError:
            return None
        return next((entry for entry in mine if entry.peer.serial == serial and not entry.revoked), None)

    def _check_place(self, folder: Path, name: str) -> None:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        with contextlib.suppress(SurgeonError):
            if peer_of(load_certificate(folder / credentials.CERTIFICATE)).name == name:
                return
        raise SurgeonError(
            f"{folder}: is there already and has no credentials of '{name}'; choose another place with --output"
        )

    def _kept_proof(self, folder: Path, mine: list[Entry]) -> bytes | None:
        """Return the proof key in ``folder``, which the boards know; not one that may be in wrong hands."""
        with contextlib.suppress(SurgeonError):
            serial = load_certificate(folder / credentials.CERTIFICATE).serial_number
            if any(entry.peer.serial == serial and not entry.revoked for entry in mine):
                return credentials.load_secret(folder / credentials.PROOF_KEY)
        return None

    def _make(self, part: Path, name: str, role: str, days: int, proof: bytes | None) -> Certificate:
        """Make a folder of credentials in ``part``, whole."""
        from bedside.surgeon.certificates import new_certificate, new_key, pem

        key = new_key()
        site_key = credentials.load_private_key(self.folder / SITE_KEY)
        certificate = new_certificate(self.certificate, site_key, name, role, key.public_key(), self._now, days)
        relay = credentials.load_secret(self.folder / credentials.RELAY_KEY)
        part.mkdir(mode=0o700)
        write_new(part / credentials.KEY, pem(key), 0o600)
        write_new(part / credentials.CERTIFICATE, pem(certificate))
        write_new(part / credentials.SITE, pem(self.certificate))
        write_new(part / credentials.REVOKED, (self.folder / credentials.REVOKED).read_bytes())
        write_new(part / credentials.RELAY_KEY, _text(relay), 0o600)
        if role in credentials.MOVERS:
            write_new(part / credentials.PROOF_KEY, _text(proof) if proof else _new_secret(), 0o600)
        sync(part)
        return certificate

    def _finish(self, part: Path, folder: Path, certificate: Certificate, mine: list[Entry], finished: bool) -> Issued:
        """Revoke what the name had, and put its new folder in place; may be done again from any point."""
        proof = ""
        if (part / credentials.PROOF_KEY).exists():
            new, old = (_bytes_of(place / credentials.PROOF_KEY) for place in (part, folder))
            proof = "kept" if new == old else "new"
        revoked = [
            entry.peer
            for entry in mine
            if entry.state(self._now) == "valid" and entry.peer.serial != certificate.serial_number
        ]
        self._revoke(revoked)
        replace(part / credentials.REVOKED, (self.folder / credentials.REVOKED).read_bytes())
        put_in_place(part, folder)
        self._spread()
        return Issued(folder, certificate, proof, revoked, finished)

    def _revoke(self, peers: list[Peer]) -> None:
        from bedside.surgeon.certificates import new_list, pem

        if peers:
            path = self.folder / credentials.REVOKED
            site_key = credentials.load_private_key(self.folder / SITE_KEY)
            last = credentials.load_list(path, self.certificate)
            new = new_list(self.certificate, site_key, last, [peer.serial for peer in peers], self._now)
            replace(path, pem(new))

    def _spread(self) -> list[Path]:
        """Give the revocation list to the credentials that are here; return their folders."""
        site, revoked = ((self.folder / name).read_bytes() for name in (credentials.SITE, credentials.REVOKED))
        updated = []
        for folder in _folders(issued_folder()):
            if _bytes_of(folder / credentials.SITE) == site:
                replace(folder / credentials.REVOKED, revoked)
                updated.append(folder)
        return updated


def _folders(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(path for path in place.iterdir() if path.is_dir() and not path.name.startswith("."))


def _bytes_of(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _new_secret() -> bytes:
    return _text(secrets.token_bytes(credentials.SECRET_SIZE))


def _text(secret: bytes) -> bytes:
    return secret.hex().encode() + b"\n"
