"""Changing rules over a real folder: consistency, conflicting changes, and the effect on submissions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.course import Course
from mograder.domain.errors import BadRequest, ChangedMeanwhile, NotFound, Unreadable
from mograder.domain.names import AssignmentName
from mograder.domain.rule_editor import RulesAsText
from tests.parts import ALICE, HW1, NOON, SECOND, Clock, filled

STUDENT = Actor(ALICE, Role.STUDENT)
PLAN = """\
timezone = "Europe/Berlin"   # ours

[[assignments]]
name = "hw1"
title = "Loops"
opens = 2026-03-01
due = 2026-03-10T12:00:00    # 11:00 UTC
closes = 2026-03-12
"""


@pytest.fixture
def plan(course_folder: Path) -> Path:
    path = course_folder.parent / "mograder.toml"
    path.write_text(PLAN)
    return path


def change(course: Course, tag: str = "", **texts: str) -> RulesAsText:
    held = course.rules.of(HW1)
    return course.rules.change(COURSE_INSTRUCTOR, HW1, replace(held.texts, **texts), tag or held.tag)


def test_only_differences_are_written_and_recorded_in_the_audit_log(course: Course, plan: Path) -> None:
    changed = change(course, due="2026-03-11T12:00", points="20", title=" Loops ")
    assert (changed.texts.due, changed.texts.closes, changed.zone) == (
        "2026-03-11T12:00", "2026-03-12T23:59:59", "Europe/Berlin"
    )  # fmt: skip
    assert plan.read_text() == PLAN.replace("03-10T12", "03-11T12") + "points = 20\n"
    (event,) = course.audit.events()
    assert (event.actor, event.action, event.subject) == ("__instructor__", "rules", "hw1")
    assert event.detail == "due 2026-03-10T12:00 -> 2026-03-11T12:00; points not set -> 20"


def test_every_rule_can_be_written_and_removed_again(course: Course, plan: Path) -> None:
    texts = {"title": "While", "max_size": "100 MiB", "accepts": ".py .zip", "points": "200000000"}
    written = change(course, **texts)
    assert (written.assignment, written.texts) == (HW1, replace(written.texts, **texts))
    taken = change(course, **dict.fromkeys(texts, "")).texts
    assert taken == replace(written.texts, **dict.fromkeys(texts, ""))


def test_an_unchanged_form_writes_nothing(course: Course, plan: Path) -> None:
    before = plan.stat()
    held = course.rules.of(HW1)
    assert change(course) == held
    assert (plan.stat().st_mtime_ns, course.audit.events()) == (before.st_mtime_ns, [])


def test_submissions_are_judged_by_the_new_rules_at_once_and_receipts_keep_the_old_ones(
    course: Course, plan: Path, clock: Clock
) -> None:
    body = filled(course.submissions.upload(), b"work")
    clock.now = NOON
    receipt = course.submissions.submit(STUDENT, course.release.assignment(STUDENT, "hw1"), ALICE, body, NOON).receipt
    text = receipt.text
    assert receipt.submission.late
    change(course, due="2026-03-10T14:00")
    standing = course.standings.of(course.release.assignment(STUDENT, "hw1"), ALICE)
    assert standing.counting is not None
    assert not standing.counting.lateness.late
    (kept,) = course.submissions.receipts(ALICE)
    assert (kept.text, kept.submission.late) == (text, True)
    change(course, opens="2026-03-10T13:01")
    with pytest.raises(NotFound):
        course.release.assignment(STUDENT, "hw1")


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"due": "2026-03-13"}, "opens Sun 2026-03-01 00:00 CET, due Fri 2026-03-13 23:59:59 CET, closes"),
        ({"opens": "2026-03-10T12:01"}, "out of order"), ({"closes": "2026-03-10T11:00"}, "out of order"),
        ({"due": "", "closes": "2026-02-01"}, "out of order"), ({"max_size": "101 MiB"}, "too large"),
        ({"due": "soon", "points": "1"}, "'soon' is no time"),
    ],
)  # fmt: skip
def test_contradictory_rules_change_nothing(course: Course, plan: Path, texts: dict[str, str], says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        change(course, **texts)
    assert (plan.read_text(), course.audit.events()) == (PLAN, [])


def test_a_date_means_opening_at_its_start_and_closing_at_its_end(course: Course, plan: Path) -> None:
    texts = change(course, opens="2026-03-10", closes="2026-03-10").texts
    assert (texts.opens, texts.closes) == ("2026-03-10T00:00", "2026-03-10T23:59:59")


def test_all_times_can_be_removed_together(course: Course, plan: Path) -> None:
    texts = change(course, opens="", due="", closes="").texts
    assert (texts.opens, texts.due, texts.closes) == ("", "", "")
    assert "due" not in plan.read_text()


def test_a_change_made_by_hand_meanwhile_is_not_overwritten(course: Course, plan: Path) -> None:
    tag = course.rules.of(HW1).tag
    edited = PLAN + "points = 3\n"
    plan.write_text(edited)
    with pytest.raises(ChangedMeanwhile, match="changed meanwhile"):
        change(course, tag, title="Mine")
    assert (plan.read_text(), course.audit.events()) == (edited, [])


def test_an_invalid_course_file_is_not_overwritten(course: Course, plan: Path) -> None:
    held = course.rules.of(HW1)
    plan.write_text("[[assignments\n")
    with pytest.raises(Unreadable):
        course.rules.change(COURSE_INSTRUCTOR, HW1, replace(held.texts, title="Mine"), held.tag)
    assert plan.read_text() == "[[assignments\n"


def test_a_missing_assignment_gets_no_rules(course: Course, plan: Path) -> None:
    with pytest.raises(NotFound, match="'hw9'"):
        course.rules.of(AssignmentName("hw9"))


def test_mograder_toml_overrides_the_manifest_and_does_not_change_it(
    course: Course, plan: Path, course_folder: Path
) -> None:
    due = NOON // SECOND
    manifest = course_folder / "assignments.json"
    manifest.write_text(json.dumps([{"name": "hw1", "title": "Theirs", "duedate": due}]))
    plan.unlink()
    held = course.rules.of(HW1)
    assert (held.texts.title, held.texts.due) == ("Theirs", "2026-03-10T12:00")
    assert change(course, due="2026-03-11T12:00").texts.due == "2026-03-11T12:00"
    assert plan.read_text() == '[[assignments]]\nname = "hw1"\ndue = 2026-03-11T12:00:00\n'
    for key in ("title", "due"):
        with pytest.raises(BadRequest, match=rf"assignments\.json says '{key}' of 'hw1'"):
            change(course, **{key: ""})
    tag = course.rules.of(HW1).tag
    manifest.write_text(json.dumps([{"name": "hw1", "title": "Others", "duedate": due}]))
    with pytest.raises(ChangedMeanwhile):
        change(course, tag, points="1")
