"""`mograder token`: tokens from a secret, without a server."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mograder.cli.arguments import PLACE
from mograder.domain.errors import MograderError, Usage
from mograder.domain.names import INSTRUCTOR, Username, parse_new_username
from mograder.domain.tokens import SECRET_NAME, sign, token_lines
from mograder.text import person_text

LEDGER_NAME = ".mograder.db"


@click.command()
@click.argument("names", nargs=-1)
@click.option("--secret-file", type=click.Path(path_type=Path), help="Read the secret from this file.")
@click.option(
    "--secret", metavar="VALUE", help="The secret itself. Others can read a command line: prefer the other options."
)
@click.option("--secret-stdin", is_flag=True, help="Read the secret from standard input.")
@click.option("--course", type=PLACE, metavar="FOLDER|URL", help="A served folder, or postgresql://…#course.")
@click.option(
    "--bare", is_flag=True, help="Print the tokens of NAMES alone, one a line; without NAMES the instructor's."
)
def token(
    names: tuple[str, ...], secret_file: Path | None, secret: str | None, secret_stdin: bool, course: Path | str | None,
    bare: bool,
) -> None:  # fmt: skip
    """Print a token for each of NAMES; without NAMES, the instructor's.

    The lines are NAME: TOKEN. When a program reads them, an empty line and instructor: TOKEN follow. Give that token to
    nobody else; --bare leaves it out.

    The secret is .mograder-secret in the working folder unless an option says otherwise. If the course's ledger is
    beside it, the names are reserved: nobody else can register them.

    \b
    Examples:
      mograder token --secret-file course/release/.mograder-secret
      mograder token --secret-file course/release/.mograder-secret alice bob
      export MOGRADER_HTTPS_TOKEN="$(mograder token --bare --secret-file course/release/.mograder-secret)"
      mograder token --course postgresql://db.example.org/mograder#algebra alice
      ssh server "cat course/release/.mograder-secret" | mograder token --secret-stdin alice
    """
    if sum(given not in (None, False) for given in (secret_file, secret, secret_stdin, course)) > 1:
        raise Usage("give the secret by one of --secret-file, --secret, --secret-stdin and --course")
    try:
        usernames = [parse_new_username(name) for name in names]
    except MograderError as error:
        raise Usage(error.message) from None
    if course is not None:
        _print(*_enrol(course, usernames), bare)
        return
    if secret is not None:
        click.echo("warning: others on this machine can read a command line: prefer --secret-stdin", err=True)
    path = secret_file or Path(SECRET_NAME)
    value = secret.strip() if secret is not None else _read_stdin() if secret_stdin else _read(path)
    if not value:
        raise Usage("the secret is empty")
    in_course = secret is None and not secret_stdin and path.name == SECRET_NAME
    if in_course and path.with_name(LEDGER_NAME).exists():
        _print(*_enrol(path.parent, usernames), bare)
    else:
        _print([(name, sign(value, name)) for name in usernames], value, bare)


def _print(issued: list[tuple[Username, str]], secret: str, bare: bool) -> None:
    if bare:
        click.echo("\n".join([made for _, made in issued] or [sign(secret, INSTRUCTOR)]))
        return
    text = token_lines(issued, secret)
    click.echo(text.partition("\n\n")[0] + "\n" if issued and sys.stdout.isatty() else text, nl=False)


def _enrol(place: Path | str, usernames: list[Username]) -> tuple[list[tuple[Username, str]], str]:
    """The tokens of these people, whose names are reserved now, and the course's secret."""
    from mograder.factory import open_existing  # here: it takes long, and most calls do not need it

    course = open_existing(place)
    try:
        return list(course.roster.enrol(usernames)), course.store.keys.secrets()[0]
    finally:
        course.close()


def _read_stdin() -> str:
    try:
        return person_text(sys.stdin.buffer.read()).strip()
    except ValueError:
        raise Usage("the secret on standard input is not text: give the content of a .mograder-secret") from None


def _read(path: Path) -> str:
    try:
        if sys.platform != "win32" and path.stat().st_mode & 0o077:
            click.echo(f"warning: {path} can be read by other users: chmod 600 {path}", err=True)
        return person_text(path.read_bytes()).strip()
    except (OSError, ValueError):
        raise Usage(
            f"cannot read the secret from {path}: go to the served folder, or give --secret-file or --secret-stdin"
        ) from None
