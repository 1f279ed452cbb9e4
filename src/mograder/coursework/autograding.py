"""Grades the new and the changed submissions of a course folder; writes a record and a page for each.

Invariant: a submission that fails is recorded as failed and does not stop the others.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from enum import Enum
from pathlib import Path, PurePath
from typing import Any, Protocol, TypeVar, cast

from msgspec import Struct
from msgspec.structs import asdict, replace

from mograder import __version__
from mograder.client.files import write_file
from mograder.coursework.folders import ToGrade
from mograder.coursework.notebook_in_zip import NoNotebook, notebook_in
from mograder.coursework.records import read_record, write_record
from mograder.coursework.rendering.result_page import SHOWN, ResultPage, coloured, render_result
from mograder.domain import deadlines
from mograder.domain.disclosure import for_instructor, guarded
from mograder.domain.errors import MograderError, Unreadable, Usage, VerificationFailed, reason_of
from mograder.domain.grading_record import Graded, GradingRecord, Tested
from mograder.domain.marks import NOTHING_GIVEN, Given, Question, mark
from mograder.domain.names import FileName
from mograder.domain.receipts import Receipt, version_owner
from mograder.domain.rendered import RenderedNotebook
from mograder.domain.results import CellFailure, Outcome, RunReport
from mograder.domain.submissions import SubmissionsStore
from mograder.signing import Ed25519Signer

TRIES = 2
"""Runs of a submission before a failure of ours is recorded."""

LONGEST = 20_000
"""Characters of one text in a report: students write error messages."""

MOST = 1000
"""Failures, limits and messages in a report, of each kind."""

LARGEST = 100 * 1024 * 1024
"""Bytes of a submission; a larger one is not read."""

Show = Callable[[RenderedNotebook], None]


class Runs(Protocol):
    """Runs submissions against the tests. It is safe to call from several threads."""

    def grade(self, submission: bytes, filename: str, show: Show | None = None) -> RunReport:
        """Run one submission. `show` is called with the notebook and its outputs, if the notebook ran."""
        ...


class Prepared(Struct, frozen=True):
    """An assignment that is ready to be graded: its questions, its tests, and the runner of submissions."""

    assignment: str
    title: str
    questions: tuple[Question, ...]
    tested: Tested
    runs: Runs
    known: frozenset[str] = frozenset()
    """The texts in the release, messages of checks among them: students may see these in a report."""
    notebook: str = ""
    """Name of the notebook that is graded when a submission has several files."""
    named: bool = False
    """Whether the assignment's settings name this notebook."""
    wanted: str = ""
    """Hash of the notebook's requirements."""
    lock: str = ""
    """The lock that the environment was built from, as uv writes it; "" for the environment that runs mograder."""


class Done(Struct, frozen=True):
    """One submission after a run of `autograde`. `new` is False if an earlier record is still valid."""

    record: GradingRecord
    new: bool


def grade_all(
    prepared: Prepared, submissions: Sequence[ToGrade], folder: Path, signer: Ed25519Signer, *,
    jobs: int, force: bool, now: Callable[[], int], given: Callable[[str], Given] = lambda user: NOTHING_GIVEN,
) -> Iterator[Done]:  # fmt: skip
    """Grade the submissions without a current record in `folder` (all with `force`), `jobs` at once.

    Yields the current ones first, then each as soon as it is graded. Raises MograderError for a file that is too large.
    """
    todo = []
    for each in submissions:
        content = _read(each.path)
        held = None if force else current(folder / f"{each.user}.json", prepared, content, signer)
        if held is None:
            todo.append(each)
        else:
            yield Done(held, False)
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_grade, prepared, each, folder, signer, now, given) for each in todo]
        try:
            for future in as_completed(futures):
                yield Done(future.result(), True)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def current(path: Path, prepared: Prepared, content: bytes, signer: Ed25519Signer) -> GradingRecord | None:
    """The record in `path` if it is still valid: signed by us, of these bytes and tests, and no failure of ours."""
    try:
        record = read_record(path).verified(signer)
    except (FileNotFoundError, Usage, VerificationFailed):
        return None
    same = (record.submission.sha256, record.tested) == (hashlib.sha256(content).hexdigest(), prepared.tested)
    return record if same and record.report.outcome is not Outcome.OUR_FAILURE else None


