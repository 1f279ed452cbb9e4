"""The plan that an instructor writes, and the assignments that students see."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, tzinfo
from enum import StrEnum

from msgspec import Struct, field
from msgspec.structs import astuple, replace

from mograder.domain import deadlines
from mograder.domain.allowance import Allowance
from mograder.domain.deadlines import Lateness, OwnPenalties, Penalties, Schedule
from mograder.domain.errors import BadRequest
from mograder.domain.letters import LetterScale
from mograder.domain.names import AssignmentName, FileName, printable

USUALLY_ACCEPTED = (".py", ".zip")
"""The file endings of submissions if the instructor names none."""


def file_ending(text: str) -> str:
    """A file ending as people write it (py, .PY, *.py), in lower case with its dot. Raises BadRequest."""
    ending = f".{text.strip().lower().removeprefix('*').removeprefix('.')}"
    if not re.fullmatch(r"\.\w[\w.+-]{0,20}", ending):
        raise BadRequest(f"{printable(text)!r} is no file ending: write .py or .zip")
    return ending


def expected_files(texts: Iterable[str]) -> tuple[str, ...]:
    """The names of the files that make a submission, as an instructor writes them. Raises BadRequest."""
    found = tuple(FileName.parse(unicodedata.normalize("NFC", each)) for each in texts)
    for each in found:
        if "." not in each.rpartition("/")[2]:
            raise BadRequest(f"{each!r} has no ending: write it with .py or another")
    if len({each.casefold() for each in found}) < len(found):
        raise BadRequest("a name is there twice")
    return found


def ends_in(filename: str, endings: Iterable[str]) -> bool:
    """Whether a file's name has one of these endings. Page, command and server all use this check."""
    return filename.lower().endswith(tuple(endings))


class ReleaseFile(Struct, frozen=True):
    """One file that students download. `url` is set if it is stored elsewhere (object storage, a CDN)."""

    name: FileName
    size: int | None = None
    sha256: str | None = None
    url: str | None = None


class PlannedQuestion(Struct, frozen=True):
    """A question that people mark, and its points."""

    key: str
    points: float


class ResultsShown(StrEnum):
    """When students see the results of checks."""

    AT_ONCE = "at-once"
    AFTER_DUE = "after-due"
    AFTER_RELEASE = "after-release"


class Rules(Struct, frozen=True):
    """The rules of one assignment; None or empty where none is given. People mark the `questions`."""

    title: str = ""
    schedule: Schedule = field(default_factory=Schedule)
    max_size: int | None = None  # bytes
    accepts: tuple[str, ...] = ()  # file endings, lower case with the dot: (".py", ".zip")
    points: float | None = None
    hidden: bool = False
    """Whether students do not see the assignment before it opens."""
    questions: tuple[PlannedQuestion, ...] = ()
    expects: tuple[str, ...] = ()  # names of the files that make a submission; empty: any
    per_hour: int | None = None  # attempts that a student has within an hour
    results: ResultsShown | None = None  # None: at once
    penalties: OwnPenalties = field(default_factory=OwnPenalties)
    counts: CountingRule | None = None  # None: as in the course
    release_at_once: bool = False
    """Whether a mark that comes from checks alone is released as soon as it exists."""

    @property
    def endings(self) -> tuple[str, ...]:
        """The file endings that a submission may have: the instructor's, else the usual and those of expected files.

        If several files are expected, a zip is always among them.
        """
        said = self.accepts or (*USUALLY_ACCEPTED, *(f".{each.rpartition('.')[2].lower()}" for each in self.expects))
        return tuple(dict.fromkeys((*said, ".zip") if len(self.expects) > 1 else said))

    def takes(self, filename: str) -> bool:
        """Whether a file of this name may be submitted; "" is a file without a name.

        A name without an ending is accepted unless the instructor names endings: some clients call every file "blob".
        """
        unsaid = not filename or not (self.accepts or "." in filename)
        return unsaid or ends_in(filename, self.endings)

    def over(self, other: Rules) -> Rules:
        """These rules, with the rules of `other` where these have none."""
        schedule = Schedule(*(
            mine if mine is not None else theirs
            for mine, theirs in zip(astuple(self.schedule), astuple(other.schedule), strict=True)
        ))  # fmt: skip
        return Rules(
            self.title or other.title,
            schedule,
            self.max_size if self.max_size is not None else other.max_size,
            self.accepts or other.accepts,
            self.points if self.points is not None else other.points,
            self.hidden or other.hidden,
            self.questions or other.questions,
            self.expects or other.expects,
            self.per_hour or other.per_hour,
            self.results or other.results,
            self.penalties.over(other.penalties),
            self.counts or other.counts,
            self.release_at_once or other.release_at_once,
        )


