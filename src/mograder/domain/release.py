"""Released files: the assignments that people see, the files that they download, and who has downloaded them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mograder.domain import deadlines
from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment
from mograder.domain.audit import Event
from mograder.domain.errors import NotFound, NotOpen
from mograder.domain.extensions import Extension, Extensions
from mograder.domain.files import StoredFile
from mograder.domain.names import AssignmentName, FileName, Username, printable
from mograder.domain.rules import ConfigStore


@dataclass(frozen=True)
class Fetched:
    """A note that a person downloaded a file of an assignment, first at `moment` (Unix microseconds)."""

    assignment: AssignmentName
    username: Username
    moment: int


@dataclass(frozen=True)
class NewFile:
    """A file that an instructor publishes."""

    name: FileName
    content: bytes


class ReleaseStore(Protocol):
    """What storage promises about assignments and released files."""

    def assignments(self) -> tuple[Assignment, ...]:
        """Every present assignment, sorted by name."""
        ...

    def find(self, text: str) -> Assignment | None:
        """The assignment of this name or, failing that, id; its `files` may be left out."""
        ...

    def file(self, assignment: AssignmentName, name: FileName) -> StoredFile | None:
        """A file that students download; None unless it is inside the assignment and not hidden."""
        ...

    def put_files(self, assignment: AssignmentName, files: Sequence[NewFile], event: Event) -> None:
        """Publish files of an assignment, which is made if there is none, and record `event`.

        A file of the same name is replaced; a reader sees the old or the new file, never a part. Raises BadRequest if
        a server cannot publish files here; then nothing changes.
        """
        ...

    def remove_file(self, assignment: AssignmentName, name: FileName, event: Event) -> bool:
        """Remove a released file and record `event`. Returns False if there is none."""
        ...

    def note_fetched(self, notes: Sequence[Fetched]) -> None:
        """Store notes about downloads; the first one of each person and assignment stays."""
        ...

    def fetched(self, username: Username | None = None) -> list[Fetched]:
        """All notes, or those of a person; sorted by assignment and name."""
        ...


@dataclass(frozen=True)
class Upcoming:
    """An assignment that is announced to students and not open yet; `opens` is in Unix microseconds."""

    name: AssignmentName
    title: str
    opens: int


@dataclass(frozen=True)
class Download:
    """A download of `/assignments/<assignment>/files/<file>` at `moment` (Unix microseconds)."""

    actor: Actor
    assignment: str
    file: str
    moment: int


@dataclass(frozen=True)
class Release:
    """The assignments and released files of one course."""

    store: ReleaseStore
    extensions: Extensions
    config: ConfigStore
    clock: Callable[[], int]

    def assignments(
        self, actor: Actor, own: Sequence[Extension] | None = None, listed: tuple[Assignment, ...] | None = None
    ) -> tuple[Assignment, ...]:
        """Every assignment that the actor may see. Students see open ones only, with their extensions.

        `own` are the actor's extensions, and `listed` the store's assignments, if the caller has read them already.
        """
        listed = self.store.assignments() if listed is None else listed
        if actor.is_instructor:
            return listed
        own = self.extensions.own(actor) if own is None else own
        given, now = {each.assignment: each.until for each in own}, self.clock()
        return tuple(
            each.extended(given[each.name]) if each.name in given else each
            for each in listed
            if each.rules.schedule.is_open(now)
        )

    def for_students(self) -> tuple[Assignment, ...]:
        """Every assignment that is open to students."""
        now = self.clock()
        return tuple(each for each in self.store.assignments() if each.rules.schedule.is_open(now))

    def upcoming(self) -> tuple[Upcoming, ...]:
        """The assignments that are not open yet, the next first, without hidden ones."""
        now, rules = self.clock(), ((each.name, each.rules) for each in self.store.assignments())
        found = [
            Upcoming(name, said.title or name, said.schedule.opens or 0)
            for name, said in rules
            if not said.hidden and not said.schedule.is_open(now)
        ]
        return tuple(sorted(found, key=lambda each: (each.opens, each.name)))

    def assignment(self, actor: Actor, text: str) -> Assignment:
        """The assignment of this name or id.

        Raises NotFound: NotOpen for one that the actor may not see yet, unless it is hidden.
        """
        found = self.store.find(text)
        if found is not None:
            schedule = found.rules.schedule
            if actor.is_instructor or schedule.is_open(self.clock()):
                return found
            if not found.rules.hidden:
                opens = deadlines.readable(schedule.opens or 0, self.config.plan().zone)
                raise NotOpen(f"{found.name!r} opens at {opens}")
        raise NotFound(f"there is no assignment {printable(text)!r}")

    def file(self, actor: Actor, assignment: str, file: str) -> StoredFile:
        """A released file. Raises NotFound."""
        name = FileName.parse(file)
        folder = self._folder_of(actor, assignment, name)
        found = self.store.file(folder, name) if folder else None
        if found is None:
            raise NotFound(f"there is no file {printable(file)!r} in {printable(assignment)!r}")
        return found

    def note_downloads(self, downloads: Iterable[Download]) -> None:
        """Record downloads; the first one of each person and assignment stays."""
        notes = []
        for each in downloads:
            try:
                name = self.assignment(each.actor, each.assignment).name
            except NotFound:  # a manifest may list files of another folder for an assignment
                url = release_file_url(each.assignment, each.file)
                listing = self.assignments(each.actor)
                name = next(entry.name for entry in listing if any(file.url == url for file in entry.files))
            notes.append(Fetched(name, each.actor.username, each.moment))
        self.store.note_fetched(notes)

    def _folder_of(self, actor: Actor, text: str, file: FileName) -> AssignmentName | None:
        """The folder in a released file's URL: that of an assignment, or one to which a manifest's URLs lead."""
        try:
            return self.assignment(actor, text).name
        except NotFound:
            pass
        url = release_file_url(text, file)
        listed = any(each.url == url for entry in self.assignments(actor) for each in entry.files)
        return AssignmentName.parse(text) if listed else None


def release_file_url(assignment: str, file: str) -> str:
    """The URL by which a manifest may name a file in a folder of the course."""
    return f"/assignments/{assignment}/files/{file}"
