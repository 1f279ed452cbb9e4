"""The methods of `Client` for instructors, on a course that this machine can open: a folder, or a database."""

from __future__ import annotations

from collections.abc import Iterable

from mograder import wire
from mograder.domain.access import COURSE_INSTRUCTOR, Role
from mograder.domain.course import Course
from mograder.domain.extensions import Change
from mograder.domain.names import Username, parse_owner
from mograder.domain.roster import Person


class LocalCourse:
    """A course that a command works on without a server. Raises what the server would answer."""

    def __init__(self, course: Course) -> None:
        self._course = course

    # people

    def roster(self) -> list[wire.RosterEntry]:
        return [wire.roster_entry(each) for each in self._course.roster.all()]

    def add_people(self, people: Iterable[wire.NewPerson]) -> list[wire.RosterEntry]:
        parsed = [Person.parse(each.user, each.name, each.role) for each in people]
        return [wire.roster_entry(*each) for each in self._course.roster.add(COURSE_INSTRUCTOR, parsed)]

    def reset(self, user: str) -> wire.RosterEntry:
        return wire.roster_entry(*self._course.roster.reset(COURSE_INSTRUCTOR, Username(user)))

    def set_role(self, user: str, role: Role) -> wire.RosterEntry:
        return wire.roster_entry(self._course.roster.set_role(COURSE_INSTRUCTOR, Username(user), role))

    def remove(self, user: str) -> wire.RosterEntry:
        return wire.roster_entry(self._course.roster.remove(COURSE_INSTRUCTOR, Username(user)))

    # extensions

    def extensions(self) -> list[wire.ExtensionInfo]:
        return [wire.extension_info(each) for each in self._course.extensions.all()]

    def change_extensions(self, changes: Iterable[wire.ExtensionChange]) -> list[wire.ExtensionInfo]:
        find = self._course.release.assignment
        wanted = [
            Change(
                find(COURSE_INSTRUCTOR, each.assignment), parse_owner(each.user), each.decision, each.until, each.note
            )
            for each in changes
        ]  # fmt: skip
        return [wire.extension_info(each) for each in self._course.extensions.decide(COURSE_INSTRUCTOR, wanted)]

    # rules

    def rules(self, assignment: str) -> wire.RulesInfo:
        name = self._course.release.assignment(COURSE_INSTRUCTOR, assignment).name
        return wire.rules_info(self._course.rules.of(name))

    def change_rules(self, assignment: str, rules: wire.NewRules) -> wire.RulesInfo:
        planning = self._course.rules
        name = self._course.release.assignment(COURSE_INSTRUCTOR, assignment).name
        texts = wire.new_texts(planning.of(name).texts, rules)
        return wire.rules_info(planning.change(COURSE_INSTRUCTOR, name, texts, rules.tag))
