"""A crash before any step of any write: what was acknowledged is there, the rest is complete or absent."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from mograder.config import utc_now
from mograder.domain.audit import ERASED_NAME, Event
from mograder.domain.chain import find_breaks, make_tombstone
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder import doctor, settling
from mograder.store.folder.layout import LEDGER, Folders
from mograder.store.folder.store import FolderStore
from mograder.store.shared import findings
from mograder.store.shared.files import IN_MEMORY
from tests.crashes import BEGIN, Say, before_every_step, die_before
from tests.model import (
    Model,
    Write,
    announcing,
    explaining,
    extending,
    grading,
    planning,
    read_contents,
    registering,
    releasing,
    rotating,
    submitting,
)
from tests.parts import ALICE, BOB, HW1, NOON, SECOND, make_course_folder, open_store

LARGE = b"x" * (IN_MEMORY + 1)
SMALL = submitting(ALICE, b"second", NOON - SECOND)  # the clock was set back
BIG = submitting(ALICE, LARGE)
EARLIER = (
    submitting(ALICE, b"first"),
    submitting(BOB, b"bob's"),
    grading({"alice": "1", "bob": "2"}),
    explaining({ALICE: b"page", BOB: b"page"}),
    registering(ALICE),
    extending(BOB),
    announcing(ALICE, 1),
    planning(5),
    releasing({"bob": "2"}),
)


@pytest.fixture(autouse=True)
def no_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor need not look twice, as no server is running; and nothing is settled unless the test does it."""
    monkeypatch.setattr(findings, "SECOND_LOOK", 0)
    monkeypatch.setattr(settling, "SETTLE_AFTER", 3600)


def course(folder: Path, writes: tuple[Write, ...]) -> tuple[Path, Model]:
    """Make a course with these writes. Returns its root and its model."""
    root, model = make_course_folder(folder, "hw1", "hw2"), Model()
    with contextlib.closing(open_store(root)) as store:
        model.secrets += store.keys.secrets()
        signer_of(store)
        for write in writes:
            write.do(store, signer_of(store))
            write.model(model)
    return root, model


def signer_of(store: FolderStore) -> Ed25519Signer:
    return Ed25519Signer(store.keys.signing_key(new_private_key))


def copies(root: Path) -> Callable[[], Path]:
    """Returns a function that makes the same course again in the same folder."""
    template = root.parent.with_name("template")
    root.parent.rename(template)

    def make() -> Path:
        shutil.rmtree(root.parent, ignore_errors=True)
        shutil.copytree(template, root.parent, symlinks=True)
        return root

    return make


def doing(write: Write) -> Callable[[Path, Say], None]:
    """Open the course and write; after the answer, settle and close."""

    def act(root: Path, say: Say) -> None:
        store = open_store(root)
        signer = signer_of(store)
        say(BEGIN)
        write.do(store, signer)
        say("answered")
        store.settler.settle()
        store.close()

    return act


def check(root: Path, model: Model, write: Write, answered: bool) -> None:
    """Acknowledged changes are there, others are complete or absent, and repeating the write makes them all."""
    before, after = model.contents(), model.copy()
    write.model(after)
    wanted = after.contents()
    with contextlib.closing(open_store(root)) as store:
        found = read_contents(store, signer_of(store))
        if answered:
            assert found == wanted
        for key, value in found.items():
            assert value in (before[key], wanted[key]), key
        write.do(store, signer_of(store))
        assert read_contents(store, signer_of(store)) == wanted
    check_folder(root)


def check_folder(root: Path) -> None:
    """Receipts have jobs, links lead to the last accepted version, ledger and files agree, no file is incomplete."""
    folders = Folders.of(root)
    with contextlib.closing(sqlite3.connect(root / LEDGER)) as ledger:
        receipts = ledger.execute("SELECT number FROM receipts ORDER BY number").fetchall()
        assert ledger.execute("SELECT receipt FROM grading_jobs ORDER BY receipt").fetchall() == receipts
    assert [each for each in doctor.check(folders, utc_now() + 1000 * SECOND) if each.severity == "error"] == []
    for path in folders.submitted.rglob("*.py"):
        assert path.is_symlink() == (path.stem in (ALICE, BOB))
        assert path.is_file()


WRITES = {
    "small": SMALL,
    "large": BIG,
    "grades": grading({"bob": "3", "carl": "4"}),
    "feedback": explaining({ALICE: b"another page", BOB: b"another" * 1000}),
    "repeat": submitting(BOB, b"bob's", NOON + SECOND),  # the last submission again
    "account": registering(BOB, "Bob"),
    "secret": rotating("second"),
    "extensions": extending(ALICE, BOB),
    "commit": announcing(ALICE, 2),
    "rules": planning(7),
    "release": releasing({"bob": "3", "carl": "4"}),
}


@pytest.mark.parametrize(
    ("write", "earlier"),
    [pytest.param(write, EARLIER, id=name) for name, write in WRITES.items()]
    + [pytest.param(WRITES[name], (), id=f"first {name}") for name in ("small", "large", "grades", "feedback")],
)
def test_a_crash_before_any_step_of_a_write_loses_nothing_acknowledged(
    tmp_path: Path, write: Write, earlier: tuple[Write, ...]
) -> None:
    root, model = course(tmp_path, earlier)
    steps = answered = 0
    for left, ended in before_every_step(copies(root), doing(write)):
        check(left, model, write, "answered" in ended.said)
        steps, answered = steps + 1, answered + ("answered" in ended.said)
    print(f"{steps} different crashes, {answered} of them after the answer")
    assert 1 < answered < steps


