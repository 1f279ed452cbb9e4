"""The requests and replies of the protocol, one type each.

Invariant: a key is never renamed or removed, since clients in the field are not updated together with the server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import asdict, replace

from mograder.domain.access import Account, ExternalId, Role
from mograder.domain.deadlines import SECOND
from mograder.domain.extensions import Decision
from mograder.domain.rules import RuleTexts

if TYPE_CHECKING:  # a client does not need these modules at run time
    from mograder.domain.audit import AuditLine
    from mograder.domain.extensions import Extension
    from mograder.domain.roster import Person
    from mograder.domain.rule_editor import RulesAsText

T = TypeVar("T")
Maybe: TypeAlias = T | UnsetType
"""A key that is left out of the JSON if it has no value, as clients in the field cannot read null."""


def given(value: T | None) -> T | UnsetType:
    """`value`, or UNSET for None."""
    return UNSET if value is None else value


# requests


class Register(Struct, frozen=True):
    """Claim a user name with the shared enrollment code or a personal one-time code.

    `claim_key` is a random text that the client chose, 32 to 200 characters. A client that lost the reply may retry
    with the same key within an hour, and gets the same reply.
    """

    user: str
    enrollment_code: str | None = None
    claim_key: str | None = None


class NewPerson(Struct, frozen=True):
    """`name` is the display name; `ids` are those of other systems, such as "canvas_id" or "student_id"."""

    user: str
    name: str = ""
    role: Role = Role.STUDENT
    email: str = ""
    sections: list[str] = field(default_factory=list)
    ids: list[ExternalId] = field(default_factory=list)


class NewPeople(Struct, frozen=True):
    """All people are added, or none. With `update`, people who are on the roster get the given details.

    `remove` are user names to remove from the roster in the same transaction.
    """

    people: list[NewPerson]
    update: bool = False
    remove: list[str] = field(default_factory=list)


def new_person(person: Person) -> NewPerson:
    return NewPerson(
        person.username, person.name, person.role, person.email, list(person.sections), list(person.ids)
    )  # fmt: skip


def parse_people(people: Iterable[NewPerson]) -> list[Person]:
    """The people to put on the roster. Raises BadName or BadRequest."""
    from mograder.domain.roster import Person

    return [
        Person.parse(each.user, each.name, each.role, each.email, each.sections, each.ids) for each in people
    ]  # fmt: skip


class NewRole(Struct, frozen=True):
    role: Role


class NewName(Struct, frozen=True):
    """The display name of a person; "" removes it."""

    name: str


class NewCodes(Struct, frozen=True):
    """`everybody` confirms that everybody's token is to be revoked: a request sent by mistake changes nothing."""

    everybody: bool


class Announcement(Struct, frozen=True):
    """A file that is about to be submitted: its SHA-256 in lower-case hex, and its size in bytes."""

    sha256: str
    size: int


class ExtensionRequest(Struct, frozen=True):
    """`until` is a date (2030-02-08), a date and time, or an amount after the due time: +3d, +12h, +90m, +1w."""

    until: str
    reason: str = ""


class ExtensionChange(Struct, frozen=True):
    """One decision. `until` is as in a request; "" grants the requested time. The person sees `note`."""

    user: str
    assignment: str
    decision: Decision
    until: str = ""
    note: str = ""


class ExtensionChanges(Struct, frozen=True):
    """All changes are made, or none."""

    changes: list[ExtensionChange]


class NewRules(Struct, frozen=True):
    """Changes of an assignment's rules, written as in `RulesInfo`. A missing key stays as it is; "" removes it.

    `tag` is that of the rules that the client has read.
    """

    tag: str
    title: Maybe[str] = UNSET
    opens: Maybe[str] = UNSET
    due: Maybe[str] = UNSET
    closes: Maybe[str] = UNSET
    max_size: Maybe[str] = UNSET
    accepts: Maybe[str] = UNSET
    points: Maybe[str] = UNSET
    hidden: Maybe[str] = UNSET
    files: Maybe[str] = UNSET
    counts: Maybe[str] = UNSET
    penalties: Maybe[str] = UNSET
    grace_minutes: Maybe[str] = UNSET
    per_day: Maybe[str] = UNSET
    max_penalty: Maybe[str] = UNSET
    apply_penalties: Maybe[str] = UNSET
    release_at_once: Maybe[str] = UNSET


# replies


class Health(Struct, frozen=True):
    status: str = "ok"


class Registered(Struct, frozen=True):
    token: str
    user: str


class ReleaseFileInfo(Struct, frozen=True):
    """`url` is a path on this server or an absolute URL. `size` is in bytes, `sha256` lower-case hex."""

    filename: str
    url: str
    size: Maybe[int] = UNSET
    sha256: Maybe[str] = UNSET


