"""Submissions in a damaged folder: a start repairs it, and errors say what is wrong."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mograder.domain.errors import StorageFull, Temporary
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import LatestFile, owner, version_owner
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder import settling
from mograder.store.folder.layout import Folders
from mograder.store.folder.store import FolderStore
from mograder.store.shared import files
from tests.courses import everything
from tests.parts import ALICE, BOB, HW1, names_in, open_store, sha256, submit_work, until

SIGNER = Ed25519Signer(new_private_key())
LARGE = b"x" * (files.IN_MEMORY + 1)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is settled unless the test does it."""
    monkeypatch.setattr(settling, "SETTLE_AFTER", 3600)


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize(
    ("folder_mode", "file_mode"), [(0o755, 0o600), (0o777, 0o600), (0o2750, 0o640), (0o2775, 0o640)]
)
@pytest.mark.parametrize("shared", ["submitted", "submitted/hw1"])
@pytest.mark.usefixtures("usual_umask")
def test_other_users_cannot_read_submissions_unless_the_folder_is_shared_with_its_group(
    folder_mode: int, file_mode: int, shared: str, course_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = course_folder.parent / "submitted"
    (course_folder.parent / shared).mkdir(parents=True)
    (course_folder.parent / shared).chmod(folder_mode)
    seen = set()
    rename = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b, **at: (seen.add(os.stat(a).st_mode & 0o777), rename(a, b, **at)))
    store = open_store(course_folder)
    submit_work(store, SIGNER, ALICE, b"first")
    submit_work(store, SIGNER, ALICE, LARGE)
    monkeypatch.setattr(os, "symlink", _no_links)
    submit_work(store, SIGNER, BOB, LARGE)
    submit_work(store, SIGNER, BOB, b"second")
    store.close()
    found = {path.name: path.stat().st_mode & 0o777 for path in submitted.rglob("*.py")}
    assert found == dict.fromkeys(found, file_mode)
    assert len(found) == 6
    assert seen <= {0o600, file_mode}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.usefixtures("usual_umask", "slow")
def test_a_submission_restored_at_a_start_is_private_to_its_owner(course_folder: Path) -> None:
    with contextlib.closing(open_store(course_folder)) as store:
        submit_work(store, SIGNER, ALICE, b"first")
        submitted = course_folder.parent / "submitted" / "hw1"
        kept = shutil.copytree(course_folder, course_folder.with_name("kept"))
        shutil.copytree(submitted, kept.parent / "submitted-kept")
    for path in submitted.iterdir():
        path.unlink()
    shutil.rmtree(course_folder)
    kept.rename(course_folder)
    open_store(course_folder).close()
    assert [path.stat().st_mode & 0o777 for path in submitted.glob("*_*.py")] == [0o600]


def _no_links(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "no links here")


@dataclass(frozen=True)
class AfterCrash:
    """A course after a crash right after the answer to Alice's second submission."""

    root: Path

    @property
    def link(self) -> Path:
        return self.root.parent / "submitted" / "hw1" / "alice.py"

    @property
    def first(self) -> Path:
        return self.link.with_name("alice_20260310T120000.py")

    @property
    def second(self) -> Path:
        return self.link.with_name("alice_20260310T120001.py")

    def point(self) -> None:
        self.link.unlink()
        self.link.symlink_to(self.first.name)


def crash(root: Path, content: bytes) -> AfterCrash:
    left = root.parent.with_name("left")
    with contextlib.closing(open_store(root)) as store:
        submit_work(store, SIGNER, ALICE, b"first")
        store.settler.settle()
        submit_work(store, SIGNER, ALICE, content)
        shutil.copytree(root.parent, left, symlinks=True)
    return AfterCrash(left / root.name)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("content", [b"second", LARGE], ids=["small", "large"])
