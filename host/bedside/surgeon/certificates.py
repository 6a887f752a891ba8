"""A site's certificates and its revocation list, as RFC 5280 has them: ECDSA on P-256, made in memory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bedside.surgeon.credentials import BRIDGE, number_of

Key = ec.EllipticCurvePrivateKey

# About the life of a robot. Whoever loses the site's key before makes another site.
SITE_DAYS = 3652
# The clocks of two computers without a common time server may be minutes apart, and a new certificate must do at once.
_BEFORE = timedelta(minutes=5)


def new_key() -> Key:
    """Return a new private key."""
    return ec.generate_private_key(ec.SECP256R1())


def new_authority(name: str, key: Key, now: datetime) -> x509.Certificate:
    """Return the certificate of a site called ``name``, signed with its own ``key``."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        _begun(subject, subject, key.public_key(), now, SITE_DAYS)
        # It issues no certificates that issue certificates.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def new_certificate(
    site: x509.Certificate,
    site_key: Key,
    name: str,
    role: str,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.Certificate:
    """Return a certificate of ``site`` for ``name``, good for ``days`` from ``now``."""
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role)]
    )
    # Consoles dial, a bridge answers: neither certificate does for the other's part.
    part = ExtendedKeyUsageOID.SERVER_AUTH if role == BRIDGE else ExtendedKeyUsageOID.CLIENT_AUTH
    issuer = site.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return (
        _begun(subject, site.subject, public_key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([part]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
        .sign(site_key, hashes.SHA256())
    )


def new_list(
    site: x509.Certificate,
    site_key: Key,
    last: x509.CertificateRevocationList | None,
    serials: Iterable[int],
    now: datetime,
) -> x509.CertificateRevocationList:
    """Return the revocation list that follows ``last`` and has ``serials`` as well."""
    entries = [] if last is None else list(last)
    added = [
        x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
        for serial in sorted(set(serials) - {entry.serial_number for entry in entries})
    ]
    issuer = site.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(site.subject)
        .last_update(now)
        # It counts until a newer one is brought: a site without a network cannot promise when.
        .next_update(max(site.not_valid_after_utc, now + timedelta(days=1)))
        .add_extension(x509.CRLNumber(1 if last is None else number_of(last) + 1), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
    )
    for entry in (*entries, *added):
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(site_key, hashes.SHA256())


def pem(thing: x509.Certificate | x509.CertificateRevocationList | Key) -> bytes:
    """Return ``thing`` as the content of a file."""
    if isinstance(thing, Key):
        return thing.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    return thing.public_bytes(serialization.Encoding.PEM)


def _begun(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, now: datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
