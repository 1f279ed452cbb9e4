"""`mograder https`: a person's side of a course, over the network."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec
import stamina.instrumentation

from mograder.cli import gradebook, proof
from mograder.cli.arguments import read_table
from mograder.cli.connect import Server, choose, owner_of, reads_from_a_server, sends_to_a_server, username
from mograder.cli.output import json_option, note, progress, result, table, tell, tell_json, when
from mograder.cli.submissions import ask_extension, retry, submit
from mograder.client.client import Client, known, pin
from mograder.client.collecting import collect, strangers
from mograder.client.connection import RetryPolicy, normalise_url
from mograder.client.extract import folder_name, replacing
from mograder.client.proof import KnownKeys
from mograder.client.workspace import Login, Logins, Outcome, fetch, read_settings
from mograder.domain.errors import BadName, MograderError, NameTaken, Usage
from mograder.domain.names import parse_owner
from mograder.wire import messages
from mograder.wire.join_link import JoinLink

_out_folder = click.Path(file_okay=False, path_type=Path)
_in_file = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)

NAMED = 10
"""Names that a warning has at most."""


@click.group()
def https() -> None:
    """Fetch, submit and read grades as a student; collect, grade and return as an instructor.

    The URL comes from --url, else MOGRADER_HTTPS_URL, else [https] url in the working folder's mograder.toml, else
    the last login. The token comes from --token, else MOGRADER_HTTPS_TOKEN, else the login of that URL, else
    [https] token in mograder.toml.

    \b
    Examples:
      mograder https login --url https://course.example.org
      mograder https fetch hw1 -o hw1/
      mograder https submit hw1 hw1/homework.py
      mograder https feedback hw1
    """
    # Retries are told to the person by on_wait; what stamina logs by itself would be said twice.
    stamina.instrumentation.set_on_retry_hooks([])


# logging in


@https.command(short_help="Register on a server, or keep a token.")
@reads_from_a_server
@click.option("--user", help="The user name to register.")
@click.option("--code", envvar="MOGRADER_ENROLLMENT_CODE", show_envvar=True, help="The enrollment code.")
@click.option("--fingerprint", metavar="HEX", help="Of a server without a domain, as your instructor shows it.")
@click.option("--new-key", is_flag=True, help="Trust the key that the course signs receipts with now.")
@json_option
def login(
    server: Server, user: str | None, code: str | None, fingerprint: str | None, new_key: bool, as_json: bool
) -> None:
    """Register on a server, or keep a token that you were given.

    --url takes a join link as well, with the code and the fingerprint that it holds. A server with a fingerprint is
    known by it from then on: no other is talked to under its address.

    Without --token it registers: on a terminal it asks for the user name and the enrollment code. With --token - it
    asks for the token, or reads it from a pipe. Prefer being asked, or the environment, to --code and --token: what
    is typed on a command line stays in the shell's history.

    The first login keeps the key with which the course signs receipts. Another key is refused from then on, until
    --new-key trusts it: ask your instructor first.

    \b
    Examples:
      mograder https login --url https://course.example.org
      mograder https login --url https://course.example.org --token -
      mograder https login --url https://192.168.1.20:8443 --fingerprint 554fe181…
    """
    link = JoinLink.parse(server.url or "")
    server = replace(server, url=link.url or None)
    code = code or link.code or None
    address = server.address() or normalise_url(_ask("Server URL", "no URL: give --url"))
    authority = _authority(server, address, fingerprint or link.fingerprint)
    if urlsplit(address).scheme == "http" and urlsplit(address).hostname not in ("localhost", "127.0.0.1", "::1"):
        note(f"warning: {address} is not encrypted: others on the way can read your token")
    asked = server.token == "-"  # noqa: S105
    token = _ask("Token", "", hidden=True, piped=True) if asked else server.token
    if token is not None and user is None:
        login = Login(address, owner_of(token), token.strip(), authority)
        met = _meet(server, address, authority, new_key)
        with server.open(address, login.token, authority) as client:
            client.assignments()
        done = "Logged in to"
    else:
        name = username(user or _ask("User name", "no user name: give --user, or --token"))
        missing = "no enrollment code: run this in a terminal, or set MOGRADER_ENROLLMENT_CODE"
        secret = code or _ask("Enrollment code", missing, hidden=True)
        met = _meet(server, address, authority, new_key)
        try:
            with server.open(address, None, authority) as client:
                registered = client.register(name, secret.strip(), Logins().claim_key(address, name))
            login, done = Login(address, registered.user, registered.token, authority), "Registered at"
        except NameTaken:
            before = Logins().find(address)
            if before is None or before.user != name:
                raise
            with server.open(address, before.token, authority) as client:
                client.assignments()
            login, done = replace(before, authority=authority), ""
    logins = Logins()
    logins.keep(login)
    if as_json:
        tell_json({"url": login.url, "user": login.user})
    elif not done:
        tell(f"you are already logged in here as {login.user}")
    else:
        tell(f"{done} {login.url} as {login.user}")
        note(f"your token is kept in {logins.path}")
    if met and (done or new_key):
        note(f"the course signs receipts with the key {met}")


def _meet(server: Server, address: str, authority: str, new_key: bool) -> str:
    """The fingerprint of the server's key, "" for a server without; a changed one is refused before any secret goes."""
    with server.open(address, None, authority) as client:
        signer = KnownKeys().meet(client, new_key)
    return signer.public_keys()[0]["kid"] if signer else ""