class AssignmentInfo(Struct, frozen=True):
    """Times are in Unix seconds; a student gets their own, extensions included. `max_size` is in bytes; `accepts` are
    file endings, absent for any; `expected` are the names of the files that make a submission. `grace` is in seconds
    after `duedate`. `late`, `days_late` and `penalty` (percentage points) apply to a submission that arrives now.
    `per_hour` is the number of attempts that a student has within an hour.
    """

    name: str
    id: str
    files: list[ReleaseFileInfo] = field(default_factory=list)
    title: Maybe[str] = UNSET
    opens: Maybe[int] = UNSET
    duedate: Maybe[int] = UNSET
    closes: Maybe[int] = UNSET
    max_size: Maybe[int] = UNSET
    accepts: Maybe[list[str]] = UNSET
    points: Maybe[float] = UNSET
    grace: Maybe[int] = UNSET
    late: Maybe[bool] = UNSET
    days_late: Maybe[int] = UNSET
    penalty: Maybe[float] = UNSET
    expected: Maybe[list[str]] = UNSET
    per_hour: Maybe[int] = UNSET


class RulesInfo(Struct, frozen=True):
    """An assignment's rules as people write them; "" where there is none.

    Times are dates and times in `timezone`, the course's; a date alone, or a time with an offset, is understood, too.
    `max_size` is in bytes or a text such as "10 MiB"; `accepts` are file endings separated by spaces; `files` are the
    expected files, one in each line. `counts` is "latest" or "on-time"; `hidden`, `penalties` (whether late work costs
    something), `apply_penalties` and `release_at_once` are "yes" or "no"; `per_day` and `max_penalty` are percentage
    points. If `counts` or a key of the penalties is "", the course's own applies. `tag` changes whenever the rules do.
    """

    assignment: str
    title: str
    opens: str
    due: str
    closes: str
    max_size: str
    accepts: str
    points: str
    timezone: str
    tag: str
    hidden: str = ""
    files: str = ""
    counts: str = ""
    penalties: str = ""
    grace_minutes: str = ""
    per_day: str = ""
    max_penalty: str = ""
    apply_penalties: str = ""
    release_at_once: str = ""


def rules_info(planned: RulesAsText) -> RulesInfo:
    return RulesInfo(planned.assignment, **asdict(planned.texts), timezone=planned.zone, tag=planned.tag)


def new_texts(before: RuleTexts, wanted: NewRules) -> RuleTexts:
    """The rules `before` with the `wanted` changes."""
    said = {name: getattr(wanted, name) for name in RuleTexts.__struct_fields__}
    return replace(before, **{key: text for key, text in said.items() if text is not UNSET})


class Committed(Struct, frozen=True):
    """If the file arrives before `until`, the moment `committed` counts. Both are in Unix seconds."""

    user: str
    assignment: str
    sha256: str
    size: int
    committed: float
    until: float
    late: bool
    status: str = "ok"


class Submitted(Struct, frozen=True):
    """An accepted submission. `filename` is the name of the latest file, `version` that of the stored version.

    `receipt` is a compact JWS that states all of it. `repeated` means that the latest version has these bytes.
    `received` is the moment that counts; if it is that of a commitment, `arrived` is when the file arrived; both are in
    Unix seconds. `penalty` is in percentage points, and `explanation` says how it was calculated. `counts` is the
    version that counts now, by the course's `rule`, "latest" or "on-time". `by` is the sender, `name` the sender's name
    of the file.
    """

    filename: str
    version: str
    user: str
    assignment: str
    attempt: int
    size: int
    sha256: str
    received: float
    receipt: str
    repeated: bool = False
    status: str = "ok"
    by: Maybe[str] = UNSET
    duedate: Maybe[int] = UNSET
    late: Maybe[bool] = UNSET
    days_late: Maybe[int] = UNSET
    penalty: Maybe[float] = UNSET
    explanation: Maybe[str] = UNSET
    arrived: Maybe[float] = UNSET
    counts: Maybe[str] = UNSET
    rule: Maybe[str] = UNSET
    name: Maybe[str] = UNSET


class SubmissionInfo(Struct, frozen=True):
    """One person's latest submission, or the one for which `which` asks. Times are in Unix seconds.

    A file that was put there by hand has no `received` and none of the keys after it. `counts` is the version that
    counts; `name` is the sender's name of the file.
    """

    username: str
    filename: str
    url: str
    timemodified: float
    size: int
    sha256: str
    counts: Maybe[str] = UNSET
    version: Maybe[str] = UNSET
    received: Maybe[float] = UNSET
    by: Maybe[str] = UNSET
    late: Maybe[bool] = UNSET
    days_late: Maybe[int] = UNSET
    penalty: Maybe[float] = UNSET
    explanation: Maybe[str] = UNSET
    name: Maybe[str] = UNSET


