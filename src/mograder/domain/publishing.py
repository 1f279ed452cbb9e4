"""Publishing: an instructor makes an assignment and publishes its files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.errors import BadRequest, ChangedMeanwhile, NotFound
from mograder.domain.files import is_left_behind
from mograder.domain.names import AssignmentName, FileName, printable
from mograder.domain.release import NewFile, ReleaseStore
from mograder.domain.rule_editor import RuleEditor
from mograder.domain.rules import RuleTexts

INSTRUCTIONS = FileName("instructions.md")
"""The file of an assignment that its page shows, in Markdown."""

LONGEST_INSTRUCTIONS = 64 * 1024
"""Bytes of instructions at most."""

_NOT_FOR_STUDENTS = re.compile(rb"(?i)\bBEGIN (SOLUTION|HIDDEN TESTS)\b")
_OF_THE_COURSE = frozenset({"release", "submitted", "source", "solutions"})
"""Folders of a course that are not assignments."""


@dataclass(frozen=True)
class Publishing:
    """Changes of released files by an instructor. The caller has authorised the actor."""

    release: ReleaseStore
    rules: RuleEditor
    clock: Callable[[], int]

    def create(self, actor: Actor, name: str, wanted: RuleTexts, files: Sequence[NewFile]) -> AssignmentName:
        """Make an assignment. Its rules are in force before its first file is there.

        Raises BadName, and BadRequest also for a name that is taken; then nothing is made.
        """
        new = AssignmentName.parse(name.strip())
        if printable(new) != new or is_left_behind(new) or new.casefold() in _OF_THE_COURSE:
            raise BadRequest(f"{printable(new)!r} cannot be the name of an assignment: choose another, such as hw1")
        taken = {each.name.key.casefold() for each in self.release.assignments()}
        if new.key.casefold() in taken:
            raise BadRequest(f"there is an assignment {printable(new)!r}: choose another name")
        _check(files)
        self.rules.set_up(actor, new, wanted)
        self._put(actor, new, files)
        return new

    def put(self, actor: Actor, name: AssignmentName, files: Sequence[NewFile]) -> None:
        """Publish files, which replace those of the same name. Raises NotFound and BadRequest; then nothing changes."""
        if not files:
            raise BadRequest("choose a file first")
        _check(files)
        self._put(actor, self._assignment(name).name, files)

    def remove(self, actor: Actor, name: AssignmentName, file: str) -> None:
        """Remove a published file. Students who have downloaded it keep it. Raises NotFound."""
        found, named = self._assignment(name), FileName.parse(file)
        event = Event(self.clock(), actor.username, "take back", found.name, named)
        if not self.release.remove_file(found.name, named, event):
            raise NotFound(f"there is no file {printable(file)!r} in {found.name!r}")

    def instructions(self, name: AssignmentName) -> str:
        """The text of the instructions, "" without any. Raises BadRequest for a text that is too long or not UTF-8."""
        file = self.release.file(name, INSTRUCTIONS)
        if file is None:
            return ""
        if file.size > LONGEST_INSTRUCTIONS:
            raise BadRequest(f"{INSTRUCTIONS} is longer than {LONGEST_INSTRUCTIONS} bytes: students can download it")
        try:
            return file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise BadRequest(f"{INSTRUCTIONS} is no UTF-8 text: students can download it") from None

    def write_instructions(self, actor: Actor, name: AssignmentName, text: str, tag: str) -> None:
        """Replace the instructions; an empty text removes them. `tag` is `tag_of` the text that the person has seen.

        Raises ChangedMeanwhile, BadRequest and NotFound; then nothing changes.
        """
        found = self._assignment(name).name
        held = self.instructions(found)
        if tag_of(held) != tag:
            raise ChangedMeanwhile("the instructions were changed meanwhile: look at them, and try again")
        content = text.replace("\r\n", "\n").strip()
        if len(content.encode()) >= LONGEST_INSTRUCTIONS:
            raise BadRequest(f"the instructions are too long: {LONGEST_INSTRUCTIONS} bytes at most")
        if content and content != held.strip():
            self._put(actor, found, [NewFile(INSTRUCTIONS, f"{content}\n".encode())])
        elif held and not content:
            self.remove(actor, found, INSTRUCTIONS)

    def _assignment(self, name: AssignmentName) -> Assignment:
        found = self.release.find(name)
        if found is None:
            raise NotFound(f"there is no assignment {printable(name)!r}")
        return found

    def _put(self, actor: Actor, name: AssignmentName, files: Sequence[NewFile]) -> None:
        said = ", ".join(each.name for each in files) or "no file"
        self.release.put_files(name, files, Event(self.clock(), actor.username, "put up", name, printable(said, 500)))


def tag_of(instructions: str) -> str:
    return hashlib.sha256(instructions.encode()).hexdigest()


def _check(files: Sequence[NewFile]) -> None:
    """Raises BadRequest for files that students must not get, or would not see."""
    for each in files:
        if any(map(is_left_behind, each.name.split("/"))):
            raise BadRequest(f"{printable(each.name)!r} was left by a program, and students never get such files")
        if each.name.endswith(".py") and _NOT_FOR_STUDENTS.search(each.content):
            raise BadRequest(
                f"{printable(each.name)!r} has solutions or hidden tests, and students would download it: publish what "
                "'mograder generate' makes of it"
            )
    if len({each.name.casefold() for each in files}) < len(files):
        raise BadRequest("two of the files have the same name: rename one")
