"""The doctor: every kind of damage is found with its path, nothing is changed, and safe repairs are made."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mograder.config import utc_now
from mograder.domain.codes import HARDER
from mograder.domain.deadlines import iso
from mograder.domain.receipts import Submission
from mograder.signing import new_private_key
from mograder.store.folder.authority import AUTHORITY, CERTIFICATE, Authority
from mograder.store.folder.doctor import check, repair
from mograder.store.folder.evidence import read_record
from mograder.store.folder.layout import Folders
from mograder.store.shared import files, findings
from mograder.store.shared.findings import Finding, Severity, error, lasting, note
from tests.courses import damage_row, everything, forget_file, ledger, versions
from tests.parts import SECOND, make_course_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes and links as on POSIX")

DAY = 24 * 3600
GIB, MIB = 1024**3, 1024**2


@pytest.fixture(autouse=True)
def no_running_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "SECOND_LOOK", 0)


@pytest.fixture
def course(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "course", symlinks=True))


FILE = "restore the file from a backup, or ask for it again"
CHAIN = "restore the ledger from a backup; the students' own receipts show what was submitted"
FROM_BACKUP, ANEW = "restore it from a backup", "the next start makes a new one"
BY_HAND = "mend the file by hand: until then a running server keeps its earlier content in force, and no server starts"
MENDS = {
    r"submission \d of \w+ (is not what was submitted|is missing|waits for its place)": FILE,
    "submission 1 of alice cannot be read": "look at its permissions",
    "points to": "mograder doctor --repair points it there",
    "the enrollment code can be guessed": HARDER,
    "is a copy of an older version": "mograder doctor --repair points it there",
    "is missing: the last accepted": "mograder doctor --repair makes it",
    "is not a submission": "look at it, and move it elsewhere",
    "is a link that leads nowhere": "remove it, or restore what it named",
    "was put there by hand and has no receipt": "it counts as the latest, as it stands",
    r"\d+ files? without a receipt": "files without a receipt count as put there by hand",
    "can be read by other users": "chmod 600 {where}",
    "grades that other users": "chmod 600 {where}",
    "1 feedback page that other users": "chmod 600 {where}/*.html",
    "1 submission that other users": "chmod 600 {where}/*",
    "released files are served from": "if that is not meant, take [dirs] release out of mograder.toml",
    "can be opened by other users": "chmod 600 {where}",
    r"\.mograder-secret is missing": f"{FROM_BACKUP}; {ANEW}, and tokens of the old one are no longer accepted",
    r"\.mograder-authority\.pem is missing": f"{FROM_BACKUP}; {ANEW}, which everybody has to pin by a new join link",
    r"\.mograder-certificate\.pem": ANEW,
    r"\.mograder-signing-key\.pem is missing": f"{FROM_BACKUP}, or sign with a new one from now on: mograder secret "
                                               "rotate-key",
    r"\.mograder-secret is empty or not text": FROM_BACKUP,
    r"\.mograder-secret-previous cannot be understood": FROM_BACKUP,
    "cannot be read: not an Ed25519 key": FROM_BACKUP,
    "cannot be read: (Is a directory|No such file)": "look at its permissions",
    r"\d of 5 receipts are not signed": "restore the key, or the receipts, from a backup",
    r"receipts? \d.* (was altered: \w+ is not|does not follow|missing from)": CHAIN,
    "receipt 3 was altered: it names": "restore the ledger from a backup",
    r"\.mograder\.db cannot be read": FROM_BACKUP,
    "the ledger is damaged": FROM_BACKUP,
    "the ledger is missing": f"{FROM_BACKUP}, or remove .mograder-signing-key.pem to begin anew, without accounts and "
                             "receipts",
    "there are submissions and no ledger": f"{FROM_BACKUP}; without one, the next start makes an empty ledger",
    r"grades\.json cannot be understood": "mend the file by hand: it is not overwritten until then",
    r"assignments\.json cannot be": BY_HAND,
    r"the course's mograder\.toml cannot be understood": BY_HAND,
    "'hw1' closes before it is due": "give both times in one of them: mograder.toml overrides the other",
    "left out: rules for 'hw2'": "make its folder, or correct the name",
    "1 submission in the ledger": "nothing is lost: the next start finishes them, or mograder doctor --repair",
    "the file system's time is": "set the clock right, here or on the machine that has the disk",
    "the last receipt is": "set the clock right (timedatectl): due dates go by it",
    "was left by a write": "mograder doctor --repair removes it",
    "the authority that students": f"between two terms, remove it: {ANEW}, which everybody pins by a new join link",
    "the certificate ended": "serve makes a new one when it starts; a running server has failed to",
    "everybody on this machine may write here": "chmod o-w {where}",
    "the owner may not write here": "chmod u+w {where}",
    "belongs to another user": "chown it to the owner of {course}/release",
    "you are not the owner": "always run the server as the same user",
    r"\d+ MiB are free": "make room: submissions are refused on a full disk",
    "the folder is not there": "give the folder of a course",
    "there is no course here": "give the folder that is served",
    "the course has not been served yet": "mograder serve it",
}  # fmt: skip
"""The repair instructions of each finding, by a pattern of its text."""


def checked(course: Path, now: int | None = None, **places: Path) -> list[Finding]:
    """All findings. Checks that each has the right repair instructions."""
    found = check(Folders.of(course / "release", **places), now or utc_now())
    for each in found:
        mends = [mend for what, mend in MENDS.items() if re.match(what, each.what)]
        assert [mend.format(where=each.where, course=course) for mend in mends] == [each.mend], each.what
    return found


def said(course: Path, now: int | None = None) -> list[tuple[str, str, str]]:
    """Severity, path and text of each finding."""
    return [
        (str(each.severity), each.where.removeprefix(f"{course}/"), each.what) for each in checked(course, now)
    ]  # fmt: skip


def received(course: Path) -> list[Submission]:
    return [each.submission for each in read_record(course / DB).receipts]


def age(path: Path, seconds: float = 2 * DAY) -> None:
    old = time.time() - seconds
    os.utime(path, (old, old), follow_symlinks=False)


def authority(course: Path, days: float = 0) -> Authority:
    """An authority with a certificate that were made so many days ago."""
    made = datetime.now(UTC) - timedelta(days=days)
    found = Authority(course / "release", made)
    found.renew(["localhost"], made)
    return found


# one kind of damage each


def flip(course: Path) -> None:
    path = versions(course)[0]
    path.write_bytes(b"A" + path.read_bytes()[1:])


def relink(course: Path, target: str) -> None:
    link = course / "submitted" / "hw1" / "alice.py"
    link.unlink()
    link.symlink_to(target)


def linked_version(course: Path) -> None:
    path = versions(course)[0]
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


def folder_for_version(course: Path) -> None:
    path = versions(course)[0]
    path.unlink()
    path.mkdir()


def stale_link(course: Path) -> None:
    path = course / "submitted" / "hw1" / ".alice.py.0123456789ab.tmp"
    path.symlink_to(versions(course)[0].name)
    age(path)


def stale(course: Path, *place: str) -> None:
    path = course.joinpath(*place)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"half")
    age(path)


def copied_older(course: Path) -> None:
    link = course / "submitted" / "hw1" / "alice.py"
    link.unlink()
    link.write_bytes(versions(course)[0].read_bytes())


def forget_spool(course: Path) -> None:
    version = versions(course, "bob")[-1]
    version.unlink()
    sql = "INSERT INTO pending SELECT number, NULL, '.incoming-0123' FROM receipts WHERE filename"
    ledger(course, f"{sql} = '{version.name}'")


def corrupt_ledger(course: Path) -> None:
    path = course / "release" / ".mograder.db"
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def feedback(course: Path, mode: int) -> None:
    page = course / "release/hw1/feedback/alice.html"
    page.parent.mkdir()
    page.write_text("well done")
    page.chmod(mode)


@dataclass(frozen=True)
class Damage:
    """One kind of damage, and its finding: text, severity and path; `mends`: whether --repair repairs it."""

    do: Callable[[Path], object]
    what: str
    severity: str
    where: str
    mends: bool = False


SECRET, KEY, DB = "release/.mograder-secret", "release/.mograder-signing-key.pem", "release/.mograder.db"
EARLIER = f"{SECRET}-previous"
LINK, GRADES, LISTED = "submitted/hw1/alice.py", "release/hw1/grades.json", "release/assignments.json"
DAMAGE = {
    "a byte of a version": Damage(flip, "is not what was submitted", "error", "submitted/hw1/alice_"),
    "a version gone": Damage(lambda c: versions(c)[1].unlink(), "submission 2 of alice is missing", "error",
                             "submitted/hw1/alice_"),
    "a version is a link": Damage(linked_version, "is not what was submitted", "error", "submitted/hw1/alice_"),
    "a version that is a folder": Damage(folder_for_version, "submission 1 of alice cannot be read", "error",
                                         "submitted/hw1/alice_"),
    "a link to an older version": Damage(lambda c: relink(c, versions(c)[0].name), "points to", "error", LINK, True),
    "a link to nowhere": Damage(lambda c: relink(c, "nowhere.py"), "points to 'nowhere.py', and the last accepted is "
                                "'alice_", "error", LINK, True),
    "a link that leads out": Damage(lambda c: relink(c, "/etc/passwd"), "points to", "error", LINK, True),
    "a link gone": Damage(lambda c: (c / LINK).unlink(), "is missing: the last accepted is 'alice_", "error", LINK,
                          True),
    "a copy of an older version": Damage(copied_older, "copy of an older version than 'alice_", "warning", LINK, True),
    "other bytes that wait": Damage(lambda c: forget_file(c, body="00"), "submission 2 of bob waits for its place",
                                    "error", "submitted/hw1/bob_"),
    "a hidden file that waits gone": Damage(forget_spool, "submission 2 of bob waits for its place, "
                                            "and is not what was submitted", "error", "submitted/hw1/bob_"),
    "a link to a folder": Damage(lambda c: (c / "submitted/hw9").symlink_to("hw1"), "not a submission", "warning",
                                 "submitted/hw9"),
    "a foreign file": Damage(lambda c: (c / "submitted/hw1/notes.txt").write_text("x"), "not a submission", "warning",
                             "submitted/hw1/notes.txt"),
    "a name that nobody has": Damage(lambda c: (c / "submitted/hw1/bob (1).py").write_text("x"), "not a submission",
                                     "warning", "submitted/hw1/bob (1).py"),
    "a link by hand to nowhere": Damage(lambda c: (c / "submitted/hw1/carol.py").symlink_to("gone.py"),
                                        "is a link that leads nowhere", "error", "submitted/hw1/carol.py"),
    "a foreign folder": Damage(lambda c: (c / "submitted/hw1/x").mkdir(), "not a submission", "warning",
                              "submitted/hw1/x"),
    "a file beside the assignments": Damage(lambda c: (c / "submitted/x.py").write_text("x"), "not a submission",
                                            "warning",
                                            "submitted/x.py"),
    "a secret that others read": Damage(lambda c: (c / SECRET).chmod(0o644), "read by other users", "error", SECRET,
                                        True),
    "grades that others read": Damage(lambda c: (c / GRADES).chmod(0o640), "grades that other users", "warning",
                                      GRADES, True),
    "feedback that others read": Damage(lambda c: feedback(c, 0o644), "1 feedback page that other users", "warning",
                                        "release/hw1/feedback", True),
    "a submission that others read": Damage(lambda c: versions(c)[0].chmod(0o644), "1 submission that other users",
                                            "warning", "submitted/hw1", True),
    "an empty secret": Damage(lambda c: (c / SECRET).write_text(""), "empty", "error", SECRET),
    "earlier secrets that others read": Damage(lambda c: (c / EARLIER).write_text("9 x"), "read by other users",
                                               "error", EARLIER, True),
    "earlier secrets that are none": Damage(lambda c: files.write_file(c / EARLIER, b"x", mode=0o600),
                                            "cannot be understood", "error", EARLIER),
    "no secret": Damage(lambda c: (c / SECRET).unlink(), "missing", "error", SECRET),
    "no key": Damage(lambda c: (c / KEY).unlink(), "missing", "error", KEY),
    "a broken key": Damage(lambda c: (c / KEY).write_text("x"), "not an Ed25519", "error", KEY),
    "another key": Damage(lambda c: (c / KEY).write_bytes(new_private_key()), "5 of 5 receipts are not signed with "
                          "the course's key: 1, 2, 3, 4, 5", "error", DB),
    "a key that others read": Damage(lambda c: (c / KEY).chmod(0o640), "read by other users", "error", KEY, True),
    "a lock that others can hold": Damage(lambda c: (c / "release/.mograder.lock").chmod(0o644), "they can lock it",
                                          "error", "release/.mograder.lock", True),
    "a ledger that others can lock": Damage(lambda c: (c / DB).chmod(0o640), "they can lock it", "error", DB, True),
    "broken grades": Damage(lambda c: (c / GRADES).write_text("[{]"), "cannot be understood", "error", f"{GRADES}: "),
    "grades that are a folder": Damage(lambda c: ((c / GRADES).unlink(), (c / GRADES).mkdir()), "cannot be read",
                                       "error", GRADES),
    "a broken manifest": Damage(lambda c: (c / LISTED).write_text("{"), "cannot be understood", "error",
                                f"{LISTED}: "),
    "times that contradict each other": Damage(lambda c: (
        (c / LISTED).write_text('[{"name": "hw1", "due": "2026-03-12"}]'),
        (c / "mograder.toml").write_text("[[assignments]]\nname = 'hw1'\ncloses = 2026-03-11"),
    ), "'hw1' closes before it is due", "warning", "mograder.toml"),
    "a broken configuration": Damage(lambda c: (c / "mograder.toml").write_text("titel = "), "cannot be understood",
                                     "error", "mograder.toml"),
    "an altered time": Damage(
        lambda c: ledger(c, "UPDATE receipts SET received = received - 60000000 WHERE number = 2"),
        "received is not what was signed", "error", DB),
    "an altered checksum": Damage(lambda c: ledger(c, "UPDATE receipts SET sha256 = 'ab' WHERE number = 2"),
                                  "sha256 is not what was signed", "error", DB),
    "an altered signature": Damage(
        lambda c: ledger(c, "UPDATE receipts SET text = replace(text, '.', '.A') WHERE number = 5"),
        "1 of 5 receipts are not signed", "error", DB),
    "an altered chain": Damage(lambda c: ledger(c, "UPDATE receipts SET previous = '00' WHERE number = 3"),
                               "does not follow", "error", DB),
    "a text that is no receipt": Damage(lambda c: ledger(c, "UPDATE receipts SET text = 'é' WHERE number = 4"),
                                        "receipt 5 does not follow", "error", DB),
    "a time that is none": Damage(
        lambda c: ledger(c, "UPDATE receipts SET received = 9000000000000000000 WHERE number = 3"),
        "received is not what was signed", "error", DB),
    "a name that leads out": Damage(
        lambda c: ledger(c, "UPDATE receipts SET filename = '../../x' WHERE number = 3"),
        "receipt 3 was altered: it names a file that cannot be", "error", DB),
    "a receipt gone": Damage(lambda c: ledger(c, "DELETE FROM receipts WHERE number = 2"), "missing from the ledger",
                             "error", DB),
    "a ledger of random bytes": Damage(corrupt_ledger, "cannot be read", "error", DB),
    "a ledger with a damaged row": Damage(damage_row, "the ledger is damaged: NULL value in x.y", "error", DB),
    "no ledger": Damage(lambda c: (c / DB).unlink(), "the ledger is missing", "error", DB),
    "neither ledger nor key": Damage(lambda c: ((c / DB).unlink(), (c / KEY).unlink()),
                                     "there are submissions and no ledger", "warning", DB),
    "pending for long": Damage(forget_file, "1 submission in the ledger, not yet known to be on the disk",
                               "warning", DB, True),
    "a clock set back": Damage(lambda c: age(c / DB, -9e5), "ahead of the clock", "warning", DB),
    **{f"an old leftover {'/'.join(place)}": Damage(
        lambda c, place=place: stale(c, *place), "cut off", "warning", "/".join(place), True,
    ) for place in (
        ("submitted", ".incoming-00"), ("submitted", "hw1", ".incoming-00"),
        ("submitted", "hw1", ".alice.py.0123456789ab.tmp"), ("release", ".mograder-secret.0123456789ab.tmp"),
        ("release", "hw1", ".grades.json.0123456789ab.tmp"),
        ("release", "hw1/feedback", ".alice.html.0123456789ab.tmp"),
    )},
    "an old leftover of a link": Damage(stale_link, "cut off", "warning", "submitted/hw1/.alice.py.0123456789ab.tmp",
                                        True),
    "an authority that others can read": Damage(
        lambda c: (authority(c), (c / "release" / AUTHORITY).chmod(0o644)), "can be read by other users", "error",
        f"release/{AUTHORITY}", True),
    "an authority that is gone": Damage(lambda c: (authority(c), (c / "release" / AUTHORITY).unlink()),
                                        f"{AUTHORITY} is missing", "error", f"release/{AUTHORITY}"),
    "an authority that ends soon": Damage(lambda c: authority(c, days=3650 - 180 + 0.1), "ends on", "warning",
                                          f"release/{AUTHORITY}"),
    "a certificate that has ended": Damage(lambda c: authority(c, days=90.1), "the certificate ended on", "warning",
                                           f"release/{CERTIFICATE}"),
    "a certificate that is none": Damage(
        lambda c: (authority(c), (c / "release" / CERTIFICATE).write_text("x")), "holds no certificate", "error",
        f"release/{CERTIFICATE}"),
    "a folder that everybody writes to": Damage(lambda c: (c / "release").chmod(0o777), "everybody", "error",
                                                "release"),
    "submissions that everybody writes to": Damage(lambda c: (c / "submitted").chmod(0o777), "everybody", "error",
                                                "submitted"),
    "a folder that its owner may not write to": Damage(lambda c: (c / "submitted").chmod(0o555),
                                                       "the owner may not write here", "error", "submitted"),
}  # fmt: skip
damaged = pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)


def test_in_a_folder_shared_with_a_group_files_readable_by_the_group_are_no_finding(course: Path) -> None:
    feedback(course, 0o660)
    for folder in ("release/hw1", "release/hw1/feedback"):
        (course / folder).chmod(0o2770)
    (course / GRADES).chmod(0o640)
    (course / "submitted/hw1").chmod(0o2750)
    versions(course)[0].chmod(0o640)
    assert checked(course) == []


def test_released_files_outside_the_course_are_reported(course: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "hw1").mkdir(parents=True)
    (tmp_path / "elsewhere" / "hw1" / "hw1.py").write_text("1")
    (found,) = checked(course, release=tmp_path / "elsewhere")
    assert (found.severity, found.where) == ("note", str(tmp_path / "elsewhere"))


@pytest.mark.parametrize(("code", "found"), [("math2026", ["note"]), ("wq7k-m3xt-9hpd", []), ("", [])])
def test_a_weak_enrollment_code_is_reported(course: Path, code: str, found: list[str]) -> None:
    (course / "mograder.toml").write_text(f'[server]\nenrollment_code = "{code}"\n')
    assert [severity for severity, _, _ in said(course)] == found


def test_a_sound_course_has_no_findings_and_is_not_changed(course: Path) -> None:
    before = everything(course)
    assert checked(course) == []
    assert everything(course) == before


@damaged
def test_every_kind_of_damage_is_found_and_the_course_is_not_changed(course: Path, damage: Damage) -> None:
    damage.do(course)
    before = everything(course)
    found = checked(course)
    assert [
        each for each in found
        if (str(each.severity), each.repair is not None) == (damage.severity, damage.mends)
        and each.where.startswith(f"{course}/{damage.where}") and damage.what in each.what
    ], found  # fmt: skip
    assert found == sorted(found, key=lambda each: list(Severity).index(each.severity)), "the worst comes first"
    assert everything(course) == before


@damaged
def test_repair_fixes_what_is_safe_and_changes_no_submission(course: Path, damage: Damage) -> None:
    damage.do(course)
    kept = {path: path.read_bytes() for path in (course / "submitted").rglob("*_*.py") if path.is_file()}
    found = checked(course)
    done = repair(found)
    assert len(done) == sum(each.repair is not None for each in found)
    assert {path: path.read_bytes() for path in kept} == kept
    assert bool(checked(course)) != damage.mends
    if damage.mends:
        assert (course / "submitted/hw1/alice.py").read_bytes() == b"alice 2"
        assert (course / "submitted/hw1/bob.py").read_bytes() == b"bob 1"


def test_a_failed_repair_is_reported_and_the_others_are_made(course: Path) -> None:
    (course / SECRET).chmod(0o644)
    (course / LINK).unlink()
    found = checked(course)
    (course / SECRET).unlink()
    failed, pointed = sorted(repair(found))
    assert failed.startswith(f"could not mend {course / SECRET}: ")
    assert pointed == f"pointed {course / LINK} to {versions(course)[-1].name}"


def test_a_problem_that_is_gone_at_the_second_look_is_not_reported() -> None:
    wrong, lasts, known = error("a", "x", "m"), error("b", "x", "m"), note("c", "x", "m")
    looks = iter([[known, wrong, lasts, lasts], [lasts, known, lasts], []])
    assert lasting(lambda: iter(next(looks))) == [lasts, known]
    looks = iter([[known], []])
    assert lasting(lambda: iter(next(looks))) == [known]


def test_permitted_changes_by_hand_are_notes(course: Path) -> None:
    folder = course / "submitted" / "hw1"
    (folder / "carol.py").write_text("by hand")
    (folder / "dora.py").symlink_to("carol.py")
    (folder / "dora_20260310T200800.py").write_text("by hand")
    (folder / "dora_20260310T200800.py").chmod(0o600)
    (folder / "alice.py").unlink()
    (folder / "alice.py").write_text("corrected by the instructor")
    (folder / ".incoming-young").write_text("on its way")
    (course / "mograder.toml").write_text("[[assignments]]\nname = 'hw1'\n[[assignments]]\nname = 'hw2'\n")
    assert said(course) == [
        (
            "note",
            "mograder.toml",
            "left out: rules for 'hw2': there is no assignment of this name, or it has no files yet",
        ),
        ("note", "submitted/hw1/alice.py", "was put there by hand and has no receipt"),
        ("note", "submitted/hw1", "3 files without a receipt: carol.py, dora.py, dora_20260310T200800.py"),
    ]
    assert repair(checked(course)) == []


def test_a_course_that_was_never_served_is_a_note_and_nothing_is_created_in_it(tmp_path: Path) -> None:
    root = make_course_folder(tmp_path)
    before = everything(root.parent)
    assert said(root.parent) == [("note", "release", "the course has not been served yet")]
    assert everything(root.parent) == before


def test_missing_released_files_are_an_error_with_their_path(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    found = checked(make_course_folder(tmp_path).parent, release=gone)
    assert [(each.what, each.where) for each in found if each.severity == "error"] == [
        ("cannot be read: No such file or directory", str(gone))
    ]


def test_a_missing_folder_of_submissions_does_not_hide_grades_that_everybody_can_write(tmp_path: Path) -> None:
    grades = tmp_path / "grades"
    grades.mkdir()
    grades.chmod(0o777)
    (found, _) = checked(make_course_folder(tmp_path).parent, grades=grades)
    assert (found.what, found.where) == ("everybody on this machine may write here", str(grades))


@pytest.mark.parametrize("name", [".mograder-secret", "assignments.json", "../mograder.toml"])
def test_a_single_file_of_mograder_makes_a_folder_a_course_whatever_it_contains(tmp_path: Path, name: str) -> None:
    root = make_course_folder(tmp_path)
    shutil.rmtree(root / "hw1")
    assert [each[2] for each in said(root.parent)] == ["there is no course here"]
    (root / name).write_text("{")
    found = [each[2] for each in said(root.parent)]
    assert "the course has not been served yet" in found
    assert "there is no course here" not in found


def test_a_folder_without_a_course_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    (tmp_path / "release" / "holiday.jpg").write_bytes(b"x")
    assert said(tmp_path) == [("error", "release", "there is no course here")]


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    assert said(tmp_path) == [("error", "release", "the folder is not there")]


def test_one_finding_does_not_hide_another(course: Path) -> None:
    first, second, third = versions(course)
    folder_for_version(course)
    second.unlink()
    third.write_bytes(b"altered")
    found = [each[1].removeprefix("submitted/hw1/") for each in said(course)]
    assert found == [first.name, second.name, third.name]


def test_the_link_of_a_pending_submission_is_no_finding_and_hides_no_other(course: Path) -> None:
    forget_file(course, "alice")
    (course / LINK).unlink()
    (course / "submitted/hw1/bob.py").unlink()
    assert [each[1] for each in said(course)] == ["submitted/hw1/bob.py", DB]


# limits up to which there is no finding


def test_new_scratch_files_small_clock_differences_and_late_expiry_have_no_findings(course: Path) -> None:
    authority(course, days=89.9)
    for place in (".incoming-00", "hw1/.incoming-00"):
        (course / "submitted" / place).write_bytes(b"on its way")
        age(course / "submitted" / place, DAY - 600)
    age(course / DB, -50)
    (course / "submitted" / ".hidden").write_bytes(b"of somebody else's program")
    age(course / "submitted" / ".hidden")
    assert [each for each in said(course) if each[1] != "submitted/.hidden"] == []


def test_a_single_time_and_times_in_the_right_order_have_no_findings(course: Path) -> None:
    due = "due = 2026-03-12\n"
    for times in (due, "closes = 2026-03-12", f"{due}closes = 2026-03-12", f"{due}closes = 2026-03-13"):
        (course / "mograder.toml").write_text(f"[[assignments]]\nname = 'hw1'\n{times}")
        assert said(course) == [], times


def test_certificate_and_authority_have_no_findings_until_they_expire(course: Path) -> None:
    authority(course, days=3650 - 181).renew(["localhost"], datetime.now(UTC))
    assert said(course) == []


def test_an_authority_without_a_certificate_is_an_error(course: Path) -> None:
    authority(course)
    (course / "release" / CERTIFICATE).unlink()
    assert said(course) == [("error", f"release/{CERTIFICATE}", f"{CERTIFICATE} is missing")]


@pytest.mark.parametrize(("ahead", "found"), [(1.0, None), (1.1, 1), (90.5, 90)])
def test_a_receipt_from_the_future_means_that_the_clock_was_set_back(
    course: Path, ahead: float, found: int | None
) -> None:
    now = max(row.received for row in received(course)) - int(ahead * SECOND)
    age(course / DB, 2 * 3600)
    what = f"the last receipt is {found} s ahead of the clock, {iso(now)}"
    assert said(course, now) == ([("warning", DB, what)] if found else [])


@pytest.mark.parametrize(("waits", "severity"), [(60, "note"), (61, "warning")])
def test_a_submission_pending_for_more_than_a_minute_is_a_warning(course: Path, waits: int, severity: str) -> None:
    forget_file(course)
    waiting = received(course)[-1].received
    age(course / DB, 2 * 3600)
    what = "1 submission in the ledger, not yet known to be on the disk"
    now = waiting + waits * SECOND
    assert said(course, now) == [(severity, DB, what)]
    assert repair(checked(course, now)) == [f"finished the pending submissions of {course / DB}"]


@pytest.mark.parametrize(("free", "severity"), [(GIB, None), (GIB - 1, "warning"), (100 * MIB, "warning"),
                                                (100 * MIB - 1, "error")])  # fmt: skip
def test_little_free_space_is_a_warning_and_none_an_error(
    course: Path, monkeypatch: pytest.MonkeyPatch, free: int, severity: str | None
) -> None:
    usage = shutil.disk_usage(course)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    what = f"{free // MIB} MiB are free"
    assert said(course) == ([(severity, each, what) for each in ("release", "submitted")] if severity else [])


def test_a_scratch_file_that_disappears_during_the_check_is_no_finding(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale(course, "submitted", ".incoming-0123")
    now = time.time

    def removed() -> float:
        (course / "submitted" / ".incoming-0123").unlink(missing_ok=True)
        return now()

    monkeypatch.setattr(time, "time", removed)
    assert checked(course) == []


def test_the_scratch_file_of_a_pending_submission_is_no_leftover_and_is_kept(course: Path) -> None:
    version = versions(course, "bob")[-1]
    spool = course / "submitted" / ".incoming-0123"
    version.rename(spool)
    age(spool)
    sql = "SELECT number, NULL, '.incoming-0123' FROM receipts WHERE filename"
    stale(course, "submitted", ".incoming-4567")
    seen = checked(course)
    ledger(course, f"INSERT INTO pending {sql} = '{version.name}'")
    assert [each[1] for each in said(course)] == [DB, "submitted/.incoming-4567"]
    assert [each for each in repair(seen) if "0123" in each] == [f"kept {spool}: a submission is still in it"]
    assert f"removed {course / 'submitted/.incoming-4567'}" in repair(seen)
    repair(checked(course))
    assert checked(course) == []
    assert version.read_bytes() == b"bob 1"


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("place", ["submitted", SECRET, EARLIER, KEY, DB, "release/.mograder.lock"])
def test_a_file_of_another_user_is_a_warning(course: Path, place: str) -> None:
    files.write_file(course / EARLIER, b"9 x", mode=0o600)
    os.chown(course / place, 65534, -1)
    what = "belongs to another user than the folder: the server may not be able to use it"
    assert said(course) == [("warning", place, what)]


def test_a_user_who_is_not_the_owner_is_told_so(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = course.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert said(course) == [("note", "release", "you are not the owner of the course")]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert said(course) == []