class Assignment(Struct, frozen=True):
    """One assignment. `entry` is its entry in a manifest, with all keys, which clients get; None without a manifest."""

    name: AssignmentName
    id: str
    files: tuple[ReleaseFile, ...] = ()
    rules: Rules = field(default_factory=Rules)
    entry: Mapping[str, object] | None = None

    @property
    def title(self) -> str:
        """Its title, else its name."""
        return self.rules.title or self.name

    def extended(self, until: int | None) -> Assignment:
        """The assignment with the times of a person whose extension ends at `until` (None: no extension)."""
        return replace(self, rules=replace(self.rules, schedule=self.rules.schedule.extended(until)))


def title_of(known: Iterable[Assignment], name: AssignmentName) -> str:
    """The title of the assignment of this name, else its name."""
    return next((each.title for each in known if each.name == name), name)


class CountingRule(StrEnum):
    """Which of a person's submissions counts: the last, or the last on time (the last if none is)."""

    LATEST = "latest"
    ON_TIME = "on-time"


REGRADE_DAYS: float = 7
"""Days in which a released mark can be disputed, by default."""

EDIT_PLACEHOLDERS = ("content_lz", "url", "filename", "assignment")
"""The placeholders (in braces) of a template: the file's text, LZ-String compressed for a URL; percent-encoded, the
address and the name of the file, and the name of the assignment."""


class LatePolicy(Struct, frozen=True):
    """The rules for late submissions of one assignment: what they cost, and which submission counts.

    Days end by the clocks of `zone`.
    """

    penalties: Penalties = field(default_factory=Penalties)
    counts: CountingRule = CountingRule.LATEST
    zone: tzinfo = UTC

    def lateness(self, due: int | None, received: int) -> Lateness:
        """How late a submission received at `received` and due at `due` is, and what that costs."""
        return deadlines.lateness(due, received, self.penalties, self.zone)

    @property
    def words(self) -> str:
        """The policy in one sentence: which submission counts, and what late work costs."""
        late, minutes = self.penalties, self.penalties.grace / deadlines.MINUTE
        counts = f"the last submission {'on time ' if self.counts is CountingRule.ON_TIME else ''}counts"
        grace = f"up to {minutes:g} min after the due time is on time"
        if not late.enabled:
            return f"{counts}; {grace}; late work costs nothing"
        told = "which is taken off released marks" if late.apply else "which is told beside released marks"
        return f"{counts}; {grace}; each day begun costs {late.per_day:g} %, at most {late.most:g} %, {told}"


class Plan(Struct, frozen=True):
    """The content of the course's mograder.toml. `url` is the address at which students reach the course, "" for none.

    `zone` is the course's time zone. `penalties`, `counts`, `per_hour` and `results` apply to assignments without their
    own. An `enrollment_code` of "" means none. `edit_links` maps names of editors to templates of links that open a
    file in them (see EDIT_PLACEHOLDERS). A released mark can be disputed for `regrade_days`; 0: never. Once there are
    `max_people` accounts, the enrollment code adds no more; `allowance` is what each person may submit. `letters` is
    empty if marks have no letters.
    """

    title: str = ""
    url: str = ""
    rules: Mapping[AssignmentName, Rules] = field(default_factory=dict)
    zone: tzinfo = UTC
    penalties: Penalties = field(default_factory=Penalties)
    counts: CountingRule = CountingRule.LATEST
    enrollment_code: str = ""
    edit_links: Mapping[str, str] = field(default_factory=dict)
    max_people: int = 2000
    allowance: Allowance = field(default_factory=Allowance)
    regrade_days: float = REGRADE_DAYS
    letters: LetterScale = field(default_factory=LetterScale)
    per_hour: int | None = None
    results: ResultsShown | None = None

    def rules_of(self, name: AssignmentName) -> Rules:
        """The rules of an assignment; its name may have another Unicode form than in the plan."""
        said = self.rules.get(name)
        if said is None and not name.isascii():
            said = next((rules for each, rules in self.rules.items() if each.key == name.key), None)
        return Rules(per_hour=self.per_hour, results=self.results) if said is None else said

    def late_policy(self, name: AssignmentName) -> LatePolicy:
        """The late policy of an assignment: its own rules, else the course's."""
        own = self.rules_of(name)
        return LatePolicy(own.penalties.over(self.penalties), own.counts or self.counts, self.zone)

    @property
    def course_policy(self) -> LatePolicy:
        """The late policy of assignments without their own rules."""
        return LatePolicy(self.penalties, self.counts, self.zone)


def find_assignment(known: tuple[Assignment, ...], text: str) -> Assignment | None:
    """The assignment called `text`, in any Unicode form, else the one whose id is `text`, else None."""
    key = AssignmentName(text).key
    by_name = next((each for each in known if each.name == text), None)
    by_name = by_name or next((each for each in known if each.name.key == key), None)
    return by_name or next((each for each in known if each.id == text), None)
