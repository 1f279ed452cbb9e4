"""Verification that both stores share: checks of the receipts, of signed results, and of submitted bytes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property

from msgspec import Struct

from mograder.domain.chain import Link, Tombstone, find_breaks
from mograder.domain.errors import BadRequest, VerificationFailed
from mograder.domain.grading_jobs import Result
from mograder.domain.names import some_of
from mograder.domain.receipts import Head, Receipt, Signer
from mograder.store.shared.findings import Finding, Findings, error
from mograder.wire.records import KIND, record_of


class Record(Struct, frozen=True, dict=True):
    """The receipts of a course at one moment, and the tombstones of those that were erased."""

    receipts: list[Receipt]
    erased: list[Tombstone]

    @cached_property
    def links(self) -> list[Link]:
        return sorted([*self.receipts, *self.erased], key=lambda link: link.number)

    @property
    def head(self) -> Head:
        with contextlib.suppress(ValueError, IndexError):
            return Head(self.links[-1].number, self.links[-1].hash)
        return Head()


class Verified(Struct, frozen=True):
    """The outcome of a verification. Without `findings`, nothing was altered, removed or inserted."""

    findings: list[Finding]
    head: Head
    receipts: int
    erased: int


def broken_chain(
    links: Sequence[Link], signer: Signer | None, kept: Sequence[Head], where: object, mend: str
) -> Findings:
    """Findings about receipts that differ from what was signed, and one finding about all unsigned receipts."""
    breaks = list(find_breaks(links, signer, kept))
    unsigned = [str(each.number) for each in breaks if each.unsigned]
    for each in breaks:
        if not each.unsigned:
            yield error(each.what, where, mend)
    if unsigned:
        what = f"{len(unsigned)} of {len(links)} receipts are not signed with the course's key: {some_of(unsigned)}"
        yield error(what, where, "restore the key, or the receipts, from a backup")


def broken_results(
    results: Iterable[Result], receipts: Iterable[Receipt], signer: Signer, where: object, mend: str
) -> Findings:
    """Findings about results that the course did not sign, or that belong to another submission."""
    submissions = {each.number: each.submission for each in receipts}
    for result in results:
        name = f"the result of {result.username} for {result.assignment} (receipt {result.receipt})"
        try:
            record = record_of(signer.verify(result.signed, KIND))
        except (VerificationFailed, BadRequest) as problem:
            yield error(f"{name} cannot be believed: {problem.message}", where, mend)
            continue
        stated = (record.receipt, record.tested.tests, record.assignment, record.username, record.graded)
        kept = submissions.get(result.receipt)
        if stated != (result.receipt, result.tests, result.assignment, result.username, result.graded):
            yield error(f"{name} was altered: another result was signed", where, mend)
        elif kept is None or (kept.username, kept.sha256) != (record.username, record.submission.sha256):
            yield error(f"{name} is about another submission than the receipt", where, mend)
        elif faults := record.faults():
            yield error(f"{name} does not follow from its checks: {'; '.join(faults)}", where, mend)


def check_bytes(receipt: Receipt, pieces: Iterable[bytes]) -> None:
    """Raises VerificationFailed unless the pieces are the bytes that were submitted."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    if digest.hexdigest() != receipt.submission.sha256:
        kept = receipt.submission
        raise VerificationFailed(f"{kept.assignment}/{kept.filename} is not what receipt {receipt.number} says")
