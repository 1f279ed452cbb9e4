"""Converts the course's values to the types of the protocol: one function a type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from mograder.domain import deadlines
from mograder.domain.disclosure import ShownResult, limit_in_words
from mograder.domain.receipts import Receipt, latest_filename
from mograder.web.replies import Reply, json_reply
from mograder.wire import messages
from mograder.wire.endpoints import BY_NAME
from mograder.wire.paths import build_path

if TYPE_CHECKING:
    from mograder.domain.allowance import AttemptsLeft
    from mograder.domain.assignments import Assignment, ReleaseFile
    from mograder.domain.counting import ListedSubmission
    from mograder.domain.course import Course
    from mograder.domain.deadlines import Lateness
    from mograder.domain.gradebook import Gradebook, GradebookRow
    from mograder.domain.grades import GradeEntry
    from mograder.domain.grading_results import Progress, Queue
    from mograder.domain.results import CheckResult
    from mograder.domain.standings import Standing
    from mograder.domain.submissions import Accepted


def _url(assignment: Assignment, file: ReleaseFile) -> str:
    place = {"assignment": assignment.name, "file": file.name}
    return file.url or build_path(BY_NAME["release_file"], place)


def assignment_info(assignment: Assignment, course: Course, now: int) -> object:
    """An assignment as it is listed: an entry of a manifest is passed on whole, with the times that are in force."""
    rules, schedule = assignment.rules, assignment.rules.schedule
    opens, due, closes = map(seconds, (schedule.opens, schedule.due, schedule.closes))
    grace: messages.Maybe[int] = UNSET
    now_late: dict[str, Any] = {}
    per_hour = messages.given(rules.per_hour)
    if schedule.due is not None:
        policy = course.plan.late_policy(assignment.name)
        grace = policy.penalties.grace // deadlines.SECOND
        found = policy.lateness(schedule.due, now)
        now_late = {"late": found.late, "days_late": found.days, "penalty": found.penalty}
    if assignment.entry is not None:
        times = {"opens": opens, "duedate": due, "closes": closes, "grace": grace, **now_late}
        times["expected"], times["per_hour"] = messages.given(list(rules.expects) or None), per_hour
        return {**assignment.entry, **{key: value for key, value in times.items() if value is not UNSET}}
    listed = [
        messages.ReleaseFileInfo(
            each.name,
            _url(assignment, each),
            messages.given(each.size),
            messages.given(each.sha256),
        )
        for each in assignment.files
    ]
    accepts = list(rules.endings) if rules.accepts or rules.expects else []
    return messages.AssignmentInfo(
        assignment.name, assignment.id, listed, messages.given(rules.title or None), opens, due, closes,
        messages.given(rules.max_size), messages.given(accepts or None), messages.given(rules.points),
        grace, **now_late, expected=messages.given(list(rules.expects) or None), per_hour=per_hour,
    )  # fmt: skip


def submitted(course: Course, accepted: Accepted) -> Reply:
    kept = accepted.receipt.submission
    assessed, counts, rule = course.submissions.assessed(accepted.receipt)
    return json_reply(
        messages.Submitted(
            filename=latest_filename(kept.username, kept.ending),
            version=kept.filename,
            user=kept.username,
            assignment=kept.assignment,
            attempt=kept.attempt,
            size=kept.size,
            sha256=kept.sha256,
            received=kept.received / deadlines.SECOND,
            receipt=accepted.receipt.text,
            repeated=accepted.repeated,
            duedate=seconds(kept.due),
            arrived=messages.given(kept.arrived / deadlines.SECOND if kept.arrived else None),
            counts=counts,
            rule=rule.value,
            by=kept.by,
            name=messages.given(kept.name or None),
            **said_of(assessed.lateness),
        )
    )


def seconds(moment: int | None) -> messages.Maybe[int]:
    return messages.given(None if moment is None else moment // deadlines.SECOND)


def said_of(lateness: Lateness) -> dict[str, Any]:
    """The keys of a reply that say how late a submission is."""
    return {
        "late": lateness.late, "days_late": lateness.days, "penalty": lateness.penalty,
        "explanation": messages.given(lateness.explanation or None),
    }  # fmt: skip


def submission_info(assignment: Assignment, listed: ListedSubmission) -> messages.SubmissionInfo:
    file, assessed = listed.file, listed.assessed
    place = {"assignment": assignment.name, "file": file.filename}
    known: dict[str, Any] = {}
    if assessed is not None:
        kept = assessed.submission
        moment = kept.received / deadlines.SECOND
        known = {"version": kept.filename, "received": moment, "by": kept.by, **said_of(assessed.lateness)}
        known["name"] = messages.given(kept.name or None)
    url = build_path(BY_NAME["submitted_file"], place)
    return messages.SubmissionInfo(
        file.username, file.filename, url, int(file.modified), file.size, file.sha256, listed.counts, **known
    )


def receipt_info(receipt: Receipt) -> messages.ReceiptInfo:
    kept = receipt.submission
    place = {"assignment": kept.assignment, "user": kept.username, "file": kept.filename}
    return messages.ReceiptInfo(
        number=receipt.number,
        hash=receipt.hash,
        user=kept.username,
        assignment=kept.assignment,
        attempt=kept.attempt,
        version=kept.filename,
        size=kept.size,
        sha256=kept.sha256,
        received=kept.received / deadlines.SECOND,
        by=kept.by,
        url=build_path(BY_NAME["version"], place),
        receipt=receipt.text,
        late=messages.given(kept.late if kept.due is not None else None),
        duedate=seconds(kept.due),
        name=messages.given(kept.name or None),
    )


def status_reply(standing: Standing, attempts: AttemptsLeft | None = None) -> Reply:
    grade = standing.grade.grade if standing.grade else None
    return json_reply(
        messages.Status(
            status="submitted" if standing.submitted else "new",
            graded=grade is not None,
            again=messages.given(standing.again or None),
            grade=grade,
            feedback=standing.grade.feedback if standing.grade else "",
            feedback_available=standing.feedback_available,
            duedate=seconds(standing.schedule.due),
            closes=seconds(standing.schedule.closes),
            attempts=len(standing.kept),
            rule=standing.rule.value,
            extension=messages.given(messages.extension_info(standing.extension) if standing.extension else None),
            attempts_left=messages.given(attempts.left if attempts else None),
            next_attempt=messages.given(attempts.free / deadlines.SECOND if attempts and not attempts.left else None),
            **_counting(standing),
        ),
        tagged=True,
    )


def _counting(standing: Standing) -> dict[str, Any]:
    assessed = standing.counting
    if assessed is None:
        return {}
    kept = assessed.submission
    moment = kept.received / deadlines.SECOND
    return {"counts": kept.filename, "received": moment, "by": kept.by, **said_of(assessed.lateness)}


def grade_info(entry: GradeEntry) -> messages.GradeInfo:
    return messages.GradeInfo(entry.username, entry.grade, entry.feedback, entry.visible, dict(entry.fields))


def gradebook_info(gradebook: Gradebook) -> messages.GradebookInfo:
    return messages.GradebookInfo(
        [messages.GradedQuestionInfo(each.key, each.available) for each in gradebook.questions],
        [_gradebook_row(each) for each in gradebook.rows],
    )


def _gradebook_row(row: GradebookRow) -> messages.GradebookRowInfo:
    person = row.person
    return messages.GradebookRowInfo(
        person.username, person.name, person.email, list(person.sections), list(person.ids), row.grade, row.penalised,
        row.entry.feedback, row.draft, row.late, dict(row.points), row.version,
        messages.given(None if row.received is None else row.received / deadlines.SECOND),
        messages.given(row.again or None),
    )  # fmt: skip


def configured_assignment(assignment: Assignment) -> dict[str, Any]:
    """What the configuration of a student's client says about an assignment."""
    if assignment.entry is not None:
        due = _due(assignment)
        return {**assignment.entry, **({} if due is None else {"duedate": due})}
    files = [{"filename": each.name, "url": _url(assignment, each)} for each in assignment.files]
    return {"name": assignment.name, "id": assignment.id, "duedate": _due(assignment), "files": files}


