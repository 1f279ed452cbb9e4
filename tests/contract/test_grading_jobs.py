"""What every store promises about grading jobs and results."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from msgspec.structs import replace

from mograder.domain.chain import make_tombstone
from mograder.domain.grading_jobs import LEASE, RECENT, TRIES, Announced, Job, Readiness, ReadyState, Result
from mograder.domain.grading_rules import Hidden
from mograder.domain.names import AssignmentName, Username
from mograder.domain.store import Store
from tests.contract.parts import NOTE, SIGNER, Open
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, submit_work

HW2 = AssignmentName("hw2")


def take(store: Store, claim: str = "worker", now: int = NOON, assignments: tuple[AssignmentName, ...] = (HW1,)) -> Job:
    job = store.jobs.claim(claim, now, now + LEASE, assignments)
    assert job is not None
    return job


def result(job: Job, tests: str = "t1", signed: str = "signed") -> Result:
    return Result(job.receipt, tests, job.assignment, job.username, NOON, signed)


def test_a_submission_has_one_job_even_if_it_is_repeated(store: Store) -> None:
    receipt = submit_work(store, SIGNER, ALICE, b"one").receipt
    submit_work(store, SIGNER, ALICE, b"one", NOON + SECOND)
    store.jobs.announce(HW1, Announced("t1"))
    assert [(each.receipt, each.username, each.attempt) for each in store.jobs.waiting(NOON)] == [
        (receipt.number, ALICE, 1)
    ]


def test_jobs_of_assignments_without_tests_are_not_waiting(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    assert store.jobs.waiting(NOON) == []
    assert store.jobs.claim("w", NOON, NOON + LEASE, [HW2]) is None
    assert store.jobs.claim("w", NOON, NOON + LEASE, []) is None
    for state, waiting in ((ReadyState.BUILDING, 1), (ReadyState.FAILED, 0)):
        store.jobs.report(Readiness(HW1, state, NOON))
        assert len(store.jobs.waiting(NOON)) == waiting
    store.jobs.announce(HW1, Announced("t1"))
    store.jobs.announce(HW1, Announced("t2", Hidden.AFTER_DUE))
    assert store.jobs.announced() == {HW1: Announced("t2", Hidden.AFTER_DUE)}
    assert len(store.jobs.waiting(NOON)) == 1


def test_the_readiness_that_a_worker_reports_is_seen_by_all(open_again: Open) -> None:
    store, other = open_again(), open_again()
    said = Readiness(HW1, ReadyState.FAILED, NOON, "lab", "uv pip could not:\nno such package ä")
    for each in (replace(said, state=ReadyState.BUILDING), said, Readiness(HW2, ReadyState.READY, NOON)):
        store.jobs.report(each)
    assert other.jobs.readiness() == {HW1: said, HW2: Readiness(HW2, ReadyState.READY, NOON)}


def test_the_first_package_lock_of_a_notebook_is_kept(open_again: Open) -> None:
    store, other = open_again(), open_again()

    def kept(wanted: str, lock: str, state: ReadyState = ReadyState.READY) -> tuple[str, str]:
        store.jobs.report(Readiness(HW1, state, NOON, "lab", "", wanted, lock))
        found = other.jobs.readiness()[HW1]
        return found.wanted, found.lock

    assert kept("", "", ReadyState.BUILDING) == ("", "")
    assert kept("numpy", "numpy==2.1") == ("numpy", "numpy==2.1")
    assert kept("numpy", "numpy==2.2") == ("numpy", "numpy==2.1")
    assert kept("numpy", "") == ("numpy", "numpy==2.1")  # a machine that has the packages installed already
    assert kept("", "", ReadyState.FAILED) == ("numpy", "numpy==2.1")
    assert kept("scipy", "scipy==1") == ("scipy", "scipy==1")
    assert kept("nothing", "") == ("nothing", "")


def test_a_claimed_job_is_not_given_to_another_worker_until_its_lease_ends(open_again: Open) -> None:
    first, second = open_again(), open_again()
    submit_work(first, SIGNER, ALICE, b"one")
    job = take(first)
    assert (job.claim, job.lease, job.tries) == ("worker", NOON + LEASE, 1)
    assert second.jobs.claim("other", NOON + LEASE - 1, NOON + 2 * LEASE, [HW1]) is None
    assert take(second, "other", NOON + LEASE).tries == 2


def test_a_renewed_lease_keeps_the_job(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    job = take(store)
    assert store.jobs.renew(job, NOON + 3 * LEASE)
    assert store.jobs.claim("other", NOON + 2 * LEASE, NOON + 3 * LEASE, [HW1]) is None


def test_a_worker_that_lost_its_claim_cannot_renew_or_fail_the_job(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    lost = take(store)
    held = take(store, "other", NOON + LEASE)
    assert not store.jobs.renew(lost, NOON + 9 * LEASE)
    assert not store.jobs.fail(lost, "late", NOON)
    assert store.jobs.renew(held, NOON + 2 * LEASE)


def test_of_two_results_with_the_same_tests_the_first_is_kept(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    slow, fast = take(store), take(store, "other", NOON + LEASE)
    assert store.jobs.finish(fast, result(fast, signed="fast"))
    assert not store.jobs.finish(fast, result(fast, signed="again"))
    assert not store.jobs.finish(slow, result(slow, signed="slow"))
    assert [each.signed for each in store.jobs.results(HW1, ALICE)] == ["fast"]
    assert store.jobs.claim("w", NOON + 9 * LEASE, NOON + 10 * LEASE, [HW1]) is None


def test_results_with_other_tests_are_kept_beside_the_first(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    job = take(store)
    assert store.jobs.finish(job, result(job, "t1"))
    assert store.jobs.finish(job, result(job, "t2"))
    assert [each.tests for each in store.jobs.results(HW1)] == ["t1", "t2"]
    assert store.jobs.results(HW1, BOB) == store.jobs.results(HW2) == []


def test_a_failed_job_is_retried_later_and_given_up_after_some_tries(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    store.jobs.announce(HW1, Announced("t1"))
    now = NOON
    for _ in range(TRIES):
        job = take(store, now=now)
        now += LEASE
        assert store.jobs.fail(job, "no sandbox", now)
        assert store.jobs.claim("w", now - 1, now, [HW1]) is None
    assert store.jobs.claim("w", now, now + LEASE, [HW1]) is None
    (left,) = store.jobs.waiting(NOON)
    assert left.is_given_up(now)
    assert left.error == "no sandbox"
    assert store.jobs.retry(HW1) == 1
    assert take(store, now=now).tries == 1


def test_a_job_whose_workers_die_is_given_up_too(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    for number in range(TRIES):
        take(store, now=NOON + number * LEASE)
    assert store.jobs.claim("w", NOON + TRIES * LEASE, NOON + 9 * LEASE, [HW1]) is None


def test_the_newest_submission_of_a_person_is_graded_first(store: Store) -> None:
    for content in (b"1", b"2", b"3"):
        submit_work(store, SIGNER, ALICE, content)
    assert [take(store).attempt for _ in range(3)] == [3, 2, 1]


def test_people_take_turns_in_the_queue_however_many_submissions_one_has(store: Store) -> None:
    for number in range(10):
        submit_work(store, SIGNER, ALICE, b"%d" % number)
    submit_work(store, SIGNER, BOB, b"one")
    store.jobs.announce(HW1, Announced("t1"))
    order = [(each.username, each.attempt) for each in store.jobs.waiting(NOON)]
    assert order[:3] == [(ALICE, 10), (BOB, 1), (ALICE, 9)]
    assert [(take(store).username) for _ in range(3)] == [ALICE, BOB, ALICE]


def test_submissions_from_long_ago_do_not_lower_the_priority_of_a_person(store: Store) -> None:
    for number in range(10):
        submit_work(store, SIGNER, ALICE, b"%d" % number)
        job = take(store)
        store.jobs.finish(job, result(job))
    submit_work(store, SIGNER, ALICE, b"new")
    submit_work(store, SIGNER, BOB, b"one")
    store.jobs.announce(HW1, Announced("t1"))
    assert [each.username for each in store.jobs.waiting(NOON + RECENT - 1)] == [BOB, ALICE]
    assert [each.username for each in store.jobs.waiting(NOON + RECENT)] == [ALICE, BOB]
    assert [take(store, now=NOON + RECENT).username for _ in range(2)] == [ALICE, BOB]


def graded_once_and_both_wait(store: Store) -> Job:
    """Alice has a result and a second submission waiting before Bob's first. Returns the finished job."""
    submit_work(store, SIGNER, ALICE, b"old")
    job = take(store)
    store.jobs.finish(job, result(job))
    submit_work(store, SIGNER, ALICE, b"new")
    submit_work(store, SIGNER, BOB, b"one")
    return job


