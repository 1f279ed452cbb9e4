"""Cached marking on two servers equals a computation from nothing after any sequence of writes."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mograder.domain.access import COURSE_INSTRUCTOR, Actor
from mograder.domain.course import Course
from mograder.domain.marking import Assigned, Content, Entry, GivenMark, Kind, Request, RubricItem
from mograder.domain.marking_desk import Overview
from mograder.domain.names import Username
from tests.marked_course import GRACE, GUY, TEACHER, marked_course, task
from tests.parts import Clock, make_course_folder, open_course, submit_work

PEOPLE = ("s01", "s02")
CONTENTS: dict[Kind, list[Content]] = {
    Kind.MARK: [
        GivenMark(3), GivenMark(items=("a",)), GivenMark(comment="good"), GivenMark(1, ("a", "b"), "good"), GivenMark(),
    ],
    Kind.ITEM: [RubricItem("Essay", "an item", 1), RubricItem("Plot", "another", -1), RubricItem()],
    Kind.ASSIGNED: [Assigned("grace"), Assigned("guy"), Assigned()],
    Kind.REQUEST: [Request(True), Request()],
}  # fmt: skip
steps = st.tuples(
    st.sampled_from(sorted(CONTENTS)), st.sampled_from(PEOPLE), st.sampled_from(("Essay", "Plot")),
    st.sampled_from("ab"), st.integers(0, 4), st.integers(0, 1),
)  # fmt: skip
Step = tuple[Kind, str, str, str, int, int]


def overviews(course: Course) -> list[tuple[Overview, dict[str, tuple[str, ...]]]]:
    desk, hw1 = course.marking, task(course)
    actors: tuple[Actor, ...] = (COURSE_INSTRUCTOR, GRACE, GUY)
    return [(desk.overview(each, hw1), desk.comments(hw1)) for each in actors]


def from_nothing(root: Path, clock: Clock) -> list[tuple[Overview, dict[str, tuple[str, ...]]]]:
    course = open_course(root, clock)
    try:
        return overviews(course)
    finally:
        course.close()


def write(course: Course, step: Step) -> None:
    kind, user, question, item, chosen, _ = step
    contents = CONTENTS[kind]
    user, key = ("", item) if kind is Kind.ITEM else (user, "" if kind is Kind.ASSIGNED else question)
    held = course.store.marking.current(task(course).name, (kind,), user)
    version = next((each.version for each in held if each.key == key), 0) + 1
    content = contents[chosen % len(contents)].text_form
    made = Entry(task(course).name, kind, user, key, version, course.clock(), GRACE.username, content)
    course.store.marking.write(task(course).name, [made])


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@example([(Kind.MARK, "s01", "Essay", "a", 1, 0), (Kind.ITEM, "", "", "a", 0, 1), (Kind.ITEM, "", "", "a", 2, 0)])
@given(st.lists(steps, min_size=3, max_size=12))
def test_cached_marking_on_two_servers_equals_that_of_a_freshly_started_one(done: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        root, clock = make_course_folder(Path(folder)), Clock(0)
        first = marked_course(root, clock)
        stack.callback(first.close)
        second = open_course(root, clock)
        stack.callback(second.close)
        for step in done:
            write((first, second)[step[5]], step)
            assert overviews(first) == overviews(second) == from_nothing(root, clock)
        submit_work(first.store, first.signer, Username("s02"), b"better")
        first.erasure.erase(TEACHER, Username("s01"))
        assert overviews(first) == overviews(second) == from_nothing(root, clock)
