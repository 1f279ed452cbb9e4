"""Compares a course in a database with its chain of receipts: finds every alteration, removal and insertion.

Invariant: nothing is changed, servers may run meanwhile, and only signatures and checksums are trusted.
"""

from __future__ import annotations

from collections.abc import Sequence

from mograder.domain.chain import Tombstone
from mograder.domain.errors import Unreadable, VerificationFailed
from mograder.domain.receipts import Head, Receipt, Signer
from mograder.signing import Ed25519Signer
from mograder.store.postgres.store import PostgresStore
from mograder.store.shared.evidence import Record, Verified, broken_chain, broken_results, check_bytes
from mograder.store.shared.findings import Findings, error, lasting
from mograder.store.shared.grading_rows import RESULT_COLUMNS, result_of

MEND = "restore the database from a backup; the students' own receipts show what was submitted"

BEHIND_THE_END = (
    "SELECT number FROM receipts WHERE course = %s "
    "AND number > (SELECT number FROM chains WHERE chains.course = receipts.course) ORDER BY number"
)

RESULTS = f"SELECT {RESULT_COLUMNS} FROM grading_results WHERE course = %s ORDER BY receipt, graded"


class PostgresEvidence:
    """One course of a database. It may be verified repeatedly."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store

    def own_signer(self) -> Ed25519Signer:
        """A signer with the course's key. Raises Unreadable when the key is missing or invalid."""
        try:
            return Ed25519Signer(self.store.keys.signing_key(self._no_key))
        except ValueError as problem:
            raise Unreadable("the course's key cannot be read", f"{problem}: restore it, or give --keys") from None

    def _no_key(self) -> bytes:
        raise Unreadable("the course has no key yet, and so no receipts", f"course {self.store.course}")

    def verify(self, signer: Signer | None, kept: Sequence[Head] = ()) -> Verified:
        """As `Evidence.verify`. Raises Unreadable and Temporary."""
        trusted = signer or self.own_signer()
        findings = lasting(lambda: self._everything(trusted, kept))
        record = self._record()
        return Verified(findings, record.head, len(record.receipts), len(record.erased))

    def _record(self) -> Record:
        links = list(self.store.submissions.chain())
        receipts = [each for each in links if isinstance(each, Receipt)]
        return Record(receipts, [each for each in links if isinstance(each, Tombstone)])

    def _everything(self, signer: Signer, kept: Sequence[Head]) -> Findings:
        where = f"course {self.store.course}"
        end = self.store.submissions.head()  # before the record, which then contains this end
        record = self._record()
        yield from broken_chain(record.links, signer, [*kept, end], where, MEND)
        for (number,) in self.store.tables.read(BEHIND_THE_END):
            yield error(f"receipt {number} stands behind the end of the chain", where, MEND)
        results = map(result_of, self.store.tables.read(RESULTS))
        yield from broken_results(results, record.receipts, signer, where, MEND)
        for receipt in record.receipts:
            try:
                check_bytes(receipt, self.store.submissions.pieces(receipt))
            except (VerificationFailed, Unreadable) as problem:
                kept_as = f"{receipt.submission.assignment}/{receipt.submission.filename}"
                yield error(problem.message, f"{where}: {kept_as}", MEND)
