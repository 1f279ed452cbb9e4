"""The outbox: submissions that are kept on this disk until a server has acknowledged them.

Invariant: the bytes are synced on this disk before the first of them is sent. They are deleted when the server has
acknowledged them, when it has refused them and the person was told at once, or when the person says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click

from mograder.client.client import Client, Progress, known
from mograder.client.extract import safe_name
from mograder.client.files import replacing, sha256_of
from mograder.client.proof import KnownKeys, no_receipt
from mograder.domain.errors import MograderError, NotFound, VerificationFailed
from mograder.wire import messages

NEAR = 600.0
"""Seconds before a deadline from which on a commitment is sent before the file."""
NEAR_IF_SLOW = 3600.0
"""The same for a slow connection or a large file."""
SLOW = 2.0  # seconds for a listing on a slow connection
LARGE = 1024 * 1024  # bytes of a large file


@dataclass(frozen=True)
class OutboxEntry:
    """One waiting submission. `sender` is the person whose token sends it, `user` the one whose submission it is.

    `place` is the path of the file, or of the zip that several files would make. A submission that the server received
    after `since` (Unix seconds) is newer than this one. `problem` says why the server refused it, "" if it did not.
    """

    key: str
    server: str
    sender: str
    user: str
    assignment: str
    place: str
    sha256: str
    since: float
    problem: str = ""


class Outbox:
    """The outbox of this person, in the user's configuration folder."""

    def __init__(self) -> None:
        self._folder = Path(click.get_app_dir("mograder"), "outbox")

    def put(
        self, file: Path, server: str, sender: str, user: str, assignment: str, place: Path | None = None
    ) -> OutboxEntry:
        """Store a copy of `file`. Its receipt will be stored beside `place`, by default the file itself.

        If the same bytes already wait for the same assignment, their entry is returned.
        """
        sha256 = sha256_of(file)
        for each in self.all():
            if (each.server, each.user, each.assignment, each.sha256) == (server, user, assignment, sha256):
                return self.change(each, problem="")
        key = f"{time.time_ns():020}-{secrets.token_hex(4)}"
        waiting = OutboxEntry(
            key, server, sender, user, assignment, str((place or file).resolve()), sha256, time.time()
        )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("rb") as source, replacing(self.path(waiting), mode=0o600) as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
        if sha256_of(self.path(waiting)) != sha256:
            self.drop(waiting)
            raise VerificationFailed(f"{file.name} changed while it was read: submit again")
        self._write(waiting)
        return waiting

    def path(self, waiting: OutboxEntry) -> Path:
        """The path of the stored bytes, which has the name of the original file."""
        return self._folder / waiting.key / safe_name(Path(waiting.place).name.lstrip(".") or "file")

    def all(self) -> list[OutboxEntry]:
        """All waiting submissions, in the order of submission."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError, TypeError):
                found.append(OutboxEntry(**json.loads(path.read_bytes())))
        return found

    def change(self, waiting: OutboxEntry, **changes: Any) -> OutboxEntry:
        changed = replace(waiting, **changes)
        if changed != waiting:
            self._write(changed)
        return changed

    def drop(self, waiting: OutboxEntry) -> None:
        (self._folder / f"{waiting.key}.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder / waiting.key, ignore_errors=True)

    def _write(self, waiting: OutboxEntry) -> None:
        with replacing(self._folder / f"{waiting.key}.json", mode=0o600) as file:
            file.write(json.dumps(asdict(waiting), indent=2).encode())
            file.flush()
            os.fsync(file.fileno())
        if os.name != "nt":
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def is_passing(error: MograderError) -> bool:
    """Whether the network or the server failed, so that sending the submission again may succeed."""
    return error.exit_code == 6 or isinstance(error, VerificationFailed)


def worth_announcing(assignment: messages.AssignmentInfo, size: int, took: float, now: float) -> bool:
    """Whether to send a commitment before a file of `size` bytes: a deadline is near, or the connection is slow.

    `took` is the time in seconds that the server's listing took; `now` is in Unix seconds.
    """
    window = NEAR_IF_SLOW if took > SLOW or size > LARGE else NEAR
    due, closes = known(assignment.duedate), known(assignment.closes)
    limits = [due, (due or 0) + (known(assignment.grace) or 0) if due else None, closes]
    # Also shortly after a deadline: the clock of this computer may be ahead by some minutes.
    return any(limit is not None and -NEAR < limit - now < window for limit in limits)


Resolve = Callable[[list[messages.AssignmentInfo], str], messages.AssignmentInfo]


def deliver(
    client: Client, outbox: Outbox, sender: str, resolve: Resolve, *, again: bool, progress: Progress | None = None
) -> Iterator[tuple[OutboxEntry, messages.Submitted | None, str]]:
    """Send the submissions that wait for this server, oldest first; yields each with the server's answer, or with None
    and the problem.

    Submissions that were refused before are sent only if `again`. Raises the first error that is passing.
    """
    for key in [each.key for each in outbox.all()]:
        # Read again: an earlier delivery may have changed it, or another command may have sent it.
        waiting = next((each for each in outbox.all() if each.key == key), None)
        if waiting is None or (waiting.server, waiting.sender) != (client.url, sender):
            continue
        if waiting.problem and not again:
            continue
        path = outbox.path(waiting)
        try:
            name = resolve(client.assignments(), waiting.assignment).name
            if not waiting.problem and (problem := _overtaken(client, waiting, name)):
                yield outbox.change(waiting, problem=problem), None, problem
                continue
            submitted = client.submit(name, waiting.user, path, progress)
        except MograderError as error:
            if is_passing(error):
                raise
            yield outbox.change(waiting, problem=error.message), None, error.message
            continue
        except FileNotFoundError:
            outbox.drop(waiting)  # another command has sent it meanwhile
            continue
        if not submitted.receipt and KnownKeys().find(client.url):
            problem = no_receipt(client.url).message
            yield outbox.change(waiting, problem=problem), None, problem
            continue
        outbox.drop(waiting)
        for later in outbox.all():
            if (later.server, later.user, later.assignment) == (waiting.server, waiting.user, waiting.assignment):
                outbox.change(later, since=max(later.since, submitted.received))
        yield waiting, submitted, ""


def _overtaken(client: Client, waiting: OutboxEntry, assignment: str) -> str:
    """A message if sending this now would replace a newer submission, else ""."""
    try:
        last = client.receipts(assignment, waiting.user)[-1:]
    except NotFound:  # a server without receipts
        return ""
    if last and last[0].sha256 != waiting.sha256 and last[0].received > waiting.since:
        return "a later submission of yours was received since: retry again to send this one all the same"
    return ""
