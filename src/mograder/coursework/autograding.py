"""Grades submissions in a course folder: what is new or was changed, each once, with a record and a page of each.

Invariant: whatever happens to one submission is in its record; it never holds up the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from mograder import __version__
from mograder.client.files import replacing
from mograder.coursework.folders import ToGrade
from mograder.coursework.opening import NoNotebook, notebook_in
from mograder.coursework.records import read_record, write_record
from mograder.coursework.rendering.result_page import SHOWN, ResultPage, coloured, render_result
from mograder.domain import deadlines
from mograder.domain.disclosure import for_instructor, guarded
from mograder.domain.errors import MograderError, Unreadable, Usage, VerificationFailed
from mograder.domain.grading_record import Graded, GradingRecord, Tested
from mograder.domain.marks import NOTHING_GIVEN, Given, Question, mark
from mograder.domain.names import FileName
from mograder.domain.receipts import Receipt
from mograder.domain.rendered import RenderedNotebook
from mograder.domain.results import CellFailure, Outcome, RunReport
from mograder.domain.submissions import SubmissionsStore
from mograder.signing import Ed25519Signer

TRIES = 2
"""How often a submission is run when the failure is ours."""

LONGEST = 20_000
"""Characters of one text in a report: students write error messages."""

MOST = 1000
"""Failures, limits and messages in a report, of each kind."""

LARGEST = 100 * 1024 * 1024
"""Bytes of a submission; a larger one is not read."""


Show = Callable[[RenderedNotebook], None]


class Runs(Protocol):
    """Runs one submission against the tests; safe to call from several threads."""

    def grade(self, submission: bytes, filename: str, show: Show | None = None) -> RunReport:
        """`show` gets the notebook as it ran, where it did."""
        ...


@dataclass(frozen=True)
class Exam:
    """An assignment ready to be graded: its questions, with what it is graded, and what runs it."""

    assignment: str
    title: str
    questions: tuple[Question, ...]
    tested: Tested
    runs: Runs
    known: frozenset[str] = frozenset()
    """The texts that are written out in what students get: messages of checks among them."""
    notebook: str = ""
    named: bool = False
    """What the notebook is called that is graded of a submission of several files, and whether the assignment says so.
    """
    wanted: str = ""
    lock: str = ""
    """The locked environment, and the hash of what it is for; "" where the one that runs mograder is used."""


@dataclass(frozen=True)
class Done:
    """One submission after a run of `autograde`. `new` is False where an earlier record still holds."""

    record: GradingRecord
    new: bool


def grade_all(
    exam: Exam, submissions: Sequence[ToGrade], folder: Path, signer: Ed25519Signer, *,
    jobs: int, force: bool, now: Callable[[], int], given: Callable[[str], Given] = lambda user: NOTHING_GIVEN,
) -> Iterator[Done]:  # fmt: skip
    """Grade what has no current record in `folder`, `jobs` at once; each as it is done, current ones first."""
    todo = []
    for each in submissions:
        content = _read(each.path)
        held = None if force else current(folder / f"{each.user}.json", exam, content, signer)
        if held is None:
            todo.append(each)
        else:
            yield Done(held, False)
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_grade, exam, each, folder, signer, now, given) for each in todo]
        try:
            for future in as_completed(futures):
                yield Done(future.result(), True)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def current(path: Path, exam: Exam, content: bytes, signer: Ed25519Signer) -> GradingRecord | None:
    """The record in `path` when it still holds: signed by us, of these bytes and tests, and no failure of ours."""
    try:
        record = read_record(path).verified(signer)
    except (FileNotFoundError, Usage, VerificationFailed):
        return None
    same = (record.submission.sha256, record.tested) == (hashlib.sha256(content).hexdigest(), exam.tested)
    return record if same and record.report.outcome is not Outcome.OUR_FAILURE else None


def _read(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise MograderError(f"{path} has more than {LARGEST} bytes: too large to be graded")
    return path.read_bytes()


def _grade(
    exam: Exam,
    what: ToGrade,
    folder: Path,
    signer: Ed25519Signer,
    now: Callable[[], int],
    given: Callable[[str], Given],
) -> GradingRecord:
    content = _read(what.path)
    record = grade_one(exam, what.user, what.path.name, content, what.receipt, now)
    write_record(folder / f"{what.user}.json", record, signer)
    page = instructor_page(record, exam.title, given(what.user), content, what)
    with replacing(folder / f"{what.user}.html", private=True) as file:
        file.write(page.encode())
    return record


def read_submitted(submissions: SubmissionsStore, receipt: Receipt) -> bytes:
    """The bytes of the submission that a receipt is for. Raises Unreadable when they are not there, or others."""
    kept = receipt.submission
    if kept.size > LARGEST:
        raise Unreadable("the submission is too large to be graded", f"{kept.size} bytes")
    file = submissions.file(kept.assignment, FileName(kept.filename))
    content = file.read() if file else None
    if content is None or hashlib.sha256(content).hexdigest() != kept.sha256:
        raise Unreadable(f"{kept.filename} is not what was submitted: compare it with its receipt", kept.filename)
    return content


def grade_one(
    exam: Exam, user: str, filename: str, content: bytes, receipt: int | None, now: Callable[[], int],
    show: Show | None = None,
) -> GradingRecord:  # fmt: skip
    """Grade these bytes. Raises nothing: a failure of ours is the record's outcome.

    `show` gets the notebook as it ran, where it did.
    """
    try:
        ran = _run(exam.runs, *notebook_in(content, filename, exam.notebook, exam.named), show)
    except NoNotebook as error:
        ran = RunReport(Outcome.CODE_FAILED, failures=(CellFailure(filename, None, str(error)),))
    report = guarded(ran, exam.known)
    return GradingRecord(
        exam.assignment, user, Graded(filename, hashlib.sha256(content).hexdigest(), len(content)),
        exam.tested, exam.questions, report, mark(exam.questions, report).automatic, now(), __version__, receipt,
    )  # fmt: skip


def _run(runs: Runs, content: bytes, filename: str, show: Show | None) -> RunReport:
    """Raises nothing: what goes wrong on our side is tried again, then reported."""
    report = RunReport(Outcome.OUR_FAILURE, error="not run")
    for _ in range(TRIES):
        try:
            report = runs.grade(content, filename, show)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is ours, and must not stop the others)
            message = error.message if isinstance(error, MograderError) else f"{type(error).__name__}: {error}"
            report = RunReport(Outcome.OUR_FAILURE, error=message)
        if report.outcome is not Outcome.OUR_FAILURE:
            break
    return storable(report)


_T = TypeVar("_T")


def storable(value: _T) -> _T:
    """A report, or a part of it, as JSON can hold it, and not endless: a submission may have written any text."""
    made: Any = value
    if isinstance(value, str) and not isinstance(value, Enum):
        made = value.encode(errors="replace").decode()
        made = made if len(made) <= LONGEST else f"{made[:LONGEST]}…"
    elif isinstance(value, float):
        made = value if math.isfinite(value) else 0.0
    elif isinstance(value, tuple):
        made = tuple(map(storable, value[:MOST]))
    elif is_dataclass(value) and not isinstance(value, type):
        made = replace(value, **{each.name: storable(getattr(value, each.name)) for each in fields(value)})
    return cast("_T", made)


def instructor_page(record: GradingRecord, title: str, given: Given, content: bytes, what: ToGrade) -> str:
    """The page that whoever marks reads: everything, and the submission itself."""
    shown = for_instructor(record, mark(record.questions, record.report, given))
    text = content[:SHOWN].decode("utf-8-sig", errors="replace")
    source = None if b"\0" in content[:SHOWN] else coloured(text)
    took = f"{record.report.cpu_seconds:.2f} s of processor, {record.report.wall_seconds:.2f} s in all"
    facts = (*details(record, what.received), ("Time", took))
    return render_result(ResultPage(title, shown, what.lateness, details=facts, source=source))


def details(record: GradingRecord, received: int | None) -> tuple[tuple[str, str], ...]:
    """What a result rests on, in words."""
    tested = record.tested
    found = [
        ("Submission", f"{record.submission.filename}, SHA-256 {record.submission.sha256}"),
        ("Tests", f"SHA-256 {tested.tests}"),
        ("Graded", f"{deadlines.readable(record.graded)} by mograder {record.grader}"),
        ("Sandbox", tested.sandbox or "none: graded without one"),
    ]
    if received is not None:
        found.insert(1, ("Received", deadlines.readable(received)))
    if record.receipt is not None:
        found.insert(1, ("Receipt", str(record.receipt)))
    return tuple(found)


# what came of it, in numbers


@dataclass(frozen=True)
class Hard:
    """A question with how many have all of its points, a part, and none."""

    key: str
    full: int
    part: int
    none: int

    @property
    def missed(self) -> float:
        """The part of people who do not have all points."""
        everybody = self.full + self.part + self.none
        return 1 - self.full / everybody if everybody else 0.0


def hardest(records: Iterable[GradingRecord]) -> list[Hard]:
    """The questions that checks mark, those first that most people do not have in full; without failures of ours."""
    counts: dict[str, list[int]] = {}
    for record in records:
        for each in record.marks.questions:
            if each.automatic is not None:
                place = 0 if each.automatic >= each.available else 2 if each.automatic <= 0 else 1
                counts.setdefault(each.key, [0, 0, 0])[place] += 1
    return sorted((Hard(key, *three) for key, three in counts.items()), key=lambda each: -each.missed)
