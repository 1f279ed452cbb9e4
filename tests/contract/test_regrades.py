"""What every store promises about regrades."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest

from mograder.domain.chain import make_tombstone
from mograder.domain.errors import ChangedMeanwhile
from mograder.domain.grading_jobs import LEASE, TRIES, Announced, Result
from mograder.domain.grading_rules import Hidden
from mograder.domain.names import AssignmentName
from mograder.domain.regrade_jobs import HeldRegrade, ImportedGrading, RegradeJob
from mograder.domain.store import Store
from tests.contract.parts import NOTE, SIGNER, Open
from tests.crashes import Say, die_before
from tests.parts import ALICE, BOB, HW1, NOON, submit_work

HW2 = AssignmentName("hw2")


@pytest.fixture
def graded(store: Store) -> Store:
    """A course in which alice's and bob's submissions have results of the tests t1, and t2 was announced later."""
    store.jobs.announce(HW1, Announced("t1"))
    for user in (BOB, ALICE):
        submit_work(store, SIGNER, user, b"work")
        job = store.jobs.claim("w", NOON, NOON + LEASE, [HW1])
        assert job
        store.jobs.finish(job, Result(job.receipt, "t1", HW1, user, NOON, "old"))
    store.jobs.announce(HW1, Announced("t2"))
    return store


def jobs(store: Store, regrade: str = "r1", twice: bool = False) -> list[RegradeJob]:
    receipts = store.submissions.receipts(HW1)
    return [RegradeJob(each.number, HW1, each.submission.username, regrade, NOON, twice) for each in receipts]


def take(store: Store, claim: str = "w", now: int = NOON) -> RegradeJob:
    job = store.regrades.claim(claim, now, now + LEASE, [HW1])
    assert job is not None
    return job


def new(job: RegradeJob, tests: str = "t2") -> Result:
    return Result(job.receipt, tests, HW1, job.username, NOON + 1, f"new {job.username}")


def held(store: Store) -> HeldRegrade:
    found = store.regrades.find(HW1)
    assert found is not None
    return found


def everything(found: HeldRegrade | None) -> Sequence[Result]:
    assert found is not None
    return [each.result for each in found.jobs]


def test_a_regrade_is_computed_beside_the_results_and_in_force_once_it_is_applied(
    graded: Store, open_again: Open
) -> None:
    other = open_again()
    assert (graded.regrades.find(HW1), graded.regrades.claim("w", NOON, NOON + LEASE, [HW1])) == (None, None)
    before = other.regrades.version()
    graded.regrades.start(jobs(graded, twice=True), "", NOTE)
    assert other.regrades.claim("w", NOON, NOON + LEASE, [HW2]) is None
    for user in (ALICE, BOB):
        seen, job = other.regrades.version(), take(other)
        assert (job.username, job.twice, job.tries) == (user, True, 1)
        assert other.regrades.finish(job, new(job), f"notebook of {user}".encode())
        assert len({before, seen, graded.regrades.version()}) == 3
    assert graded.regrades.claim("w", NOON, NOON + LEASE, [HW1]) is None
    found = held(graded)
    assert found == held(other)
    assert [(each.username, each.is_done("t2"), each.is_done("t3")) for each in found.jobs] == [
        (ALICE, True, False), (BOB, True, False),
    ]  # fmt: skip
    assert {each.signed for each in (*found.results, *graded.jobs.results(HW1))} == {"old"}
    version = graded.versions().results
    assert other.regrades.apply(HW1, everything, NOTE) == 2
    assert [each.signed for each in graded.jobs.results(HW1, ALICE)] == ["old", "new alice"]
    assert graded.jobs.notebook(found.jobs[0].receipt) == b"notebook of alice"
    assert (graded.regrades.find(HW1), graded.audit.events()[0]) == (None, NOTE)
    assert graded.versions().results != version


def test_results_imported_from_another_machine_bring_their_tests_and_the_regrade_is_repeated(
    graded: Store,
) -> None:
    graded.regrades.start(jobs(graded), "", NOTE)
    for _ in range(2):
        job = take(graded)
        graded.regrades.finish(job, new(job), b"of the regrade")
    imported = ImportedGrading(Announced("t3", Hidden.AFTER_DUE), {job.receipt: b"as it ran"})
    assert graded.regrades.apply(HW1, lambda _: [new(job, "t3")], NOTE, imported) == 1
    assert graded.jobs.announced()[HW1] == imported.announced
    assert [(each.tests, each.signed) for each in graded.jobs.results(HW1, job.username)][-1] == ("t3", "new bob")
    assert graded.jobs.notebook(job.receipt) == b"as it ran"
    assert [each.is_done("t3") for each in held(graded).jobs] == [False, False]


class KilledAfterFirst(list[Result]):
    """A list that kills the process that iterates over it, like kill -9, after the first item."""

    def __iter__(self) -> Iterator[Result]:
        yield self[0]
        os._exit(9)


@pytest.mark.parametrize("imported", [None, ImportedGrading(Announced("t3"), {})], ids=["applied", "imported"])
def test_a_process_killed_while_applying_a_regrade_applies_all_of_it_or_nothing(
    graded: Store, open_elsewhere: Open, imported: ImportedGrading | None
) -> None:
    graded.regrades.start(jobs(graded), "", NOTE)
    for _ in range(2):
        job = take(graded)
        graded.regrades.finish(job, new(job))
    before = held(graded), graded.jobs.results(HW1), graded.jobs.announced(), graded.audit.events()
    made = [new(each, "t3" if imported else "t2") for each in before[0].jobs]

    def act(say: Say) -> None:
        open_elsewhere().regrades.apply(HW1, lambda _: KilledAfterFirst(made), NOTE, imported)

    assert die_before(1_000_000, act).died
    assert (held(graded), graded.jobs.results(HW1), graded.jobs.announced(), graded.audit.events()) == before
    assert graded.regrades.apply(HW1, lambda _: made, NOTE, imported) == 2


def test_a_regrade_that_cannot_be_applied_changes_nothing(graded: Store, open_again: Open) -> None:
    other = open_again()
    graded.regrades.start(jobs(graded), "", NOTE)
    for _ in range(2):
        job = take(graded)
        graded.regrades.finish(job, new(job))
    seen, events = held(graded), len(graded.audit.events())

    def unchanged(found: HeldRegrade | None) -> Sequence[Result]:
        if found is None or found.version != seen.version:
            raise ChangedMeanwhile("changed")
        return everything(found)

    number = seen.jobs[0].receipt
    job = next(each for each in jobs(other) if each.receipt == number)
    for change in (
        lambda: other.jobs.announce(HW1, Announced("t3")),
        lambda: other.regrades.start(jobs(other, "r2"), "r1", NOTE),
        lambda: other.regrades.drop(HW1, "r2", NOTE),
    ):
        change()
        with pytest.raises(ChangedMeanwhile):
            graded.regrades.apply(HW1, unchanged, NOTE)
    graded.jobs.announce(HW1, Announced("t2"))
    assert {each.signed for each in graded.jobs.results(HW1)} == {"old"}
    assert len(graded.audit.events()) == events + 2
    graded.regrades.start(jobs(graded), "", NOTE)
    seen = held(graded)
    kept = Result(number, "t0", HW1, job.username, NOON + 9, "another")
    found = other.regrades.apply(HW1, lambda _: [kept], NOTE)
    assert found == 1
    graded.regrades.start(jobs(graded), "", NOTE)
    assert held(graded).version != seen.version


def test_a_regrade_is_replaced_only_by_somebody_who_has_seen_it(graded: Store) -> None:
    graded.regrades.start(jobs(graded), "", NOTE)
    lost = take(graded)
    for seen in ("", "r0"):
        with pytest.raises(ChangedMeanwhile):
            graded.regrades.start(jobs(graded, "r2"), seen, NOTE)
    assert held(graded).id == "r1"
    graded.regrades.start(jobs(graded, "r2")[:1], "r1", NOTE)
    assert [(each.regrade, each.username, each.claim) for each in held(graded).jobs] == [("r2", BOB, "")]
    assert not graded.regrades.finish(lost, new(lost))
    assert not graded.regrades.drop(HW1, "r1", NOTE)
    assert graded.regrades.drop(HW1, "r2", NOTE)
    assert graded.regrades.find(HW1) is None


def test_a_claimed_regrade_job_belongs_to_one_worker_and_is_given_up_after_some_tries(graded: Store) -> None:
    graded.regrades.start(jobs(graded)[:1], "", NOTE)
    lost = take(graded)
    assert graded.regrades.renew(lost, NOON + 2 * LEASE)
    assert graded.regrades.claim("other", NOON + LEASE, NOON + 2 * LEASE, [HW1]) is None
    now = NOON + 2 * LEASE
    assert take(graded, "other", now).tries == 2
    for change in (
        graded.regrades.renew(lost, now), graded.regrades.fail(lost, "late", now),
        graded.regrades.finish(lost, new(lost)),
    ):  # fmt: skip
        assert not change
    for tries in range(3, TRIES + 1):
        now += LEASE
        job = take(graded, f"w{tries}", now)
        assert graded.regrades.fail(job, "no sandbox", now + LEASE)
    assert graded.regrades.claim("w", now + LEASE, now + 2 * LEASE, [HW1]) is None
    assert [(each.error, each.is_given_up(now)) for each in held(graded).jobs] == [("no sandbox", True)]


def test_tests_that_change_during_a_regrade_restart_it(graded: Store) -> None:
    graded.regrades.start(jobs(graded)[:1], "", NOTE)
    job = take(graded)
    graded.regrades.finish(job, new(job))
    graded.jobs.announce(HW1, Announced("t3"))
    again = take(graded)
    assert (again.receipt, again.tries) == (job.receipt, 1)
    graded.regrades.finish(again, new(again, "t3"))
    assert [each.tests for each in held(graded).jobs] == ["t3"]


def test_an_erased_person_is_in_no_regrade(graded: Store) -> None:
    graded.regrades.start(jobs(graded), "", NOTE)
    graded.erase(ALICE, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE)
    assert [each.username for each in held(graded).jobs] == [BOB]
