from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from bedside.cli import main
from bedside.errors import SurgeonError
from bedside.surgeon import files
from bedside.surgeon import site as site_module
from bedside.surgeon.credentials import load_certificate, load_credentials, load_list
from bedside.surgeon.files import alone, part_of
from bedside.surgeon.site import Site, make_site, site_folder

Captured = pytest.CaptureFixture[str]
ALICE = ["keys", "console", "alice", "--role", "surgeon"]


@pytest.fixture
def made(config: Path, capsys: Captured) -> Path:
    """The folder of a site that the command has made."""
    assert main(["keys", "site", "--name", "lab"]) == 0
    capsys.readouterr()
    return config / "site"


def said(capsys: Captured, *arguments: str, status: int = 0) -> str:
    assert main(list(arguments)) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def serials(config: Path) -> set[int]:
    site = Site(config / "site", datetime.now(UTC))
    return {entry.serial_number for entry in load_list(config / "site" / "revoked.pem", site.certificate)}


def test_a_site_is_for_its_owners_eyes_and_complete(made: Path) -> None:
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.iterdir() if path.is_file()} == {
        "site.key": 0o600,
        "relay.key": 0o600,
        "site.pem": 0o644,
        "revoked.pem": 0o644,
    }
    authority = load_certificate(made / "site.pem")
    assert 3651 <= (authority.not_valid_after_utc - datetime.now(UTC)).days <= 3652
    assert not list(load_list(made / "revoked.pem", authority))


def test_a_site_is_never_overwritten(made: Path, capsys: Captured) -> None:
    before = (made / "site.key").read_bytes()
    assert "never overwritten" in said(capsys, "keys", "site", status=1)
    assert (made / "site.key").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "role", "has"),
    [("theatre1", "bridge", set()), ("alice", "surgeon", {"proof.key"}), ("eve", "observer", set())],
)
def test_a_folder_has_what_its_role_needs(
    made: Path, config: Path, capsys: Captured, name: str, role: str, has: set[str]
) -> None:
    kind = ["bridge", name] if role == "bridge" else ["console", name, "--role", role]
    said(capsys, "keys", *kind)
    folder = config / "issued" / name
    secret = {"private.key", "relay.key"} | has
    assert {path.name for path in folder.iterdir()} == {"certificate.pem", "site.pem", "revoked.pem"} | secret
    assert all(stat.S_IMODE((folder / file).stat().st_mode) == 0o600 for file in secret)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found = load_credentials(folder)
    assert (found.name, found.role, found.proof_key is not None) == (name, role, bool(has))
    assert found.relay_key.hex() == (made / "relay.key").read_text().strip()
    assert "sound" in said(capsys, "keys", "check", str(folder))


