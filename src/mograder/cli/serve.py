"""`mograder serve`: a folder becomes a course."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import secrets
import shlex
import sys
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mograder.cli.arguments import Folder
from mograder.cli.certificate import check_words
from mograder.cli.listen import Listener, check_numbers, keep_serving
from mograder.cli.output import note
from mograder.config import SERVE_SETTINGS, ServeSettings, course_folder, resolve
from mograder.course_file import CONFIG_NAME, EMPTY, read_course_file
from mograder.domain.codes import CAN_BE_GUESSED, HARDER, new_course_code
from mograder.domain.deadlines import readable
from mograder.domain.errors import MograderError, Temporary, Unreadable, Usage
from mograder.domain.names import INSTRUCTOR, Username, parse_new_username, printable
from mograder.domain.tokens import SECRET_NAME, token_lines
from mograder.text import person_text
from mograder.wire.join_link import JoinLink

if TYPE_CHECKING:
    from mograder.domain.assignments import Assignment
    from mograder.domain.contents import LeftOut
    from mograder.domain.course import Course

LEFT_OUT = 6
"""The most things that are left out that the banner names."""


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
@click.argument(
    "folder", required=False, type=Folder("serve a database's courses with: mograder serve --store postgresql://…")
)
@_settings
@click.option("--print-unit", is_flag=True, help="Print a systemd unit that runs this command as a service, and exit.")
def serve(folder: Path | None, print_unit: bool, **given: Any) -> None:
    """Serve the course in FOLDER until interrupted.

    Each subfolder with a files/ folder is an assignment. The secret, the ledger and the keys of the course are made
    in FOLDER on first start. With --store, FOLDER is optional: only the settings in its mograder.toml are read.

    \b
    Examples:
      mograder serve course/release/ --enrollment-code "my-course-phrase"
      mograder serve --courses courses/
      mograder serve --store postgresql://db1,db2/mograder?target_session_attrs=read-write
    """
    root = folder.absolute() if folder else Path()  # as typed: see course_folder
    home = course_folder(root)
    settings = resolve(given, read_course_file(home / CONFIG_NAME) if folder else EMPTY, home)
    many = settings.store or settings.courses
    if folder is None and not settings.store:
        raise click.UsageError("Missing argument 'FOLDER' (or a database with --store).", click.get_current_context())
    if settings.store and not settings.store.startswith(("postgresql://", "postgres://")):
        raise Usage(f"--store is {settings.store!r}: give the URL of a PostgreSQL database, postgresql://…")
    check_numbers(settings)
    check_words(settings)
    if print_unit:
        click.echo(_unit(folder, settings))
        return
    host = listening_host(settings.host, settings.no_auth, settings.no_auth_on_all_addresses)
    from mograder.web.serving.server import bound_the_allocator

    bound_the_allocator()  # before there are threads, which get pools of their own
    if many:
        from mograder.cli.serve_many import serve_many

        serve_many(settings.store or root, root if folder else None, host, settings)
        return
    refuse_the_parent(root)
    settings = replace(settings, enrollment_code=enrollment_code(settings))
    names = read_names(settings.generate_tokens) if settings.generate_tokens else None

    from mograder.factory import open_course

    def opened(stack: contextlib.ExitStack) -> Course:
        course = open_course(root, settings)
        stack.callback(course.close)
        course.store.release.assignments()  # what is broken now stops the start; later, the last good state is used
        return course

    with contextlib.ExitStack() as stack:
        try:
            course = opened(stack)
        except Unreadable:
            raise
        except Temporary as error:  # waiting does not help a server that has not started
            raise MograderError(error.message) from error
        if names is not None:
            click.echo(token_lines(course.roster.enrol(names), course.store.keys.secrets()[0]), nl=False)
            return
        from mograder.cli.grading_workers import grading, one_course, refuse_served_sources
        from mograder.cli.serve_many import warn_of_shared_secrets
        from mograder.web import create_app

        refuse_served_sources(root, course)
        warn_of_shared_secrets([root])
        warn_of_files_outside(root, settings)
        if course.accounts.code_can_be_guessed:
            note(f"warning: {CAN_BE_GUESSED}. {HARDER}, such as {new_course_code(secrets.choice)}")
        listener = Listener.of(settings, host, root, course.url)
        options = {"check_tokens": not settings.no_auth, **listener.options}
        report = banner(root, course, listener, settings.no_auth)
        app = create_app(course, **options)
        with grading(one_course(root, settings.submitted_dir), settings.grading_workers):
            keep_serving(listener, app, stack.close, lambda stack: create_app(opened(stack), **options), report)


def _unit(folder: Path | None, settings: ServeSettings) -> str:
    """The systemd unit of this command as it was typed; what the environment says stays out of it. Raises Usage."""
    from mograder.cli.grading_workers import grades_here, many_courses, one_course
    from mograder.cli.unit import service_of, unit
    from mograder.store.folder.layout import find_folders

    root, written = folder.absolute() if folder else Path(), []
    one = folder is not None and not (settings.store or settings.courses)
    if one:
        folders = find_folders(root, settings)
        written = [folders.course, folders.root, folders.submitted, folders.grades]
    elif folder:
        written = [root]
    said = click.get_current_context().get_parameter_source
    typed = {
        each.name: getattr(settings, each.name)
        for each in SERVE_SETTINGS
        if said(each.name) is ParameterSource.COMMANDLINE
    }
    what = many_courses(root) if settings.courses else one_course(root)
    # A database is not asked: its courses may get tests at any time.
    grades = settings.grading_workers != 0 if settings.store else grades_here(what, settings.grading_workers)
    return unit(service_of(folder, typed, written, settings.port, grades))


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
    """Raises Usage if the course is served from its folder release/ or its parent: it would get a second secret.

    So it is before the first start where release/ has the layout to be served.
    """
    from mograder.store.folder.layout import served_root

    inner = root / "release"
    if served_root(root) == inner:
        raise Usage(f"this course is served from {inner}: did you mean 'mograder serve {inner}'?")
    if root.name == inner.name and not (root / SECRET_NAME).exists() and (root.parent / SECRET_NAME).exists():
        raise Usage(
            f"this course was served from {root.parent}, where its secret and ledger are: serve that folder again, or "
            f"move its files .mograder* into {root} first, so that tokens and receipts stay valid"
        )


def warn_of_files_outside(root: Path, settings: ServeSettings) -> None:
    """Warn of a folder of released files that mograder.toml names and that is not in the course."""
    from mograder.store.folder.layout import find_folders

    outside = None if "release_dir" in settings.given else find_folders(root, settings).outside
    if outside:
        note(
            f"warning: [dirs] release in {CONFIG_NAME} names {outside}, outside the course: students can download all "
            "that is in it"
        )


def enrollment_code(settings: ServeSettings) -> str:
    """The code by which students register; "" means that nobody can. A file replaces the one in mograder.toml.

    Raises Usage when it is given by flag or environment as well as by file.
    """
    code, file = settings.enrollment_code, settings.enrollment_code_file
    if file and code and "enrollment_code" in settings.given:
        raise Usage("give the enrollment code by flag or environment, or by file, not both")
    if file is None:
        if any(unicodedata.category(letter) == "Cs" for letter in code or ""):  # bytes that were no UTF-8
            raise Usage("the enrollment code is not UTF-8 text: nobody could send it")
        return (code or "").strip()
    try:
        code = person_text(file.read_bytes()).strip()
    except FileNotFoundError:
        raise Usage(
            f"there is no file {printable(str(file), 300)}: write your enrollment code into it, such as "
            f"{new_course_code(secrets.choice)}, which nobody guesses (it is new each time)"
        ) from None
    except (OSError, ValueError) as error:
        raise Usage(f"cannot read the enrollment code from {file}: {error}") from None
    if not code:
        raise Usage(f"the enrollment code in {file} is empty: write one, or leave the option out")
    return code


def read_names(file: Path) -> list[Username]:
    """User names, one a line; empty lines and lines that start with # are passed over."""
    try:
        lines = person_text(file.read_bytes()).splitlines()
    except (OSError, ValueError) as error:
        raise Usage(f"cannot read user names from {file}: {error}") from None
    try:
        names = [parse_new_username(line) for line in lines if line.strip() and not line.startswith("#")]
    except MograderError as error:
        raise Usage(f"{file}: {error.message}") from None
    if not names:
        raise Usage(f"{file} names nobody")
    return names


