"""`mograder serve` of many courses: those of a database, or those of a folder."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mograder.cli.listen import Listener, keep_serving
from mograder.cli.output import note
from mograder.config import ServeSettings
from mograder.course_file import CONFIG_NAME
from mograder.domain.contents import LeftOut
from mograder.domain.errors import Temporary, Unreadable, Usage
from mograder.domain.names import CourseName

if TYPE_CHECKING:
    from mograder.factory import ManyCourses
    from mograder.store.folder.courses import CourseFolders

NAMED = 10
"""The most courses that a line of the banner names."""

ONE_COURSE_ONLY = (
    "enrollment_code", "enrollment_code_file", "generate_tokens", "release_dir", "submitted_dir", "grades_dir",
)  # fmt: skip


def serve_many(place: Path | str, root: Path | None, host: str, settings: ServeSettings) -> None:
    """Serve the courses at `place` until interrupted; `root` is the folder that was given, if any.

    Raises Usage for a flag that belongs to one course, or to a folder where there is none.
    """
    for name in ONE_COURSE_ONLY:
        if name in settings.given:
            raise Usage(
                f"--{name.replace('_', '-')} is for one course: with many, each says it in its own {CONFIG_NAME}"
            )
    if settings.tls_self_signed and root is None:
        raise Usage("--tls-self-signed keeps its files in FOLDER: name one")
    from mograder.cli.grading_workers import grading, many_courses, refuse_served_sources
    from mograder.factory import ManyCourses, is_database, open_courses
    from mograder.store.folder.courses import CourseFolders
    from mograder.web.multi_course import ManyApps

    def opened(stack: contextlib.ExitStack) -> ManyCourses:
        courses = open_courses(place)
        stack.callback(courses.close)
        return ManyCourses(courses, settings.max_upload)

    with contextlib.ExitStack() as stack:
        many = opened(stack)
        listener = Listener.of(settings, host, root or Path())
        options = {"check_tokens": not settings.no_auth, **listener.options}
        listed = [str(each.name) for each in many.courses.entries() if each.archived is None]
        left = (
            [*many.courses.left_out(), *not_in_force(many.courses)] if isinstance(many.courses, CourseFolders) else []
        )
        if root is not None and settings.courses:
            warn_of_shared_secrets(root / name / "release" for name in listed)
        if isinstance(many.courses, CourseFolders):
            for name in many.courses.with_tests():
                with contextlib.suppress(Unreadable):  # it is served with what was readable; `left` names it
                    refuse_served_sources(Path(place, name, "release"), many.course(name))
        where, store = ("the courses of the database", "URL") if is_database(place) else (str(place), str(place))
        found = left_out_of(many, listed)
        report = banner(where, shlex.quote(store), listener, settings.no_auth, listed, left, found)
        app = ManyApps(many.course, **options)
        with grading(many_courses(place), settings.grading_workers):
            keep_serving(listener, app, stack.close, lambda stack: ManyApps(opened(stack).course, **options), report)


def not_in_force(courses: CourseFolders) -> list[LeftOut]:
    """The courses whose settings or list of assignments cannot be understood: they are served without."""
    from mograder.domain.names import printable

    found: list[LeftOut] = []
    for each in courses.entries():
        if each.archived is not None:
            continue
        try:
            errors = courses.open(each.name).config.errors()
        except Unreadable as error:
            errors = (error,)
        mend = "correct the file: the server reads it again"
        found += [LeftOut(printable(error.place, 300), error.message, mend) for error in errors]
    return found


def left_out_of(many: ManyCourses, names: Iterable[str]) -> dict[str, int]:
    """How many things that should be in force are not, by course; a course that cannot be read is left out."""
    found = {}
    for name in names:
        with contextlib.suppress(Unreadable, Temporary):
            found[name] = sum(not each.expected for each in many.course(CourseName(name)).contents().left_out)
    return {name: count for name, count in found.items() if count}


def banner(
    where: str, store: str, listener: Listener, no_auth: bool, courses: list[str], left: Sequence[LeftOut] = (),
    left_inside: Mapping[str, int] = MappingProxyType({}),
) -> str:  # fmt: skip
    """What the operator sees on start; `store` is what `mograder course` calls the place.

    `left` lists what is not served; `left_inside` counts by course what is not in force.
    """
    fingerprint = [f"  fingerprint     {listener.authority.fingerprint}"] if listener.authority else []
    named = f" ({', '.join(courses[:NAMED])}{', …' if courses[NAMED:] else ''})" if courses else ""
    lines = [
        f"Serving {where}",
        f"  at              {listener.address_for_students}/c/<course>/",
        *fingerprint,
        f"  courses         {len(courses)}{named}",
        *(f"  left out        {each}: {each.mend}" for each in left),
        *_counts(left_inside),
        f"  authentication  {'OFF: everybody can do everything' if no_auth else 'on'}",
    ]
    if not courses:
        lines.append(f"Next: make one: mograder course create NAME --store {store}; it shows at once.")
    lines.append("Stop with Ctrl-C.")
    return "\n".join(lines)


def _counts(left_inside: Mapping[str, int]) -> list[str]:
    """One line with the counts; the board of each course and `mograder doctor` name what is counted."""
    named = ", ".join(f"{count} of {name}" for name, count in list(left_inside.items())[:NAMED])
    more = f" and of {len(left_inside) - NAMED} more" if len(left_inside) > NAMED else ""
    return [f"  not in force    {named}{more}: the board of the course and mograder doctor name it"] if named else []


def warn_of_shared_secrets(roots: Iterable[Path]) -> None:
    """Warn of each course served from `roots` that has the same secret as a course beside it."""
    from mograder.store.folder.courses import same_secret

    for root in roots:
        for other in same_secret(root):
            note(
                f"warning: {root} and {other} have the same secret: a token of one is valid in the other. "
                f"make a new one: mograder secret rotate {root} --grace 0"
            )
