"""`mograder serve` of many courses: those of a database, or those of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mograder.config import CONFIG_NAME
from mograder.domain.errors import Usage

ONE_COURSE_ONLY = (
    "enrollment_code", "enrollment_code_file", "generate_tokens", "release_dir", "submitted_dir", "grades_dir",
)  # fmt: skip


def serve_many(place: Path | str, host: str, port: int, settings: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Serve the courses at `place` until interrupted. Raises Usage for a flag that belongs to one course."""
    for name in ONE_COURSE_ONLY:
        if given[name]:
            raise Usage(
                f"--{name.replace('_', '-')} is for one course: with many, each says it in its own {CONFIG_NAME}"
            )
    from mograder.opening import ManyCourses, is_database, open_courses
    from mograder.web.many import create_many
    from mograder.web.server import check_port
    from mograder.web.server import serve as run

    courses = open_courses(place)
    try:
        check_port(host, port)
        many = ManyCourses(courses, settings["max_upload"])
        listed = [each.name for each in courses.entries() if each.archived is None]
        where = "the courses of the database" if is_database(place) else str(place)
        report = banner(where, host, port, settings["no_auth"], [str(name) for name in listed])
        run(create_many(many.course, check_tokens=not settings["no_auth"]), host, port, lambda: click.echo(report))
    finally:
        courses.close()


def banner(where: str, host: str, port: int, no_auth: bool, courses: list[str]) -> str:
    """What the operator sees on start."""
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::") else host  # noqa: S104 (compared, not bound)
    url = f"http://{shown}:{port}/c/"
    named = f" ({', '.join(courses[:10])}{', …' if courses[10:] else ''})" if courses else ""
    lines = [
        f"Serving {where}",
        f"  at              {url}<course>/",
        f"  courses         {len(courses)}{named}",
        f"  authentication  {'OFF: everybody can do everything' if no_auth else 'on'}",
    ]
    if not courses:
        lines.append("Next: make one with 'mograder course create'; it shows at once.")
    lines.append("Stop with Ctrl-C.")
    return "\n".join(lines)
