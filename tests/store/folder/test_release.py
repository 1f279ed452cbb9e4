"""Only files of the course are sent, even if somebody moves or replaces files meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.domain.audit import Event
from mograder.domain.files import StoredFile
from mograder.domain.grades import GradeEntry
from mograder.domain.names import AssignmentName, FileName
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.layout import Folders
from mograder.store.folder.store import FolderStore
from tests.parts import ALICE, HW1, NOON, open_store, submit_work

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows makes links for few")

SECRET = b"not for everybody"
NOTE = Event(NOON, "ta", "test", "hw1")


@pytest.fixture
def store(course_folder: Path) -> Iterator[FolderStore]:
    (course_folder / "hw1" / "files" / "data").mkdir()
    (course_folder / "hw1" / "files" / "data" / "a.csv").write_bytes(b"1,2")
    (course_folder / "hw1" / "files" / "other.py").write_bytes(b"another")
    (course_folder / "hw1" / "files" / ".hidden.py").write_bytes(SECRET)
    (course_folder / "hw1" / ".data").mkdir()
    (course_folder / "hw1" / ".data" / "a.csv").write_bytes(SECRET)
    store = open_store(course_folder)
    submit_work(store, Ed25519Signer(new_private_key()), ALICE, b"work")
    store.grades.put_feedback(HW1, {ALICE: b"page"}, NOTE)
    yield store
    store.close()


def notebook(store: FolderStore) -> StoredFile | None:
    return store.release.file(HW1, FileName("hw1.py"))


def table(store: FolderStore) -> StoredFile | None:
    return store.release.file(HW1, FileName("data/a.csv"))


def work(store: FolderStore) -> StoredFile | None:
    return store.submissions.file(HW1, FileName("alice.py"))


def page(store: FolderStore) -> StoredFile | None:
    return store.grades.feedback(HW1, ALICE)


PLACES = [
    pytest.param(notebook, "release/hw1/files/hw1.py", id="released file"),
    pytest.param(table, "release/hw1/files/data/a.csv", id="released file-below"),
    pytest.param(work, "submitted/hw1/alice_20260310T120000.py", id="submission"),
    pytest.param(page, "release/hw1/feedback/alice.html", id="feedback"),
]
Find = Callable[[FolderStore], StoredFile | None]


@pytest.mark.parametrize(("find", "place"), PLACES)
@pytest.mark.parametrize("target", [".hidden.py", "../.data/a.csv", "/"], ids=["hidden", "above", "far"])
def test_a_file_replaced_by_a_link_after_it_was_found_is_not_sent(
    store: FolderStore, course_folder: Path, find: Find, place: str, target: str
) -> None:
    path = course_folder.parent / place
    found = find(store)
    assert found is not None
    outside = course_folder.parent / "outside"
    outside.write_bytes(SECRET)
    (path.parent / ".hidden.py").write_bytes(SECRET)
    path.unlink()
    path.symlink_to(outside if target == "/" else target)
    with pytest.raises(FileNotFoundError):
        found.read()


def test_a_folder_replaced_by_a_link_after_its_file_was_found_sends_nothing_from_outside(
    store: FolderStore, course_folder: Path
) -> None:
    found = table(store)
    assert found is not None
    folder = course_folder / "hw1" / "files" / "data"
    folder.rename(folder.with_name("away"))
    folder.symlink_to(course_folder / "hw1" / ".data")
    with pytest.raises(FileNotFoundError):
        found.read()


def test_a_link_to_a_file_of_the_assignment_is_sent_and_nothing_once_it_leads_outside(
    store: FolderStore, course_folder: Path
) -> None:
    link = course_folder / "hw1" / "files" / "hw1.py"
    link.unlink()
    link.symlink_to("data/a.csv")
    found = notebook(store)
    assert found is not None
    assert found.read() == b"1,2"
    link.unlink()
    link.symlink_to(".hidden.py")
    assert found.read() == b"1,2"  # the target of the link when it was followed
    (link.parent / "data" / "a.csv").unlink()
    with pytest.raises(FileNotFoundError):
        found.read()


@pytest.mark.parametrize(("find", "place"), PLACES)
def test_a_file_replaced_after_it_was_found_is_sent_in_its_new_state(
    store: FolderStore, course_folder: Path, find: Find, place: str
) -> None:
    path = course_folder.parent / place
    before = find(store)
    assert before is not None
    other = path.with_name(".other")
    other.write_bytes(b"rather longer than before")
    other.replace(path)
    now, held = before.opened()
    with held:
        assert held.read() == b"rather longer than before"
    found = find(store)
    assert found is not None
    assert now.tag == found.tag != before.tag
    assert (now.name, now.size) == (before.name, 25)
    again, held = now.opened()
    held.close()
    assert again.tag == now.tag
    path.unlink()
    with pytest.raises(FileNotFoundError):
        now.read()


def test_a_file_replaced_by_a_link_to_another_file_of_the_assignment_is_looked_up_again(
    store: FolderStore, course_folder: Path
) -> None:
    found = notebook(store)
    assert found is not None
    path = course_folder / "hw1" / "files" / "hw1.py"
    path.unlink()
    path.symlink_to("other.py")
    assert found.read() == b"another"


def test_a_pipe_in_place_of_a_file_does_not_block(store: FolderStore, course_folder: Path) -> None:
    found = notebook(store)
    assert found is not None
    path = course_folder / "hw1" / "files" / "hw1.py"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(FileNotFoundError):
        found.read()


def test_with_release_folder_and_served_folder_the_same_only_released_files_are_served(tmp_path: Path) -> None:
    root = tmp_path / "course"
    (root / "hw1").mkdir(parents=True)
    (root / "hw1" / "hw1.py").write_bytes(b"released")
    (root / "hw1" / ".hidden.py").write_bytes(SECRET)
    (root / "hw1" / "key").symlink_to("../.mograder-secret")
    (root / "hw1" / "up").symlink_to("..")
    with contextlib.closing(FolderStore(Folders.of(root, release=root))) as store:
        submit_work(store, Ed25519Signer(new_private_key()), ALICE, b"work")
        store.grades.merge(HW1, (GradeEntry({"username": "alice", "grade": "1"}),), NOTE)
        store.grades.put_feedback(HW1, {ALICE: b"page"}, NOTE)
        assert [(each.name, [file.name for file in each.files]) for each in store.release.assignments()] == [
            ("hw1", ["hw1.py"])
        ]
        assert store.release.file(HW1, FileName("hw1.py")) is not None
        for name in (
            ".hidden.py",
            "key",
            "up/.mograder-secret",
            "grades.json",
            "feedback/alice.html",
            "../.mograder.db",
        ):
            assert store.release.file(HW1, FileName(name)) is None, name
        for folder, name in (("submitted", "hw1/alice.py"), (".", ".mograder-secret"), ("..", "course/.mograder.db")):
            assert store.release.file(AssignmentName(folder), FileName(name)) is None, folder


def test_a_pipe_among_released_files_is_not_listed_and_does_not_block(store: FolderStore, course_folder: Path) -> None:
    before = store.release.assignments()
    os.mkfifo(course_folder / "hw1" / "files" / "pipe")
    assert store.release.assignments() == before


@pytest.mark.parametrize("links", [True, False], ids=["links", "copies"])
def test_a_latest_submission_that_changes_all_the_time_is_always_readable_and_complete(
    store: FolderStore, links: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not links:
        monkeypatch.setattr(os, "symlink", no_links)
    ended, sent = threading.Event(), {b"work"}

    def go_on() -> None:
        signer = Ed25519Signer(new_private_key())
        while not ended.is_set():
            content = b"%d" % len(sent) * len(sent)
            sent.add(content)
            submit_work(store, signer, ALICE, content)

    with ThreadPoolExecutor(1) as pool:
        submitting = pool.submit(go_on)
        tags: dict[str, bytes] = {}
        try:
            while len(tags) < 20 and not submitting.done():
                found = work(store)
                assert found is not None
                now, held = found.opened()
                with held:
                    content = held.read()
                assert content in sent
                assert len(content) == now.size
                assert tags.setdefault(now.tag, content) == content
        finally:
            ended.set()
        submitting.result()


def no_links(*words: object) -> None:
    raise OSError(errno.EPERM, "no links")
