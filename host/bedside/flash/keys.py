"""Ed25519 keys: who may make packages, and whose packages this computer flashes.

A private key is a PEM file (PKCS #8) for its owner's eyes only; a public key (SubjectPublicKeyInfo) ends in ``.pub``.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from bedside.errors import FlashError
from bedside.places import config_directory

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURE_SIZE = 64
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def signing_key_path() -> Path:
    """Return where this user's signing key is unless another file is named."""
    return config_directory() / "signing.key"


def trusted_folder() -> Path:
    """Return the folder of the public keys that this user trusts besides the own one."""
    return config_directory() / "trusted"


def public_path(private: Path) -> Path:
    """Return where the public key of ``private`` is."""
    return private.with_suffix(".pub")


def make_key(path: Path) -> str:
    """Make a signing key at ``path`` and its public key beside it; return its fingerprint.

    Raises FlashError when either file is there already: a key that is overwritten is lost.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not path.name:
        raise FlashError(f"{path}: is a folder; name a file in it with --output")
    public = public_path(path)
    if path == public:
        raise FlashError(f"{path}: .pub is the ending of the public key beside it; give the signing key another name")
    key = Ed25519PrivateKey.generate()
    private_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise FlashError(f"{path.parent}: cannot be made ({error.strerror}); choose a place with --output") from None
    _write_new(path, private_pem, 0o600)
    try:
        _write_new(public, public_pem, 0o644)
    except BaseException:
        path.unlink()
        raise
    return fingerprint(key.public_key())


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key. Raises FlashError, also when others may read it: then anyone may have it."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except FileNotFoundError:
        raise FlashError(f"{path}: there is no signing key; make one with 'bedside keys signing'") from None
    except OSError as error:
        raise FlashError(f"{path}: the signing key cannot be read ({error.strerror}); check its owner") from None
    if mode & _OTHERS:
        raise FlashError(
            f"{path}: other users may read this signing key (mode {stat.S_IMODE(mode):o}); 'chmod 600 {path}', and if "
            "someone may have copied it, make a new one"
        )
    remedy = "bring it back from the copy that you keep offline, or make another with 'bedside keys signing'"
    try:
        key = load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise FlashError(f"{path}: not a private key in PEM without a password; {remedy}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise FlashError(f"{path}: a private key, but not of Ed25519; {remedy}")
    return key


def trusted_keys() -> dict[str, Ed25519PublicKey]:
    """Return the public keys that this user trusts by fingerprint: the own one, and every ``*.pub`` in ``trusted/``.

    Raises FlashError when one of them, or their folder, cannot be read.
    """
    own = public_path(signing_key_path())
    try:
        # Not with glob, which passes over a folder that it may not read.
        others = sorted(trusted_folder().iterdir()) if trusted_folder().exists() else []
        files = [*([own] if own.exists() else []), *(file for file in others if file.suffix == ".pub")]
    except OSError as error:
        raise FlashError(f"{error.filename}: cannot be read ({error.strerror}); check its owner") from None
    keys = [_load_public(file) for file in files]
    return {fingerprint(key): key for key in keys}


def sign(key: Ed25519PrivateKey, data: bytes) -> bytes:
    """Return the signature of ``data``, 64 bytes; the same data give the same one (RFC 8032)."""
    return key.sign(data)


def verify(data: bytes, signature: bytes, trusted: Mapping[str, Ed25519PublicKey], signer: str | None = None) -> str:
    """Return the fingerprint of the trusted key that signed ``data``. Raises FlashError.

    ``signer`` is the fingerprint that the data claim for their key; it serves only to say what is wrong.
    """
    from cryptography.exceptions import InvalidSignature

    if len(signature) != SIGNATURE_SIZE:
        raise FlashError(f"the signature is damaged ({len(signature)} bytes instead of {SIGNATURE_SIZE}); copy it anew")
    for name, key in trusted.items():
        try:
            key.verify(signature, data)
        except InvalidSignature:
            continue
        return name
    if signer in trusted:
        raise FlashError(
            f"the signature is wrong: key {signer} is trusted here, but it signed something else; get a fresh copy, "
            "and if that is refused as well, ask its maker"
        )
    who = f"key {signer}" if signer else "a key"
    raise FlashError(
        f"signed with {who} that this computer does not trust; if you know whose it is, put its .pub file into "
        f"{trusted_folder()}"
    )


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return what people compare keys by: the first 32 hex digits of SHA-256 of the 32 bytes of the public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:32]


def _load_public(path: Path) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise FlashError(f"{path}: this public key cannot be read ({error.strerror}); check its owner") from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise FlashError(f"{path}: not an Ed25519 public key in PEM; copy it anew from its owner, or remove it")
    return key


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist yet, whole or not at all."""
    try:
        end = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise FlashError(
            f"{path}: is there already, and a key is never overwritten; name another file with --output, or move this "
            "one away if you are sure"
        ) from None
    except OSError as error:
        raise FlashError(f"{path}: cannot be written ({error.strerror}); choose a place with --output") from None
    try:
        with os.fdopen(end, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException as error:
        path.unlink()
        if isinstance(error, OSError):
            raise FlashError(f"{path}: cannot be written ({error.strerror}); make room and try again") from None
        raise
