"""Grading a folder of submissions: each once, independently of the others, with the same points everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from mograder.coursework.autograding import Done, Prepared, current, grade_all, grade_one, hardest, storable
from mograder.coursework.folders import ToGrade
from mograder.coursework.records import read_record
from mograder.domain.grading_record import GradingRecord
from mograder.domain.marks import Given
from mograder.domain.names import Username
from mograder.domain.results import CellFailure, Outcome, RunReport
from mograder.signing import Ed25519Signer, new_private_key
from tests.grading_samples import BROKEN, FAILED, HALF_RIGHT, LOOPING, QUESTIONS, TESTED, record
from tests.parts import NOON, sha256

SIGNER = Ed25519Signer(new_private_key())
REPORTS = {b"half": HALF_RIGHT, b"failed": FAILED, b"looping": LOOPING, b"broken": BROKEN}


@dataclass
class CountingGrader:
    """A grader that returns the report named by a submission, and counts its runs."""

    seen: list[str] = field(default_factory=list)

    def grade(self, submission: bytes, filename: str, show: object = None) -> RunReport:
        self.seen.append(filename)
        if submission == b"raises":
            raise RuntimeError("the disk is gone")
        return REPORTS[submission]


@pytest.fixture
def runs() -> CountingGrader:
    return CountingGrader()


@pytest.fixture
def grade(tmp_path: Path, runs: CountingGrader) -> Callable[..., dict[str, Done]]:
    def all_of(force: bool = False, tested: object = TESTED, **contents: bytes) -> dict[str, Done]:
        submissions = []
        for user, content in contents.items():
            path = tmp_path / f"{user}.py"
            path.write_bytes(content)
            submissions.append(ToGrade(Username(user), path, receipt=7))
        prepared = Prepared("hw1", "Homework", QUESTIONS, replace(TESTED) if tested is TESTED else tested, runs)  # type: ignore[arg-type]
        done = grade_all(
            prepared, submissions, tmp_path / "out", SIGNER, jobs=2, force=force, now=lambda: NOON,
            given=lambda user: Given({"Q3": 5}) if user == "alice" else Given(),
        )  # fmt: skip
        return {each.record.username: each for each in done}

    return all_of


def test_each_submission_gets_a_signed_record_and_a_page_with_its_points(
    grade: Callable[..., dict[str, Done]], tmp_path: Path
) -> None:
    done = grade(alice=b"half", bob=b"failed", carol=b"looping")
    assert {user: each.record.points for user, each in done.items()} == {"alice": 15.8, "bob": 20, "carol": 10}
    for user, each in done.items():
        assert read_record(tmp_path / "out" / f"{user}.json").verified(SIGNER) == each.record
        assert (each.record.receipt, each.record.graded) == (7, NOON)
    assert done["alice"].record.submission.sha256 == sha256(b"half")
    page = (tmp_path / "out" / "alice.html").read_text()
    assert "<strong>20.8</strong> of 35 points" in page
    assert "f(7) must be 14" in page
    assert "<strong>20</strong> of 30 points by checks" in (tmp_path / "out" / "bob.html").read_text()


@pytest.mark.parametrize(
    ("name", "shown"),
    [("alice_20260310T200800.py", "hw1.py"), ("alice.py", "alice.py")],
)
def test_messages_do_not_name_a_file_by_the_dated_name_that_it_is_kept_under(
    name: str, shown: str, runs: CountingGrader
) -> None:
    made = grade_one(Prepared("hw1", "", QUESTIONS, TESTED, runs), "alice", name, b"half", 7, lambda: NOON)
    assert made.submission.filename == name
    assert runs.seen == [shown]


def test_only_new_and_changed_submissions_are_graded(
    grade: Callable[..., dict[str, Done]], runs: CountingGrader
) -> None:
    grade(alice=b"half", bob=b"half")
    runs.seen.clear()
    done = grade(alice=b"half", bob=b"failed", carol=b"half")
    assert sorted(runs.seen) == ["bob.py", "carol.py"]
    assert [done[user].new for user in ("alice", "bob", "carol")] == [False, True, True]
    assert done["alice"].record.points == 15.8
    runs.seen.clear()
    grade(force=True, alice=b"half")
    grade(tested=replace(TESTED, tests="new tests"), alice=b"half")
    assert runs.seen == ["alice.py", "alice.py"]


def test_a_record_that_was_altered_or_signed_with_another_key_is_made_again(
    grade: Callable[..., dict[str, Done]], runs: CountingGrader, tmp_path: Path
) -> None:
    grade(alice=b"half")
    path = tmp_path / "out" / "alice.json"
    path.write_text(path.read_text().replace('"points": 15.8', '"points": 30'))
    assert grade(alice=b"half")["alice"].record.points == 15.8
    prepared = Prepared("hw1", "Homework", QUESTIONS, TESTED, runs)
    assert current(path, prepared, b"half", SIGNER) is not None
    assert current(path, prepared, b"half", Ed25519Signer(new_private_key())) is None
    assert current(path, prepared, b"other", SIGNER) is None


def test_a_failure_of_the_grader_is_retried_at_once_and_in_the_next_run(
    grade: Callable[..., dict[str, Done]], runs: CountingGrader
) -> None:
    done = grade(alice=b"broken", bob=b"raises", carol=b"half")
    assert sorted(runs.seen) == ["alice.py", "alice.py", "bob.py", "bob.py", "carol.py"]
    assert done["bob"].record.report == RunReport(Outcome.OUR_FAILURE, error="RuntimeError: the disk is gone")
    assert (done["alice"].record.points, done["carol"].record.points) == (None, 15.8)
    runs.seen.clear()
    grade(alice=b"broken", bob=b"raises", carol=b"half")
    assert sorted(runs.seen) == ["alice.py", "alice.py", "bob.py", "bob.py"]


def test_any_text_of_a_submission_can_be_stored(tmp_path: Path) -> None:
    odd = RunReport(
        Outcome.CODE_FAILED,
        tuple(replace(each, earned_weight=float("nan")) for each in HALF_RIGHT.checks),
        tuple(CellFailure("\ud800", 1, "x" * 100_000, "\udfff") for _ in range(5000)),
    )
    kept = storable(odd)
    assert (kept.outcome, len(kept.failures), len(kept.failures[0].error)) == (Outcome.CODE_FAILED, 1000, 20_001)
    assert (kept.failures[0].cell, kept.checks[0].earned_weight) == ("?", 0)
    assert storable(HALF_RIGHT) == HALF_RIGHT


def test_the_most_missed_questions_come_first_without_failures_of_the_grader() -> None:
    records: list[GradingRecord] = [record(HALF_RIGHT), record(FAILED), record(LOOPING), record(BROKEN)]
    assert [(each.key, each.full, each.part, each.none) for each in hardest(records)] == [
        ("Q1", 1, 1, 1), ("Q2", 1, 1, 1),
    ]  # fmt: skip
    assert [each.key for each in hardest([record(FAILED), record(FAILED), record(LOOPING)])] == ["Q1", "Q2"]
