"""The course's own authority is kept; its certificates expire and are renewed in time; keys are private."""

from __future__ import annotations

import ipaddress
import shutil
import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import BasicConstraints, DNSName, IPAddress, KeyUsage
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from mograder.domain.errors import Temporary, Unreadable
from mograder.store.folder.authority import AUTHORITY, CERTIFICATE, Authority, Pair

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ["localhost", "127.0.0.1", "::1", "Lab.Example.org"]
USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign",
)  # fmt: skip


def served(root: Path) -> Pair:
    return Pair.read(root / CERTIFICATE)


def test_the_certificate_is_for_the_given_names_and_has_a_limited_lifetime(tmp_path: Path) -> None:
    Authority(tmp_path, NOW).renew(NAMES, NOW)
    pair = served(tmp_path)
    assert pair.names == {"localhost", "127.0.0.1", "::1", "lab.example.org"}
    assert pair.ends == NOW + 90 * DAY
    pair.certificate.verify_directly_issued_by(Pair.read(tmp_path / AUTHORITY).certificate)


def trusts(root: Path, name: str | ipaddress.IPv4Address | ipaddress.IPv6Address, now: datetime = NOW) -> bool:
    """Whether a client that pinned the authority accepts the certificate for a server of this name, as strictly as
    browsers."""
    subject = DNSName(name) if isinstance(name, str) else IPAddress(name)
    pinned = PolicyBuilder().store(Store([Pair.read(root / AUTHORITY).certificate])).time(now)
    try:
        pinned.build_server_verifier(subject).verify(served(root).certificate, [])
    except VerificationError:
        return False
    return True