def _authority(server: Server, address: str, fingerprint: str) -> str:
    """Who vouches for the server: by the fingerprint that was given, else as at the login before. Raises Usage."""
    if not fingerprint:
        before = Logins().find(address)
        return before.authority if before else ""
    digits = re.sub(r"[\s:]", "", fingerprint).lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise Usage("that is not a whole fingerprint: copy all of its 64 digits 0-9 and a-f")
    if urlsplit(address).scheme != "https":
        raise Usage(f"a fingerprint goes with https: use --url https{address.removeprefix('http')}")
    return pin(address, digits, RetryPolicy(total=server.patience))


@https.command()
@click.option("--url", envvar="MOGRADER_HTTPS_URL", show_envvar=True, help="The server's URL. [default: the last]")
def logout(url: str | None) -> None:
    """Forget the token of a server.

    \b
    Example:
      mograder https logout --url https://course.example.org
    """
    address = Server(url, None, 0).required_address()
    if not Logins().drop(address):
        raise Usage(f"there is no login for {address}")
    tell(f"Logged out of {address}")


def _ask(question: str, otherwise: str, hidden: bool = False, piped: bool = False) -> str:
    if not sys.stdin.isatty():
        if piped:
            try:
                return sys.stdin.readline()
            except UnicodeDecodeError:
                raise Usage("what came on standard input is not text") from None
        raise Usage(otherwise)
    answer: str = click.prompt(question, hide_input=hidden, err=True)
    return answer


# a student's commands


@https.command(name="fetch", short_help="Download the files of ASSIGNMENT, or list what there is.")
@click.argument("assignment", required=False)
@click.option("--list", "list_only", is_flag=True, help="List the assignments and fetch nothing.")
@click.option("-o", "--output-dir", type=_out_folder, default=".", help="Where the files go. [default: here]")
@reads_from_a_server
@json_option
def fetch_command(
    assignment: str | None,
    list_only: bool,
    output_dir: Path,
    server: Server,
    as_json: bool,
) -> None:
    """Download the files of ASSIGNMENT: its name, its id, or a unique part of its name or title.

    A file that you have changed is never overwritten: a newer version is put beside it (homework.new.py). What is
    unchanged is not downloaded again; zip files are unpacked.

    \b
    Examples:
      mograder https fetch --list
      mograder https fetch hw1 -o hw1/
    """
    if assignment is None and not list_only:
        raise Usage("name an assignment, or give --list to see them")
    with server.connect() as (client, _):
        listing = client.assignments()
        if assignment is None or list_only:
            _list(listing, as_json)
            return
        chosen = choose(listing, assignment)
        if not chosen.files:
            result(as_json, [], f"No files attached to assignment {chosen.name!r}")
            return
        fetched = []
        with progress(chosen.name) as bar:
            for file in fetch(client, chosen, output_dir, bar):
                fetched.append(file)
                note(_SAID[file.outcome].format(path=file.path))
    arrived = len({file.listed for file in fetched if file.outcome.arrived})
    skipped = len({file.listed for file in fetched}) - arrived
    files = [{"path": str(file.path), "outcome": file.outcome.value} for file in fetched]
    rest = f", skipped {skipped} unchanged" if skipped else ""
    result(as_json, files, f"Fetched {arrived} file(s) for {chosen.name!r}{rest}")