def test_a_certificate_is_for_one_part_and_signs_no_others(made: Path, config: Path, capsys: Captured) -> None:
    said(capsys, "keys", "bridge", "theatre1")
    said(capsys, *ALICE)
    for name, use in (
        ("theatre1", x509.ExtendedKeyUsageOID.SERVER_AUTH),
        ("alice", x509.ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        certificate = load_certificate(config / "issued" / name / "certificate.pem")
        extensions = certificate.extensions
        assert certificate.version is x509.Version.v3
        assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [use]
        basic = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        assert basic.critical
        assert usage.critical
        assert not basic.value.ca
        assert usage.value.digital_signature
        assert not usage.value.key_cert_sign
        # A computer whose clock is a little behind takes it at once.
        early = datetime.now(UTC) - certificate.not_valid_before_utc
        assert timedelta(minutes=5) <= early < timedelta(minutes=6)


def test_a_name_is_issued_once(made: Path, config: Path, capsys: Captured) -> None:
    said(capsys, *ALICE)
    before = (config / "issued" / "alice" / "certificate.pem").read_bytes()
    assert "--again makes another" in said(capsys, *ALICE, status=1)
    assert "--again" in said(capsys, "keys", "bridge", "alice", status=1)
    assert (config / "issued" / "alice" / "certificate.pem").read_bytes() == before


def test_a_renewal_revokes_the_old_certificate_and_keeps_the_proof_key(
    made: Path, config: Path, capsys: Captured
) -> None:
    said(capsys, *ALICE)
    old = load_credentials(config / "issued" / "alice")
    assert "proof key is the old one" in said(capsys, *ALICE, "--again")
    new = load_credentials(config / "issued" / "alice")
    assert new.proof_key == old.proof_key
    assert new.certificate.serial_number != old.certificate.serial_number
    assert new.is_revoked(old.certificate.serial_number)
    assert not new.is_revoked(new.certificate.serial_number)


def test_who_was_revoked_gets_another_proof_key(made: Path, config: Path, capsys: Captured) -> None:
    said(capsys, *ALICE)
    old = load_credentials(config / "issued" / "alice")
    said(capsys, "keys", "revoke", "alice")
    assert "proof key is new" in said(capsys, *ALICE)
    assert load_credentials(config / "issued" / "alice").proof_key != old.proof_key


def test_an_expired_name_may_be_issued_anew(site: Site) -> None:
    past = Site(site.folder, datetime.now(UTC) - timedelta(days=20))
    old = past.issue("alice", "surgeon", 10)
    assert site.entries[0].state(datetime.now(UTC)) == "expired"
    made = site.issue("alice", "surgeon", 10)
    assert made.folder == old.folder
    assert (made.proof, made.revoked) == ("kept", [])


def test_a_revocation_reaches_the_folders_that_are_here_and_names_who_must_hear(
    made: Path, config: Path, capsys: Captured
) -> None:
    for kind in (["bridge", "theatre1"], ["bridge", "theatre2"], ["console", "eve", "--role", "observer"]):
        said(capsys, "keys", *kind)
    said(capsys, *ALICE)
    said(capsys, *ALICE, "--again")
    told = said(capsys, "keys", "revoke", "alice")
    assert "1 certificate revoked" in told
    assert "into the credentials of theatre1, theatre2: " in told
    assert len(serials(config)) == 2
    bridge = load_credentials(config / "issued" / "theatre1")
    assert all(bridge.is_revoked(serial) for serial in serials(config))
    with pytest.raises(SurgeonError, match="has revoked this certificate of 'alice'"):
        load_credentials(config / "issued" / "alice")
    # Consoles must hear of a bridge.
    assert "into the credentials of eve: " in said(capsys, "keys", "revoke", "theatre2")
    assert "was revoked before" in said(capsys, "keys", "revoke", "theatre2")


def test_folders_of_another_site_keep_their_own_list(
    made: Path, config: Path, tmp_path: Path, capsys: Captured
) -> None:
    other = str(tmp_path / "other")
    said(capsys, "keys", "site", "--folder", other)
    said(capsys, "keys", "bridge", "elsewhere", "--site", other)
    said(capsys, *ALICE)
    said(capsys, "keys", "revoke", "alice")
    load_credentials(config / "issued" / "elsewhere")


def test_an_unknown_name_is_not_revoked(made: Path, capsys: Captured) -> None:
    said(capsys, *ALICE)
    assert "did you mean 'alice'" in said(capsys, "keys", "revoke", "alcie", status=1)
    assert "see 'bedside keys list'" in said(capsys, "keys", "revoke", "zzz", status=1)


def test_the_list_says_what_became_of_each(site: Site, capsys: Captured) -> None:
    Site(site.folder, datetime.now(UTC) - timedelta(days=20)).issue("carol", "mentor", 10)
    for name in ("alice", "bob"):
        site.issue(name, "trainee", 10)
    site.revoke("bob")
    rows = {line.split()[0]: line.split() for line in said(capsys, "keys", "list").splitlines()}
    assert rows["carol"][-1] == "expired"
    assert rows["alice"][-1] == "valid"
    assert rows["bob"][-2] == "revoked"
    (alice,) = [entry for entry in site.entries if entry.peer.name == "alice"]
    assert rows["alice"][1:3] == ["trainee", f"{alice.peer.serial:x}"[:8]]


@pytest.mark.parametrize("name", ["", "..", ".hidden", "-x", "a/b", "a" * 33, "a b", "ä", "a\n"])
def test_a_name_that_could_be_mistaken_is_refused(site: Site, name: str) -> None:
    with pytest.raises(SurgeonError, match="write at most 32 letters"):
        site.issue(name, "surgeon", 10)


@pytest.mark.parametrize("days", [-1, 0, 4000])
def test_a_certificate_ends_before_its_site(site: Site, days: int) -> None:
    with pytest.raises(SurgeonError, match=rf"{days} days: allowed are 1 to 36\d\d"):
        site.issue("alice", "surgeon", days)


def test_without_a_site_the_command_that_makes_one_is_named(config: Path, capsys: Captured) -> None:
    assert "make one with 'bedside keys site'" in said(capsys, *ALICE, status=1)


def test_a_folder_of_something_else_is_left_alone(made: Path, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    assert "has no credentials of 'alice'" in said(capsys, *ALICE, "--output", str(tmp_path / "mine"), status=1)
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_two_runs_do_not_mix(site: Site) -> None:
    with alone(site.folder), pytest.raises(SurgeonError, match="another 'bedside keys' is at work"):
        site.issue("alice", "surgeon", 10)
    site.issue("alice", "surgeon", 10)


class Killed(BaseException):
    """The process ends here, and nothing is tidied up."""


Steps = list[tuple[Any, str]]
# Every step that leaves something on the disk.
STEPS: Steps = [(site_module, "write_new"), (files, "write_new"), (Path, "rename"), (Path, "replace"), (Path, "mkdir")]


def at_step(monkeypatch: pytest.MonkeyPatch, number: int, fail: Callable[[], None]) -> None:
    """Let ``fail`` happen before step ``number``."""
    done = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            done[0] += 1
            if done[0] == number:
                fail()
            return real(*args, **kwargs)

        return step

    for owner, name in STEPS:
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))


def kill() -> None:
    raise Killed


def test_a_run_that_is_killed_anywhere_is_made_good_by_the_next(site: Site, config: Path) -> None:
    folder = config / "issued" / "alice"
    copy = config.parent / "copy"
    site.issue("alice", "surgeon", 10)
    old = load_credentials(folder)
    site.issue("theatre1", "bridge", 10)
    shutil.copytree(config, copy)
    number, finished = 0, 0
    while True:
        number += 1
        shutil.rmtree(config)
        shutil.copytree(copy, config)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)
            patch.setattr(Path, "unlink", lambda *_, **__: None)
            at_step(patch, number, kill)
            try:
                site.issue("alice", "surgeon", 10, again=True)
            except Killed:
                pass
            else:
                break
        again = site.issue("alice", "surgeon", 10, again=True)
        finished += again.finished
        new = load_credentials(folder)
        assert new.proof_key == old.proof_key
        assert not part_of(folder).exists()
        # Of everything ever issued to the name, one certificate is valid.
        valid = [entry for entry in site.entries if entry.state(datetime.now(UTC)) == "valid"]
        assert [entry.peer.serial for entry in valid if entry.peer.name == "alice"] == [new.certificate.serial_number]
        assert load_credentials(config / "issued" / "theatre1").is_revoked(old.certificate.serial_number)
    assert number > 10
    assert finished > 3


