"""Where a course is, or where many are: a folder of this machine, or a database."""

from __future__ import annotations

from pathlib import Path

import click

from mograder.domain.errors import BadName, Usage
from mograder.domain.names import CourseName


class _Place(click.ParamType[Path | str]):
    """A folder that exists, or the URL of a PostgreSQL database."""

    name = "place"

    def convert(self, value: Path | str, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        if isinstance(value, str) and value.startswith(("postgresql://", "postgres://")):
            return value
        return click.Path(exists=True, file_okay=False, path_type=Path).convert(value, param, ctx)


PLACE = _Place()


def course_name(_context: click.Context, _parameter: click.Parameter, text: str) -> CourseName:
    """For a click argument. Raises Usage."""
    try:
        return CourseName.parse(text)
    except BadName as error:
        raise Usage(error.message) from None
