"""Erasing a person from a course folder: only their files and lines are removed."""

from __future__ import annotations

from mograder.domain.audit import Event
from mograder.domain.chain import Tombstone, make_tombstone
from mograder.domain.names import Username
from mograder.domain.receipts import Receipt
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.erase import erase_files
from mograder.store.folder.store import FolderStore
from tests.parts import ALICE, NOON, names_in, submit_work

SIGNER = Ed25519Signer(new_private_key())
NOTE = Event(NOON, "tutor", "erase", "(erased)")
ANN = Username("ann.lee")


def attest(receipt: Receipt) -> Tombstone:
    return make_tombstone(receipt, SIGNER, "course", NOON)


def test_submissions_made_during_an_erasure_are_kept(store: FolderStore) -> None:
    for user in (ALICE, ANN):
        submit_work(store, SIGNER, user, b"since")
    folder = store.folders.submitted / "hw1"
    since = names_in(folder)
    for user in (ALICE, ANN):
        (folder / f"{user}_20250310T120000.py").write_bytes(b"before")
        store.ledger.write(lambda connection, user=user: erase_files(connection, store.folders, user))  # type: ignore[misc]
    assert names_in(folder) == since


def test_all_files_of_an_erased_person_are_removed_and_no_others(store: FolderStore) -> None:
    for user in (ALICE, ANN, Username("ann"), Username("lee")):
        submit_work(store, SIGNER, user, b"work")
    store.erase(ANN, attest, NOTE)
    stems = sorted(f"{user}{dated}" for user in ("alice", "ann", "lee") for dated in ("", "_20260310T120000"))
    assert names_in(store.folders.submitted / "hw1") == [f"{stem}.py" for stem in stems]


def test_a_person_without_submissions_can_be_erased(store: FolderStore) -> None:
    store.erase(ALICE, attest, NOTE)
    assert store.accounts.get(ALICE) is not None


def test_a_table_of_grades_without_the_person_keeps_its_formatting(store: FolderStore) -> None:
    table = store.folders.grades / "hw1" / "grades.json"
    table.write_text('[{"username":   "bob"}]')
    store.erase(ALICE, attest, NOTE)
    assert table.read_text() == '[{"username":   "bob"}]'


def test_grading_records_pages_and_rows_of_an_erased_person_are_removed(store: FolderStore) -> None:
    course = store.folders.course
    (course / "mograder.toml").write_text('[dirs]\nautograded = "results"\n')
    for user in ("alice", "bob"):
        for name in (f"results/hw1/{user}.json", f"results/hw1/{user}.html", f"feedback/hw1/{user}.html"):
            (course / name).parent.mkdir(parents=True, exist_ok=True)
            (course / name).write_text(user)
    (course / "results" / "hw1" / "checks.csv").write_text('student,messages\nalice,"a\nb"\nbob,"c, d"\n')
    (course / "marks").mkdir()
    (course / "marks" / "hw1.csv").write_text("\ufeffstudent;Q1;feedback\nAlice;1;none\nbob;2,5;well done\n")
    (course / "marks" / "notes.csv").write_text("alice,is no table of students\n")
    kept = (course / "marks" / "notes.csv").read_bytes()
    store.erase(ALICE, attest, NOTE)
    assert names_in(course / "results" / "hw1") == ["bob.html", "bob.json", "checks.csv"]
    assert names_in(course / "feedback" / "hw1") == ["bob.html"]
    assert (course / "results" / "hw1" / "checks.csv").read_text() == 'student,messages\nbob,"c, d"\n'
    assert (course / "marks" / "hw1.csv").read_text() == "student;Q1;feedback\nbob;2,5;well done\n"
    assert (course / "marks" / "notes.csv").read_bytes() == kept
