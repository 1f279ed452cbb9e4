"""What `verify` finds about results of grading, in every store."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from mograder.domain.grading_jobs import LEASE, Announced, Result
from mograder.domain.names import Username
from mograder.domain.store import Store
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.evidence import Evidence
from mograder.store.folder.store import FolderStore
from mograder.store.postgres.evidence import PostgresEvidence
from mograder.store.postgres.store import PostgresStore
from mograder.store.shared import findings
from mograder.wire.records import KIND, claims_of
from tests.grading_samples import record, signed_result
from tests.parts import ALICE, BOB, HW1, NOON, submit_work


@pytest.fixture(autouse=True)
def no_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "SECOND_LOOK", 0)


def found(store: Store) -> list[str]:
    if isinstance(store, FolderStore):
        return [each.what for each in Evidence(store.folders).verify(None).findings]
    assert isinstance(store, PostgresStore)
    return [each.what for each in PostgresEvidence(store).verify(None).findings]


def forged(result: Result, other: Result, signer: Ed25519Signer) -> dict[str, Result]:
    """Forged results: what somebody who can write rows, or even sign, could store instead of a result."""
    other_signer = Ed25519Signer(new_private_key())
    better = record(username=result.username, receipt=result.receipt, points=30.0)
    of_other_bytes = signer.sign(claims_of(replace(better, points=15.8)), KIND)
    return {
        "cannot be believed": replace(result, signed=other_signer.sign(claims_of(better), KIND)),
        "cannot be believed: what": replace(result, signed="nonsense"),
        "was altered": replace(result, signed=other.signed),
        "was altered: graded": replace(result, graded=result.graded + 1),
        "was altered: tests": replace(result, tests="0" * 64),
        "is about another submission": replace(result, signed=of_other_bytes),
    }


def test_results_that_the_course_did_not_sign_for_their_receipt_are_detected(store: Store) -> None:
    signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    store.jobs.announce(HW1, Announced("t1"))
    results = []
    for user in (ALICE, BOB):
        submit_work(store, signer, Username(user), b"work of %s" % user.encode())
        job = store.jobs.claim("mine", NOON, NOON + LEASE, [HW1])
        assert job is not None
        results.append(signed_result(store, signer, job))
    sound, other = results
    (job, _) = sorted(store.jobs.waiting(NOON), key=lambda each: each.receipt)
    store.jobs.finish(job, sound)
    assert found(store) == []
    for what, result in forged(sound, other, signer).items():
        put(store, result)
        (finding,) = found(store)
        assert what.partition(":")[0] in finding
        assert "alice" in finding
    put(store, sound)
    assert found(store) == []


def put(store: Store, result: Result) -> None:
    """Write a result directly into the database or ledger."""
    values = (result.tests, result.graded, result.signed, result.receipt)
    sql = "UPDATE grading_results SET tests = {0}, graded = {0}, signed = {0} WHERE receipt = {0}"
    if isinstance(store, FolderStore):
        store.ledger.write(lambda connection: connection.execute(sql.format("?"), values))
    elif isinstance(store, PostgresStore):
        of_the_course = f"{sql.format('%s')} AND course = %s"
        store.tables.write(lambda connection: connection.execute(of_the_course, (*values, store.course)))
