"""`mograder secret`: the secret that all tokens are made from."""

from __future__ import annotations

import re
from pathlib import Path

import click

from mograder.cli.arguments import FOLDER, PLACE
from mograder.cli.output import tell, when
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


@secret.command(short_help="Change the key that signs receipts.")
@click.argument("folder", type=FOLDER)
def rotate_key(folder: Path) -> None:
    """Sign receipts with a new key from now on, in the course in FOLDER, and print the key's fingerprint.

    Stop the server first: a course that is being served is refused. What the old key has signed still verifies. Every
    client refuses the new key until its owner says mograder https login --new-key: change it only when somebody may
    have seen the old one, and tell the class.

    \b
    Example:
      mograder secret rotate-key course/release/
    """
    from mograder.factory import rotate_signing_key
    from mograder.rehearsal.rehearsal import is_in_use

    # Before anything is opened: a running server would sign with the old key until its next start.
    if any(is_in_use(root) for root in (folder, folder / "release")):
        raise Usage(f"the course in {folder} is being served: stop its server, change the key, and start it again")
    fingerprint = rotate_signing_key(folder)
    tell(f"receipts are signed with the key {fingerprint}\nstudents accept it with: mograder https login --new-key")


@secret.command(short_help="Change the secret that tokens are made from.")
@click.argument("folder", type=PLACE)
@click.option(
    "--grace", default="7d", show_default=True, callback=_seconds, metavar="TIME",
    help="How long tokens of the old secret still work: 7d, 12h, 30m, or 0.",
)  # fmt: skip
def rotate(folder: Path | str, grace: int) -> None:
    """Make a new secret for the course in FOLDER (or at postgresql://…#course) and print the instructor's new token.

    A running server notices. Older tokens work until the grace is over: hand out new ones meanwhile
    (mograder token, or mograder roster reset). If the secret has leaked, give --grace 0: old tokens end at once.

    \b
    Examples:
      mograder secret rotate course/release/ --grace 7d
      mograder secret rotate course/release/ --grace 0
    """
    from mograder.factory import open_existing

    course = open_existing(folder)
    try:
        ends = course.keys.rotate(COURSE_INSTRUCTOR, grace * deadlines.SECOND)
        token = sign(course.store.keys.secrets()[0], INSTRUCTOR)
    finally:
        course.close()
    tell(f"Tokens of the old secret work until {when(ends / deadlines.SECOND)}.\ninstructor: {token}")
