"""`mograder https submit`, `retry` and `ask-extension`: submitting, the outbox, and asking for more time."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from mograder.bundle import pack
from mograder.cli.completion import assignment_names
from mograder.cli.connect import (
    Server,
    check_receipt,
    choose_exactly,
    find,
    keep,
    named,
    reads_from_a_server,
    sends_to_a_server,
    tell_delivered,
)
from mograder.cli.extend import check_until
from mograder.cli.output import is_sure, json_option, lateness, note, progress, result, when
from mograder.cli.status import attempts_left
from mograder.client.choosing import Chosen, choose_files, names_in_zip
from mograder.client.client import Client, known
from mograder.client.extract import folder_name
from mograder.client.files import sha256_of
from mograder.client.outbox import Outbox, OutboxEntry, deliver, is_passing, worth_announcing
from mograder.client.workspace import is_release_file
from mograder.domain import doubts
from mograder.domain.assignments import USUALLY_ACCEPTED, CountingRule, ends_in
from mograder.domain.errors import Closed, MograderError, NotFound, TooLarge, Unconfirmed, Usage, WrongType
from mograder.domain.names import counted
from mograder.wire import messages


@click.command()
@click.argument("assignment", shell_complete=assignment_names)
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, readable=True, path_type=Path), metavar="FILE..."
)
@click.option("--user", help="Submit for this student, as an instructor: never late.")
@click.option("--dry-run", is_flag=True, help="Check, and send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask first.")
@sends_to_a_server
@json_option
def submit(
    assignment: str,
    files: tuple[Path, ...],
    user: str | None,
    dry_run: bool,
    yes: bool,
    server: Server,
    as_json: bool,
) -> None:
    """Submit FILE for ASSIGNMENT; several files, or a folder, go as one submission, a zip that is made of them.

    It says before sending whether it would be late, prints as whom and where you submitted, what the server received
    and its checksum, and keeps the server's receipt in .mograder/receipts/ beside the file. Submit as often as you
    like: every version is kept, and the last one counts, or the last on time where the course says so.

    It asks first where the submission would take the place of one that is on time, where one file would take the place
    of several, and where files that the assignment names are missing or others are there. Where nobody can answer, it
    sends nothing unless you say --yes.

    When a deadline is near, the file's checksum goes ahead of it, and its moment counts. What cannot be sent is kept on
    this machine, and sent by your next command or by mograder https retry.

    \b
    Examples:
      mograder https submit hw1 homework.py
      mograder https submit hw2 part1.py part2.py data.csv
      mograder https submit hw3 project/
    """
    if len(files) > 1 or files[0].is_dir():
        with tempfile.TemporaryDirectory(prefix="mograder-") as scratch:
            file = Path(scratch, f"{folder_name(assignment)}.zip")
            chosen = choose_files(files)
            with file.open("w+b") as target:
                pack(chosen.members, assignment, target)
            for path in chosen.left_out:
                note(f"left out: {path}")
            note(f"{counted(len(chosen.files), 'file')}: {', '.join(name for name, _ in chosen.files)}")
            keep_in = files[0] if files[0].is_dir() else files[0].parent
            _submit(_Work(file, keep_in, assignment, chosen), _Wishes(user, dry_run, yes), server, as_json)
        return
    if not files[0].stat().st_size:
        raise Usage(f"{files[0].name} is empty")
    _submit(_Work(files[0], files[0].parent, assignment), _Wishes(user, dry_run, yes), server, as_json)


@dataclass(frozen=True)
class _Work:
    """What is submitted: one file, which may be a zip made of those `chosen`; its receipt is kept in `keep_in`."""

    file: Path
    keep_in: Path
    assignment: str
    chosen: Chosen | None = None

    @property
    def sources(self) -> list[Path]:
        return [path for _, path in self.chosen.files] if self.chosen else [self.file]

    @property
    def names(self) -> list[str]:
        """The names of the files; for a zip that a person has made, those of the files in it."""
        if self.chosen:
            return [name for name, _ in self.chosen.files]
        if self.file.suffix.lower() != ".zip":
            return [self.file.name]
        return names_in_zip(self.file)


@dataclass(frozen=True)
class _Wishes:
    """How to submit: for the student `user` (as an instructor), only as a trial (`dry_run`), or without questions."""

    user: str | None
    dry_run: bool
    yes: bool


def _submit(work: _Work, wishes: _Wishes, server: Server, as_json: bool) -> None:
    file, waiting, user, dry_run = work.file, None, wishes.user, wishes.dry_run
    with server.connect(user, changes=True) as (client, name):
        named(name, client.url)
        whom = f"as {name} at {client.url}"
        try:
            begun = time.monotonic()
            chosen = find(client, work.assignment, name, exactly=True)
            took = time.monotonic() - begun
            _check(file, chosen)
            if user is None and dry_run:
                _check_open(chosen, time.time())
            late = user is None and known(chosen.late) is True
            sha256 = _warn(work, chosen, late)
            _ask(_doubts(client, chosen, name, work, sha256), wishes, as_json)
            if user is None and known(chosen.per_hour) is not None:
                for line in attempts_left(chosen, client.status(chosen.name, name)):
                    note(line)
            if dry_run:
                planned = {
                    "file": file.name, "assignment": chosen.name, "user": name, "server": client.url, "sha256": sha256,
                    "late": late,
                }  # fmt: skip
                said = f"Would submit: {file.name}\n  {whom}\n  Assignment: {chosen.name}\n  sha256 {sha256}"
                result(as_json, planned, said)
                return
            waiting = _put(work, client.url, server.owner(), name, chosen.name)
            if waiting and not user and worth_announcing(chosen, file.stat().st_size, took, time.time()):
                waiting = _announce(client, waiting, file.stat().st_size)
            with progress(file.name) as bar:
                submitted = client.submit(chosen.name, name, Outbox().path(waiting) if waiting else file, bar)
        except MograderError as error:
            if is_passing(error) and not dry_run:
                waiting = waiting or _put(work, client.url, server.owner(), name, work.assignment)
                if waiting:
                    error.message += (
                        f": a copy of {file.name} is kept and goes out with your next command, or with "
                        "mograder https retry"
                    )
            elif waiting:
                Outbox().drop(waiting)
            raise
        wrong = check_receipt(client, submitted)
        if waiting and wrong and not submitted.receipt:
            Outbox().change(waiting, problem=wrong.message)  # nothing proves that it was received
        elif waiting:
            Outbox().drop(waiting)
    place = keep(work.keep_in / file.name, client.url, submitted)
    if place and work.chosen:  # the bytes that the receipt is for
        shutil.copyfile(file, place.with_suffix(".zip"))
    builtins = msgspec.to_builtins(submitted, enc_hook=str)
    reply = {**builtins, "server": client.url, "kept": str(place) if place else None}
    result(as_json, reply, _received(file.name, submitted, whom))
    if place:
        note(f"your receipt is in {place}")
    if wrong:
        raise wrong


def _check(file: Path, assignment: messages.AssignmentInfo) -> None:
    """Refuse a file before it is sent if the server would refuse it."""
    accepts = [ending.lower().removeprefix("*") for ending in known(assignment.accepts) or USUALLY_ACCEPTED]
    if not ends_in(file.name, accepts):
        # Clients in the field exit with 2, as for Usage, when a file is no .py.
        refused = Usage if accepts == [".py"] else WrongType
        raise refused(f"{file.name} cannot be submitted: {assignment.name!r} takes {', '.join(accepts)}")
    if file.suffix.lower() == ".zip" and not zipfile.is_zipfile(file):
        raise WrongType(f"{file.name} is called a zip file and is none: pack it as a zip, or give it its right ending")
    size, limit = file.stat().st_size, known(assignment.max_size)
    if limit is not None and size > limit:
        raise TooLarge(f"{file.name} has {counted(size, 'byte')}: {assignment.name!r} takes at most {limit}")


def _check_open(assignment: messages.AssignmentInfo, now: float) -> None:
    """Refuse by this machine's clock (`now`, Unix seconds) what the server would refuse by its own."""
    if _is_closed(assignment, now):
        raise Closed(
            f"{assignment.name!r} closed at {when(known(assignment.closes) or 0)}: it takes no more submissions"
        )
    opens = known(assignment.opens)
    if opens and opens > now:
        raise Closed(f"{assignment.name!r} opens at {when(opens)}")