def test_a_result_of_other_tests_does_not_affect_the_order_of_the_queue(store: Store) -> None:
    job = graded_once_and_both_wait(store)
    later = NOON + RECENT
    store.jobs.finish(job, replace(result(job, "t2"), graded=later))
    assert [take(store, now=later).username for _ in range(2)] == [ALICE, BOB]


def test_a_person_without_recent_results_goes_before_one_who_has_had_some(store: Store) -> None:
    graded_once_and_both_wait(store)
    assert [take(store).username for _ in range(2)] == [BOB, ALICE]


def test_simultaneous_workers_never_get_the_same_job(open_again: Open) -> None:
    stores = [open_again(), open_again()]
    for number in range(20):
        submit_work(stores[0], SIGNER, Username(f"student{number}"), b"one")

    def work(number: int) -> list[int]:
        found = []
        while job := stores[number % 2].jobs.claim(f"w{number}", NOON, NOON + LEASE, [HW1]):
            found.append(job.receipt)
        return found

    with ThreadPoolExecutor(4) as pool:
        claimed = [receipt for found in pool.map(work, range(4)) for receipt in found]
    assert sorted(claimed) == list(range(1, 21))


def test_jobs_and_results_are_there_after_a_restart(open_again: Open) -> None:
    store = open_again()
    submit_work(store, SIGNER, ALICE, b"one")
    submit_work(store, SIGNER, BOB, b"one")
    store.jobs.announce(HW1, Announced("t1"))
    job = take(store)
    store.jobs.finish(job, result(job))
    store.close()
    again = open_again()
    assert [each.username for each in again.jobs.waiting(NOON)] == [BOB]
    assert again.jobs.results(HW1) == [result(job)]


