"""Appends submissions to a course's chain of receipts, inside a transaction of either store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mograder.domain.allowance import Usage
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import ChainPosition, Head, Issue, NewSubmission, Receipt, free_filename, stem_of
from mograder.domain.submissions import Accepted


class ChainEnd(Protocol):
    """The end of the chain as it is committed, locked by the open transaction."""

    @property
    def head(self) -> Head: ...

    def latest(self, assignment: AssignmentName, username: Username) -> Receipt | None:
        """The last receipt of a person for an assignment."""
        ...

    def is_taken(self, assignment: AssignmentName, filename: str) -> bool:
        """Whether a version has this name, whatever its ending."""
        ...

    def last_filename(self, assignment: AssignmentName, username: Username) -> str:
        """The greatest name among a person's versions for an assignment, "" when there is none."""
        ...

    def usage(self, submission: NewSubmission) -> Usage:
        """What the person had sent when this file arrived."""
        ...

    def moments(self, submission: NewSubmission) -> list[int]:
        """When the person's own files for the assignment arrived (Unix microseconds), within an hour of this one."""
        ...


class ChainAppender:
    """Gives submissions the next positions in the chain. The store writes the receipts in `new`."""

    def __init__(self, end: ChainEnd) -> None:
        self._end = end
        self.head = end.head
        self.new: list[Receipt] = []
        self._latest: dict[tuple[AssignmentName, Username], Receipt] = {}
        self._names: dict[tuple[AssignmentName, Username], set[str]] = {}
        self._usage: dict[Username, Usage] = {}

    def append(
        self, submission: NewSubmission, issue: Issue, keep: Callable[[Accepted], None] = lambda accepted: None
    ) -> Accepted:
        """Give a submission the next position. If `issue` or `keep` raises, the chain stays unchanged.

        `keep` secures the submission's bytes before the position is taken.
        """
        key = submission.assignment, submission.username
        latest = self._latest.get(key) or self._end.latest(*key)

        names = self._names.get(key, set())
        filename = free_filename(
            submission.username,
            submission.received,
            submission.ending,
            lambda filename: stem_of(filename) in names or self._end.is_taken(submission.assignment, filename),
            lambda: max({f"{stem}." for stem in names} | {self._end.last_filename(*key)}),
        )
        usage = self._usage.get(submission.username) or self._end.usage(submission)
        receipt = issue(ChainPosition(
            self.head.number + 1, self.head.hash, latest, filename, usage, lambda: self._moments(submission)
        ))  # fmt: skip
        accepted = Accepted(receipt, repeated=receipt is latest)
        keep(accepted)
        if not accepted.repeated:
            self.head = Head(receipt.number, receipt.hash)
            self.new.append(receipt)
            self._latest[key] = receipt
            self._names.setdefault(key, set()).add(stem_of(filename))
            if submission.by == submission.username:
                usage = usage.plus(receipt.submission.received, receipt.submission.size)
            self._usage[submission.username] = usage
        return accepted

    def _moments(self, submission: NewSubmission) -> list[int]:
        """As `ChainEnd.moments`, with the receipts in `new`."""
        ours = (each.submission for each in self.new if each.submission.assignment == submission.assignment)
        new = [each.came for each in ours if each.username == each.by == submission.username]
        return [*self._end.moments(submission), *new]