def _is_closed(assignment: messages.AssignmentInfo, now: float) -> bool:
    closes = known(assignment.closes)
    return bool(closes and closes < now)


def _warn(work: _Work, assignment: messages.AssignmentInfo, late: bool) -> str:
    """Print warnings about the files. Returns the SHA-256 of what is sent."""
    for path in work.sources:
        if path.suffix == ".py" and is_release_file(sha256_of(path), assignment, work.keep_in):
            note(f"warning: {path.name} is unchanged from what the course gave out")
    if late and not _is_closed(assignment, time.time()):  # what is refused costs nothing
        days, penalty = known(assignment.days_late) or 0, known(assignment.penalty) or 0
        note(f"note: this is {lateness(known(assignment.duedate), days, penalty)}")
    return sha256_of(work.file)


def _doubts(client: Client, assignment: messages.AssignmentInfo, user: str, work: _Work, sha256: str) -> Iterator[str]:
    """The questions to ask before sending; none about earlier submissions if the server does not list receipts."""
    last: list[messages.ReceiptInfo] = []
    with contextlib.suppress(NotFound):
        last = client.receipts(assignment.name, user)
    if last and last[-1].sha256 == sha256:
        return
    if last and known(assignment.late) is True:
        status = client.status(assignment.name, user)
        counts = next((each for each in last if each.version == known(status.counts)), None)
        if counts and not known(status.late) and known(status.rule) == CountingRule.LATEST:
            what = f"submission {counts.attempt} of {when(counts.received)}"
            yield doubts.replaces_in_time(what, known(assignment.days_late) or 0, known(assignment.penalty) or 0)
    if last and doubts.is_one_for_several(last[-1].version, work.file.name):
        yield doubts.replaces_several(known(last[-1].name) or last[-1].version, work.file.name)
    yield doubts.missing_and_extra(known(assignment.expected) or [], work.names)


