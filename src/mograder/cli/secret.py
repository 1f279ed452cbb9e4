"""`mograder secret`: the secret that all tokens are made from."""

from __future__ import annotations

import re
from pathlib import Path

import click

from mograder.cli.output import tell
from mograder.cli.places import PLACE
from mograder.domain import deadlines
from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.errors import Usage
from mograder.domain.names import INSTRUCTOR
from mograder.domain.tokens import sign

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(_context: click.Context, _parameter: click.Parameter, text: str) -> int:
    found = re.fullmatch(r"(\d{1,6})([smhd])|0", text.strip(), re.ASCII)
    if found is None:
        raise Usage(f"{text!r} is not a time: write 7d, 12h, 30m or 0")
    return int(found[1]) * _UNITS[found[2]] if found[1] else 0


@click.group()
def secret() -> None:
    """Change the secret that all tokens are made from.

    \b
    Example:
      mograder secret rotate course/release/ --grace 7d
    """


@secret.command()
@click.argument("folder", type=PLACE)
@click.option(
    "--grace", default="7d", show_default=True, callback=_seconds, metavar="TIME",
    help="How long tokens of the old secret still work: 7d, 12h, 30m, or 0.",
)  # fmt: skip
def rotate(folder: Path | str, grace: int) -> None:
    """Make a new secret for the course in FOLDER (or at postgresql://…#course) and print the instructor's new token.

    A running server notices. Tokens made before work until the grace is over: hand out new ones meanwhile
    (mograder token, or mograder roster reset). If the secret has leaked, give --grace 0: old tokens end at once.

    \b
    Examples:
      mograder secret rotate course/release/ --grace 7d
      mograder secret rotate course/release/ --grace 0
    """
    from mograder.opening import open_existing

    course = open_existing(folder)
    try:
        ends = course.rotate_secret(COURSE_INSTRUCTOR, grace * deadlines.SECOND)
        token = sign(course.store.secrets()[0], INSTRUCTOR)
    finally:
        course.store.close()
    tell(f"Tokens of the old secret work until {deadlines.readable(ends)}.\ninstructor: {token}")
