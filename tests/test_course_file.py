"""mograder.toml: it is read as documented, and mistakes are reported with their place."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from mograder.course_file import EMPTY, parse_course_file, read_course_file
from mograder.domain.assignments import Rules
from mograder.domain.deadlines import SECOND, microseconds
from mograder.domain.errors import Unreadable
from mograder.domain.grading_rules import GradingRules, Hidden
from mograder.domain.names import AssignmentName
from tests.parts import NOON

HW1 = AssignmentName("hw1")


def rules(text: str, before: str = "") -> Rules:
    """The rules of hw1 if its entry contains `text`."""
    return parse_course_file(f"{before}\n[[assignments]]\nname = 'hw1'\n{text}").plan().rules[HW1]


def test_a_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    assert read_course_file(tmp_path / "mograder.toml") == EMPTY == parse_course_file("")
    assert EMPTY.plan().rules == {}


def test_a_course_file_describes_its_course() -> None:
    course = parse_course_file(
        """
        title = "Kurs"
        transport = "https"
        timezone = "Europe/Berlin"
        [https]
        url = "https://e.org"
        token = "alice:00"
        [dirs]
        submitted = "in"
        [server]
        port = 9000
        [penalties]
        enabled = true
        per_day = 10
        [edit_links]
        molab = "https://e.org/{content_lz}"
        [[assignments]]
        name = "hw1"
        id = 7
        duedate = 1773144000
        max_size = 5
        accepts = ["PY", ".zip"]
        points = 10
        [[assignments.files]]
        name = "hw1.py"
        url = "/assignments/hw1/files/hw1.py"
        """
    )
    plan = course.plan()
    assert plan.title == "Kurs"
    rules = plan.rules[HW1]
    assert (rules.schedule.due, rules.max_size, rules.accepts, rules.points) == (NOON, 5, (".py", ".zip"), 10)
    assert (course.setting("server.port"), course.setting("dirs.submitted")) == (9000, "in")
    assert course.setting("server.host") is None
    assert (course.penalties.enabled, course.penalties.per_day, course.penalties.grace_minutes) == (True, 10, 5)


def test_penalties_are_off_by_default() -> None:
    penalties = EMPTY.penalties
    assert (penalties.enabled, penalties.grace_minutes, penalties.per_day, penalties.max) == (False, 5, 5, 100)


@pytest.mark.parametrize(
    ("value", "zone", "due"),
    [
        ("2026-03-10T12:00:00Z", "Asia/Tokyo", "2026-03-10T12:00:00+00:00"),
        ("2026-03-10T12:00:00+05:30", "UTC", "2026-03-10T12:00:00+05:30"),
        ("2026-03-10T12:00:00", "Europe/Berlin", "2026-03-10T12:00:00+01:00"),
        ("2026-07-10 12:00:00", "Europe/Berlin", "2026-07-10T12:00:00+02:00"),
        ("2026-07-10", "Europe/Berlin", "2026-07-10T23:59:59+02:00"),
        ("2026-03-10", "UTC", "2026-03-10T23:59:59+00:00"),
        ("1773144000", "Asia/Tokyo", "2026-03-10T12:00:00+00:00"),
    ],
)
def test_a_time_without_an_offset_is_in_the_time_zone_of_the_course_and_a_date_means_its_end(
    value: str, zone: str, due: str
) -> None:
    expected = microseconds(datetime.fromisoformat(due))
    assert rules(f"due = {value}", f"timezone = '{zone}'").schedule.due == expected


def test_an_assignment_opens_at_the_start_of_its_day_and_closes_at_the_end() -> None:
    schedule = rules("opens = 2026-03-10\ncloses = 2026-03-10").schedule
    assert (schedule.opens, schedule.closes) == (NOON - 12 * 3600 * SECOND, NOON + (12 * 3600 - 1) * SECOND)


def test_zero_means_no_due_date_and_due_overrides_duedate() -> None:
    assert rules("duedate = 0").schedule.due is rules("due = 0").schedule.due is None
    assert rules("duedate = 5\ndue = 1773144000").schedule.due == NOON


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("enrollment_code = 'x'", r"'enrollment_code' stands at the top and is not in force: move it below \[server\]"),
        ("[server]\nprot = 1", r"server: unknown key 'prot': did you mean 'port'\?"),
        ("[penalties]\nperday = 1", r"penalties: .*'perday'.*'per_day'"),
        ("[https]\ntokn = ''", r"https: .*'tokn'.*'token'"),
        ("[dirs]\nsubmited = ''", r"dirs: .*'submited'.*'submitted'"),
        ("[[assignments]]\nname = 'a'\n[[assignments]]\nname = 'b'\nclosed = 5", r"assignments\[1\].*'closes'"),
        ("[server]\nzzz = 1", r"server: unknown key 'zzz': known are host, port, max_upload"),
        ("[[assignments]]\nname = 'a'\n[[assignments.files]]\nname = 'a.py'\nurk = 'x'", "'urk'.*'url'"),
        ("title = 5", "title"),
        ("[server]\nport = '80'", "port"),
        ("[penalties]\nper_day = 'x'", "per_day"),
        ("[penalties]\nper_day = -1", "penalties: per_day is -1"),
        ("[penalties]\ngrace_minutes = inf", "penalties: grace_minutes is inf"),
        ("[penalties]\nmax = nan", "penalties: max is nan"),
        ("[marking]\nletters = { A = 90, B = 190 }", "marking: letters: B is from 190 %: give 0 to 100"),
        ("[marking]\nletters = { A = 'x' }", "letters"),
        ("counts = 'best'", "counts"),
        ("assignments = 3", "assignments"),
        ("server = 3", "server"),
        ("assignments = [3]", "assignments"),
        ("[[assignments]]", "name"),
        ("[[assignments]]\nname = '../x'", "assignments.*'../x'"),
        ("[[assignments]]\nname = 'a'\ndue = 'tomorrow'", "'tomorrow' is not a time"),
        ("[[assignments]]\nname = 'a'\ndue = 12:00:00", "is not a time"),
        ("[[assignments]]\nname = 'a'\ndue = 1.5", "is not a time"),
        ("[[assignments]]\nname = 'a'\ndue = true", "is not a time"),
        ("[[assignments]]\nname = 'a'\ndue = 2026-01-02\ncloses = 2026-01-01", "'a': expected opens <= due <= closes"),
        ("timezone = 'America/New_York'\n[[assignments]]\nname = 'a'\ndue = 9999-12-31", "9999"),
        ("timezone = 'Mars/Olympus'", "timezone: 'Mars/Olympus'"),
        ("timezone = '../../etc/passwd'", "timezone"),
        ("title = ", "Invalid value"),
        ("timezone = 'America'", "timezone: 'America'"),
        ("[[assignments]]\nname = 'a'\nfiles = 5", "files"),
        ("[[assignments]]\nname = 'a'\n[[assignments]]\nname = 'a'\ndue = 2026-01-01", "'a' is there twice"),
        ("[[assignments]]\nname = 'a'\ncloses = -99999999999999999", "range"),
        ("[[assignments]]\nname = 'a'\nmax_size = -5", "max_size"),
        ("[server]\nmax_upload = 0", "max_upload"),
        ("x = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
        ("x = 1\ntitle = ?", "line 2"),
    ],
)
def test_an_invalid_value_is_reported_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mograder.toml"
    path.write_text(text)
    with pytest.raises(Unreadable, match=r"mograder.toml cannot be understood") as refused:
        read_course_file(path)
    assert re.search(message, refused.value.place)
    assert refused.value.place.startswith(str(path))


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"\xff"), lambda path: path.mkdir()])
def test_an_unreadable_file_is_reported(tmp_path: Path, make: object) -> None:
    path = tmp_path / "mograder.toml"
    make(path)  # type: ignore[operator]
    with pytest.raises(Unreadable, match="cannot be read"):
        read_course_file(path)


def test_tables_and_keys_of_other_programs_are_ignored() -> None:
    assert parse_course_file("other = 1\n[autograder]\nx = 1\n[[moodle]]\ny = 2\n[edit_links]\nany = 'x'").title == ""


# grading


def test_grading_settings_of_an_assignment_override_those_of_the_course() -> None:
    course = parse_course_file(
        '[grading]\nhidden = "after-due"\ncell_seconds = 5\nisolate = false\n'
        '[[assignments]]\nname = "hw1"\ngrading = { hidden = "never", memory_mb = 512 }\n'
    )
    assert course.grading_rules("hw1") == GradingRules(Hidden.NEVER, False, {"cell_seconds": 5, "memory_mb": 512})
    assert course.grading_rules("hw2") == GradingRules(Hidden.AFTER_DUE, False, {"cell_seconds": 5})
    assert parse_course_file("").grading_rules("hw1") == GradingRules(Hidden.NEVER, True, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[grading]\nhiden = "never"', "grading: unknown key 'hiden': did you mean 'hidden'"),
        ('[grading]\nhidden = "later"', "Invalid enum value 'later'"),
        ("[grading]\nmemory_mb = 0", "memory_mb is 0: give more than 0"),
        (
            '[[assignments]]\nname = "hw1"\ngrading = { cell_secs = 1 }',
            r"assignments\[0\]\.grading: unknown key 'cell_secs'",
        ),
        ('[[assignments]]\nname = "hw1"\ngrading = { calls = -1 }', "calls is -1"),
    ],
)  # fmt: skip
def test_a_misspelt_key_in_grading_is_reported(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_course_file(text).plan()


@pytest.mark.parametrize("accepts", ["['*']", "['.py', '']", "['py,zip']"])
def test_a_misspelt_value_in_accepts_is_reported(accepts: str) -> None:
    with pytest.raises(ValueError, match=r"'hw1': accepts: .* is no file ending"):
        parse_course_file(f"[[assignments]]\nname = 'hw1'\naccepts = {accepts}\n").plan()


@pytest.mark.parametrize(
    ("written", "right"),
    [("2030-02-08T17:00", "2030-02-08T17:00:00"), ("2030-02-08 17:00", "2030-02-08 17:00:00"),
     ("2030-02-08T17:00Z", "2030-02-08T17:00:00Z"), ("2030-02-08T17:00+01:00 # five", "2030-02-08T17:00:00+01:00")],
)  # fmt: skip
def test_a_time_without_seconds_is_refused_with_what_to_write(written: str, right: str) -> None:
    with pytest.raises(ValueError, match=f"line 3: .* has no seconds: write {re.escape(right)}$"):
        parse_course_file(f"[[assignments]]\nname = 'hw1'\ndue = {written}\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_in_the_settings_is_ignored(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "mograder.toml").write_bytes("title = 'Tée'\r\n".encode(encoding))
    assert read_course_file(tmp_path / "mograder.toml").title == "Tée"
