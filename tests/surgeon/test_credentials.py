from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from bedside.errors import SurgeonError
from bedside.surgeon.certificates import new_key, new_list, pem
from bedside.surgeon.credentials import (
    Credentials,
    Peer,
    load_credentials,
    load_list,
    load_private_key,
    peer_of,
)
from bedside.surgeon.site import Site, make_site

Issue = Callable[[str, str], Credentials]


@pytest.fixture
def alice(issue: Issue) -> Credentials:
    return issue("alice", "surgeon")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """What lets the monotonic clock go on, which otherwise stands still."""
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_a_certificate_tells_whose_it_is(alice: Credentials) -> None:
    assert alice.peer(alice.certificate) == Peer("alice", "surgeon", alice.certificate.serial_number)


def test_a_log_shows_no_keys(alice: Credentials) -> None:
    assert alice.proof_key
    for key in (alice.relay_key, alice.proof_key):
        assert repr(key)[2:-1] not in repr(alice)


def test_no_folder_names_the_command_that_makes_one(tmp_path: Path) -> None:
    with pytest.raises(SurgeonError, match="there is no such folder of credentials; 'bedside keys bridge NAME'"):
        load_credentials(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["certificate.pem", "private.key", "site.pem", "revoked.pem", "relay.key", "proof.key"]
)
def test_a_missing_or_damaged_file_is_named(alice: Credentials, name: str) -> None:
    path = alice.folder / name
    content = path.read_bytes()
    for damaged in (b"", content[: len(content) // 2], b"\0" * 50, b"x" * (2 << 20)):
        path.write_bytes(damaged)
        with pytest.raises(SurgeonError, match=rf"^{path}: (not a|longer than).*; copy the folder anew"):
            load_credentials(alice.folder)
    path.unlink()
    with pytest.raises(SurgeonError, match=rf"^{path}: is missing; copy the folder anew"):
        load_credentials(alice.folder)
    path.mkdir()
    with pytest.raises(SurgeonError, match=rf"^{path}: cannot be read \(Is a directory\)"):
        load_credentials(alice.folder)


@pytest.mark.parametrize("name", ["private.key", "relay.key", "proof.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610])
def test_a_key_that_others_may_read_is_refused(alice: Credentials, name: str, mode: int) -> None:
    path = alice.folder / name
    path.chmod(mode)
    with pytest.raises(SurgeonError, match=rf"mode {mode:o}\); 'chmod 600 {path}'"):
        load_credentials(alice.folder)


def test_a_key_that_may_not_be_read_names_its_owner(alice: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests may run as root, whom no file refuses.
    real = Path.open

    def refuse(path: Path, *args: object) -> object:
        if path.name == "private.key":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, *args)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    owner = (alice.folder / "private.key").owner()
    with pytest.raises(SurgeonError, match=rf"cannot be read \(Permission denied\); it belongs to {owner}"):
        load_credentials(alice.folder)


def test_a_key_of_another_certificate_is_refused(alice: Credentials, issue: Issue) -> None:
    other = issue("bob", "surgeon").folder
    (alice.folder / "private.key").write_bytes((other / "private.key").read_bytes())
    with pytest.raises(SurgeonError, match=r"private\.key and certificate\.pem do not belong together"):
        load_credentials(alice.folder)


def test_a_certificate_of_another_site_is_refused(alice: Credentials, tmp_path: Path) -> None:
    # Of the same name: only the signature tells them apart.
    make_site(tmp_path / "other", "lab", datetime.now(UTC))
    for name in ("site.pem", "revoked.pem"):
        (alice.folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(SurgeonError, match=r"certificate\.pem was not issued by the site of site\.pem"):
        load_credentials(alice.folder)


@pytest.mark.parametrize(("days", "what"), [(-20, "expired on"), (2, "is not valid before")])
def test_dates_are_told_with_the_clocks(site: Site, days: int, what: str) -> None:
    then = Site(site.folder, datetime.now(UTC) + timedelta(days=days))
    folder = then.issue("alice", "surgeon", 10).folder
    with pytest.raises(
        SurgeonError, match=rf"{what} \d{{4}}-\d\d-\d\d \d\d:\d\d UTC, and this computer's clock says .*"
    ):
        load_credentials(folder)


def test_an_expired_site_is_told_apart(alice: Credentials, config: Path) -> None:
    make_site(config / "old", "lab", datetime.now(UTC) - timedelta(days=3660))
    old = Site(config / "old", datetime.now(UTC) - timedelta(days=100))
    folder = old.issue("bob", "surgeon", 50).folder
    with pytest.raises(SurgeonError, match=r"site\.pem: expired on"):
        load_credentials(folder)


def subject(*pairs: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, text) for oid, text in pairs])


CN, OU = NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (subject((CN, "alice"), (OU, "root")), "has the role 'root'; known are bridge, surgeon"),
        (subject((CN, "alice")), r"no role \(OU\)"),
        (subject((OU, "surgeon")), r"no name \(CN\)"),
        (subject((CN, "alice"), (OU, "observer"), (OU, "surgeon")), r"2 role \(OU\)"),
        (subject((CN, "alice"), (CN, "bob"), (OU, "surgeon")), r"2 name \(CN\)"),
        (subject((CN, "../alice"), (OU, "surgeon")), r"name '\.\./alice'"),
    ],
)
def test_an_odd_subject_is_refused(alice: Credentials, site: Site, name: x509.Name, why: str) -> None:
    now = datetime.now(UTC)
    odd = (
        x509.CertificateBuilder(site.certificate.subject, name, new_key().public_key(), 5, now, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(load_private_key(site.folder / "site.key"), alice.certificate.signature_hash_algorithm)
    )
    with pytest.raises(SurgeonError, match=why):
        alice.peer(odd)
    with pytest.raises(SurgeonError, match=why):
        peer_of(odd)


def test_a_new_list_counts_within_a_second(
    alice: Credentials, issue: Issue, site: Site, clock: Callable[[float], None]
) -> None:
    bridge = issue("theatre1", "bridge")
    serial = alice.certificate.serial_number
    assert not bridge.is_revoked(serial)
    site.revoke("alice")
    assert not bridge.is_revoked(serial)
    clock(1.0)
    assert bridge.is_revoked(serial)


def test_the_file_is_looked_at_once_a_second_and_read_when_it_changes(
    alice: Credentials, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, reads = [0], [0]
    real_stat, real_open = Path.stat, Path.open

    def stat(path: Path) -> os.stat_result:
        looks[0] += 1
        return real_stat(path)

    def opened(path: Path, mode: str) -> object:
        reads[0] += 1
        return real_open(path, mode)

    monkeypatch.setattr(Path, "stat", stat)
    monkeypatch.setattr(Path, "open", opened)
    for _ in range(1000):
        clock(0.01)
        alice.is_revoked(1)
    assert 9 <= looks[0] <= 10
    assert reads[0] == 0
    os.utime(alice.folder / "revoked.pem")
    clock(1.0)
    alice.is_revoked(1)
    assert reads[0] == 1


def unsigned(site: Site, good: bytes) -> bytes:
    """An empty list of the same name and a higher number, by somebody else."""
    last = load_list(site.folder / "revoked.pem", site.certificate)
    return pem(new_list(site.certificate, new_key(), last, [], datetime.now(UTC)))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda site, good: b"", "not a revocation list"),
        (lambda site, good: good[:100], "not a revocation list"),
        (unsigned, "not signed by this site"),
        (lambda site, good: None, "is missing"),
    ],
)
def test_a_bad_list_never_gives_a_certificate_back(
    alice: Credentials,
    issue: Issue,
    site: Site,
    clock: Callable[[float], None],
    damage: Callable[[Site, bytes], bytes | None],
    why: str,
) -> None:
    site.revoke("alice")
    bridge = issue("theatre1", "bridge")
    path, serial = bridge.folder / "revoked.pem", alice.certificate.serial_number
    good = path.read_bytes()
    assert bridge.is_revoked(serial)
    bad = damage(site, good)
    if bad is None:
        path.unlink()
    else:
        path.write_bytes(bad)
    clock(1.0)
    assert bridge.is_revoked(serial)
    assert bridge.revocations.problem
    assert re.search(f"{why}.*until then the list read before counts", bridge.revocations.problem)
    path.write_bytes(good)
    clock(1.0)
    assert bridge.is_revoked(serial)
    assert bridge.revocations.problem is None


def test_an_older_list_is_not_taken(
    alice: Credentials, issue: Issue, site: Site, clock: Callable[[float], None]
) -> None:
    bridge = issue("theatre1", "bridge")
    path = bridge.folder / "revoked.pem"
    older = path.read_bytes()
    site.revoke("alice")
    clock(1.0)
    assert bridge.is_revoked(alice.certificate.serial_number)
    path.write_bytes(older)
    clock(1.0)
    assert bridge.is_revoked(alice.certificate.serial_number)
    assert bridge.revocations.problem
    assert "older" in bridge.revocations.problem
