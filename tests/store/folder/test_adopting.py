"""A course of the published server is adopted: its work gets receipts, and unknown files are left in place."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mograder.domain.deadlines import SECOND, iso
from mograder.domain.names import INSTRUCTOR, AssignmentName
from mograder.factory import adopt_course, open_course
from mograder.store.folder.adopting import KEPT
from mograder.store.folder.evidence import Evidence
from mograder.store.folder.layout import served_folders
from tests.courses import everything

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links as on POSIX")

HW1 = AssignmentName("hw1")


@pytest.fixture(params=["course/release", "course"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A course folder as the published server leaves it."""
    root = tmp_path / str(request.param)
    (root / "hw1/files").mkdir(parents=True)
    (root / "hw1/files/hw1.py").write_text("x = 1\n")
    for name, content in (
        ("alice_20260310T200800.py", "first"), ("alice_20260310T210000.py", "second"), ("bob_20260311T080000.py", "b"),
        ("kim.pyle_20260311T090000.py", "kim"),
    ):  # fmt: skip
        (root / "hw1" / name).write_text(content)
    (root / "hw1/alice.py").symlink_to("alice_20260310T210000.py")
    (root / "hw1/bob.py").write_text("b")  # a copy instead of a link
    (root / "hw1/kim.pyle.py").write_text("kim.pyle_20260311T090000.py\n")  # a text file instead of a link
    (root / "hw1/grades.json").write_text('[{"username": "alice", "grade": 7}]')
    (root / "hw1/feedback").mkdir()
    (root / "hw1/feedback/alice.html").write_text("<p>")
    return root


def quiet(_text: str) -> None:
    pass


def test_submissions_are_adopted_with_receipts_that_say_so(root: Path) -> None:
    done = adopt_course(root, quiet)
    assert (done.submissions, done.people, done.grades, done.feedback, done.left) == (4, 3, 1, 1, ())
    course = open_course(root)
    receipts = list(course.store.submissions.receipts(HW1))
    files = {each.username: each.sha256 for each in course.store.submissions.latest_files(HW1)}
    grades = course.store.grades.of(HW1)
    left_out, events = course.contents().left_out, [each.action for each in course.audit.events()]
    course.close()
    assert [each.submission.filename for each in receipts] == [
        "alice_20260310T200800.py", "alice_20260310T210000.py", "bob_20260311T080000.py", "kim.pyle_20260311T090000.py",
    ]  # fmt: skip
    assert iso(receipts[0].submission.received) == "2026-03-10T20:08:00.000000Z"
    assert all(each.submission.by == INSTRUCTOR for each in receipts)
    arrived = {each.submission.arrived for each in receipts}
    assert len(arrived) == 1
    assert (arrived.pop() or 0) > receipts[-1].submission.received + SECOND
    assert files == {receipts[at].submission.username: receipts[at].submission.sha256 for at in (1, 2, 3)}
    assert len(grades) == 1
    assert left_out == ()
    assert "adopt" in events
    assert Evidence(served_folders(root)).verify(None).findings == []
    assert sorted(os.listdir(root / "hw1")) == ["feedback", "files", "grades.json"]
    assert (root / KEPT / "hw1/alice_20260310T200800.py").read_text() == "first"


def test_adopting_a_course_twice_changes_nothing(root: Path) -> None:
    adopt_course(root, quiet)
    before = everything(served_folders(root).submitted)
    done = adopt_course(root, quiet)
    assert (done.submissions, done.people) == (0, 0)
    assert everything(served_folders(root).submitted) == before


def test_an_interrupted_adoption_is_completed_by_the_next_one(root: Path) -> None:
    adopt_course(root, quiet)
    for path in (root / KEPT / "hw1").iterdir():  # as if it had been interrupted before the originals were moved
        path.rename(root / "hw1" / path.name)
    assert adopt_course(root, quiet).submissions == 0
    assert sorted(os.listdir(root / "hw1")) == ["feedback", "files", "grades.json"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("alice.py", "edited by hand", "hw1/alice: alice.py was changed by hand"),
        ("alice_20260399T999999.py", "x", "hw1/alice:"),
        ("alice_20260312T000000.py", "", "hw1/alice: alice_20260312T000000.py is empty"),
        ("alice_20260312T000000.py", "newer", "hw1/alice: alice.py points to 'alice_20260310T210000.py'"),
        ("carol.py", "alone", "hw1/carol.py: no dated version"),
        ("notes.txt", "mine", "hw1/notes.txt: not the name of a submission"),
    ],
)
def test_a_file_that_is_not_understood_is_left_in_place_and_reported(
    root: Path, name: str, content: str, why: str
) -> None:
    path = root / "hw1" / name
    path.unlink(missing_ok=True)
    path.write_text(content)
    before = path.lstat()
    done = adopt_course(root, quiet)
    assert len(done.left) == 1
    assert done.left[0].startswith(why)
    assert path.lstat().st_ino == before.st_ino
    assert path.read_text() == content
    assert done.people == (2 if "alice" in name else 3)
