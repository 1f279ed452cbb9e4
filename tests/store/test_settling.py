"""Failures between the commit of a submission and the writing of its file are repaired and do not affect others."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.errors import BadRequest, NameTaken, Temporary
from mograder.domain.grades import GradeEntry
from mograder.domain.names import FileName, Username
from mograder.signing import Ed25519Signer
from mograder.store.folder import settling
from mograder.store.folder.layout import Folders
from mograder.store.folder.placement import Placement
from mograder.store.folder.settling import Settler
from mograder.store.folder.store import FolderStore
from mograder.store.shared import files
from tests.parts import ALICE, BOB, CODE, HW1, NOON, names_in, open_store, submit_work, until


def failing(*_: object) -> None:
    raise RuntimeError("not foreseen")


def test_a_link_that_was_not_made_is_made_by_the_next_settling_of_any_server(
    store: FolderStore, signer: Ed25519Signer, submitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit_work(store, signer, ALICE, b"first")
    with monkeypatch.context() as broken:
        broken.setattr(files, "point_latest", failing)
        submit_work(store, signer, ALICE, b"second")
    assert (submitted / "alice.py").read_bytes() == b"first"
    store.settler.settle()
    assert (submitted / "alice.py").read_bytes() == b"second"


def test_of_two_pending_submissions_the_last_accepted_is_the_latest(
    store: FolderStore, signer: Ed25519Signer, submitted: Path
) -> None:
    submit_work(store, signer, ALICE, b"first")
    submit_work(store, signer, ALICE, b"second")
    assert store.settler.settle()
    assert (submitted / "alice.py").read_bytes() == b"second"
    assert not store.ledger.read("SELECT number FROM pending")
    assert store.settler.settle()  # nothing is pending


def test_a_pending_submission_recreates_the_folder_of_its_assignment(
    store: FolderStore, signer: Ed25519Signer, submitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Placement, "show", failing)
        submit_work(store, signer, ALICE, b"work")
    shutil.rmtree(submitted)
    store.settler.settle()
    assert (submitted / "alice.py").read_bytes() == b"work"


@pytest.mark.parametrize("size", [10, files.IN_MEMORY + 1])
def test_an_unexpected_error_loses_no_submission(
    store: FolderStore, signer: Ed25519Signer, submitted: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture, size: int,
) -> None:  # fmt: skip
    content = os.urandom(size)
    with monkeypatch.context() as broken:
        broken.setattr(Placement, "show", failing)
        assert not submit_work(store, signer, ALICE, content).repeated
    assert "submission 1 is kept in the ledger; its file follows" in caplog.text
    assert submit_work(store, signer, ALICE, content).repeated
    store.settler.settle()
    assert (submitted / "alice.py").read_bytes() == content


def test_a_version_removed_by_hand_is_restored_by_repeating_the_submission(
    store: FolderStore, signer: Ed25519Signer, submitted: Path
) -> None:
    first = submit_work(store, signer, ALICE, b"work")
    store.settler.settle()
    version = submitted / first.receipt.submission.filename
    version.unlink()
    again = submit_work(store, signer, ALICE, b"work")
    assert again.repeated
    assert again.receipt == first.receipt
    assert version.read_bytes() == b"work"


def test_one_submission_that_cannot_be_written_stops_no_other_and_no_start(
    store: FolderStore, signer: Ed25519Signer, course_folder: Path, submitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Placement, "show", failing)
        stuck = submit_work(store, signer, ALICE, b"stuck").receipt.submission.filename
    (submitted / stuck).mkdir()  # nothing can be written under its name now
    (submitted / stuck / "in the way").touch()
    submit_work(store, signer, BOB, b"fine")
    store.settler.settle()
    other = open_store(course_folder)
    submit_work(other, signer, Username("carol"), b"fine too")
    other.close()
    assert (submitted / "bob.py").read_bytes() == b"fine"
    assert (submitted / "carol.py").read_bytes() == b"fine too"


def test_circular_links_hide_no_assignment(store: FolderStore, course_folder: Path) -> None:
    loop = course_folder / "hw1" / "files" / "loop.py"
    loop.symlink_to(loop)
    (listed,) = store.release.assignments()
    assert [file.name for file in listed.files] == ["hw1.py"]


def test_a_large_pending_submission_is_not_deleted_as_a_leftover(
    store: FolderStore, signer: Ed25519Signer, course_folder: Path, submitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(files.IN_MEMORY + 1)
    with monkeypatch.context() as broken:
        broken.setattr(Placement, "show", failing)
        broken.setattr(Settler, "_finish_one", failing_to_write)
        submit_work(store, signer, ALICE, content)
        (spool,) = submitted.parent.glob(f"{files.SPOOL_PREFIX}*")
        os.utime(spool, (0, 0))
        open_store(course_folder).close()
    open_store(course_folder).close()
    assert (submitted / "alice.py").read_bytes() == content


def failing_to_write(*_: object, **__: object) -> None:
    raise OSError(5, "not now")


def test_a_link_that_could_not_be_made_is_made_as_soon_as_possible(
    store: FolderStore, signer: Ed25519Signer, submitted: Path
) -> None:
    (submitted / "alice.py").mkdir(parents=True)  # an obstacle
    submit_work(store, signer, ALICE, b"work")
    store.settler.settle()
    (submitted / "alice.py").rmdir()
    store.settler.settle()
    assert (submitted / "alice.py").read_bytes() == b"work"


def test_a_failed_placement_is_retried_without_another_submission(
    course_folder: Path, signer: Ed25519Signer, submitted: Path, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(settling, "SETTLE_AFTER", 0.01)
    (submitted / "alice.py").mkdir(parents=True)  # an obstacle
    with contextlib.closing(open_store(course_folder)) as store:
        submit_work(store, signer, ALICE, b"work")
        until(lambda: "submission 1 is kept in the ledger; its file cannot be written now" in caplog.text)
        (submitted / "alice.py").rmdir()
        until(lambda: not store.ledger.read("SELECT number FROM pending"))
        assert (submitted / "alice.py").read_bytes() == b"work"


class FakePause(threading.Event):
    """An event whose `wait` takes no time: it records the seconds, and may call a function."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self.waited: list[float | None] = []
        self.meanwhile = meanwhile

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        self.meanwhile()
        return self.is_set()