_SAID = {
    Outcome.NEW: "  {path}",
    Outcome.UPDATED: "  {path}: a newer version",
    Outcome.UNCHANGED: "  {path}: unchanged",
    Outcome.KEPT: "  {path}: kept as you changed it",
    Outcome.BESIDE: "  {path}: the course's version, put beside yours, which has changes",
}


def _list(listing: Sequence[messages.AssignmentInfo], as_json: bool) -> None:
    if as_json:
        tell_json(listing)
        return
    titled = any(known(each.title) not in (None, "", each.name) for each in listing)
    rows = []
    for each in listing:
        title = [known(each.title) or ""] if titled else []
        rows.append((each.id, each.name, *title, _due(each), str(len(each.files))))
    table(("ID", "Name", *(["Title"] if titled else []), "Due date", "Files"), rows)


def _due(assignment: messages.AssignmentInfo) -> str:
    moment, closes = known(assignment.duedate), known(assignment.closes)
    closed = ", closed" if closes and closes < time.time() else ""
    return f"{when(moment) if moment else 'No deadline'}{closed}"


for _command in (submit, retry, ask_extension, proof.receipts, proof.verify):
    https.add_command(_command)


@https.command(short_help="Show the state, grade and feedback of your work.")
@click.argument("assignment")
@click.option("--user", help="Read this student's, as an instructor.")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write the feedback page here.")
@reads_from_a_server
@json_option
def feedback(
    assignment: str,
    user: str | None,
    output: Path | None,
    server: Server,
    as_json: bool,
) -> None:
    """Show whether your work for ASSIGNMENT was received, its grade and feedback.

    \b
    Examples:
      mograder https feedback hw1
      mograder https feedback hw1 -o feedback.html
    """
    with server.connect(user) as (client, name):
        chosen = choose(client.assignments(), assignment)
        status = client.status(chosen.name, name)
        if output:
            page = client.feedback(chosen.name, name)
            if output.exists() and output.read_bytes() != page:
                raise MograderError(f"{output} is there and differs: remove it, or name another file with -o")
            with replacing(output) as file:
                file.write(page)
    lines = [f"Assignment: {chosen.name}", f"Status: {status.status}", *_times(status, name)]
    if status.graded:
        lines.append(f"Grade: {status.grade}")
        if status.feedback:
            lines += ["Feedback:", *(f"  {line}" for line in status.feedback.splitlines())]
    else:
        lines.append("No submission yet." if status.status == "new" else "Not yet graded.")
    result(
        as_json,
        {"assignment": chosen.name, "user": name, **msgspec.to_builtins(status, enc_hook=str)},
        "\n".join(lines),
    )
    if output:
        note(f"the feedback page is in {output}")
    elif status.feedback_available:
        note(f"there is a feedback page: mograder https feedback {chosen.name!r} -o feedback.html")


def _times(status: messages.Status, user: str) -> list[str]:
    """Due time, extension, and what is to be said of the submission that counts."""
    lines = []
    if due := known(status.duedate):
        lines.append(f"Due: {when(due)}")
    if extension := known(status.extension):
        asked = known(extension.wanted)
        said = f" until {when(asked)}" if asked else ""
        lines.append(f"Extension: {extension.state}{said}" + (f": {extension.note}" if extension.note else ""))
    if received := known(status.received):
        by = known(status.by) or user
        marked = "" if by == user else f" (handed in for you by {by})"
        lines.append(f"Received: {when(received, seconds=True)}{marked}")
        if due or known(status.late):
            lines.append(known(status.explanation) or "On time")
    if known(status.rule) == "on-time":
        which = "your last submission, as none was on time" if known(status.late) else "your last submission on time"
        lines.append(f"What counts: {which} ({known(status.counts) or 'none yet'})")
    return lines


# an instructor's commands