def _read(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise MograderError(f"{path} has more than {LARGEST} bytes: too large to be graded")
    return path.read_bytes()


def _grade(
    prepared: Prepared,
    what: ToGrade,
    folder: Path,
    signer: Ed25519Signer,
    now: Callable[[], int],
    given: Callable[[str], Given],
) -> GradingRecord:
    content = _read(what.path)
    record = grade_one(prepared, what.user, what.path.name, content, what.receipt, now)
    write_record(folder / f"{what.user}.json", record, signer)
    page = instructor_page(record, prepared.title, given(what.user), content, what)
    write_file(folder / f"{what.user}.html", page.encode(), private=True)
    return record


def read_submitted(submissions: SubmissionsStore, receipt: Receipt) -> bytes:
    """The bytes of the submission that a receipt is for. Raises Unreadable if they are missing, changed or too many."""
    kept = receipt.submission
    if kept.size > LARGEST:
        raise Unreadable("the submission is too large to be graded", f"{kept.size} bytes")
    file = submissions.file(kept.assignment, FileName(kept.filename))
    content = file.read() if file else None
    if content is None or hashlib.sha256(content).hexdigest() != kept.sha256:
        raise Unreadable(f"{kept.filename} is not what was submitted: compare it with its receipt", kept.filename)
    return content


def grade_one(
    prepared: Prepared, user: str, filename: str, content: bytes, receipt: int | None, now: Callable[[], int],
    show: Show | None = None,
) -> GradingRecord:  # fmt: skip
    """Grade these bytes. Raises nothing: a failure of ours is the record's outcome.

    `show` is called with the notebook and its outputs, if the notebook ran.
    """
    shown = filename
    if version_owner(filename):  # a dated name, which no student has seen
        shown = f"{prepared.assignment}{PurePath(filename).suffix}"
    try:
        ran = _run(prepared.runs, *notebook_in(content, shown, prepared.notebook, prepared.named), show)
    except NoNotebook as error:
        ran = RunReport(Outcome.CODE_FAILED, failures=(CellFailure(shown, None, str(error)),))
    report = guarded(ran, prepared.known)
    return GradingRecord(
        prepared.assignment, user, Graded(filename, hashlib.sha256(content).hexdigest(), len(content)),
        prepared.tested, prepared.questions, report, mark(prepared.questions, report).automatic, now(), __version__,
        receipt,
    )  # fmt: skip


def _run(runs: Runs, content: bytes, filename: str, show: Show | None) -> RunReport:
    """Run a submission, up to TRIES times after failures of ours. Raises nothing: the last failure is the report."""
    report = RunReport(Outcome.OUR_FAILURE, error="not run")
    for _ in range(TRIES):
        try:
            report = runs.grade(content, filename, show)
        except Exception as error:  # noqa: BLE001 (any failure here is ours and must not stop the others)
            report = RunReport(Outcome.OUR_FAILURE, error=reason_of(error))
        if report.outcome is not Outcome.OUR_FAILURE:
            break
    return storable(report)


_T = TypeVar("_T")


def storable(value: _T) -> _T:
    """A report, or a part of it, limited in size and with nothing that JSON cannot hold.

    Submissions write the texts of a report, so a text may be of any length and have lone surrogates. At most LONGEST
    characters of a text and MOST items of a tuple are kept; a number that is not finite becomes 0.
    """
    made: Any = value
    if isinstance(value, str) and not isinstance(value, Enum):
        made = value.encode(errors="replace").decode()
        made = made if len(made) <= LONGEST else f"{made[:LONGEST]}…"
    elif isinstance(value, float):
        made = value if math.isfinite(value) else 0.0
    elif isinstance(value, tuple):
        made = tuple(map(storable, value[:MOST]))
    elif isinstance(value, Struct):
        made = replace(value, **{name: storable(part) for name, part in asdict(value).items()})
    return cast("_T", made)


def instructor_page(record: GradingRecord, title: str, given: Given, content: bytes, what: ToGrade) -> str:
    """The page for graders: the whole result and the submission's source."""
    shown = for_instructor(record, mark(record.questions, record.report, given))
    text = content[:SHOWN].decode("utf-8-sig", errors="replace")
    source = None if b"\0" in content[:SHOWN] else coloured(text)
    took = f"{record.report.cpu_seconds:.2f} s of processor, {record.report.wall_seconds:.2f} s in all"
    facts = (*details(record, what.received), ("Time", took))
    return render_result(ResultPage(title, shown, what.lateness, details=facts, source=source))


def details(record: GradingRecord, received: int | None) -> tuple[tuple[str, str], ...]:
    """Facts about a result, as (name, value): the submission, its receipt and time, the tests and the sandbox."""
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


# statistics


class Hard(Struct, frozen=True):
    """How many students have all points of a question, a part of them, and none."""

    key: str
    full: int
    part: int
    none: int

    @property
    def missed(self) -> float:
        """The share of students who do not have all points, 0 to 1."""
        everybody = self.full + self.part + self.none
        return 1 - self.full / everybody if everybody else 0.0


def hardest(records: Iterable[GradingRecord]) -> list[Hard]:
    """The questions that checks mark, hardest first: by the share of students who miss points. Leaves out failures of
    ours.
    """
    counts: dict[str, list[int]] = {}
    for record in records:
        for each in record.marks.questions:
            if each.automatic is not None:
                place = 0 if each.automatic >= each.available else 2 if each.automatic <= 0 else 1
                counts.setdefault(each.key, [0, 0, 0])[place] += 1
    return sorted((Hard(key, *three) for key, three in counts.items()), key=lambda each: -each.missed)