def test_failed_placements_are_retried_less_and_less_often_but_at_least_every_minute(
    store: FolderStore, signer: Ed25519Signer, submitted: Path
) -> None:
    away = submitted.parent.with_name("away")
    (submitted / "alice.py").mkdir(parents=True)  # an obstacle
    submit_work(store, signer, ALICE, b"work")
    store.settler.stop()
    happens = {
        3: lambda: submitted.parent.rename(away),
        4: lambda: away.rename(submitted.parent),
        8: lambda: (submitted / "alice.py").rmdir(),
        9: lambda: store.settler._stopping.set(),
    }
    store.settler._unsettled = unsettled = FakePause(lambda: happens.get(len(unsettled.waited), bool)())
    store.settler._stopping = FakePause(bool)
    store.settler._settle_in_background()
    assert unsettled.waited == [None, 1, 3, 7, 15, 31, 60, 60, None]
    assert (submitted / "alice.py").read_bytes() == b"work"


@pytest.mark.parametrize(("others", "seconds"), [(0, 1), (3, 4), (99, 10)])
def test_settling_waits_for_a_second_without_submissions_but_at_most_ten_seconds(
    store: FolderStore, signer: Ed25519Signer, monkeypatch: pytest.MonkeyPatch, others: int, seconds: int
) -> None:
    submit_work(store, signer, ALICE, b"work")
    store.settler.stop()

    def one_more() -> None:
        if len(stopping.waited) <= others:
            submit_work(store, signer, BOB, b"%d" % len(stopping.waited))

    def end() -> None:
        if len(unsettled.waited) > 1:
            left.append((unsettled.is_set(), store.ledger.read("SELECT number FROM pending")))
            stopping.set()

    left: list[object] = []
    store.settler._unsettled, store.settler._stopping = unsettled, stopping = FakePause(end), FakePause(one_more)
    with monkeypatch.context() as passing:
        passing.setattr(time, "monotonic", lambda: float(len(stopping.waited)))
        store.settler._settle_in_background()
    assert (stopping.waited, unsettled.waited) == ([1.0] * seconds + [1.0], [None, None])
    assert left == [(False, [])]


