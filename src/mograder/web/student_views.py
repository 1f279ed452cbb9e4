"""A student's pages."""

from __future__ import annotations

from mograder.web.student_pages import Home
from mograder.web.visits import Answer, View, Visit


def home(visit: Visit) -> Answer:
    """The course at a glance."""
    course, actor = visit.course, visit.actor
    return Home(visit.frame, tuple(course.work(each, actor.username) for each in course.assignments(actor)))


VIEWS: tuple[View, ...] = ()