def test_a_site_that_is_killed_half_made_is_made_anew(config: Path) -> None:
    number = 0
    while True:
        number += 1
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)
            at_step(patch, number, kill)
            try:
                make_site(site_folder(), "lab", datetime.now(UTC))
            except Killed:
                assert not site_folder().exists()
            else:
                break
        make_site(site_folder(), "lab", datetime.now(UTC))
        Site(site_folder(), datetime.now(UTC)).issue("alice", "surgeon", 10)
        shutil.rmtree(config)
    assert number > 6


def full_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")


def test_a_full_disk_changes_nothing(site: Site, config: Path) -> None:
    site.issue("alice", "surgeon", 10)
    before = {path: path.read_bytes() for path in config.rglob("*") if path.is_file()}
    for number in range(1, 9):
        with pytest.MonkeyPatch.context() as patch:
            at_step(patch, number, full_disk)
            with pytest.raises(SurgeonError, match=r"No space left on device\); make room"):
                site.issue("bob", "surgeon", 10)
        assert {path: path.read_bytes() for path in config.rglob("*") if path.is_file()} == before
    site.issue("bob", "surgeon", 10)


def test_a_place_that_cannot_be_written_is_named(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SurgeonError, match=r"file.*cannot be written \((Not a directory|File exists)\); check its own"):
        site.issue("alice", "surgeon", 10, tmp_path / "file" / "alice")
    with pytest.raises(SurgeonError, match="cannot be written"):
        make_site(tmp_path / "file" / "site", "lab", datetime.now(UTC))