def test_a_client_that_pinned_the_authority_trusts_the_server_only_under_its_names(tmp_path: Path) -> None:
    Authority(tmp_path, NOW).renew(NAMES, NOW)
    for name in ("localhost", "lab.example.org", ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")):
        assert trusts(tmp_path, name), name
    for other in ("127.0.0.1", "example.org", "www.lab.example.org", ipaddress.ip_address("127.0.0.2")):
        assert not trusts(tmp_path, other), other
    assert trusts(tmp_path, "localhost", NOW - DAY)  # a clock that is slow
    assert not trusts(tmp_path, "localhost", NOW - 2 * DAY)
    assert not trusts(tmp_path, "localhost", NOW + 91 * DAY)


def test_each_key_has_only_its_own_key_usage(tmp_path: Path) -> None:
    Authority(tmp_path, NOW).renew(NAMES, NOW)
    for name, uses, constraints in (
        (AUTHORITY, {"key_cert_sign", "crl_sign"}, BasicConstraints(ca=True, path_length=0)),
        (CERTIFICATE, {"digital_signature"}, BasicConstraints(ca=False, path_length=None)),
    ):
        extensions = Pair.read(tmp_path / name).certificate.extensions
        usage = extensions.get_extension_for_class(KeyUsage)
        assert {each for each in USES if getattr(usage.value, each)} == uses
        assert extensions.get_extension_for_class(BasicConstraints).value == constraints
        assert all(each.critical for each in (usage, extensions.get_extension_for_class(BasicConstraints)))


@pytest.mark.parametrize(
    ("given", "stands"),
    [("LAB.example.org.", "lab.example.org"), ("Bücher.example", "xn--bcher-kva.example"),
     ("2001:DB8:0::1", "2001:db8::1"), ("10.0.0.5", "10.0.0.5")],
)  # fmt: skip
def test_a_host_name_is_recognised_in_every_notation(tmp_path: Path, given: str, stands: str) -> None:
    authority = Authority(tmp_path, NOW)
    authority.renew([given], NOW)
    first = served(tmp_path)
    assert first.names == {stands}
    authority.renew([stands, given], NOW)
    assert served(tmp_path).certificate == first.certificate


@pytest.mark.skipif(sys.platform == "win32", reason="modes as on POSIX")
def test_keys_are_private_and_refused_if_they_are_not(tmp_path: Path) -> None:
    Authority(tmp_path, NOW).renew(NAMES, NOW)
    files = list(tmp_path.iterdir())
    assert {path.name for path in files} == {AUTHORITY, CERTIFICATE}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    (tmp_path / AUTHORITY).chmod(0o640)
    with pytest.raises(Unreadable, match="chmod 600"):
        Authority(tmp_path, NOW)


def test_the_certificate_is_renewed_before_it_expires_and_the_authority_stays(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    authority.renew(NAMES, NOW)
    first = served(tmp_path).certificate
    authority.renew(NAMES, NOW + 59 * DAY)
    assert served(tmp_path).certificate == first
    later = Authority(tmp_path, NOW + 61 * DAY)
    later.renew(["localhost"], NOW + 61 * DAY)
    assert served(tmp_path).ends == NOW + 151 * DAY
    assert served(tmp_path).names == {"localhost"}  # addresses of earlier networks are dropped
    assert later.fingerprint == authority.fingerprint


def test_a_renewal_adds_new_names_to_the_existing_ones(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    for names in (["localhost"], ["10.0.0.5"], ["localhost"]):
        authority.renew(names, NOW)
    assert served(tmp_path).names == {"localhost", "10.0.0.5"}


@pytest.mark.parametrize(
    "damage", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_damaged_certificate_is_replaced_but_a_damaged_authority_never(tmp_path: Path, damage: bytes) -> None:
    authority = Authority(tmp_path, NOW)
    authority.renew(NAMES, NOW)
    (tmp_path / CERTIFICATE).write_bytes(damage)
    authority.renew(NAMES, NOW)
    assert "localhost" in served(tmp_path).names
    (tmp_path / AUTHORITY).write_bytes(damage)
    with pytest.raises(Unreadable, match=AUTHORITY):
        Authority(tmp_path, NOW)
    assert (tmp_path / AUTHORITY).read_bytes() == damage


def private(key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda pem: pem[: pem.index(b"-----BEGIN PRIVATE")], "holds no certificate with its key"),
        (lambda pem: pem[pem.index(b"-----BEGIN PRIVATE") :], "holds no certificate with its key"),
        (lambda pem: private(generate_private_key(SECP256R1())) + pem[: pem.index(b"-----BEGIN PRIVATE")],
         "holds a key that does not belong to its certificate"),
        (lambda pem: private(Ed25519PrivateKey.generate()) + pem[: pem.index(b"-----BEGIN PRIVATE")],
         "holds a key that does not belong to its certificate"),
    ],
    ids=["no key", "no certificate", "another key", "a key of another kind"],
)  # fmt: skip
def test_a_file_that_is_no_pair_of_key_and_certificate_is_refused_with_its_path(
    tmp_path: Path, damage: Callable[[bytes], bytes], what: str
) -> None:
    Authority(tmp_path, NOW)
    path = tmp_path / AUTHORITY
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(Unreadable) as refused:
        Authority(tmp_path, NOW)
    assert refused.value.message == f"{AUTHORITY} {what}"
    assert refused.value.place.startswith(str(path))


def test_a_certificate_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    authority = Authority(tmp_path / "c", NOW)
    shutil.rmtree(tmp_path / "c")
    for fails in (lambda: authority.renew(NAMES, NOW), lambda: Authority(tmp_path / "c", NOW)):
        with pytest.raises(Temporary, match=r"cannot make a certificate: .*no such file"):
            fails()


def test_a_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    before = Authority(tmp_path, NOW)
    before.renew(NAMES, NOW)
    (tmp_path / AUTHORITY).unlink()
    after = Authority(tmp_path, NOW)
    after.renew(NAMES, NOW)
    assert after.fingerprint != before.fingerprint
    served(tmp_path).certificate.verify_directly_issued_by(Pair.read(tmp_path / AUTHORITY).certificate)


def test_servers_that_start_at_the_same_time_use_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        fingerprints = set(threads.map(lambda _: Authority(tmp_path, NOW).fingerprint, range(16)))
    assert len(fingerprints) == 1
    assert [path.name for path in tmp_path.iterdir()] == [AUTHORITY]