def test_on_a_system_without_links_the_bytes_are_removed_from_the_ledger_too(
    store: FolderStore, signer: Ed25519Signer, submitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(target: str, link: str) -> None:
        raise PermissionError(1, "not permitted")

    monkeypatch.setattr(os, "symlink", no_links)
    for content in (b"first", b"second"):
        submit_work(store, signer, ALICE, content)
        assert store.settler.settle()
        assert (submitted / "alice.py").read_bytes() == content
    assert not (submitted / "alice.py").is_symlink()


@pytest.mark.parametrize("size", [10, files.IN_MEMORY + 1])
def test_a_missing_folder_of_submissions_is_not_created_anew(
    store: FolderStore, signer: Ed25519Signer, course_folder: Path, submitted: Path,
    caplog: pytest.LogCaptureFixture, size: int,
) -> None:  # fmt: skip
    folder, away = submitted.parent, submitted.parent.with_name("away")
    submit_work(store, signer, ALICE, b"before")
    store.settler.settle()
    folder.rename(away)
    for attempt in (
        lambda: submit_work(store, signer, ALICE, b"x" * size),
        lambda: store.submissions.latest_files(HW1),
        lambda: store.submissions.file(HW1, FileName("alice.py")),
    ):
        with pytest.raises(Temporary, match="gone") as refused:
            attempt()
        assert refused.value.retry_after
    assert caplog.text.count(f"{folder} is gone: bring it back") == 3
    open_store(course_folder).close()
    assert not folder.exists()
    away.rename(folder)
    assert submit_work(store, signer, ALICE, b"x" * size).receipt.submission.attempt == 2


def test_two_simultaneous_first_submissions_are_both_accepted(
    store: FolderStore, signer: Ed25519Signer, submitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = store.ledger.read

    def after_another(sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        monkeypatch.undo()
        submit_work(store, signer, BOB, b"a moment before")
        return read(sql, values)

    assert not submitted.parent.exists()
    monkeypatch.setattr(store.ledger, "read", after_another)
    submit_work(store, signer, ALICE, b"work")
    assert names_in(submitted) == [
        "alice.py", "alice_20260310T120000.py", "bob.py", "bob_20260310T120000.py"
    ]  # fmt: skip


def test_a_missing_folder_of_grades_is_not_created_anew(tmp_path: Path, course_folder: Path) -> None:
    folder, away = tmp_path / "grades", tmp_path / "away"
    entries = (GradeEntry({"username": "alice", "grade": "1"}),)
    event = Event(NOON, "ta", "grades", "hw1")
    with contextlib.closing(FolderStore(Folders.of(course_folder, grades=folder))) as store:
        assert store.grades.of(HW1) == ()
        store.grades.merge(HW1, entries, event)
        folder.rename(away)
        for attempt in (
            lambda: store.grades.merge(HW1, entries, event),
            lambda: store.grades.put_feedback(HW1, {ALICE: b"page"}, event),
            lambda: store.grades.of(HW1),
            lambda: store.grades.feedback(HW1, ALICE),
        ):
            with pytest.raises(Temporary, match="gone"):
                attempt()
        assert not folder.exists()
        away.rename(folder)
        assert store.grades.of(HW1) == entries
        assert len(store.audit.events()) == 1


def test_a_submission_can_be_moved_to_an_assignment_on_another_file_system(
    store: FolderStore, signer: Ed25519Signer, submitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", elsewhere_or_here)
    content = os.urandom(files.IN_MEMORY + 1)
    submit_work(store, signer, ALICE, content)
    assert (submitted / "alice.py").read_bytes() == content


def elsewhere_or_here(source: str, target: str) -> None:
    if os.path.dirname(source) != os.path.dirname(target):
        raise OSError(errno.EXDEV, "another file system")
    os.rename(source, target)


def test_grades_nested_too_deeply_to_be_read_are_not_written(course: Course) -> None:
    nested: object = []
    for _ in range(990):
        nested = [nested]
    assignment = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
    with pytest.raises(BadRequest, match="too deeply"):
        course.grades.upload(COURSE_INSTRUCTOR, assignment, [{"username": "alice", "x": nested}])
    assert course.store.grades.of(assignment.name) == ()


def test_a_name_with_receipts_cannot_be_registered_by_somebody_else(course: Course, course_folder: Path) -> None:
    submit_work(course.store, course.signer, ALICE, b"work")
    (course_folder / "hw1").rename(course_folder / "hw1-withdrawn")
    with pytest.raises(NameTaken):
        course.accounts.register("alice", CODE)
