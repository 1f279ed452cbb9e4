"""HTTPS without a domain: the course's own certificate authority, and the server certificates that it signs.

Invariant: the authority is made once and stays, since students pin it; private keys are only in files of mode 0600.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mograder.domain.errors import Unreadable
from mograder.store.folder.keys import read_secret
from mograder.store.shared.files import make_once, storage_errors, write_file

AUTHORITY = ".mograder-authority.pem"
"""Certificate and key of the authority."""

CERTIFICATE = ".mograder-certificate.pem"
"""The server's certificate, signed by the authority, and its key: one file, so that they always belong together."""

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=90)
RENEWED_BEFORE = timedelta(days=30)
CLOCKS_DIFFER = timedelta(days=1)
"""Certificates are valid from this long before they were made: the clocks of students' computers are not exact."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def read(cls, path: Path) -> Pair:
        """Raises Unreadable, also when other users may read the file, and FileNotFoundError."""
        text = read_secret(path).encode()
        try:
            key = load_pem_private_key(text, None)
            certificate = x509.load_pem_x509_certificate(text)
        except (ValueError, TypeError) as error:
            raise Unreadable(f"{path.name} holds no certificate with its key", f"{path}: {error}") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise Unreadable(f"{path.name} holds a key that does not belong to its certificate", str(path))
        return cls(certificate, key)

    @property
    def pem(self) -> bytes:
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.certificate.public_bytes(Encoding.PEM) + key

    @property
    def names(self) -> frozenset[str]:
        """The host names and addresses that the certificate is for."""
        alternative = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return frozenset(str(each.value) for each in alternative)

    @property
    def ends(self) -> datetime:
        return self.certificate.not_valid_after_utc


class Authority:
    """The authority of the course served from `root`, made on first use."""

    def __init__(self, root: Path, now: datetime) -> None:
        """Raises MograderError."""
        self.path = root / CERTIFICATE
        with storage_errors("make a certificate"):
            make_once(root / AUTHORITY, lambda: _new_authority(now).pem)
            self._pair = Pair.read(root / AUTHORITY)

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self._pair.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of its certificate, in lower-case hex."""
        return self._pair.certificate.fingerprint(hashes.SHA256()).hex()

    def renew(self, names: Iterable[str], now: datetime) -> None:
        """Make a new certificate for `names` unless the present one covers them for a while. Raises MograderError.

        A new one keeps the names of the present one, so that two servers on one folder agree.
        """
        wanted = frozenset(map(_plain, names))
        try:
            present = Pair.read(self.path)
        except (FileNotFoundError, Unreadable):
            present = None
        if present is not None and self._vouches_for(present, now):
            if wanted <= present.names:
                return
            wanted |= present.names
        with storage_errors("make a certificate"):
            write_file(self.path, _new_certificate(self._pair, sorted(wanted), now).pem, mode=0o600)

    def _vouches_for(self, pair: Pair, now: datetime) -> bool:
        ours = pair.certificate.issuer == self._pair.certificate.subject
        return ours and pair.certificate.not_valid_before_utc <= now <= pair.ends - RENEWED_BEFORE


def _plain(name: str) -> str:
    """A host name or address as it is spelled in a certificate."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower().rstrip(".").encode("idna").decode()


def _new_authority(now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # A random name, so that clients that trust several courses can tell the authorities apart.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"mograder course {secrets.token_hex(4)}")])
    builder = (
        _builder(name, name, key, now, now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Pair(builder.sign(key, hashes.SHA256()), key)


def _new_certificate(authority: Pair, names: list[str], now: datetime) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mograder")])
    issuer = authority.certificate.subject
    builder = (
        _builder(subject, issuer, key, now, min(now + LIFE, authority.ends))
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
    )  # fmt: skip
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
