"""File contents in a database: they are read whole, and large ones are cached on disk."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.domain.audit import Event
from mograder.domain.chain import make_tombstone
from mograder.domain.errors import NameTaken, Temporary, Unreadable
from mograder.domain.files import StoredFile
from mograder.domain.names import CourseName, FileName, Username
from mograder.domain.receipts import ChainPosition, NewSubmission, Receipt
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.layout import Folders
from mograder.store.postgres import blobs
from mograder.store.postgres.blobs import PIECE, Blobs, pieces_of
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.store import PostgresStore
from mograder.store.publication import read_publication
from mograder.store.shared.files import IN_MEMORY
from tests.parts import ALICE, HW1, NOON, filled, make_course_folder, names_in, submit_work
from tests.postgres import new_course

SIGNER = Ed25519Signer(new_private_key())
NOTE = Event(NOON, "alice", "test", "hw1")
LARGE = IN_MEMORY + 1


@pytest.fixture
def store(courses: PostgresCourses) -> PostgresStore:
    return courses.open(new_course(courses))


def kept(store: PostgresStore, name: str, content: bytes) -> StoredFile:
    submit_work(store, SIGNER, Username(name), content)
    found = store.submissions.file(HW1, FileName(f"{name}.py"))
    assert found is not None
    return found


def fetched_file(file: StoredFile) -> Path:
    path = file.fetched_file().path
    assert path is not None
    return path


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, IN_MEMORY, LARGE])
def test_a_file_of_any_size_is_read_whole_and_kept_in_memory_only_if_small(store: PostgresStore, size: int) -> None:
    content = os.urandom(size)
    file = kept(store, "alice", content)
    assert (file.size, file.read()) == (size, content)
    assert (file.fetched_file().path is None) == (size <= IN_MEMORY)
    assert [each for each in store.tables.pieces(file.tag, size) if len(each) > PIECE] == []


def test_a_large_file_is_fetched_once_and_deleted_with_the_server(
    store: PostgresStore, courses: PostgresCourses
) -> None:
    file = kept(store, "alice", bytes(LARGE))
    path = fetched_file(file)
    store.tables.write(lambda connection: connection.execute("DELETE FROM pieces WHERE course = %s", (store.course,)))
    assert fetched_file(file) == path
    assert names_in(path.parent) == [path.name]
    courses.close()
    assert not path.parent.exists()


def test_large_files_fetched_at_the_same_time_evict_each_other_from_the_cache(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs, "CACHE_SIZE", 4 * LARGE)
    files = [kept(store, f"s{number}", bytes(LARGE)) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        paths = list(threads.map(lambda number: fetched_file(files[number % 8]), range(32)))
    assert len(names_in(paths[-1].parent)) == 4


def test_a_cached_file_does_not_wait_for_the_download_of_another(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, slow = kept(store, "alice", bytes(LARGE)), kept(store, "bob", bytes(LARGE))
    path = fetched_file(here)
    begun, go_on, pieces = threading.Event(), threading.Event(), Blobs.pieces

    def stalled(self: Blobs, course: str, body: str, size: int) -> Iterator[bytes]:
        begun.set()
        assert go_on.wait(60)
        return pieces(self, course, body, size)

    monkeypatch.setattr(Blobs, "pieces", stalled)
    with ThreadPoolExecutor(2) as threads:
        try:
            other = threads.submit(fetched_file, slow)
            assert begun.wait(60)
            assert threads.submit(fetched_file, here).result(60) == path
            assert not other.done()
        finally:
            go_on.set()
    assert other.result().exists()


def test_the_least_recently_used_file_is_evicted_first(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "CACHE_SIZE", 2 * LARGE)
    files = [kept(store, f"s{number}", bytes(LARGE)) for number in range(3)]
    paths = [fetched_file(file) for file in files[:2]]
    for path in paths:
        os.utime(path, (0, 0))
    paths += [fetched_file(file) for file in (files[0], files[2])]
    assert [path.exists() for path in paths] == [True, False, True, True]
    last = fetched_file(kept(store, "s3", bytes(2 * LARGE)))
    assert names_in(last.parent) == [last.name]


@pytest.mark.parametrize("size", [1, LARGE])
def test_missing_bytes_are_reported_as_missing(store: PostgresStore, size: int) -> None:
    file = kept(store, "alice", bytes(size))
    store.tables.write(lambda connection: connection.execute("DELETE FROM pieces WHERE course = %s", (store.course,)))
    with pytest.raises(Unreadable, match="bytes are not in the database") as said:
        file.read()
    assert said.value.place == f"{store.course}: pieces of {file.tag}"


def test_a_failing_disk_is_an_error_that_names_the_failed_action(
    store: PostgresStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = kept(store, "alice", bytes(LARGE))
    path = fetched_file(file)
    path.unlink()
    path.parent.rmdir()
    with pytest.raises(Temporary, match=r"^cannot fetch the file"):
        file.read()
    with (tmp_path / "written alone").open("ab") as other, pytest.raises(Temporary, match=r"^cannot read the file"):
        list(pieces_of(other))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    upload = store.submissions.upload()
    with pytest.raises(Temporary, match=r"^cannot receive the file"):
        upload.write(bytes(LARGE))
    upload.discard()


def test_bytes_that_are_no_longer_published_are_deleted_from_the_database(
    store: PostgresStore, courses: PostgresCourses, tmp_path: Path
) -> None:
    folders = Folders.of(make_course_folder(tmp_path))
    release_file = folders.root / "hw1" / "files" / "hw1.py"

    def publish() -> None:
        courses.publish(CourseName(store.course), read_publication(folders), NOTE)

    def refused(position: ChainPosition) -> Receipt:
        raise NameTaken("no")

    def submit_in_vain() -> None:
        upload = filled(store.submissions.upload(), b"refused")
        with pytest.raises(NameTaken):
            store.submissions.accept(NewSubmission(ALICE, HW1, ALICE, NOON, upload), refused).result()
        upload.discard()

    bobs = kept(store, "bob", b"bob's")
    for act, bodies_now in (
        (publish, 2),
        (publish, 2),
        (lambda: kept(store, "alice", b"one"), 3),
        (lambda: kept(store, "alice", b"one"), 3),
        (submit_in_vain, 3),
        (lambda: store.grades.put_feedback(HW1, {ALICE: b"<p>first"}, NOTE), 4),
        (lambda: store.grades.put_feedback(HW1, {ALICE: b"<p>second"}, NOTE), 4),
        (lambda: store.erase(ALICE, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE), 2),
        (lambda: (release_file.write_bytes(b"other"), publish()), 2),
        (lambda: (release_file.unlink(), publish()), 1),
    ):
        act()
        assert store.tables.read("SELECT count(DISTINCT body) FROM pieces WHERE course = %s") == [(bodies_now,)]
    assert bobs.read() == b"bob's"
