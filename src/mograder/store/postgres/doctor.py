"""Checks a course in a database, also while it is served. Nothing is changed."""

from __future__ import annotations

from mograder.domain.contents import contents
from mograder.domain.errors import MograderError
from mograder.store.postgres.evidence import PostgresEvidence
from mograder.store.postgres.rows import SOURCES, read_listing
from mograder.store.postgres.store import PostgresStore
from mograder.store.shared.findings import Finding, error, note, warning
from mograder.store.shared.grading_state import grading_state


def check(store: PostgresStore, now: int) -> list[Finding]:
    """Findings about the chain of receipts, the bytes of every submission, files that are not in force, and grading.

    `now` is in Unix microseconds. Raises Temporary.
    """
    where, found = f"course {store.course}", list[Finding]()
    if store.submissions.head().number:
        try:
            found += PostgresEvidence(store).verify(None).findings
        except MograderError as problem:
            found.append(error(problem.message, where, "restore the database from a backup"))
    report = contents(store.release.assignments(), store.config.plan(), store.survey())
    for each in report.left_out:
        found.append((note if each.expected else warning)(f"left out: {each}", each.where or where, each.mend))
    with_tests = read_listing(store.tables.document(SOURCES) or "{}")
    ready, waiting = store.jobs.readiness().values(), store.jobs.waiting(now)
    return [*found, *grading_state(ready, with_tests, waiting, now, where)]
