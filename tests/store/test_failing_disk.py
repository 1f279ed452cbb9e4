"""Errors of the disk say which action failed and why. The faults are real ones of this machine."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mograder.domain.audit import Event
from mograder.domain.chain import make_tombstone
from mograder.domain.errors import Temporary
from mograder.domain.grades import GradeEntry
from mograder.domain.names import CourseName, FileName
from mograder.domain.rules import RuleChange
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.authority import Authority
from mograder.store.folder.courses import ARCHIVED, CourseFolders
from mograder.store.folder.store import FolderStore
from mograder.store.postgres.blobs import Incoming
from mograder.store.shared.files import IN_MEMORY, Spool
from tests.parts import ALICE, BOB, HW1, NOON, make_course_folder, open_store, submit_work

resource = pytest.importorskip("resource", reason="limits of a process, and links in circles, are POSIX's")

SIGNER = Ed25519Signer(new_private_key())
NOTE = Event(NOON, "alice", "test", "hw1")
NOW = datetime(2026, 3, 10, tzinfo=UTC)
LARGE = b"x" * (IN_MEMORY + 1)
MORE = (GradeEntry({"username": "bob"}),)


@dataclass
class Course:
    """A course with a submission and a grade of alice; beside it a folder with an incomplete spool and an
    authority.
    """

    store: FolderStore
    root: Path
    beside: Path
    spool: Spool
    authority: Authority

    @property
    def submitted(self) -> Path:
        return self.root.parent / "submitted"

    @property
    def page(self) -> Path:
        return self.root / "hw1" / "feedback" / "alice.html"


@pytest.fixture
def course(tmp_path: Path) -> Iterator[Course]:
    root, beside = make_course_folder(tmp_path), tmp_path / "beside"
    beside.mkdir()
    spool = Spool(beside)
    spool.write(LARGE)
    with contextlib.closing(open_store(root)) as store:
        store.keys.signing_key(new_private_key)
        submit_work(store, SIGNER, ALICE, b"work")
        store.grades.merge(HW1, (GradeEntry({"username": "alice"}),), NOTE)
        store.settler.settle()
        os.utime(root / ".mograder-secret", (1, 1))  # so that it is read again
        yield Course(store, root, beside, spool, Authority(beside, NOW))
    spool.discard()


@contextlib.contextmanager
def limit(what: int) -> Iterator[None]:
    """Set a limit of the process to zero in the block: the size of written files, or the number of open files."""
    tempfile.gettempdir()  # its location is found by writing to it, once for each process
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


def change_rules(course: Course) -> None:
    course.store.config.change_rules(HW1, [RuleChange("points", "", "3", 3)], course.store.config.version(), NOTE)


def put_feedback(course: Course) -> None:
    course.store.grades.put_feedback(HW1, {ALICE: b"page"}, NOTE)


def erase(course: Course) -> None:
    course.store.erase(ALICE, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE)


def create(course: Course) -> None:
    CourseFolders(course.beside).create(CourseName("tea"), NOTE)


def archive(course: Course) -> None:
    CourseFolders(course.root.parent.parent).archive(CourseName("course"), NOON, NOTE)


def receive_for_a_database(course: Course) -> None:
    with contextlib.ExitStack() as after:
        upload = Incoming()
        after.callback(upload.discard)
        upload.write(LARGE)


def no_room(course: Course) -> contextlib.AbstractContextManager[None]:
    return limit(resource.RLIMIT_FSIZE)


def no_more_files(course: Course) -> contextlib.AbstractContextManager[None]:
    return limit(resource.RLIMIT_NOFILE)


def folder_in_the_way(course: Course) -> contextlib.AbstractContextManager[None]:
    course.page.mkdir(parents=True)
    (course.root.parent / ARCHIVED).mkdir()
    return contextlib.nullcontext()


def leads_to_itself(*folders: Path) -> contextlib.AbstractContextManager[None]:
    for folder in folders:
        folder.rename(folder.with_name(f"{folder.name} elsewhere"))
        folder.symlink_to(folder.name)
    return contextlib.nullcontext()


def root_in_a_circle(course: Course) -> contextlib.AbstractContextManager[None]:
    course.submitted.rename(course.beside / "elsewhere")
    return leads_to_itself(course.root)


def others_in_circles(course: Course) -> contextlib.AbstractContextManager[None]:
    return leads_to_itself(course.submitted, course.beside)


def gone(course: Course) -> contextlib.AbstractContextManager[None]:
    for folder in (course.root, course.beside):
        folder.rename(folder.with_name(f"{folder.name} elsewhere"))
    return contextlib.nullcontext()


WHY = {
    no_room: "the server's disk is full",
    no_more_files: "the server's storage is not usable (too many open files)",
    folder_in_the_way: "the server's storage is not usable (is a directory)",
    root_in_a_circle: "the server's storage is not usable (too many levels of symbolic links)",
    others_in_circles: "the server's storage is not usable (too many levels of symbolic links)",
    gone: "the server's storage is not usable (no such file or directory)",
}


@pytest.mark.parametrize(
    ("fault", "doing", "act"),
    [
        (no_room, "open the course", lambda course: open_store(course.beside)),
        (no_room, "change the secret", lambda course: course.store.keys.change_secret("new", NOON, NOTE)),
        (no_room, "change the signing key", lambda course: course.store.keys.change_signing_key(b"new", NOTE)),
        (no_room, "change mograder.toml", change_rules),
        (no_room, "keep the grades", lambda course: course.store.grades.merge(HW1, MORE, NOTE)),
        (no_room, "keep the feedback", put_feedback),
        (no_room, "keep the submission", lambda course: submit_work(course.store, SIGNER, BOB, b"work")),
        (no_room, "receive the file", lambda course: Spool(course.beside).write(LARGE)),
        (no_room, "receive the file", lambda course: course.spool.write(b"more")),
        (no_room, "receive the file", receive_for_a_database),
        (no_room, "make a certificate", lambda course: Authority(course.root, NOW)),
        (no_room, "make a certificate", lambda course: course.authority.renew(["localhost"], NOW)),
        (no_more_files, "write the ledger", lambda course: course.store.audit.record(NOTE)),
        (no_more_files, "read the secret", lambda course: course.store.keys.secrets()),
        (no_more_files, "read the signing key", lambda course: course.store.keys.signing_key(new_private_key)),
        (no_more_files, "list the assignments", lambda course: course.store.release.assignments()),
        (no_more_files, "read the grades", lambda course: course.store.grades.of(HW1)),
        (no_more_files, "list the submissions", lambda course: course.store.submissions.latest_files(HW1)),
        (no_more_files, "list the submissions", lambda course: course.store.submissions.users(HW1)),
        (no_more_files, "list the courses", lambda course: CourseFolders(course.beside).entries()),
        (folder_in_the_way, "keep the feedback", put_feedback),
        (folder_in_the_way, "erase the files", erase),
        (folder_in_the_way, "archive the course", archive),
        (root_in_a_circle, "list the assignments", lambda course: course.store.cached_assignments()),
        (root_in_a_circle, "find the assignment", lambda course: course.store.release.find("hw1")),
        (others_in_circles, "look at the course", lambda course: course.store.version(HW1)),
        (root_in_a_circle, "look at the disk", lambda course: course.store.submissions.free_space()),
        (
            others_in_circles,
            "read the submission",
            lambda course: course.store.submissions.file(HW1, FileName("alice.py")),
        ),
        (others_in_circles, "make the course", create),
        (gone, "receive the file", lambda course: course.spool.finish()),
        (gone, "list the assignments", lambda course: course.store.release.assignments()),
    ],
)
def test_an_error_of_the_disk_names_the_failed_action_and_the_reason(
    course: Course,
    fault: Callable[[Course], contextlib.AbstractContextManager[None]],
    doing: str,
    act: Callable[[Course], object],
) -> None:
    with fault(course), pytest.raises(Temporary) as refused:
        act(course)
    assert refused.value.message == f"cannot {doing}: {WHY[fault]}"
