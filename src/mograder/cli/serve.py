"""`mograder serve`: a folder becomes a course."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shlex
import sys
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mograder.cli import certificate
from mograder.config import CONFIG_NAME, SERVE_SETTINGS, course_folder, read_course_file, resolve
from mograder.domain.errors import MograderError, Temporary, Usage
from mograder.domain.names import INSTRUCTOR, Username, parse_new_username
from mograder.domain.tokens import SECRET_NAME, token_lines
from mograder.wire import JoinLink

if TYPE_CHECKING:
    from mograder.domain.course import Course

MOST_WORKERS = 64


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
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_settings
def serve(folder: Path, **given: Any) -> None:
    """Serve the course in FOLDER until interrupted.

    Each subfolder with a files/ folder is an assignment. The secret, the ledger and the keys of the course are made
    in FOLDER on first start.

    \b
    Example:
      mograder serve course/release/ --enrollment-code "my-course-phrase"
    """
    root = folder.resolve()
    refuse_the_parent(root)
    home = course_folder(root)
    settings = resolve(given, read_course_file(home / CONFIG_NAME), home)
    code = enrollment_code(settings["enrollment_code"], settings["enrollment_code_file"])
    check_numbers(settings)
    certificate.check_words(settings)
    host = listening_host(settings["host"], settings["no_auth"], settings["no_auth_on_all_addresses"])
    names = read_names(settings["generate_tokens"]) if settings["generate_tokens"] else None

    from mograder.opening import open_course

    folders = {name: given[name] for name in ("release_dir", "submitted_dir", "grades_dir")}

    def reopen() -> Course:
        return open_course(root, enrollment_code=code, max_upload=given["max_upload"], **folders)

    try:
        course = reopen()
    except Temporary as error:  # for a server that has not begun, waiting is no help
        raise MograderError(error.message) from error
    with contextlib.ExitStack() as stack:
        stack.callback(course.store.close)
        if names is not None:
            click.echo(token_lines(course.enrol(names), course.store.secrets()[0]), nl=False)
        else:
            run(course, stack.close, reopen, root, host, settings)


def run(
    course: Course, close: Callable[[], None], reopen: Callable[[], Course], root: Path, host: str,
    settings: Mapping[str, Any],
) -> None:  # fmt: skip
    """Serve until told to stop. Raises MograderError."""
    from mograder.web import create_app
    from mograder.web.proxies import Proxies
    from mograder.web.server import listen
    from mograder.web.server import serve as run_server
    from mograder.web.sessions import START_LINK_SECONDS, link_with, new_ticket

    proxies = Proxies.parse(settings["trusted_proxies"] or "")
    tls, authority = certificate.https(settings, root, host, course.url)
    listening = listen(host, settings["port"])
    url = shown_address(host, settings, tls is not None)
    ticket, _ = new_ticket(course, INSTRUCTOR, START_LINK_SECONDS)
    login = link_with(url, ticket) if sys.stdout.isatty() else ""  # what is not a terminal is a log
    report = banner(course, root, host, settings, url, login, authority.fingerprint if authority else "")

    def work(course: Course, started: Callable[[], None], parent: int | None = None) -> None:
        app = create_app(
            course, check_tokens=not settings["no_auth"], proxies=proxies,
            authority=authority.pem if authority else "", workers=settings["workers"],
        )  # fmt: skip
        run_server(app, listening, started, tls, parent)

    def work_alone(started: Callable[[], None], parent: int) -> None:
        own = reopen()
        try:
            work(own, started, parent)
        finally:
            own.store.close()

    if settings["workers"] == 1:
        work(course, lambda: click.echo(report))
    else:
        from mograder.web.workers import serve_in_processes

        close()  # an open ledger must not be taken into another process
        serve_in_processes(settings["workers"], listening, work_alone, lambda: click.echo(report))


def check_numbers(settings: Mapping[str, Any]) -> None:
    """Raises Usage."""
    if not 0 < settings["port"] < 65536:
        raise Usage(f"{settings['port']} is not a port: choose one from 1 to 65535")
    if settings["max_upload"] < 1:
        raise Usage(f"--max-upload is {settings['max_upload']}: give at least 1 MiB")
    if not 0 < settings["workers"] <= MOST_WORKERS:
        raise Usage(f"--workers is {settings['workers']}: give 1 to {MOST_WORKERS}")


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


def enrollment_code(code: str | None, file: Path | None) -> str:
    """The code from where it was given; "" means that nobody can register. Raises Usage when given twice."""
    if code and file:
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


def shown_address(host: str, settings: Mapping[str, Any], tls: bool) -> str:
    """The server's address as a person on this machine opens it."""
    shown = "localhost" if host in (*certificate.ANY_ADDRESS, "127.0.0.1") else host
    return f"{'https' if tls else 'http'}://{in_url(shown)}:{settings['port']}"


def banner(
    course: Course, root: Path, host: str, settings: Mapping[str, Any], url: str, login_link: str, fingerprint: str
) -> str:
    """What the lecturer sees on start: where, from which folder, who may come in, and what to do next."""
    no_auth = settings["no_auth"]
    link = course.url or url
    if fingerprint:
        own = f"https://{in_url(certificate.address_for_students(settings, host))}:{settings['port']}"
        # Without the code: what is printed at start ends up in logs.
        link = JoinLink(course.url or own, fingerprint=fingerprint).text
    way_in = f"{login_link}  (logs you in once, within an hour)" if login_link else f"{url}  (log in with your token)"
    assignments = [str(each.name) for each in course.assignments_for_students()]
    found = f"{len(assignments)} ({', '.join(assignments)})" if assignments else "none yet"
    lines = [
        f"Serving {root}",
        f"  at              {url}",
        *([f"  fingerprint     {fingerprint}", f"  join link       {link}"] if fingerprint else []),
        f"  assignments     {found}",
        f"  authentication  {'OFF: everybody can do everything' if no_auth else 'on'}",
        f"  your pages      {url if no_auth else way_in}",
        f"  registration    {'on: students need a code' if course.registration_open else 'off'}",
    ]
    if not assignments:
        lines.append(f"Next: put files for students into {root / 'hw1' / 'files'} (in files/); they show at once.")
    elif course.registration_open:
        lines.append(f"Next: give students the code and: mograder https login --url {shlex.quote(link)}")
    elif not no_auth:
        lines.append(
            "Next: restart with --enrollment-code so that students can register, or make tokens with\n"
            f"  mograder token --secret-file {root / SECRET_NAME} alice bob"
        )
    lines.append("Stop with Ctrl-C.")
    return "\n".join(lines)


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