class ReceiptInfo(Struct, frozen=True):
    """One accepted submission. `receipt` is the compact JWS that states it, `number` its position in the chain.

    `hash` is the SHA-256 of `receipt`, which the next receipt of the chain holds. `received` and `duedate` are in Unix
    seconds; `late` is by the rules of that moment. `url` is the address of the version's bytes, `name` the sender's
    name of the file.
    """

    number: int
    hash: str
    user: str
    assignment: str
    attempt: int
    version: str
    size: int
    sha256: str
    received: float
    by: str
    url: str
    receipt: str
    late: Maybe[bool] = UNSET
    duedate: Maybe[int] = UNSET
    name: Maybe[str] = UNSET


class ChainHead(Struct, frozen=True):
    """The number and hash of the last receipt of the course; 0 and "" without receipts."""

    number: int
    hash: str


class KeySet(Struct, frozen=True):
    """A JWK Set (RFC 7517): the public keys of the course's receipts, the present one first."""

    keys: list[dict[str, str]]


class GradeInfo(Struct, frozen=True):
    """One entry of an assignment's grades. `visible` says whether the student sees it.

    `fields` is the stored entry, with every key that any upload had.
    """

    username: str
    grade: str | None
    feedback: str
    visible: bool
    fields: dict[str, Any]


class GradedQuestionInfo(Struct, frozen=True):
    """A question and its points."""

    key: str
    available: float


class GradebookRowInfo(Struct, frozen=True):
    """One person's result. `grade` is before late penalties, `penalised` after them; null for none.

    `received` is the time of the submission that counts (Unix seconds), which was `late` seconds late. `points` are the
    known points by question. `version` is that of the stored entry, on which an upload can be based. `again`: the
    submission that counts is newer than the grade.
    """

    user: str
    name: str
    email: str
    sections: list[str]
    ids: list[ExternalId]
    grade: str | None
    penalised: str | None
    feedback: str
    draft: bool
    late: int
    points: dict[str, float]
    version: str
    received: Maybe[float] = UNSET
    again: Maybe[bool] = UNSET


class GradebookInfo(Struct, frozen=True):
    """Everybody's results of an assignment. `draft` grades are not shown to students."""

    questions: list[GradedQuestionInfo]
    people: list[GradebookRowInfo]


class GradesStored(Struct, frozen=True):
    """`count` is the number of grades of the assignment in all, `received` the number in this request.

    `unknown` are the names of people in this request who have neither registered nor submitted.
    """

    count: int
    received: int
    unknown: list[str] = field(default_factory=list)
    status: str = "ok"


class ExtensionInfo(Struct, frozen=True):
    """More time for one person. `state` is "asked", "granted", "declined" or "withdrawn"; times are in Unix seconds.

    `until` is the granted due time, `note` the instructor's remark; `wanted` is the requested due time, `reason` the
    person's reason.
    """

    user: str
    assignment: str
    state: str
    note: str
    reason: str
    until: Maybe[float] = UNSET
    wanted: Maybe[float] = UNSET


def extension_info(extension: Extension) -> ExtensionInfo:
    until, wanted = (
        given(moment / SECOND if moment is not None else None) for moment in (extension.until, extension.wanted)
    )
    return ExtensionInfo(
        extension.username, extension.assignment, extension.state.value, extension.note, extension.reason, until, wanted
    )


class Status(Struct, frozen=True):
    """`status` is "new" or "submitted". `duedate` and `closes` are the person's own, extension included.

    `attempts` is the number of versions; `counts` is the version that counts by the course's `rule`, and `received`,
    `late`, `days_late`, `penalty` (percentage points), `explanation` and `by` belong to it. Times are in Unix seconds.
    `again`: that version is newer than the grade, and is to be graded again. `attempts_left` are those of this hour,
    where they are limited; if none is left, `next_attempt` is when the next submission is accepted.
    """

    status: str
    graded: bool
    grade: str | None
    feedback: str
    feedback_available: bool
    duedate: Maybe[int] = UNSET
    closes: Maybe[int] = UNSET
    attempts: Maybe[int] = UNSET
    rule: Maybe[str] = UNSET
    counts: Maybe[str] = UNSET
    received: Maybe[float] = UNSET
    by: Maybe[str] = UNSET
    late: Maybe[bool] = UNSET
    days_late: Maybe[int] = UNSET
    penalty: Maybe[float] = UNSET
    explanation: Maybe[str] = UNSET
    extension: Maybe[ExtensionInfo] = UNSET
    again: Maybe[bool] = UNSET
    attempts_left: Maybe[int] = UNSET
    next_attempt: Maybe[float] = UNSET