def left_out_lines(left_out: Iterable[LeftOut]) -> list[str]:
    """The banner's lines on what is not in force; `mograder doctor` lists all of it, with what to do."""
    said = list(left_out)
    lines = [f"  left out        {each}{'' if each.expected else f'; {each.mend}'}" for each in said[:LEFT_OUT]]
    more = f"                  and {len(said) - LEFT_OUT} more: see mograder doctor"
    return [*lines, more] if len(said) > LEFT_OUT else lines


def assignment_in_words(assignment: Assignment, course: Course) -> str:
    """The assignment's name and, before it opens, when it opens."""
    schedule = assignment.rules.schedule
    if schedule.opens is None or schedule.is_open(course.clock()):
        return str(assignment.name)
    return f"{assignment.name} opens at {readable(schedule.opens, course.plan.zone)}"


def banner(root: Path, course: Course, listener: Listener, no_auth: bool) -> str:
    """What the instructor sees on start: where, from which folder, who may come in, and what to do next."""
    way_in = f"{listener.address}  (log in with your token)"
    if sys.stdout.isatty():  # else the output may be a log, which others read
        from mograder.web.pages.sessions import START_LINK_SECONDS, link_with, new_ticket

        ticket, _ = new_ticket(course, INSTRUCTOR, START_LINK_SECONDS)
        way_in = f"{link_with(listener.address, ticket)}  (logs you in once, within an hour)"
    others = listener.address_for_students
    join, identity = course.url or others, []
    if listener.authority:
        # Without the enrollment code, because the output may be a log.
        join = JoinLink(join, fingerprint=listener.authority.fingerprint).text
        identity = [f"  fingerprint     {listener.authority.fingerprint}", f"  join link       {join}"]
    held = course.contents()
    assignments = [assignment_in_words(each, course) for each in course.store.release.assignments()]
    found = f"{len(assignments)} ({', '.join(assignments)})" if assignments else "none yet"
    lines = [
        f"Serving {root}",
        f"  at              {listener.address}",
        *([f"  for others      {others}"] if others != listener.address else []),
        *identity,
        f"  assignments     {found}",
        f"  settings        {printable(held.settings, 300) or f'none: there is no {printable(held.place, 300)}'}",
        *left_out_lines(held.left_out),
        f"  authentication  {'OFF: everybody can do everything' if no_auth else 'on'}",
        f"  your pages      {listener.address if no_auth else way_in}",
        f"  registration    {'on: students need a code' if course.accounts.registration_open else 'off'}",
    ]
    if not assignments:
        lines.append(f"Next: put files for students into {root / 'hw1' / 'files'}; they show at once.")
    elif course.accounts.registration_open:
        lines.append(f"Next: give students the code and: mograder https login --url {shlex.quote(join)}")
    elif not no_auth:
        lines.append(
            "Next: restart with --enrollment-code-file FILE so that students can register, or make tokens with\n"
            f"  mograder token --secret-file {root / SECRET_NAME} alice bob"
        )
    lines.append("Stop with Ctrl-C.")
    return "\n".join(lines)
