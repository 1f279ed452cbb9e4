"""Courses that are copied into a database and back, and mirrored into a folder."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from mograder.cli import run
from mograder.domain.access import Account, ExternalId, Role
from mograder.domain.audit import Event
from mograder.domain.chain import make_tombstone
from mograder.domain.errors import NameTaken, Usage, VerificationFailed
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.grading_jobs import Announced, Readiness, ReadyState
from mograder.domain.grading_rules import Hidden
from mograder.domain.names import INSTRUCTOR, AssignmentName, CourseName, FileName, Username
from mograder.domain.regrade_jobs import RegradeJob
from mograder.domain.release import Fetched
from mograder.domain.store import Store
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store import copy
from mograder.store.copy import DatabasePlace, FolderPlace, mirror, to_database, to_folder, write_pieces
from mograder.store.folder.layout import FEEDBACK, GRADES, Folders
from mograder.store.folder.store import FolderStore
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.shared.files import is_scratch
from tests.grading_samples import signed_result
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, make_course_folder, names_in, open_store, submit_work
from tests.postgres import Server, fresh_database, new_course

HW2, CARL = AssignmentName("hw2"), Username("carl")
NOTE = Event(NOON, "alice", "test", "hw1", "détail")
LARGE = b"0123456789abcdef" * 100_000
LONG = "字" * 83 + ".bin"
"""A file name of the maximum length."""
NAME = CourseName("algebra")


def quiet(_text: str) -> None:
    pass


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A course with every kind of data."""
    root = make_course_folder(tmp_path / "source", "hw1", "hw2")
    (root.parent / "mograder.toml").write_text('title = "Algebra"\n')
    (root / "hw1" / "files" / "data").mkdir()
    (root / "hw3" / "files").mkdir(parents=True)
    (root.parent / "source" / "hw1" / "data").mkdir(parents=True)
    (root.parent / "source" / "hw1" / "data" / "d.csv").write_text("1,2\n")
    (root.parent / "source" / "hw1" / "hw1.py").write_text("### BEGIN SOLUTION\n")
    (root / "hw1" / "files" / "data" / LONG).write_bytes(LARGE)
    store = open_store(root)
    signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    for number, user in enumerate((ALICE, BOB, ALICE, CARL, ALICE, BOB)):
        submit_work(store, signer, user, b"work %d" % number, NOON + number % 2)
    submit_work(store, signer, ALICE, LARGE, NOON + SECOND, HW2)
    for user in (ALICE, BOB, CARL):
        account = Account(
            user, Role.INSTRUCTOR, "Ä", 3, True, "ab", NOON, email="ä@example.org", sections=("1, 2", "Ü"),
            ids=(ExternalId("canvas_id", f"id of {user}"),),
        )  # fmt: skip
        store.accounts.change(user, lambda held, account=account: account, NOTE)  # type: ignore[misc]
    store.erase(CARL, lambda receipt: make_tombstone(receipt, signer, "course", NOON), NOTE)
    store.grades.merge(HW1, (GradeEntry({"username": "alice", "grade": "1", "ü": [1, None]}),), NOTE)
    store.grades.put_feedback(HW1, {ALICE: LARGE, BOB: b"<p>better"}, NOTE)
    store.extensions.change([(HW1, ALICE, lambda held: Extension(HW1, ALICE, NOON, "note"), NOTE)])
    store.release.note_fetched([Fetched(HW1, BOB, NOON)])
    store.jobs.announce(HW1, Announced("aa" * 32, Hidden.AFTER_DUE))
    graded, failed = (store.jobs.claim("mine", NOON, NOON + SECOND, [HW1]) for _ in range(2))
    assert graded
    assert failed
    store.jobs.finish(graded, signed_result(store, signer, graded), b"as it ran \xff")
    store.jobs.fail(failed, "no sandbox", NOON + SECOND)
    store.jobs.report(Readiness(HW1, ReadyState.READY, NOON, "lab", "", "numpy", "numpy==2.1"))
    again = [RegradeJob(each.receipt, HW1, each.username, "r1", NOON, True) for each in (graded, failed)]
    store.regrades.start(again, "", NOTE)
    taken = store.regrades.claim("w", NOON, NOON, [HW1])
    assert taken
    made = replace(signed_result(store, signer, graded), receipt=taken.receipt, tests="bb" * 32)
    store.regrades.finish(taken, made, b"as it ran again \x00")
    for number, secret in enumerate(("second", "third")):
        store.keys.change_secret(secret, (4_000_000_000 + number) * SECOND, NOTE)
    os.utime(store.folders.grades / "hw1" / FEEDBACK / "bob.html", (NOON // SECOND, NOON // SECOND))
    store.close()
    return root


@pytest.fixture
def courses(postgres_server: Server) -> Iterator[PostgresCourses]:
    courses = PostgresCourses(fresh_database(postgres_server))
    yield courses
    courses.close()


def contents_of(store: Store) -> list[object]:
    """Everything in a course except the copies in its audit log."""
    files = [
        store.submissions.file(each.submission.assignment, FileName(each.submission.filename))
        for each in store.submissions.receipts()
    ]
    release_files = [
        store.release.file(each.name, file.name) for each in store.release.assignments() for file in each.files
    ]
    feedback = [store.grades.feedback(HW1, user) for user in (ALICE, BOB, CARL)]
    return [
        list(store.submissions.chain()), store.submissions.head(), store.accounts.all(),
        [store.accounts.get(user) for user in (ALICE, CARL)], store.keys.secrets(),
        store.keys.signing_key(new_private_key), store.config.plan(), store.release.assignments(),
        store.extensions.find(),
        store.release.fetched(), store.grades.of(HW1), [each for each in store.audit.events() if each.action == "test"],
        [each and (each.name, each.size, each.read()) for each in (*files, *release_files, *feedback)],
        [round(each.modified) for each in feedback if each],
        store.jobs.announced(), store.jobs.waiting(NOON), store.jobs.results(HW1), store.regrades.find(HW1),
        store.jobs.readiness(), [store.jobs.notebook(each.number) for each in store.submissions.receipts()],
        [replace(each, modified=0) for name in (HW1, HW2) for each in store.submissions.latest_files(name)],
    ]  # fmt: skip


def contents_of_folder(root: Path) -> list[object]:
    store = open_store(root)
    try:
        return contents_of(store)
    finally:
        store.close()


def test_a_course_copied_into_a_database_and_back_is_unchanged(
    root: Path, courses: PostgresCourses, tmp_path: Path
) -> None:
    before = contents_of_folder(root)
    to_database(Folders.of(root), courses, NAME, NOON, quiet)
    assert contents_of(courses.open(NAME)) == before
    assert courses.open(NAME).audit.events(1) == [Event(NOON, INSTRUCTOR, "copy", NAME, str(root))]
    back = tmp_path / "back" / "course" / "release"
    to_folder(courses.open(NAME), back, NOON, quiet)
    assert contents_of_folder(back) == before
    assert (back / ".mograder-secret").stat().st_mode & 0o777 == 0o600
    for name in ("hw1/hw1.py", "hw1/data/d.csv"):
        assert (back.parent / "source" / name).read_bytes() == (root.parent / "source" / name).read_bytes()
    submitted = back.parent / "submitted" / "hw1"
    assert names_in(submitted) == names_in(root.parent / "submitted" / "hw1")
    assert os.readlink(submitted / "alice.py") == os.readlink(root.parent / "submitted" / "hw1" / "alice.py")
    assert {each.stat().st_mode & 0o777 for each in back.parent.glob("s*/hw1/*.py")} == {0o600}  # and of source/
    assert (back / "hw1" / "files" / "hw1.py").stat().st_mode & 0o044
    grades = [Folders.of(each).grades / "hw1" / GRADES for each in (root, back)]
    assert grades[0].read_bytes() == grades[1].read_bytes()
    assert run(["verify", str(back)]) == 0
    # The only finding is a submission that could not be graded yet.
    assert run(["doctor", str(back)]) == run(["doctor", str(root)]) == 7
    with contextlib.closing(open_store(back)) as store:
        held = store.regrades.find(HW1)
        assert held
        (done,) = (each for each in held.jobs if each.signed)
        store.jobs.announce(HW1, Announced(done.tests))
        store.regrades.apply(HW1, lambda _: [done.result], NOTE)
        assert store.jobs.notebook(done.receipt) == b"as it ran again \x00"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems know no such names")
def test_files_whose_names_are_not_utf8_are_reported_and_the_rest_is_copied(
    root: Path, courses: PostgresCourses, tmp_path: Path
) -> None:
    odd = os.fsdecode(b"caf\xe9")
    home = root.parent.rename(tmp_path / odd)  # the whole course may be in such a folder, too
    grades = home / "release" / "hw1"
    before = contents_of_folder(home / "release")
    for path in (grades / "files" / odd, grades / FEEDBACK / f"{odd}.html", home / "release" / odd / GRADES):
        path.parent.mkdir(exist_ok=True)
        path.write_text("[]")
    (home / "release" / odd / FEEDBACK).mkdir()
    (home / "release" / odd / FEEDBACK / "alice.html").write_text("<p>")
    said: list[str] = []
    to_database(Folders.of(home / "release"), courses, NAME, NOON, said.append)
    assert contents_of(courses.open(NAME)) == before
    left = [each for each in said if each.startswith("left out:")]
    assert len(left) == 3
    assert all(each.isprintable() and each.isascii() for each in left)


def test_an_interrupted_copy_continues_where_it_stopped(
    root: Path, courses: PostgresCourses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "TOGETHER", 2)
    before = contents_of_folder(root)
    back = tmp_path / "back" / "release"
    for work, whole in (
        (lambda say: to_database(Folders.of(root), courses, NAME, NOON, say), lambda: contents_of(courses.open(NAME))),
        (lambda say: to_folder(courses.open(NAME), back, NOON, say), lambda: contents_of_folder(back)),
    ):
        said: list[str] = []

        def cut(text: str, said: list[str] = said) -> None:
            said.append(text)
            if len(said) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work(cut)
        assert said == ["2 of 7 receipts", "4 of 7 receipts"]
        said.clear()
        said.append("again")
        rest: list[str] = []
        work(rest.append)
        assert rest == ["6 of 7 receipts", "7 of 7 receipts"]
        assert whole() == before


def test_an_unused_course_is_copied_into_a_folder_with_its_key(courses: PostgresCourses, tmp_path: Path) -> None:
    store = courses.open(new_course(courses))
    to_folder(store, tmp_path / "release", NOON, quiet)
    back = open_store(tmp_path / "release")
    assert (back.keys.secrets(), back.keys.signing_key(new_private_key)) == (
        store.keys.secrets(),
        store.keys.signing_key(new_private_key),
    )
    assert back.audit.events() == [Event(NOON, INSTRUCTOR, "copy", store.course)]
    back.close()


def test_files_left_by_a_killed_copy_are_recognised_as_leftovers(tmp_path: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"one"
        assert [is_scratch(name) for name in names_in(tmp_path)] == [True]
        yield b"two"

    write_pieces(tmp_path / LONG, pieces())
    assert names_in(tmp_path) == [LONG]
    assert (tmp_path / LONG).read_bytes() == b"onetwo"


def test_a_partly_copied_course_is_closed(
    root: Path, courses: PostgresCourses, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(_text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_database(Folders.of(root), courses, NAME, NOON, cut)
    assert [each.archived for each in courses.entries()] == [NOON]


def test_a_copy_never_overwrites_another_course(root: Path, courses: PostgresCourses, tmp_path: Path) -> None:
    to_database(Folders.of(root), courses, NAME, NOON, quiet)
    with pytest.raises(NameTaken, match="open"):
        to_database(Folders.of(root), courses, NAME, NOON, quiet)
    courses.archive(NAME, NOON, NOTE)
    other = make_course_folder(tmp_path / "other")
    with pytest.raises(NameTaken, match="another course"):
        to_database(Folders.of(other), courses, NAME, NOON, quiet)
    courses.archive(NAME, None, NOTE)
    with pytest.raises(Usage, match="there is a course"):
        to_folder(courses.open(NAME), root, NOON, quiet)


def test_a_copy_never_overwrites_a_course_that_has_changed_since(root: Path, courses: PostgresCourses) -> None:
    to_database(Folders.of(root), courses, NAME, NOON, quiet)
    copied = courses.open(NAME)
    submit_work(copied, Ed25519Signer(copied.keys.signing_key(new_private_key)), ALICE, b"there")
    courses.archive(NAME, NOON, NOTE)
    head = copied.submissions.head()
    with pytest.raises(NameTaken, match="not an earlier part of this course"):
        to_database(Folders.of(root), courses, NAME, NOON, quiet)
    assert copied.submissions.head() == head


class ChangingSource(FolderPlace):
    """A source that changes after its audit log was read and before its grades are read."""

    def __init__(self, store: FolderStore, act: Callable[[FolderStore], object]) -> None:
        super().__init__(store)
        self.act = act

    def grades(self) -> dict[AssignmentName, list[dict[str, Any]]]:
        found = super().grades()
        self.act(self.store)
        return found


def test_a_source_that_changes_during_the_copy_is_reported_and_the_copy_can_be_repeated(
    root: Path, courses: PostgresCourses
) -> None:
    courses.create(NAME, NOTE)
    source, target = open_store(root), DatabasePlace(courses.open(NAME))
    signer, graded = Ed25519Signer(source.keys.signing_key(new_private_key)), source.folders.grades / "hw1"
    acts: list[tuple[Callable[[FolderStore], object], str]] = [
        (lambda store: submit_work(store, signer, BOB, b"late"), "the receipts"),
        (lambda store: store.accounts.change(ALICE, lambda held: Account(ALICE), NOTE), "accounts"),
        (lambda store: store.audit.record(NOTE), "events"),
        (lambda store: (graded / GRADES).write_text("[]"), "grades or feedback"),
        (lambda store: (graded / FEEDBACK / "bob.html").write_text("other"), "grades or feedback"),
    ]
    for act, what in acts:
        with pytest.raises(VerificationFailed, match=f"^{what} of the copy are not those of the source: run it again$"):
            copy.copy(ChangingSource(source, act), target, quiet)
        copy.copy(FolderPlace(source), target, quiet)
    source.close()
    kept = "SELECT body FROM receipts UNION SELECT body FROM feedback"
    assert target.store.tables.read(f"SELECT body FROM pieces WHERE course = %s AND body NOT IN ({kept})") == []


def test_a_file_that_does_not_match_its_receipt_stops_the_copy(root: Path, courses: PostgresCourses) -> None:
    (root.parent / "submitted" / "hw2" / "alice_20260310T120001.py").write_bytes(b"altered")
    with pytest.raises(VerificationFailed, match="hw2/alice_20260310T120001"):
        to_database(Folders.of(root), courses, NAME, NOON, quiet)


def test_a_mirror_has_the_usual_folders_and_fetches_only_new_files(
    root: Path, courses: PostgresCourses, tmp_path: Path
) -> None:
    to_database(Folders.of(root), courses, NAME, NOON, quiet)
    store, folder = courses.open(NAME), tmp_path / "mirror"
    assert mirror(store, folder, quiet) == 6
    for name in ("hw1", "hw2"):
        assert names_in(folder / name) == names_in(root.parent / "submitted" / name)
    assert (folder / "hw2" / "alice.py").read_bytes() == LARGE
    assert (folder / "hw2" / "alice.py").stat().st_mode & 0o777 == 0o600
    (folder / "hw1" / "alice.py").unlink()
    (folder / "hw1" / "notes.py").write_text("of the grader's own")
    signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    submit_work(store, signer, BOB, b"new", NOON + 9 * SECOND)
    said: list[str] = []
    assert mirror(store, folder, said.append) == 1
    assert said == ["hw1/bob_20260310T120009.py"]
    assert (folder / "hw1" / "bob.py").read_bytes() == b"new"
    assert (folder / "hw1" / "alice.py").read_bytes() == b"work 4"
    store.erase(BOB, lambda receipt: make_tombstone(receipt, signer, "course", NOON), NOTE)
    assert mirror(store, folder, quiet) == 0
    assert [name for name in names_in(folder / "hw1") if "bob" in name] == []
    assert (folder / "hw1" / "notes.py").exists()