def test_an_erased_person_leaves_no_job_and_no_result(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    submit_work(store, SIGNER, ALICE, b"two")
    done, held = take(store), take(store)
    store.jobs.finish(done, result(done))
    store.erase(ALICE, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE)
    assert not store.jobs.finish(held, result(held))
    assert store.jobs.results(HW1) == []
    assert store.jobs.claim("w", NOON + 9 * LEASE, NOON + 10 * LEASE, [HW1]) is None


def test_a_result_changes_the_version(open_again: Open) -> None:
    store, other = open_again(), open_again()
    submit_work(store, SIGNER, ALICE, b"one")
    before = store.versions()
    job = take(other)
    other.jobs.finish(job, result(job))
    assert store.versions() != before


def test_a_late_worker_does_not_replace_the_result_of_the_announced_tests(store: Store) -> None:
    submit_work(store, SIGNER, ALICE, b"one")
    store.jobs.announce(HW1, Announced("t1"))
    job = take(store)
    store.jobs.announce(HW1, Announced("t2"))
    assert store.jobs.finish(job, replace(result(job, "t2"), graded=NOON + 1))
    assert store.jobs.finish(job, replace(result(job, "t1"), graded=NOON + 2))
    assert [each.tests for each in store.jobs.results(HW1)] == ["t1", "t2"]
    store.jobs.announce(HW1, Announced("t3"))
    assert [each.tests for each in store.jobs.results(HW1, ALICE)] == ["t2", "t1"]


def test_the_executed_notebook_is_kept_with_its_result_and_erased_with_the_person(open_again: Open) -> None:
    store, other = open_again(), open_again()
    submit_work(store, SIGNER, ALICE, b"one")
    job = take(store)
    assert (store.jobs.notebook(job.receipt), store.jobs.last_graded()) == (b"", None)
    assert store.jobs.finish(job, result(job), b"\x00as it ran")
    assert not store.jobs.finish(job, result(job), b"again")
    assert store.jobs.finish(job, result(job, "t2"))  # graded again with other tests, without recording the cells
    assert (other.jobs.notebook(job.receipt), other.jobs.last_graded()) == (b"\x00as it ran", NOON)
    store.erase(ALICE, lambda receipt: make_tombstone(receipt, SIGNER, "course", NOON), NOTE)
    assert other.jobs.notebook(job.receipt) == b""
