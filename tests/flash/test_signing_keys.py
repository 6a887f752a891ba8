from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bedside.cli import main
from bedside.errors import FlashError
from bedside.flash.keys import (
    fingerprint,
    load_signing_key,
    make_key,
    public_path,
    sign,
    signing_key_path,
    trusted_keys,
    verify,
)

Captured = pytest.CaptureFixture[str]


def pem(key: Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


def test_the_command_makes_a_key_for_its_owners_eyes_and_says_where(config: Path, capsys: Captured) -> None:
    assert main(["keys", "signing"]) == 0
    said = capsys.readouterr().out
    path = config / "signing.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----")
    assert (config / "signing.pub").read_text().startswith("-----BEGIN PUBLIC KEY-----")
    for word in (str(path), str(config / "signing.pub"), "offline", str(config / "trusted")):
        assert word in said
    (own,) = trusted_keys()
    assert own in said
    assert own == fingerprint(load_signing_key(path).public_key())


def test_a_key_is_never_overwritten(config: Path, capsys: Captured) -> None:
    assert main(["keys", "signing"]) == 0
    before = (config / "signing.key").read_bytes()
    assert main(["keys", "signing"]) == 1
    assert "never overwritten" in capsys.readouterr().err
    assert (config / "signing.key").read_bytes() == before
    # Nor does a private key appear beside a public one that is not its own.
    (config / "signing.key").unlink()
    with pytest.raises(FlashError, match=r"signing\.pub: is there already"):
        make_key(config / "signing.key")
    assert not (config / "signing.key").exists()


def test_a_key_may_be_made_elsewhere(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "stick" / "lab.key"
    assert main(["keys", "signing", "--output", str(path)]) == 0
    assert "this one included" in capsys.readouterr().out
    assert public_path(path).exists()
    assert not trusted_keys()
    with pytest.raises(FlashError, match="ending of the public key"):
        make_key(tmp_path / "lab.pub")
    with pytest.raises(FlashError, match="cannot be made"):
        make_key(path / "below" / "lab.key")


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_a_key_needs_a_name(name: str, capsys: Captured) -> None:
    assert main(["keys", "signing", "--output", name]) == 1
    assert f"{Path(name)}: is a folder; name a file in it with --output" in capsys.readouterr().err


def test_without_a_key_the_command_that_makes_one_is_named(config: Path) -> None:
    with pytest.raises(FlashError, match="there is no signing key; make one with 'bedside keys signing'"):
        load_signing_key(signing_key_path())


def test_a_private_key_that_others_may_read_is_refused(key: Ed25519PrivateKey) -> None:
    path = signing_key_path()
    path.chmod(0o640)
    with pytest.raises(FlashError, match=rf"mode 640\); 'chmod 600 {path}'"):
        load_signing_key(path)


def cut_short(path: Path) -> bytes:
    return path.read_bytes()[:-60]


def with_password(path: Path) -> bytes:
    return pem(Ed25519PrivateKey.generate(), b"secret")


def of_another_kind(path: Path) -> bytes:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def the_public_one(path: Path) -> bytes:
    return public_path(path).read_bytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (cut_short, "not a private key in PEM"),
        (with_password, "without a password"),
        (of_another_kind, "not of Ed25519"),
        (the_public_one, "not a private key in PEM"),
    ],
)
def test_a_file_that_is_no_signing_key_is_refused(
    key: Ed25519PrivateKey, content: Callable[[Path], bytes], message: str
) -> None:
    path = signing_key_path()
    path.write_bytes(content(path))
    with pytest.raises(FlashError, match=re.escape(str(path)) + ".*" + message):
        load_signing_key(path)


def test_a_folder_in_place_of_a_key_is_an_error(config: Path) -> None:
    signing_key_path().mkdir(parents=True)
    with pytest.raises(FlashError, match="cannot be read"):
        load_signing_key(signing_key_path())


def test_a_signature_names_its_key_and_fits_nothing_else(key: Ed25519PrivateKey) -> None:
    signature = sign(key, b"manifest")
    assert len(signature) == 64
    assert verify(b"manifest", signature, trusted_keys()) == fingerprint(key.public_key())
    with pytest.raises(FlashError, match="signed with a key that this computer does not trust"):
        verify(b"manifesT", signature, trusted_keys())
    with pytest.raises(FlashError, match="the signature is wrong"):
        verify(b"manifesT", signature, trusted_keys(), fingerprint(key.public_key()))
    with pytest.raises(FlashError, match=r"damaged \(63 bytes instead of 64\)"):
        verify(b"manifest", signature[:-1], trusted_keys())


def test_keys_of_others_count_once_they_are_in_the_trusted_folder(config: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "lab.key"
    name = make_key(theirs)
    signature = sign(load_signing_key(theirs), b"manifest")
    with pytest.raises(FlashError, match=rf"key {name} that this computer does not trust; .*trusted"):
        verify(b"manifest", signature, trusted_keys(), name)
    (config / "trusted").mkdir(parents=True)
    public_path(theirs).rename(config / "trusted" / "lab.pub")
    assert verify(b"manifest", signature, trusted_keys()) == name


def test_a_trusted_key_that_cannot_be_read_is_named(config: Path) -> None:
    (config / "trusted").mkdir(parents=True)
    (config / "trusted" / "lab.pub").write_text("ssh-ed25519 AAAA")
    with pytest.raises(FlashError, match=r"lab\.pub: not an Ed25519 public key in PEM"):
        trusted_keys()


def refuse(path: Path, *_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


# The tests may run as root, whom no folder refuses.
@pytest.mark.parametrize("method", ["stat", "iterdir"])
def test_a_folder_of_keys_that_may_not_be_read_is_named(
    key: Ed25519PrivateKey, config: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    (config / "trusted").mkdir()
    monkeypatch.setattr(Path, method, refuse)
    with pytest.raises(FlashError, match=rf"{config}/trusted: cannot be read \(Permission denied\); check its owner"):
        trusted_keys()
