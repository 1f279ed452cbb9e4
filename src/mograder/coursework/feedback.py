"""Makes what students get back, a page and a grade for each, from records, marks by hand and comments.

Invariant: a row that is in the table of marks is never changed; only new rows are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct

from mograder.client.files import read_foreign, sha256_of, write_file
from mograder.coursework.autograding import details
from mograder.coursework.folders import GradingFolders, ToGrade
from mograder.coursework.records import read_record
from mograder.coursework.rendering.result_page import ResultPage, render_result
from mograder.coursework.rendering.tables import Grade, marks_table, read_marks
from mograder.domain.deadlines import IN_TIME, Lateness
from mograder.domain.disclosure import for_student
from mograder.domain.errors import BadRequest, Unreadable, Usage, VerificationFailed
from mograder.domain.grading_record import GradingRecord
from mograder.domain.marks import NOTHING_GIVEN, Given, Question, mark, penalised
from mograder.domain.results import Outcome
from mograder.signing import Ed25519Signer
from mograder.text import person_text


class Returned(Struct, frozen=True):
    """What one student gets back. `problem` says why there is no page, or what is wrong with it; "" if nothing is."""

    user: str
    page: str = ""
    grade: Grade | None = None
    problem: str = ""


def marks_file(folders: GradingFolders, assignment: str) -> Path:
    """The table of marks by hand and comments."""
    return folders.marks / f"{assignment}.csv"


def load_marks(path: Path, questions: Sequence[Question]) -> dict[str, Given]:
    """The marks by hand, by student; empty if there is no table. Raises Unreadable with the line that is wrong."""
    try:
        return read_marks(person_text(read_foreign(path)), questions)
    except FileNotFoundError:
        return {}
    except (BadRequest, ValueError) as error:
        said = error.message if isinstance(error, BadRequest) else str(error)
        raise Unreadable(f"the table of marks cannot be understood: {said}", str(path)) from None


def add_to_marks(path: Path, questions: Sequence[Question], users: Iterable[str]) -> int:
    """Add a row for each of `users` who has none in the table of marks. Returns how many. Raises Unreadable."""
    given = load_marks(path, questions)
    new = [user for user in users if user not in given]
    if new:
        save_marks(path, questions, {**given, **dict.fromkeys(new, NOTHING_GIVEN)})
    return len(new)


def save_marks(path: Path, questions: Sequence[Question], given: dict[str, Given]) -> None:
    write_file(path, marks_table(questions, given).encode(), private=True)


def records_in(folder: Path, signer: Ed25519Signer) -> tuple[dict[str, GradingRecord], dict[str, str]]:
    """The verified records in a folder, by user, and by user why each other record could not be verified."""
    found, wrong = {}, {}
    for path in sorted(folder.glob("*.json")):
        try:
            found[path.stem] = read_record(path).verified(signer)
        except (Usage, VerificationFailed) as error:
            wrong[path.stem] = error.message
    return found, wrong


def give_back(
    folders: GradingFolders, assignment: str, submissions: Iterable[ToGrade], records: dict[str, GradingRecord],
    *, now: int, with_penalties: bool,
) -> list[Returned]:  # fmt: skip
    """A page and a grade for each of `submissions`; `now` is in Unix microseconds.

    Raises Unreadable if the table of marks cannot be read.
    """
    known = {question.key: question for each in records.values() for question in each.questions}
    given = load_marks(marks_file(folders, assignment), tuple(known.values()))
    rules, course = folders.rules(assignment), folders.file
    hidden = course.grading_rules(assignment).hidden
    show_hidden = hidden.shown(now, folders.last_due(assignment), released=True)
    costs = with_penalties and folders.late_policy(assignment).penalties.enabled
    found = []
    for each in submissions:
        record = records.get(each.user)
        if record is None:
            found.append(Returned(each.user, problem="there is no record: run mograder autograde"))
            continue
        marks = mark(record.questions, record.report, given.get(each.user, NOTHING_GIVEN))
        late = each.lateness if costs else Lateness(explanation=each.lateness.explanation)
        less = penalised(marks.total, late.penalty) if marks.total is not None and late.penalty else None
        page = ResultPage(
            rules.title or assignment, for_student(record, marks, show_hidden), late, less,
            details(record, each.received),
        )  # fmt: skip
        found.append(Returned(each.user, render_result(page), Grade(each.user, marks, late, less), _odd(record, each)))
    return found


def _odd(record: GradingRecord, submission: ToGrade) -> str:
    if sha256_of(submission.path) != record.submission.sha256:
        return "the submission was changed since it was graded: run mograder autograde"
    if record.report.outcome is Outcome.OUR_FAILURE:
        return f"it could not be graded: {record.report.error or 'no reason is known'}"
    return ""


def unknown_times(submissions: Iterable[ToGrade]) -> list[str]:
    """The users whose time of submission is unknown, so that no penalty can be computed."""
    return [each.user for each in submissions if each.received is None and each.lateness == IN_TIME]
