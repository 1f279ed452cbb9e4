"""The files of secrets: an old secret expires in time, and unreadable files are reported."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from mograder.domain.errors import Unreadable
from mograder.store.folder.keys import PREVIOUS_NAME, Secrets, secrets_of
from tests.parts import NOON, SECOND, Clock


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path / ".mograder-secret", "first\n")
    return tmp_path


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def test_an_old_secret_is_accepted_exactly_until_its_grace_period_ends(root: Path) -> None:
    clock = Clock(NOON // SECOND)
    secrets = Secrets(root, clock)
    secrets.change("second", NOON + 60 * SECOND)
    clock.now += 59
    assert secrets.all() == ("second", "first")
    clock.now += 1
    assert secrets.all() == ("second",)
    secrets.change("third", NOON + 120 * SECOND)
    assert "first" not in (root / PREVIOUS_NAME).read_text()


def test_a_later_rotation_also_shortens_the_grace_period_of_earlier_secrets(root: Path) -> None:
    clock = Clock(NOON // SECOND)
    secrets = Secrets(root, clock)
    secrets.change("second", NOON + 600 * SECOND)
    secrets.change("third", NOON + 60 * SECOND)
    clock.now += 60
    assert secrets.all() == ("third",)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_both_files_of_secrets_must_be_private(root: Path) -> None:
    secrets = Secrets(root, Clock(NOON // SECOND))
    secrets.change("second", NOON + 60 * SECOND)
    assert {stat.S_IMODE(path.stat().st_mode) for path in root.iterdir()} == {0o600}
    (root / PREVIOUS_NAME).chmod(0o640)
    with pytest.raises(Unreadable, match="chmod 600"):
        secrets.all()


@pytest.mark.parametrize("text", ["first", "soon first", "1 2 3"])
def test_unreadable_earlier_secrets_are_reported_without_showing_them(root: Path, text: str) -> None:
    put(root / PREVIOUS_NAME, text)
    with pytest.raises(Unreadable) as raised:
        Secrets(root).all()
    assert "first" not in str(raised.value)
    assert raised.value.message.startswith(".mograder-secret-previous cannot be understood: mend it, or remove it")
    assert raised.value.place == str(root / PREVIOUS_NAME)


def test_a_folder_in_place_of_the_secret_is_reported_with_its_path(root: Path) -> None:
    secret = root / ".mograder-secret"
    secret.unlink()
    secret.mkdir()
    with pytest.raises(Unreadable, match="is a folder: move it away") as raised:
        Secrets(root).all()
    assert raised.value.place == str(secret)


def test_a_moved_course_keeps_its_secrets_and_their_grace_periods(root: Path) -> None:
    assert secrets_of(root) == [("first", 0)]
    Secrets(root, Clock(NOON // SECOND)).change("second", NOON + 60 * SECOND)
    assert secrets_of(root) == [("second", 0), ("first", NOON + 60 * SECOND)]