def test_leftovers_of_a_crash_are_deleted_by_the_first_start_after_a_day(tmp_path: Path) -> None:
    root, _ = course(tmp_path, EARLIER)
    left_over: set[str] = set()
    for left, _ in before_every_step(copies(root), doing(SMALL)):
        for path in left.parent.glob("submitted/**/.*"):
            left_over.add(path.name.split(".")[1])
            long_ago = utc_now() / SECOND - 25 * 3600
            os.utime(path, (long_ago, long_ago), follow_symlinks=False)
        open_store(left).close()
        assert list(left.parent.glob("submitted/**/.*")) == []
        check_folder(left)
    assert {each.partition("-")[0] for each in left_over} == {"incoming", "alice"}


def test_a_crash_before_any_step_of_using_a_ticket_never_allows_a_second_use(tmp_path: Path) -> None:
    root, _ = course(tmp_path, EARLIER)
    steps = 0

    def spend(root: Path, say: Say) -> None:
        store = open_store(root)
        say(BEGIN)
        assert store.guard.spend("ticket", NOON, NOON + SECOND)
        say("answered")
        store.close()

    for left, ended in before_every_step(copies(root), spend):
        with contextlib.closing(open_store(left)) as store:
            again = store.guard.spend("ticket", NOON, NOON + SECOND)
            assert not (again and "answered" in ended.said)
            assert not store.guard.spend("ticket", NOON, NOON + SECOND)
        steps += 1
    print(f"{steps} different crashes")
    assert steps > 1


def test_a_crash_before_any_step_of_an_erasure_can_be_completed_by_repeating_it(
    tmp_path: Path,
) -> None:
    root, model = course(tmp_path, EARLIER)
    event = Event(NOON, "ta", "erase", ERASED_NAME)

    def erase(store: FolderStore) -> None:
        signer = signer_of(store)
        store.erase(ALICE, lambda receipt: make_tombstone(receipt, signer, "course", NOON), event)

    def act(root: Path, say: Say) -> None:
        store = open_store(root)
        signer_of(store)
        say(BEGIN)
        erase(store)
        say("answered")
        store.close()

    steps = 0
    for left, ended in before_every_step(copies(root), act):
        with contextlib.closing(open_store(left)) as store:
            theirs = list(store.submissions.receipts(username=ALICE))
            if theirs:  # not begun: all data of the person is there
                assert read_contents(store, signer_of(store)) == model.contents()
            assert not (theirs and "answered" in ended.said)
            if "answered" not in ended.said:
                erase(store)
            assert [each.submission.username for each in store.submissions.receipts()] == [BOB]
            assert store.submissions.head().number == len(list(store.submissions.chain())) == len(model.submissions)
            assert list(find_breaks(list(store.submissions.chain()), signer_of(store), [])) == []
            assert [each.username for each in store.submissions.latest_files(HW1)] == [BOB]
            assert [each.person for each in store.grades.of(HW1)] == [BOB]
            assert [store.grades.feedback(HW1, each) is not None for each in (ALICE, BOB)] == [False, True]
            assert store.extensions.find() == model.contents()["extensions"]
        assert [path for path in left.parent.rglob("*") if path.is_file() and b"alice" in path.read_bytes()] == []
        assert list(left.parent.rglob("alice*")) == []
        check_folder(left)
        steps += 1
    print(f"{steps} different crashes")
    assert steps > 1


def test_a_crash_before_any_step_of_a_recovery_loses_nothing(tmp_path: Path) -> None:
    root, model = course(tmp_path, EARLIER)

    def submit_and_die(say: Say) -> None:
        store = open_store(root)
        for write in (SMALL, BIG):
            write.do(store, signer_of(store))

    assert not die_before(100_000, submit_and_die).died
    for write in (SMALL, BIG):
        write.model(model)
    (root.parent / "submitted" / "hw1" / "alice_20260310T115959.py").unlink()  # as after a power cut: it was not synced
    wanted, steps = model.contents(), 0

    def start(root: Path, say: Say) -> None:
        say(BEGIN)
        open_store(root).close()

    for left, _ in before_every_step(copies(root), start):
        with contextlib.closing(open_store(left)) as store:
            assert read_contents(store, signer_of(store)) == wanted
        check_folder(left)
        steps += 1
    print(f"{steps} different crashes")
    assert steps > 5


def test_a_crash_before_any_step_of_the_first_start_leaves_a_course_that_can_start(tmp_path: Path) -> None:
    def start(root: Path, say: Say) -> None:
        say(BEGIN)
        store = open_store(root)
        store.keys.signing_key(new_private_key)
        say(store.keys.secrets()[0])
        store.close()

    steps = 0
    for root, ended in before_every_step(copies(make_course_folder(tmp_path, "hw1", "hw2")), start):
        with contextlib.closing(open_store(root)) as store:
            (secret,) = store.keys.secrets()
            assert len(bytes.fromhex(secret)) == 32
            assert ended.said in ([BEGIN], [BEGIN, secret])
            model = Model(secrets=[secret])
            for write in EARLIER:
                write.do(store, signer_of(store))
                write.model(model)
            assert read_contents(store, signer_of(store)) == model.contents()
        private = [path for path in root.glob(".mograder*") if path.suffix != ".lock"]
        assert [path.name for path in private if path.stat().st_mode & 0o077] == []
        check_folder(root)
        steps += 1
    print(f"{steps} different crashes")
    assert steps > 5
