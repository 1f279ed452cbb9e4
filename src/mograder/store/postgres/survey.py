"""Finds what is stored in a course in a database and is not in force. Nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from mograder.domain.assignments import Assignment
from mograder.domain.contents import LeftOut, Survey
from mograder.domain.names import AssignmentName, counted, printable, some_of
from mograder.store.postgres.rows import RELEASED, Listing, grades_place, read_listing
from mograder.store.postgres.tables import CourseTables
from mograder.store.shared.manifest import MANIFEST

PUBLISH = "correct it in the course's folder, and: mograder course publish"


class Lists(Protocol):
    """What lists a course's assignments: PostgresRelease."""

    def assignments(self) -> tuple[Assignment, ...]: ...


def survey(tables: CourseTables, release: Lists) -> Survey:
    """The survey of a course, read in four queries."""
    listed = {each.name: {str(file.name) for file in each.files} for each in release.assignments()}
    work = tables.read("SELECT assignment, count(DISTINCT username) FROM receipts WHERE course = %s GROUP BY 1")
    found = (*_not_handed_out(tables, listed), *_returned(tables, listed))
    return Survey(tuple((AssignmentName(name), people) for name, people in sorted(work)), left_out=found)


def _not_handed_out(tables: CourseTables, listed: dict[AssignmentName, set[str]]) -> Iterator[LeftOut]:
    """Published files that students are not shown, and listed files that were not published."""
    has_manifest = tables.document(MANIFEST) is not None
    nothing: Listing = {}
    published = tables.parsed(RELEASED, read_listing, nothing)
    for name, files in sorted(published.items()):
        shown = listed.get(name)
        if shown is None:
            why = f"{MANIFEST} lists no assignment of this name" if has_manifest else "there is no such assignment"
            yield LeftOut(f"{counted(len(files), 'file')} of {printable(name)!r}", why, PUBLISH)
            continue
        rest = [str(each.name) for each in files if each.name not in shown]
        if rest:
            why = (
                f"{MANIFEST} does not list them" if has_manifest
                else "where there is a zip, students are shown zips alone"
            )  # fmt: skip
            yield LeftOut(f"{some_of(rest)} in {printable(name)!r}", why, PUBLISH)
    for name, shown in sorted(listed.items()):
        missing = sorted(shown - {str(each.name) for each in published.get(name, ())})
        if missing:
            yield LeftOut(f"{some_of(missing)} in {printable(name)!r}", f"{MANIFEST} lists them, no such files were "
                          "published", PUBLISH)  # fmt: skip


def _returned(tables: CourseTables, listed: dict[AssignmentName, set[str]]) -> Iterator[LeftOut]:
    """Grades and feedback that nobody sees, as no assignment has their name."""
    prefix = grades_place(AssignmentName(""))
    documents = tables.read("SELECT place FROM documents WHERE course = %s AND starts_with(place, %s)", prefix)
    pages = tables.read("SELECT DISTINCT assignment FROM feedback WHERE course = %s")
    names = {place.removeprefix(prefix) for (place,) in documents} | {name for (name,) in pages}
    keys = {name.key for name in listed}
    for name in sorted(names):
        if AssignmentName(name).key not in keys:
            yield LeftOut(
                f"grades and feedback of {printable(name)!r}", "there is no assignment of this name",
                f"publish an assignment of the name {printable(name)!r} again",
            )  # fmt: skip
