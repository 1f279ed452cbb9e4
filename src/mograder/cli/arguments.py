"""Types of arguments: where a course is (a folder of this machine, or a database), files, names, numbers and tables."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mograder.cli.output import is_sure
from mograder.client.files import read_foreign
from mograder.domain.errors import BadRequest, Usage
from mograder.domain.names import CourseName

if TYPE_CHECKING:
    from mograder.tables.sheet import Sheet


class Folder(click.Path):
    """A folder that exists. Given the URL of a database, the error says what to do `instead`."""

    def __init__(self, instead: str = "") -> None:
        super().__init__(exists=True, file_okay=False, path_type=Path)
        self.instead = instead

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if self.instead and _is_database(value):
            raise Usage(f"this takes a folder; {self.instead}")
        return super().convert(value, param, ctx)


class _Place(click.ParamType[Path | str]):
    """A folder that exists, or the URL of a PostgreSQL database."""

    name = "place"

    def convert(self, value: Path | str, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        return value if _is_database(value) else Folder().convert(value, param, ctx)


class _PlaceOrFile(_Place):
    """As _Place, or a file."""

    def convert(self, value: Path | str, param: click.Parameter | None, ctx: click.Context | None) -> Path | str:
        return Path(value) if Path(value).is_file() else super().convert(value, param, ctx)


def _is_database(value: Path | str) -> bool:
    from mograder.factory import is_database

    return is_database(value)


FOLDER, PLACE, PLACE_OR_FILE = Folder(), _Place(), _PlaceOrFile()

IN_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
OUT_FILE, OUT_FOLDER = click.Path(dir_okay=False, path_type=Path), click.Path(file_okay=False, path_type=Path)
"""A file to read; a file or a folder to write, which may be there already."""

jobs_option = click.option(
    "-j", "--jobs", type=click.IntRange(1, 64), default=os.cpu_count() or 1, show_default="processors",
    help="How many at once.",
)  # fmt: skip


def course_name(_context: click.Context, _parameter: click.Parameter, text: str) -> CourseName:
    """The callback of a click argument that names a course. Raises Usage."""
    with as_typed():
        return CourseName.parse(text)


@contextlib.contextmanager
def as_typed() -> Iterator[None]:
    """Raises Usage for a BadRequest in the block, whose text was typed at the command."""
    try:
        yield
    except BadRequest as error:
        raise Usage(error.message) from None


def read_table(path: Path, encoding: str | None) -> Sheet:
    """The table in a file. `encoding` is the one given, "" for none; None if the command has no such option.

    On a terminal the person must confirm an encoding that is a guess; elsewhere a guess raises Usage. Raises BadRequest
    when the file is no table.
    """
    from mograder.tables.sheet import read_sheet

    try:
        content = read_foreign(path, named=True)
        sheet = read_sheet(content, path.name, encoding or "")
        if not sheet.assumed:
            return sheet
        asked = f"{path} is not UTF-8: read it as {sheet.assumed}?"
        if sys.stdin.isatty() and is_sure(asked):
            return read_sheet(content, path.name, sheet.assumed)
    except BadRequest as error:
        raise BadRequest(f"{path}: {error.message}") from None
    option = "" if encoding is None else f", or say --encoding {sheet.assumed}"
    raise Usage(f"{path} is not UTF-8: save it as 'CSV UTF-8'{option}")