class CheckInfo(Struct, frozen=True):
    """`status` is success, partial, danger, warn or not_run; `messages` are those of failed conditions."""

    label: str
    status: str
    messages: list[str]
    hidden: bool = False


class QuestionInfo(Struct, frozen=True):
    """`points` is null until the question is marked; `concealed`: it has checks that are not shown."""

    key: str
    available: float
    points: float | None
    status: str | None
    concealed: bool
    checks: list[CheckInfo]


class FailureInfo(Struct, frozen=True):
    """A failed cell of the submission; `line` is that in the file."""

    cell: str
    line: int | None
    error: str
    traceback: str


class ResultInfo(Struct, frozen=True):
    """The result of one submission, as far as the sender of the request may see it.

    `outcome` is graded, code_failed, limit or our_failure. Checks give `points` out of `possible`, null if they mark
    nothing. `by_hand` are the keys of questions that people still have to mark. `limits` are the reached limits in
    words. `changed_cells` is the number of the instructor's cells that the submission has changed. `statement` is the
    result signed by the course, as proof: a compact JWS that names the receipt.
    """

    attempt: int
    outcome: str
    summary: str
    points: float | None
    possible: float
    by_hand: list[str]
    questions: list[QuestionInfo]
    other_checks: list[CheckInfo]
    failures: list[FailureInfo]
    limits: list[str]
    changed_cells: int
    isolated: bool
    statement: str = ""


class GradingInfo(Struct, frozen=True):
    """The grading of the newest submission: `state` is nothing, waiting, running, failed or graded.

    `place` is its place in the queue while it waits, 1 for the next. Meanwhile `result` may be that of an earlier
    submission. `error` tells instructors why the grader failed. `withheld` is "after-due" or "after-release" if the
    student does not see results before that.
    """

    state: str
    attempt: int | None = None
    place: int | None = None
    result: ResultInfo | None = None
    error: str = ""
    withheld: Maybe[str] = UNSET


class QueueInfo(Struct, frozen=True):
    """The state of grading, for monitoring. Moments are in Unix seconds.

    `waiting` counts submissions without a result, `running` those of them that are being graded; `oldest` is when the
    first was received. `retried` counts submissions whose grading failed and is repeated, `failed` those that were
    given up; `error` is the newest reason. `graded` is when the last result was made.
    """

    waiting: int
    running: int
    oldest: float | None
    retried: int
    failed: int
    error: str
    graded: float | None


class FeedbackStored(Struct, frozen=True):
    files: list[str]
    status: str = "ok"


class RosterEntry(Struct, frozen=True):
    """One person. `state` is "unclaimed", "claimed" or "removed".

    `code` is the personal code with which the person registers; it is returned only once, when it is made. `email`,
    `sections` and `ids` (of other systems) come from a roster.
    """

    user: str
    name: str
    role: Role
    state: str
    code: Maybe[str] = UNSET
    email: Maybe[str] = UNSET
    sections: Maybe[list[str]] = UNSET
    ids: Maybe[list[ExternalId]] = UNSET


def roster_entry(account: Account, code: str = "") -> RosterEntry:
    state = "removed" if account.removed else "claimed" if account.bound else "unclaimed"
    return RosterEntry(
        account.username, account.name, account.role, state, given(code or None), given(account.email or None),
        given(list(account.sections) or None), given(list(account.ids) or None),
    )  # fmt: skip


class EventInfo(Struct, frozen=True):
    """One line of the audit log: who did what to whom or to what. `moment` is in Unix seconds.

    Repeats within an hour are one line: `count` events since `first` (Unix seconds). Both are absent for a single one.
    """

    moment: float
    actor: str
    action: str
    subject: str
    detail: str
    count: Maybe[int] = UNSET
    first: Maybe[float] = UNSET


def event_info(line: AuditLine) -> EventInfo:
    event = line.event
    count, first = (line.count, line.first / SECOND) if line.count > 1 else (None, None)
    return EventInfo(
        event.moment / SECOND, event.actor, event.action, event.subject, event.detail,
        given(count), given(first),
    )  # fmt: skip


class LoginLink(Struct, frozen=True):
    """`url` logs its holder in to the pages; it works once, until `expires` (Unix seconds)."""

    url: str
    expires: float


class Problem(Struct, frozen=True):
    """An error: a text for people, and a code for programs."""

    error: str
    code: str