def _due(assignment: Assignment) -> int | None:
    due = assignment.rules.schedule.due
    return None if due is None else due // deadlines.SECOND


def grading_info(progress: Progress) -> messages.GradingInfo:
    shown = progress.shown
    result = None if shown is None else _result_info(progress.shown_attempt or 0, shown, progress.statement)
    return messages.GradingInfo(progress.state, progress.attempt, progress.place, result, progress.error,
                                messages.given(progress.withheld))  # fmt: skip


def queue_info(queue: Queue, graded: int | None) -> messages.QueueInfo:
    troubles = (*queue.retried, *queue.failed)
    newest = max(troubles, key=lambda each: each.received).error if troubles else ""
    seconds = [None if each is None else each / deadlines.SECOND for each in (queue.oldest, graded)]
    return messages.QueueInfo(
        queue.waiting, queue.running, seconds[0], len(queue.retried), len(queue.failed), newest, seconds[1]
    )  # fmt: skip


def _result_info(attempt: int, shown: ShownResult, statement: str) -> messages.ResultInfo:
    questions = [
        messages.QuestionInfo(
            each.key, each.available, each.points, each.status, each.concealed, list(map(_check_info, each.checks))
        )
        for each in shown.questions
    ]
    failures = [messages.FailureInfo(each.cell, each.line, each.error, each.traceback) for each in shown.failures]
    marks = shown.marks
    by_hand = [each.key for each in marks.questions if each.points is None and not each.by_checks]
    return messages.ResultInfo(
        attempt, shown.outcome, shown.summary, marks.automatic, marks.possible_automatic, by_hand, questions,
        list(map(_check_info, shown.other_checks)), failures, list(map(limit_in_words, shown.limits)), shown.changed,
        shown.isolated, statement,
    )  # fmt: skip


def _check_info(check: CheckResult) -> messages.CheckInfo:
    return messages.CheckInfo(check.label, check.status, list(check.messages), check.hidden)
