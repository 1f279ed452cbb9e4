"""`mograder token`: tokens from a secret, without a server."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mograder.cli.arguments import PLACE
from mograder.domain.errors import MograderError, Usage
from mograder.domain.names import Username, parse_new_username
from mograder.domain.tokens import SECRET_NAME, sign, token_lines

LEDGER_NAME = ".mograder.db"


@click.command()
@click.argument("names", nargs=-1)
@click.option("--secret-file", type=click.Path(path_type=Path), help="Read the secret from this file.")
@click.option("--secret-stdin", is_flag=True, help="Read the secret from standard input.")
@click.option("--course", type=PLACE, metavar="FOLDER|URL", help="A served folder, or postgresql://…#course.")
def token(names: tuple[str, ...], secret_file: Path | None, secret_stdin: bool, course: Path | str | None) -> None:
    """Print a token for each of NAMES, and the instructor's; without NAMES, the instructor's alone.

    The secret is .mograder-secret in the working folder unless an option says otherwise. Where the course's ledger
    stands beside it, the names are reserved: nobody else can register them.

    \b
    Examples:
      mograder token --secret-file course/release/.mograder-secret
      mograder token --secret-file course/release/.mograder-secret alice bob
      mograder token --course postgresql://db.example.org/mograder#algebra alice
      ssh server "cat course/release/.mograder-secret" | mograder token --secret-stdin alice
    """
    if sum(map(bool, (secret_file, secret_stdin, course))) > 1:
        raise Usage("give the secret by one of --secret-file, --secret-stdin and --course")
    try:
        usernames = [parse_new_username(name) for name in names]
    except MograderError as error:
        raise Usage(error.message) from None
    if course is not None:
        click.echo(_enrol(course, usernames), nl=False)
        return
    path = secret_file or Path(SECRET_NAME)
    secret = _read_stdin() if secret_stdin else _read(path)
    if not secret:
        raise Usage("the secret is empty")
    in_course = not secret_stdin and path.name == SECRET_NAME and path.with_name(LEDGER_NAME).exists()
    issued = token_lines([(name, sign(secret, name)) for name in usernames], secret)
    click.echo(_enrol(path.parent, usernames) if in_course else issued, nl=False)


def _enrol(place: Path | str, usernames: list[Username]) -> str:
    from mograder.factory import open_existing  # here: it takes long, and most calls do without

    course = open_existing(place)
    try:
        return token_lines(course.enrol(usernames), course.store.secrets()[0])
    finally:
        course.store.close()


def _read_stdin() -> str:
    try:
        return sys.stdin.buffer.read().decode().strip()
    except UnicodeDecodeError:
        raise Usage("the secret on standard input is not text: give the content of a .mograder-secret") from None


def _read(path: Path) -> str:
    try:
        if sys.platform != "win32" and path.stat().st_mode & 0o077:
            click.echo(f"warning: {path} can be read by other users: chmod 600 {path}", err=True)
        return path.read_bytes().decode().strip()
    except (OSError, UnicodeDecodeError):
        raise Usage(
            f"cannot read the secret from {path}: go to the served folder, or give --secret-file or --secret-stdin"
        ) from None
