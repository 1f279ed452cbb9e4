"""The next positions in a chain: how many queries they take."""

from __future__ import annotations

from mograder.domain.allowance import Usage
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import Head, NewSubmission, Receipt, issue_receipt, stem_of, version_filename
from mograder.store.shared.chain import ChainAppender
from mograder.store.shared.files import MemoryBudget, Spool
from tests.contract.parts import SIGNER
from tests.parts import ALICE, HW1, NOON, SECOND, filled


class CountingChain:
    """A chain in which the person has a version for every second of the hour from `first` on; counts queries."""

    head = Head()

    def __init__(self, first: int) -> None:
        self.names = {version_filename(ALICE, first + number * SECOND) for number in range(3600)}
        self.queries = 0

    def latest(self, assignment: AssignmentName, username: Username) -> Receipt | None:
        self.queries += 1
        return None

    def is_taken(self, assignment: AssignmentName, filename: str) -> bool:
        self.queries += 1
        return stem_of(filename) in map(stem_of, self.names)

    def last_filename(self, assignment: AssignmentName, username: Username) -> str:
        self.queries += 1
        return max(self.names)

    def usage(self, submission: NewSubmission) -> Usage:
        self.queries += 1
        return Usage()


def queries_of(together: int, tmp_path: object, first: int = NOON) -> tuple[float, set[str]]:
    end = CountingChain(first)
    chain = ChainAppender(end)
    for number in range(together):
        upload = filled(Spool(str(tmp_path), MemoryBudget()), b"%d" % number)
        new = NewSubmission(ALICE, HW1, ALICE, NOON, upload)
        chain.append(new, issue_receipt(new, SIGNER, "course"))
        upload.discard()
    names = {each.submission.filename for each in chain.new}
    assert not names & end.names
    return end.queries / together, names


def test_many_submissions_within_one_second_need_few_queries_each(tmp_path: object) -> None:
    for together in (1, 100):
        queries, names = queries_of(together, tmp_path)
        assert len(names) == together
        assert queries <= 6


def test_versions_dated_in_the_future_need_few_queries_each(tmp_path: object) -> None:
    queries, names = queries_of(100, tmp_path, NOON + 2400 * SECOND)
    assert len(names) == 100
    assert queries <= 6
