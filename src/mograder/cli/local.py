"""The methods of `Client` for instructors, on a course that this machine can open: a folder, or a database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mograder.domain.access import COURSE_INSTRUCTOR, Role
from mograder.domain.audit import all_events, without_repeats
from mograder.domain.course import Course
from mograder.domain.extensions import Change
from mograder.domain.names import Username, parse_owner
from mograder.wire import messages


class LocalCourse:
    """A course that a command works on without a server. Its methods raise the errors that a server would answer."""

    def __init__(self, course: Course) -> None:
        self._course = course

    # people

    def roster(self) -> list[messages.RosterEntry]:
        return [messages.roster_entry(each) for each in self._course.roster.all()]

    def add_people(
        self, people: Iterable[messages.NewPerson], update: bool = False, remove: Iterable[str] = ()
    ) -> list[messages.RosterEntry]:
        parsed, dropped = messages.parse_people(people), [parse_owner(each) for each in remove]
        added = self._course.roster.add(COURSE_INSTRUCTOR, parsed, update, dropped)
        return [messages.roster_entry(*each) for each in added]

    def reset(self, user: str) -> messages.RosterEntry:
        return messages.roster_entry(*self._course.roster.reset(COURSE_INSTRUCTOR, Username(user)))

    def set_role(self, user: str, role: Role) -> messages.RosterEntry:
        return messages.roster_entry(self._course.roster.set_role(COURSE_INSTRUCTOR, Username(user), role))

    def rename(self, user: str, name: str) -> messages.RosterEntry:
        return messages.roster_entry(self._course.roster.rename(COURSE_INSTRUCTOR, Username(user), name))

    def reset_everybody(self) -> list[messages.RosterEntry]:
        return [messages.roster_entry(*each) for each in self._course.roster.reset_everybody(COURSE_INSTRUCTOR)]

    def remove(self, user: str) -> messages.RosterEntry:
        return messages.roster_entry(self._course.roster.remove(COURSE_INSTRUCTOR, Username(user)))

    def events(self) -> Iterator[messages.EventInfo]:
        return map(messages.event_info, without_repeats(all_events(self._course.audit)))

    # extensions

    def extensions(self) -> list[messages.ExtensionInfo]:
        return [messages.extension_info(each) for each in self._course.extensions.all()]

    def change_extensions(self, changes: Iterable[messages.ExtensionChange]) -> list[messages.ExtensionInfo]:
        find = self._course.release.assignment
        wanted = [
            Change(
                find(COURSE_INSTRUCTOR, each.assignment), parse_owner(each.user), each.decision, each.until, each.note
            )
            for each in changes
        ]  # fmt: skip
        return [messages.extension_info(each) for each in self._course.extensions.decide(COURSE_INSTRUCTOR, wanted)]

    # rules

    def rules(self, assignment: str) -> messages.RulesInfo:
        name = self._course.release.assignment(COURSE_INSTRUCTOR, assignment).name
        return messages.rules_info(self._course.rules.of(name))

    def change_rules(self, assignment: str, rules: messages.NewRules) -> messages.RulesInfo:
        planning = self._course.rules
        name = self._course.release.assignment(COURSE_INSTRUCTOR, assignment).name
        texts = messages.new_texts(planning.of(name).texts, rules)
        return messages.rules_info(planning.change(COURSE_INSTRUCTOR, name, texts, rules.tag))
