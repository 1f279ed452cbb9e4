"""Appends submissions to a course's chain of receipts, inside a transaction of either store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import ChainPosition, Head, Issue, NewSubmission, Receipt, free_filename
from mograder.domain.submissions import Accepted


class ChainEnd(Protocol):
    """The end of the chain as it is committed, locked by the open transaction."""

    @property
    def head(self) -> Head: ...

    def latest(self, assignment: AssignmentName, username: Username) -> Receipt | None:
        """The last receipt of a person for an assignment."""
        ...

    def is_taken(self, submission: NewSubmission, latest: Receipt | None, filename: str) -> bool:
        """Whether a version of the person is called so; `latest` is the person's last receipt."""
        ...


class ChainAppender:
    """Gives submissions the next places in the chain. The receipts in `new` are to be written by the store."""

    def __init__(self, end: ChainEnd) -> None:
        self._end = end
        self.head = end.head
        self.new: list[Receipt] = []
        self._latest: dict[tuple[AssignmentName, Username], Receipt] = {}
        self._names: set[tuple[AssignmentName, str]] = set()

    def append(
        self, submission: NewSubmission, issue: Issue, keep: Callable[[Accepted], None] = lambda accepted: None
    ) -> Accepted:
        """Give a submission the next place. What `issue` or `keep` raises leaves the chain unchanged.

        `keep` makes sure of the bytes before the place is taken.
        """
        key = submission.assignment, submission.username
        latest = self._latest.get(key) or self._end.latest(*key)

        def is_taken(filename: str) -> bool:
            new = (submission.assignment, filename) in self._names
            return new or self._end.is_taken(submission, latest, filename)

        filename = free_filename(submission.username, submission.received, is_taken)
        receipt = issue(ChainPosition(self.head.number + 1, self.head.hash, latest, filename))
        accepted = Accepted(receipt, repeated=receipt is latest)
        keep(accepted)
        if not accepted.repeated:
            self.head = Head(receipt.number, receipt.hash)
            self.new.append(receipt)
            self._latest[key] = receipt
            self._names.add((submission.assignment, filename))
        return accepted