def test_a_start_after_a_crash_does_not_rewrite_complete_files(
    course_folder: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    left = crash(course_folder, content)
    before = everything(left.second)
    with contextlib.closing(open_store(left.root)) as store:
        assert not store.ledger.read("SELECT number FROM pending")
    assert everything(left.second) == before
    assert caplog.text == ""


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize(
    ("content", "power_cut"),
    [
        (b"second", lambda left: left.second.write_bytes(b"")),
        (b"second", lambda left: left.second.write_bytes(b"secon")),
        (b"second", lambda left: left.second.unlink()),
        (b"second", lambda left: left.link.unlink()),
        (b"second", lambda left: (left.second.unlink(), left.link.unlink())),
        (b"second", lambda left: (left.second.unlink(), left.point())),
        (LARGE, lambda left: left.link.unlink()),
        (LARGE, lambda left: left.point()),
    ],
)
def test_a_start_restores_what_a_power_cut_destroyed(
    course_folder: Path, caplog: pytest.LogCaptureFixture, content: bytes, power_cut: Callable[[AfterCrash], object]
) -> None:
    left = crash(course_folder, content)
    power_cut(left)
    with contextlib.closing(open_store(left.root)) as store:
        assert os.readlink(left.link) == left.second.name
        assert (left.first.read_bytes(), left.second.read_bytes()) == (b"first", content)
        assert not store.ledger.read("SELECT number FROM pending")
    assert names_in(left.link.parent) == [left.link.name, left.first.name, left.second.name]
    assert caplog.text == ""


@pytest.mark.usefixtures("slow")
def test_a_version_edited_by_hand_before_its_link_was_made_is_kept(
    store: FolderStore, course_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError(5, "not now")

    with monkeypatch.context() as broken:
        broken.setattr(files, "point_latest", failing)
        version = submit_work(store, SIGNER, ALICE, b"work").receipt.submission.filename
    folder = course_folder.parent / "submitted" / "hw1"
    (folder / version).write_bytes(b"mended")
    assert store.settler.settle()
    assert (folder / "alice.py").read_bytes() == b"mended"


@pytest.mark.parametrize("content", [b"work", LARGE], ids=["small", "large"])
def test_repeating_a_submission_changes_nothing(store: FolderStore, course_folder: Path, content: bytes) -> None:
    submit_work(store, SIGNER, ALICE, content)
    store.settler.settle()
    before = everything(course_folder.parent / "submitted" / "hw1")
    assert submit_work(store, SIGNER, ALICE, content).repeated
    assert everything(course_folder.parent / "submitted" / "hw1") == before
    assert not store.ledger.read("SELECT number FROM pending")


@pytest.mark.skipif(os.name == "nt", reason="there is no call that syncs a whole file system there")
@pytest.mark.usefixtures("slow")
def test_bytes_that_the_disk_does_not_accept_stay_in_the_ledger(
    store: FolderStore, course_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        @staticmethod
        def syncfs(descriptor: int) -> int:
            assert os.path.samestat(os.fstat(descriptor), (course_folder.parent / "submitted").stat())
            ctypes.set_errno(errno.ENOSPC)
            return -1

    submit_work(store, SIGNER, ALICE, b"work")
    with monkeypatch.context() as broken:
        broken.setattr(settling, "_LIBC", Full)
        with pytest.raises(StorageFull, match="cannot sync the submissions: the server's disk is full"):
            store.settler.settle()
    assert store.ledger.read("SELECT number FROM pending") == [(1,)]
    assert store.settler.settle()


@pytest.mark.usefixtures("slow")
def test_without_a_sync_of_the_whole_file_system_every_file_and_folder_is_synced(
    store: FolderStore, course_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, *there = [
        course_folder.parent / "submitted" / each / f"{user}_20260310T120000.py"
        for user, each in ((ALICE, HW1), (BOB, HW1), (ALICE, AssignmentName("hw2")))
    ]
    for path in (gone, *there):
        submit_work(
            store, SIGNER, Username(path.name.partition("_")[0]), LARGE, assignment=AssignmentName(path.parent.name)
        )
    gone.unlink()
    synced = []

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    fsync = os.fsync
    monkeypatch.setattr(settling, "_LIBC", None)
    monkeypatch.setattr(os, "fsync", sync)
    assert not store.settler.settle()
    assert {path.stat().st_ino for each in there for path in (each, each.parent)} <= set(synced)
    assert store.ledger.read("SELECT number FROM pending") == [(1,)]


def test_the_latest_files_of_each_assignment_are_listed_with_their_own_times(
    store: FolderStore, course_folder: Path
) -> None:
    moments = {HW1: 1_000_000_000.5, AssignmentName("hw2"): 1_100_000_000.5}
    for assignment, moment in moments.items():
        folder = course_folder.parent / "submitted" / assignment
        folder.mkdir(parents=True)
        (folder / "alice.py").write_text(assignment)
        os.utime(folder / "alice.py", (moment, moment))
    for assignment in moments:
        until(lambda each=assignment: store.submissions.latest_files(each) and store.cached_latest_files(each))  # type: ignore[misc]
    for assignment, moment in moments.items():
        expected = (LatestFile(ALICE, "alice.py", 3, moment, sha256(assignment.encode())),)
        assert store.submissions.latest_files(assignment) == store.cached_latest_files(assignment) == expected
        found = store.submissions.file(assignment, FileName("alice.py"))
        assert found is not None
        assert (found.name, found.size, found.modified) == ("alice.py", 3, moment)


def test_a_file_in_a_folder_beside_the_submissions_is_not_a_submission(store: FolderStore, course_folder: Path) -> None:
    folder = course_folder.parent / "submitted" / "hw1" / "notes"
    folder.mkdir(parents=True)
    (folder / "alice.py").touch()
    assert store.submissions.file(HW1, FileName("notes/alice.py")) is None


def test_the_free_space_is_that_of_the_disk_of_the_submissions(
    store: FolderStore, course_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = course_folder.parent / "submitted"
    free = {str(course_folder): 1, str(submitted): 2}
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free[str(path)]))
    assert store.submissions.free_space() == 1  # as long as the folder does not exist
    submitted.mkdir()
    assert store.submissions.free_space() == 2


def test_a_leftover_that_cannot_be_removed_does_not_prevent_opening_the_course(course_folder: Path) -> None:
    leftover = course_folder.parent / "submitted" / f"{files.SPOOL_PREFIX}folder"
    leftover.mkdir(parents=True)
    os.utime(leftover, (0, 0))
    open_store(course_folder).close()
    assert leftover.is_dir()


def test_a_large_submission_to_a_read_only_folder_is_refused(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:  # like a disk that is mounted read-only, see tests/web/test_disk.py
        broken.setattr(os, "access", lambda path, mode: mode != os.W_OK)
        with pytest.raises(Temporary, match=r"cannot keep the submission: .* \(permission denied\)"):
            submit_work(store, SIGNER, ALICE, LARGE)
    assert submit_work(store, SIGNER, ALICE, LARGE).receipt.number == 1


@pytest.mark.parametrize(
    ("doing", "attempt"),
    [
        ("keep the submission", lambda store: submit_work(store, SIGNER, ALICE, b"work")),
        ("list the submissions", lambda store: store.submissions.latest_files(HW1)),
        ("list the submissions", lambda store: store.submissions.users(HW1)),
        ("read the submission", lambda store: store.submissions.file(HW1, FileName("alice.py"))),
    ],
)
def test_an_unusable_folder_of_an_assignment_is_an_error_that_names_the_failed_action(
    store: FolderStore, course_folder: Path, doing: str, attempt: Callable[[FolderStore], object]
) -> None:
    folder = course_folder.parent / "submitted" / "hw1"
    folder.parent.mkdir()
    folder.symlink_to(folder)
    with pytest.raises(Temporary, match=f"cannot {doing}: the server's storage is not usable"):
        attempt(store)


def test_an_impossible_folder_of_submissions_is_an_error_that_says_that_nothing_can_be_received(
    course_folder: Path,
) -> None:
    nowhere = course_folder / "hw1" / "files" / "hw1.py" / "submitted"
    store = FolderStore(Folders.of(course_folder, submitted=nowhere))
    with pytest.raises(Temporary, match="cannot receive the file: the server's storage is not usable"):
        store.submissions.upload()
    store.close()


def test_free_space_of_a_missing_course_is_an_error_that_says_so(store: FolderStore, course_folder: Path) -> None:
    course_folder.rename(course_folder.with_name("away"))
    with pytest.raises(Temporary, match="cannot look at the disk: the server's storage is not usable"):
        store.submissions.free_space()


_PIECES = st.sampled_from([
    "alice", "bob", "é", "_", "__", ".", ".py", ".PY", ".pdf", ".gz", "20260310T200800", "_20260310T200800",
    "_20260310T200801.py", "_20260310t200800", "_٢٠٢٦٠٣١٠T٢٠٠٨٠٠.py", "\n", " ", "~",
])  # fmt: skip
_NAMES = st.lists(_PIECES, min_size=1, max_size=5).map("".join).filter(lambda name: name not in {".", ".."})


def test_the_people_with_submissions_are_those_to_whom_each_name_by_itself_belongs(
    store: FolderStore, course_folder: Path
) -> None:
    numbers = itertools.count()

    @settings(max_examples=60, deadline=None)
    @given(names=st.sets(_NAMES, max_size=12))
    def check(names: set[str]) -> None:
        assignment = AssignmentName(f"hw{next(numbers)}")
        folder = course_folder.parent / "submitted" / assignment
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
        owners = {owner(name) or owner(f"{version_owner(name)}.py") for name in names}
        assert store.submissions.users(assignment) == sorted(each for each in owners if each)

    check()
