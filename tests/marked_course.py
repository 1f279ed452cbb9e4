"""A course with people, graders and submissions to mark."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from mograder.domain.access import Actor, Role
from mograder.domain.assignments import Assignment
from mograder.domain.course import Course
from mograder.domain.grading_jobs import LEASE, Announced, Result
from mograder.domain.marking import Entry, GivenMark
from mograder.domain.names import INSTRUCTOR, Username
from mograder.domain.results import RunReport
from mograder.domain.roster import Person
from mograder.signing import Ed25519Signer
from mograder.wire.records import KIND, claims_of, record_of
from tests.grading_samples import HALF_RIGHT, record
from tests.parts import HW1, NOON, Clock, open_course, submit_work

TEACHER = Actor(INSTRUCTOR, Role.INSTRUCTOR)
GRACE, GUY = (Actor(Username(name), Role.GRADER) for name in ("grace", "guy"))
PLAN = """
[[assignments]]
name = "hw1"
[[assignments.questions]]
key = "Essay"
points = 10
[[assignments.questions]]
key = "Plot"
points = 5
"""


def marked_course(root: Path, clock: Clock, plan: str = PLAN, students: int = 3) -> Course:
    """A course in which the students s01, s02 … have submitted; grace and guy are graders."""
    (root.parent / "mograder.toml").write_text(plan)
    course = open_course(root, clock)
    people = [
        Person(Username(f"s{number:02}"), f"Student {number}", sections=("Tue" if number % 2 else "Wed",))
        for number in range(1, students + 1)
    ]
    course.roster.add(TEACHER, [*people, Person(GRACE.username, "Grace", Role.GRADER),
                                Person(GUY.username, "Guy", Role.GRADER)])  # fmt: skip
    for each in people:
        submit_work(course.store, course.signer, each.username, f"print('{each.username}')\n".encode())
    return course


def task(course: Course) -> Assignment:
    return course.release.assignment(TEACHER, "hw1")


def give(course: Course, user: str, question: str, points: float | None, version: int = 0, actor: Actor = GRACE,
         comment: str = "", items: tuple[str, ...] = ()) -> Entry:  # fmt: skip
    given = GivenMark(points, items, comment)
    return course.marking.give(actor, task(course), Username(user), question, given, version)


def give_all(course: Course, user: str, essay: float, plot: float) -> None:
    give(course, user, "Essay", essay)
    give(course, user, "Plot", plot)


def checked(course: Course, report: RunReport = HALF_RIGHT) -> Course:
    """The course with results for all waiting submissions: Q1 and Q2 by checks, Q3 marked by hand."""
    signer = course.signer
    assert isinstance(signer, Ed25519Signer)
    made = replace(course, read_record=lambda text: record_of(signer.verify(text, KIND)))
    made.store.jobs.announce(HW1, Announced("t1"))
    while job := made.store.jobs.claim("w", NOON, NOON + LEASE, [HW1]):
        signed = signer.sign(claims_of(record(report, username=job.username, receipt=job.receipt)), KIND)
        assert made.store.jobs.finish(job, Result(job.receipt, "t1", HW1, job.username, NOON, signed))
    return made
