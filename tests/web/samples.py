"""Sample pages: every page in every state, for the tests and for tools/screenshots.py."""

from __future__ import annotations

from msgspec.structs import replace

from mograder.domain.devices import Device
from mograder.domain.names import Username
from mograder.web.pages.devices import YourDevices
from mograder.web.pages.install import Install
from mograder.web.pages.page import ConfirmSwitch, Join, Joined, Login, Once, Page, Problem, SessionEnded
from tests.web import (
    instructor_samples,
    marking_samples,
    people_samples,
    publish_samples,
    regrade_samples,
    student_samples,
)
from tests.web.sample_parts import ALICE, HOUR, KEY, NOBODY, NOW, SCRIPT, TEACHER

WHEEL = ("mograder_course-1.0.0.dev0-py3-none-any.whl", "1a" * 32)

SAMPLES: dict[str, Page] = {
    "join": Join(NOBODY, True, KEY, "k" * 64),
    "join-taken": Join(NOBODY, True, KEY, "k" * 64, True, False, "alice", "swordfish", "the name 'alice' is taken"),
    "join-hostile": Join(
        replace(NOBODY, course=SCRIPT),
        True,
        KEY,
        f'"{SCRIPT}',
        user=f'"{SCRIPT}',
        code=SCRIPT,
        problem=f"wrong: {SCRIPT}",
    ),
    "join-off": Join(NOBODY, False, KEY, "k" * 64),
    "joined-self-signed": Joined(ALICE, "alice:" + "5f0c" * 16, "https://192.168.1.20:8080", KEY),
    "joined": Joined(ALICE, "alice:" + "5f0c" * 16, "https://course.example.org/course"),
    "install": Install(NOBODY, "https://course.example.org/course", WHEEL),
    "install-own-certificate": Install(ALICE, "https://192.0.2.7:8080", WHEEL, "5f0c" * 16),
    "install-nothing": Install(ALICE, "https://course.example.org", None),
    "login": Login(NOBODY, True),
    "session-ended": SessionEnded(NOBODY, f"{NOBODY.at('/login')}?next=%2Fmy%2Fhw1"),
    "switch": ConfirmSwitch(ALICE, Username("mallory"), "ticket"),
    "switch-instructor": ConfirmSwitch(TEACHER, Username("mallory"), "ticket"),
    "login-back": Login(NOBODY, True, f'/my/"{SCRIPT}'),
    "login-wrong": Login(NOBODY, False, "", "wrong token: log in again, or ask your instructor for a new one"),
    "devices": YourDevices(ALICE, (Device("a1", "Firefox on Linux", NOW), Device("b2", SCRIPT, NOW - HOUR)), "a1"),
    "devices-code": YourDevices(ALICE, (), "a1", "abcd-efgh-jkmn", NOW + HOUR),
    "once": Once(NOBODY),
    "once-spent": Once(NOBODY, "this link was used already or is too old: ask for a new one"),
    "problem": Problem(ALICE, 404, "there is no page at this address"),
    "problem-place": Problem(TEACHER, 503, "grades.json cannot be understood", f"hw1/grades.json: line 3: {SCRIPT}"),
    **student_samples.SAMPLES,
    **instructor_samples.SAMPLES,
    **people_samples.SAMPLES,
    **marking_samples.SAMPLES,
    **publish_samples.SAMPLES,
    **regrade_samples.SAMPLES,
}
"""Sample pages by name: that of the page, and after a dash that of the state."""
