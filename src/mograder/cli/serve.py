"""`mograder serve`: a folder becomes a course."""

from __future__ import annotations

import ipaddress
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from mograder.config import CONFIG_NAME, EMPTY, SERVE_SETTINGS, course_folder, read_course_file, resolve
from mograder.domain.errors import MograderError, Usage
from mograder.domain.names import INSTRUCTOR, Username, parse_new_username
from mograder.domain.tokens import SECRET_NAME, token_lines


def _settings(command: Callable[..., None]) -> Callable[..., None]:
    """One click option for each row of the settings table."""
    for setting in reversed(SERVE_SETTINGS):
        kind: Any = click.Path(path_type=Path) if setting.kind is Path else setting.kind
        help_text = setting.help
        if setting.kind is not bool and setting.default is not None:
            help_text += f" [default: {setting.default}]"
        command = click.option(
            setting.flag,
            *([setting.short] if setting.short else []),
            setting.name,
            type=None if setting.kind is bool else kind,
            is_flag=setting.kind is bool,
            default=None,
            envvar=setting.env,
            show_envvar=setting.env is not None,
            metavar=setting.metavar,
            help=help_text,
        )(command)
    return command


@click.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@_settings
def serve(folder: Path | None, **given: Any) -> None:
    """Serve the course in FOLDER until interrupted.

    Each subfolder with a files/ folder is an assignment. The secret, the ledger and the keys of the course are made
    in FOLDER on first start. With --store, FOLDER may be left out: its mograder.toml has settings alone.

    \b
    Examples:
      mograder serve course/release/ --enrollment-code "my-course-phrase"
      mograder serve --courses courses/
      mograder serve --store postgresql://db1,db2/mograder?target_session_attrs=read-write
    """
    root = folder.resolve() if folder else Path()
    home = course_folder(root)
    settings = resolve(given, read_course_file(home / CONFIG_NAME) if folder else EMPTY, home)
    many = settings["store"] or settings["courses"]
    if folder is None and not settings["store"]:
        raise click.UsageError("Missing argument 'FOLDER' (or a database with --store).", click.get_current_context())
    port = settings["port"]
    if not 0 < port < 65536:
        raise Usage(f"{port} is not a port: choose one from 1 to 65535")
    if settings["max_upload"] < 1:
        raise Usage(f"--max-upload is {settings['max_upload']}: give at least 1 MiB")
    host = listening_host(settings["host"], settings["no_auth"], settings["no_auth_on_all_addresses"])
    if many:
        from mograder.cli.serve_many import serve_many

        serve_many(settings["store"] or root, host, port, settings, given)
        return
    refuse_the_parent(root)
    code = enrollment_code(settings["enrollment_code"], settings["enrollment_code_file"], given["enrollment_code"])
    names = read_names(settings["generate_tokens"]) if settings["generate_tokens"] else None

    from mograder.opening import open_course

    course = open_course(
        root,
        release_dir=given["release_dir"],
        submitted_dir=given["submitted_dir"],
        grades_dir=given["grades_dir"],
        enrollment_code=code,
        max_upload=given["max_upload"],
    )
    try:
        if names is not None:
            click.echo(token_lines(course.enrol(names), course.store.secrets()[0]), nl=False)
            return
        from mograder.web import create_app
        from mograder.web.server import check_port
        from mograder.web.server import serve as run
        from mograder.web.sessions import START_LINK_SECONDS, link_with, new_ticket

        check_port(host, port)
        listed = course.assignments_for_students()
        url = shown_address(host, port)
        ticket, _ = new_ticket(course, INSTRUCTOR, START_LINK_SECONDS)
        link = link_with(url, ticket) if sys.stdout.isatty() else ""  # what is not a terminal is a log
        report = banner(
            root, url, link, settings["no_auth"], course.registration_open,
            [str(each.name) for each in listed],
        )  # fmt: skip
        app = create_app(course, check_tokens=not settings["no_auth"])
        run(app, host, port, lambda: click.echo(report))
    finally:
        course.store.close()


def listening_host(host: str | None, no_auth: bool, on_all_addresses: bool) -> str:
    """The address to listen on. Without tokens it is this machine's own, unless a flag says otherwise.

    Raises Usage.
    """
    guarded = no_auth and not on_all_addresses
    if host is None:
        return "0.0.0.0" if os.environ.get("PORT") and not guarded else "127.0.0.1"  # noqa: S104 (as documented)
    if guarded and not is_loopback(host):
        raise Usage(
            f"--no-auth lets everybody who reaches {host} do everything: leave out --host, or say so with "
            "--no-auth-on-all-addresses"
        )
    return host


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def refuse_the_parent(root: Path) -> None:
    """A course served from release/ is not served from its parent as well: it would get a second secret."""
    inner = root / "release"
    if not (root / SECRET_NAME).exists() and (inner / SECRET_NAME).exists():
        raise Usage(f"this course is served from {inner}: did you mean 'mograder serve {inner}'?")


def enrollment_code(code: str | None, file: Path | None, given: str | None) -> str:
    """The code from `file`, else `code`; "" means that nobody can register.

    Raises Usage when one is `given` by flag or environment as well as by file.
    """
    if given and file:
        raise Usage("give the enrollment code by flag or environment, or by file, not both")
    if file is None:
        if any(unicodedata.category(letter) == "Cs" for letter in code or ""):  # bytes that were no UTF-8
            raise Usage("the enrollment code is not UTF-8 text: nobody could send it")
        return (code or "").strip()
    try:
        return file.read_bytes().decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"cannot read the enrollment code from {file}: {error}") from None


def read_names(file: Path) -> list[Username]:
    """User names, one a line; empty lines and lines that start with # are passed over."""
    try:
        lines = file.read_bytes().decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Usage(f"cannot read user names from {file}: {error}") from None
    try:
        names = [parse_new_username(line) for line in lines if line.strip() and not line.startswith("#")]
    except MograderError as error:
        raise Usage(f"{file}: {error.message}") from None
    if not names:
        raise Usage(f"{file} names nobody")
    return names


def shown_address(host: str, port: int) -> str:
    """The server's address as a person on this machine opens it."""
    shown = "localhost" if host in ("127.0.0.1", "0.0.0.0", "::") else host  # noqa: S104 (compared, not bound)
    return f"http://{shown}:{port}"


def banner(root: Path, url: str, login_link: str, no_auth: bool, registration: bool, assignments: list[str]) -> str:
    """What the lecturer sees on start: where, from which folder, who may come in, and what to do next."""
    way_in = f"{login_link}  (logs you in once, within an hour)" if login_link else f"{url}  (log in with your token)"
    found = f"{len(assignments)} ({', '.join(assignments)})" if assignments else "none yet"
    lines = [
        f"Serving {root}",
        f"  at              {url}",
        f"  assignments     {found}",
        f"  authentication  {'OFF: everybody can do everything' if no_auth else 'on'}",
        f"  your pages      {url if no_auth else way_in}",
        f"  registration    {'on: students need a code' if registration else 'off'}",
    ]
    if not assignments:
        lines.append(f"Next: put files for students into {root / 'hw1' / 'files'} (in files/); they show at once.")
    elif registration:
        lines.append(f"Next: give students the code and: mograder https login --url {url}")
    elif not no_auth:
        lines.append(
            "Next: restart with --enrollment-code so that students can register, or make tokens with\n"
            f"  mograder token --secret-file {root / SECRET_NAME} alice bob"
        )
    lines.append("Stop with Ctrl-C.")
    return "\n".join(lines)
