"""A certificate authority for one grid, good for its names only, and the front's certificate."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
CLOCKS_DIFFER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files of a folder, all for the eyes of its owner alone but `authority`."""

    folder: Path

    @property
    def authority(self) -> Path:
        """PEM of the authority's certificate: what a client is told to trust."""
        return self.folder / "ca.pem"

    @property
    def chain(self) -> Path:
        """PEM of the front's certificate."""
        return self.folder / "front.pem"

    @property
    def key(self) -> Path:
        """PEM of the front's key."""
        return self.folder / "front.key"


def ensure(folder: Path, domains: Sequence[str], names: Sequence[str], now: datetime) -> Certificates:
    """Make authority and certificate unless good ones are there.

    `domains` are all that the authority may ever sign for (RFC 5280 name constraints, marked critical): somebody who
    trusts it for a test grid trusts it for nothing else.  Its key is thrown away once the certificate is signed.
    """
    made = Certificates(folder)
    if _is_good(made, names, now):
        return made
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "development grid")])
    authority = (
        _begin(issuer, issuer, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.NameConstraints([x509.DNSName(each) for each in domains], None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    certificate = (
        _begin(subject, issuer, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(made.key, private, 0o600)
    _write(made.chain, certificate.public_bytes(serialization.Encoding.PEM), 0o600)
    _write(made.authority, authority.public_bytes(serialization.Encoding.PEM), 0o600)
    return made


def _begin(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + LIFETIME)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _is_good(made: Certificates, names: Sequence[str], now: datetime) -> bool:
    """Whether all files are there, fit together, name all that is wanted and last for a while."""
    try:
        certificate = x509.load_pem_x509_certificate(made.chain.read_bytes())
        authority = x509.load_pem_x509_certificate(made.authority.read_bytes())
        key = serialization.load_pem_private_key(made.key.read_bytes(), None)
        certificate.verify_directly_issued_by(authority)
        named = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    ends = min(certificate.not_valid_after_utc, authority.not_valid_after_utc)
    return (
        key.public_key() == certificate.public_key()
        and set(named.get_values_for_type(x509.DNSName)) == set(names)
        and ends - RENEW_BEFORE > now.astimezone(UTC)
    )


def _write(path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all."""
    fresh = path.with_suffix(f"{path.suffix}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(fresh, path)
