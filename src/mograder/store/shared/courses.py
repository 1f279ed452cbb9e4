"""Errors that the courses of a folder and of a database share."""

from __future__ import annotations

from mograder.domain.errors import NameTaken, NotFound


def no_such_course(name: str) -> NotFound:
    return NotFound(f"there is no course {name!r}")


def course_taken(name: str) -> NameTaken:
    return NameTaken(f"there is a course {name!r} already: choose another name")
