"""The memory of a store depends on the people and assignments of a course, not on the number of submissions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.store import FolderStore
from mograder.store.shared import stat_cache
from mograder.store.shared.stat_cache import Cached, StatCache
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, make_course_folder, open_store, submit_work


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FolderStore]:
    """A store whose caches keep everything, also files that have just changed."""
    monkeypatch.setattr(stat_cache, "_SETTLED", -1)
    store = open_store(make_course_folder(tmp_path))
    yield store
    store.close()


def held(store: FolderStore) -> dict[str, int]:
    """How many entries each cache of the submissions and grades has."""
    found = {}
    for part in (store.submissions, store.grades, store.release):
        for name, value in vars(part).items():
            cache = value._kept if isinstance(value, Cached | StatCache) else value
            if isinstance(cache, dict | list | set):
                found[f"{type(part).__name__}.{name}"] = len(cache)
    return found


def test_caches_do_not_grow_with_the_number_of_submissions_of_a_person(store: FolderStore) -> None:
    signer, sizes = Ed25519Signer(new_private_key()), []
    for number in range(24):
        submit_work(store, signer, (ALICE, BOB)[number % 2], b"x = %d" % number, NOON + number * SECOND)
        assert len(store.submissions.latest_files(HW1)) == min(number + 1, 2)
        list(store.submissions.latest())
        if number in (3, 23):
            sizes.append(held(store))
    grown = {name for name in sizes[1] if sizes[1][name] > sizes[0].get(name, 0)}
    assert grown == {"FolderSubmissions._sha256"}  # of versions that were read: its limit has a test of its own
    assert sizes[1]
