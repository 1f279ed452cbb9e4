"""The course's own authority: it stays, what it signs is of bounded life and renewed in time, keys are private."""

from __future__ import annotations

import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mograder.domain.errors import Unreadable
from mograder.store.authority import AUTHORITY, CERTIFICATE, Authority, Pair

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ["localhost", "127.0.0.1", "::1", "Lab.Example.org"]


def served(root: Path) -> Pair:
    return Pair.read(root / CERTIFICATE)


def test_the_certificate_is_for_the_names_and_of_bounded_life(tmp_path: Path) -> None:
    Authority(tmp_path, NOW).renew(NAMES, NOW)
    pair = served(tmp_path)
    assert pair.names == {"localhost", "127.0.0.1", "::1", "lab.example.org"}
    assert pair.ends == NOW + 90 * DAY
    pair.certificate.verify_directly_issued_by(Pair.read(tmp_path / AUTHORITY).certificate)


@pytest.mark.skipif(sys.platform == "win32", reason="modes as on POSIX")
def test_keys_are_private_and_refused_when_they_are_not(tmp_path: Path) -> None:
    Authority(tmp_path, NOW).renew(NAMES, NOW)
    files = list(tmp_path.iterdir())
    assert {path.name for path in files} == {AUTHORITY, CERTIFICATE}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    (tmp_path / AUTHORITY).chmod(0o640)
    with pytest.raises(Unreadable, match="chmod 600"):
        Authority(tmp_path, NOW)


def test_it_is_renewed_before_it_ends_and_the_authority_stays(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    authority.renew(NAMES, NOW)
    first = served(tmp_path).certificate
    authority.renew(NAMES, NOW + 59 * DAY)
    assert served(tmp_path).certificate == first
    later = Authority(tmp_path, NOW + 61 * DAY)
    later.renew(["localhost"], NOW + 61 * DAY)
    assert served(tmp_path).ends == NOW + 151 * DAY
    assert served(tmp_path).names == {"localhost"}  # addresses of networks left long ago are dropped
    assert later.fingerprint == authority.fingerprint


def test_more_names_are_added_to_those_there_are(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    for names in (["localhost"], ["10.0.0.5"], ["localhost"]):
        authority.renew(names, NOW)
    assert served(tmp_path).names == {"localhost", "10.0.0.5"}


@pytest.mark.parametrize(
    "damage", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_damaged_certificate_is_made_anew_and_a_damaged_authority_never(tmp_path: Path, damage: bytes) -> None:
    authority = Authority(tmp_path, NOW)
    authority.renew(NAMES, NOW)
    (tmp_path / CERTIFICATE).write_bytes(damage)
    authority.renew(NAMES, NOW)
    assert "localhost" in served(tmp_path).names
    (tmp_path / AUTHORITY).write_bytes(damage)
    with pytest.raises(Unreadable, match=AUTHORITY):
        Authority(tmp_path, NOW)
    assert (tmp_path / AUTHORITY).read_bytes() == damage


def test_a_certificate_of_another_authority_is_made_anew(tmp_path: Path) -> None:
    before = Authority(tmp_path, NOW)
    before.renew(NAMES, NOW)
    (tmp_path / AUTHORITY).unlink()
    after = Authority(tmp_path, NOW)
    after.renew(NAMES, NOW)
    assert after.fingerprint != before.fingerprint
    served(tmp_path).certificate.verify_directly_issued_by(Pair.read(tmp_path / AUTHORITY).certificate)


def test_servers_that_start_together_agree_on_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        fingerprints = set(threads.map(lambda _: Authority(tmp_path, NOW).fingerprint, range(16)))
    assert len(fingerprints) == 1
    assert [path.name for path in tmp_path.iterdir()] == [AUTHORITY]