def _ask(questions: Iterable[str], wishes: _Wishes, as_json: bool) -> None:
    """Raises Unconfirmed unless the person says yes to the questions; then nothing is sent."""
    asked = [each for each in questions if each]
    going_on = not asked or wishes.yes or wishes.dry_run
    if not going_on and (as_json or not sys.stdin.isatty()):
        raise Unconfirmed(f"nothing was submitted: {'; '.join(asked)}: to submit all the same, say --yes", *asked)
    for each in asked:
        note(f"warning: {each}")
    if not going_on and not is_sure("Submit all the same? With no, what you have submitted before stays as it is"):
        raise Unconfirmed("nothing was submitted: what you have submitted before stays as it is", *asked)


def _put(work: _Work, url: str, sender: str, user: str, assignment: str) -> OutboxEntry | None:
    try:
        return Outbox().put(work.file, url, sender, user, assignment, work.keep_in / work.file.name)
    except OSError as error:  # a home that cannot be written must keep nobody from submitting
        note(f"warning: no copy could be kept in the outbox: {error.strerror or error}")
        return None


def _announce(client: Client, waiting: OutboxEntry, size: int) -> OutboxEntry:
    """Send the checksum ahead. If the server does not accept it, the file is sent all the same."""
    with contextlib.suppress(MograderError):
        made = client.commit(waiting.assignment, waiting.user, waiting.sha256, size)
        note(
            f"announced at {when(made.committed, seconds=True)}, which counts if the file arrives by {when(made.until)}"
        )
        return Outbox().change(waiting, since=made.committed)
    return waiting


def _received(name: str, submitted: messages.Submitted, whom: str) -> str:
    lines = [f"Submitted {name!r} to {submitted.assignment!r}", f"  {whom}"]
    if submitted.attempt:
        again = "these bytes were already your latest: " if submitted.repeated else ""
        lines.append(f"  {again}submission {submitted.attempt}, received {when(submitted.received, seconds=True)}")
    if arrived := known(submitted.arrived):
        lines.append(f"  that is when it was announced; the file itself arrived {when(arrived, seconds=True)}")
    if known(submitted.duedate):
        days = known(submitted.days_late) or 0
        told = lateness(known(submitted.duedate), days, known(submitted.penalty) or 0) if days else "on time"
        lines.append(f"  {told}")
    if (counts := known(submitted.counts)) and counts != submitted.version:
        lines.append(f"  {counts} counts, your last submission on time; this one is kept")
    return "\n".join([*lines, f"  {counted(submitted.size, 'byte')}, sha256 {submitted.sha256}"])


@click.command(short_help="Send what could not be sent.")
@click.option("--drop", is_flag=True, help="Forget what waits instead of sending it.")
@sends_to_a_server
@json_option
def retry(drop: bool, server: Server, as_json: bool) -> None:
    """Send what could not be sent, oldest first; also what was refused before.

    Sending again is safe: what the server has already counts once. What is refused stays here until you say --drop.

    \b
    Example:
      mograder https retry
    """
    address, outbox = server.required_address(), Outbox()
    mine = [each for each in outbox.all() if each.server == address]
    if drop:
        for each in mine:
            outbox.drop(each)
        result(as_json, {"dropped": len(mine)}, f"Forgot {counted(len(mine), 'submission')}")
        return
    sent = refused = 0
    with server.connect(deliver_first=False, changes=True) as (client, _), progress("outbox") as bar:
        for waiting, submitted, problem in deliver(
            client, outbox, server.owner(), choose_exactly, again=True, progress=bar
        ):
            tell_delivered(client, waiting, submitted, problem)
            sent, refused = (sent + 1, refused) if submitted else (sent, refused + 1)
    result(as_json, {"sent": sent, "refused": refused}, f"Sent {counted(sent, 'submission')}")
    if refused:
        raise MograderError(f"{counted(refused, 'submission')} not taken and kept here: see above; --drop forgets them")


@click.command(name="ask-extension", short_help="Ask for more time.")
@click.argument("assignment", shell_complete=assignment_names)
@click.option("--until", required=True, help="Until when: +3d, +12h, 2030-02-08, or 2030-02-08T17:00 of the course.")
@click.option("--reason", required=True, help="Why, for your instructor.")
@click.option("--user", help="Who you are, where the server asks for no token.")
@reads_from_a_server
@json_option
def ask_extension(assignment: str, until: str, reason: str, user: str | None, server: Server, as_json: bool) -> None:
    """Ask for more time for ASSIGNMENT. Your instructor grants or declines: mograder https feedback says so.

    Asking again replaces what you asked for before.

    \b
    Example:
      mograder https ask-extension hw1 --until +2d --reason "ill since Monday"
    """
    check_until(until)
    with server.connect(user, changes=True) as (client, name):
        named(name, client.url)
        chosen = find(client, assignment, name, exactly=True)
        asked = client.ask_extension(chosen.name, name, until, reason)
    wanted = known(asked.wanted)
    result(as_json, asked, f"Asked for {chosen.name!r} until {when(wanted) if wanted else until}")
