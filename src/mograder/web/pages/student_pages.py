"""What a student's pages show."""

from __future__ import annotations

from dataclasses import dataclass

from mograder.domain import deadlines
from mograder.domain.assignments import Assignment, HandOut, Which
from mograder.domain.counting import Judged
from mograder.domain.course import Standing
from mograder.domain.deadlines import IN_TIME, Lateness, Penalties
from mograder.domain.extensions import Extension, State
from mograder.domain.receipts import Receipt
from mograder.web.pages.page import Page


@dataclass(frozen=True)
class Mine:
    """An assignment, and how the student stands in it."""

    assignment: Assignment
    standing: Standing

    @property
    def title(self) -> str:
        return self.assignment.rules.title or self.assignment.name

    @property
    def due(self) -> int | None:
        """The student's own due time."""
        return self.standing.schedule.due

    @property
    def closes(self) -> int | None:
        return self.standing.schedule.closes

    @property
    def extension(self) -> Extension | None:
        return self.standing.extension

    @property
    def extended(self) -> bool:
        return self.extension is not None and self.extension.until is not None

    @property
    def grade(self) -> str | None:
        return self.standing.grade.grade if self.standing.grade else None


@dataclass(frozen=True)
class Home(Page):
    """A student's course at a glance."""

    template = "home.html"
    heading = "Your assignments"
    works: tuple[Mine, ...]


@dataclass(frozen=True)
class WorkFile:
    """A file to work on, with the links that open it in an editor: (the editor's name, the address).

    `place` is the folder of the course that has it, and its name there; None when it lives elsewhere.
    """

    file: HandOut
    place: tuple[str, str] | None
    editors: tuple[tuple[str, str], ...] = ()

    @property
    def elsewhere(self) -> bool:
        return self.place is None and str(self.file.url).startswith(("https://", "http://"))


@dataclass(frozen=True)
class MyAssignment(Page):
    """One assignment: its files, handing in, what was handed in, grade and feedback.

    `limit` is the most bytes and `accepts` are the endings that a hand-in may have; `now_late` is what a hand-in of
    this moment would be. `received` is the hand-in that has just been taken, `repeated` when it was there already.
    `problem` says why the last try of handing in failed, `ask_problem` that of asking for more time, "" without any.
    """

    template = "my_assignment.html"
    mine: Mine
    files: tuple[WorkFile, ...]
    limit: int
    accepts: tuple[str, ...]
    penalties: Penalties
    zone: str
    now_late: Lateness = IN_TIME
    received: Judged | None = None
    repeated: bool = False
    problem: str = ""
    ask_problem: str = ""

    @property
    def title(self) -> str:
        return self.mine.title

    @property
    def closed(self) -> bool:
        return deadlines.is_over(self.mine.closes, self.frame.now)

    @property
    def late_after(self) -> int | None:
        """From when on a hand-in is late."""
        return None if self.mine.due is None else self.mine.due + self.penalties.grace

    @property
    def checksums(self) -> tuple[str, ...]:
        """Of what was handed out, so that it can be told from work."""
        return tuple(each.file.sha256 for each in self.files if each.file.sha256)

    @property
    def is_hand_out(self) -> bool:
        """Whether what was received is unchanged from what was handed out."""
        return self.received is not None and self.received.submission.sha256 in self.checksums

    @property
    def last_in_time_counts(self) -> bool:
        return self.mine.standing.rule is Which.ON_TIME

    @property
    def own_files(self) -> tuple[WorkFile, ...]:
        """Those that this server has, not another."""
        return tuple(each for each in self.files if each.place)

    @property
    def asked(self) -> bool:
        return self.mine.extension is not None and self.mine.extension.state is State.ASKED

    @property
    def declined(self) -> bool:
        return self.mine.extension is not None and self.mine.extension.state is State.DECLINED


@dataclass(frozen=True)
class MyReceipts(Page):
    """Every receipt of a student, the last first. `fingerprint` is that of the key that signs now."""

    template = "my_receipts.html"
    heading = "Your receipts"
    receipts: tuple[Receipt, ...]
    fingerprint: str