@https.command(name="fetch-submissions", short_help="Download the submission of every student that counts.")
@click.argument("assignment")
@click.option("-o", "--output-dir", type=_out_folder, help="Where they go. [default: submitted/ASSIGNMENT]")
@click.option(
    "--which",
    type=click.Choice(["counts", "latest", "on-time"]),
    default="counts",
    show_default=True,
    help="What the course counts, the latest of everybody, or the last in time of those who have one.",
)
@click.option("--force", is_flag=True, help="Download everything again.")
@reads_from_a_server
@json_option
def fetch_submissions(
    assignment: str,
    output_dir: Path | None,
    which: str,
    force: bool,
    server: Server,
    as_json: bool,
) -> None:
    """Download the submission of every student that counts: USER.py each.

    Only what is new is downloaded. Of a zip submission the largest .py becomes USER.py, and all of it is unpacked into
    a folder USER.

    \b
    Example:
      mograder https fetch-submissions hw1 -o submitted/hw1/
    """
    with server.connect() as (client, _):
        chosen = choose(client.assignments(), assignment)
        folder = output_dir or Path(read_settings(Path()).submitted) / folder_name(chosen.name)
        results = []
        for each in collect(client, chosen.name, folder, force, which):
            results.append(each)
            if each.problem:
                note(f"warning: {each.user}: {each.problem}")
            elif each.new:
                note(f"  {each.user}" + (f": {each.late}" if each.late else ""))
    new = sum(each.new for each in results)
    unchanged = sum(not each.new and not each.problem for each in results)
    failed = len(results) - new - unchanged
    rest = f", skipped {unchanged} unchanged" if unchanged else ""
    result(as_json, results, f"Downloaded {new} submission(s) in {folder}{rest}")
    if failed:
        raise MograderError(f"{failed} submission(s) could not be downloaded")


for _command in (gradebook.upload_grades, gradebook.export_grades, gradebook.export_feedback):
    https.add_command(_command)


def _warn_of_strangers(client: Client, pages: Iterable[str]) -> None:
    """Before anything is sent: a page under a misspelt name is nobody's."""
    unknown = strangers(client, [each.removesuffix(".html") for each in pages])
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        names = ", ".join(unknown[:NAMED]) + more
        note(f"warning: nobody in the course is called {names}: correct the names, or let them register")


@https.command(name="upload-feedback")
@click.argument("assignment")
@click.option("--feedback-dir", type=_out_folder, help="Where the pages are. [default: feedback/ASSIGNMENT]")
@click.option("--grades-csv", type=_in_file, help="Upload these grades too.")
@click.option("--dry-run", is_flag=True, help="Check, and send nothing.")
@sends_to_a_server
@json_option
def upload_feedback(
    assignment: str,
    feedback_dir: Path | None,
    grades_csv: Path | None,
    dry_run: bool,
    server: Server,
    as_json: bool,
) -> None:
    """Upload feedback pages, one USER.html a student.

    \b
    Example:
      mograder https upload-feedback hw1 --feedback-dir feedback/hw1
    """
    sheet = read_table(grades_csv, None) if grades_csv else None
    with server.connect() as (client, _):
        chosen = choose(client.assignments(), assignment)
        folder = feedback_dir or Path(read_settings(Path()).feedback) / folder_name(chosen.name)
        pages = _read_pages(folder)
        _warn_of_strangers(client, pages)
        grades = gradebook.check_table(client, chosen, sheet, gradebook.Upload()).accepted(False) if sheet else ()
        if dry_run:
            names = [f"  {name}" for name in pages]
            said = "\n".join([f"Would upload {len(pages)} feedback page(s) to {chosen.name!r}", *names])
            result(as_json, {"files": list(pages)}, said)
            return
        stored = client.upload_feedback(chosen.name, pages)
        if grades:
            client.upload_grades(chosen.name, grades)
    also = f" and {len(grades)} grade(s)" if grades else ""
    result(as_json, stored, f"Uploaded {len(pages)} feedback page(s){also} to {chosen.name!r}")


def _read_pages(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise MograderError(f"the folder {folder} does not exist")
    pages = {}
    for path in sorted(folder.glob("*.html")):
        if not path.name.startswith("."):
            try:
                pages[f"{parse_owner(path.stem)}.html"] = path.read_bytes()
            except BadName as error:
                raise MograderError(f"{path}: {error.message}") from None
    if not pages:
        raise MograderError(f"no feedback pages (<user>.html) in {folder}")
    return pages
