"""The client's side of the protocol: one short method for each endpoint, driven by `ENDPOINTS`.

Invariant: received files have the announced checksum, and replies with fewer keys than ours are understood, too.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import quote

import httpx2
import msgspec
from msgspec import UnsetType

from mograder.client.connection import CHUNK, Answer, Body, Connection, RetryPolicy, announced_length, read_body
from mograder.client.files import DiskBudget
from mograder.domain.access import Role
from mograder.domain.allowance import MIB
from mograder.domain.errors import BadRequest, NetworkFailure, NotFound, RequestTimeout, TooLarge, VerificationFailed
from mograder.domain.grades import GradeEntry
from mograder.domain.names import printable
from mograder.domain.tokens import random_secret
from mograder.wire import messages
from mograder.wire.codec import MAX_VALUES, decode_json, encode_json
from mograder.wire.endpoints import BY_NAME, CHECKSUM_HEADER, FILENAME_HEADER, Content
from mograder.wire.paths import build_path

MAX_REPLY = 64 * MIB  # bytes of a JSON or HTML answer
MAX_EVENTS = 1_000_000  # that are read of one audit log
MAX_FILE = 2048 * MIB  # bytes of one downloaded file
FEEDBACK_BATCH = 16 * MIB  # bytes of feedback pages in one request


Progress = Callable[[int, int | None], None]
"""Called with the bytes transferred so far, and the total (None: unknown). A new attempt starts from 0 again."""


def pin(url: str, fingerprint: str, patience: RetryPolicy | None = None) -> str:
    """The certificate (PEM) of the own authority of the server at `url`.

    It is fetched over an unverified connection, which is used for nothing else. Raises VerificationFailed unless the
    certificate's SHA-256 is `fingerprint` (lower-case hex).
    """
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    try:
        with Client(url, patience=patience, verify=unverified) as client:
            certificate = ssl.PEM_cert_to_DER_cert(client.authority().strip())
    except (NotFound, ValueError):
        raise VerificationFailed(
            f"{url} has no authority of its own, so no fingerprint can match: check the address, or leave "
            "the fingerprint out if the server has a certificate that everybody trusts"
        ) from None
    found = hashlib.sha256(certificate).hexdigest()
    if found != fingerprint:
        raise VerificationFailed(
            f"{url} is not the server of this fingerprint. nothing was sent. check address and fingerprint, else "
            "tell your instructor: somebody may be in between"
        )
    return ssl.DER_cert_to_PEM_cert(certificate)


class Client:
    """A person's connection to one server. Thread-safe."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        patience: RetryPolicy | None = None,
        on_wait: Callable[[str], None] | None = None,
        on_trouble: Callable[[str], None] | None = None,
        on_version: Callable[[str], None] | None = None,
        timeout: float = 60.0,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """`timeout` is the longest silence in seconds, and the longest time of a request without its bodies, for which
        a second is added for every 4 KiB.

        `on_wait` is called once for a request, with the reason, if it will be tried again. `on_trouble` is called with
        each fault in the course's files that the server reports to instructors, `on_version` with the server's version.
        `verify` is the TLS context, or True for the authorities that this computer trusts.
        """

        def quiet(_said: str) -> None: ...

        self._connection = Connection(
            url, token, patience or RetryPolicy(), on_wait or quiet, on_trouble or quiet, on_version or quiet, timeout,
            verify,
        )  # fmt: skip
        self.url = self._connection.url
        self.disk_budget = DiskBudget()
        """For everything that this client downloads, and unpacks of it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    # one method for each endpoint

    def health(self) -> messages.Health:
        return _value(self._call("health"), messages.Health)

    def register(self, user: str, enrollment_code: str, claim_key: str | None = None) -> messages.Registered:
        """Safe to repeat with the same `claim_key` for an hour; without one a new key is made."""
        request = encode_json(messages.Register(user, enrollment_code, claim_key or random_secret()))
        reply = self._call("register", _json(request))
        return _value(reply, messages.Registered, user=user)

    def assignments(self) -> list[messages.AssignmentInfo]:
        return [_assignment(entry) for entry in _list(self._call("assignments"))]

    def release_file(self, file: messages.ReleaseFileInfo, target: BinaryIO, progress: Progress | None = None) -> None:
        """Write the file to `target`. Raises VerificationFailed unless it has the size and checksum of the listing.

        A file on another host is fetched without the token.
        """
        self._download(file.filename, file.url, target, known(file.size), known(file.sha256), progress)

    def rules(self, assignment: str) -> messages.RulesInfo:
        return _value(self._call("rules", assignment=assignment), messages.RulesInfo)

    def change_rules(self, assignment: str, rules: messages.NewRules) -> messages.RulesInfo:
        """Not safe to repeat: after the first time, `rules.tag` is outdated."""
        reply = self._call("change_rules", _json(encode_json(rules)), repeatable=False, assignment=assignment)
        return _value(reply, messages.RulesInfo)

    def submit(self, assignment: str, user: str, path: Path, progress: Progress | None = None) -> messages.Submitted:
        """Submit the file at `path`. Safe to repeat: identical bytes get the same receipt.

        Without a receipt from the server, `receipt` is empty, and `attempt` and `received` are 0. Raises
        VerificationFailed if the server received other bytes than were sent.
        """
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            headers = {
                "Content-Type": Content.FILE.value,
                "Content-Length": str(size),
                CHECKSUM_HEADER: sha256,
                FILENAME_HEADER: quote(path.name, safe=""),
            }

            def body() -> dict[str, Any]:
                file.seek(0)
                return {"content": _chunks(file, size, progress), "headers": headers}

            reply = self._call("submit", body, query={"user": user}, assignment=assignment)
        known = {"user": str(user), "assignment": str(assignment), "size": size, "sha256": sha256}
        missing = {"filename": f"{user}.py", "version": "", "attempt": 0, "received": 0, "receipt": ""}
        submitted = _value(reply, messages.Submitted, **known, **missing)
        if submitted.sha256 != sha256:
            raise VerificationFailed(
                f"the server received other bytes than {path.name} has: sent {sha256}, "
                f"received {submitted.sha256}. submit again"
            )
        return submitted

    def commit(self, assignment: str, user: str, sha256: str, size: int) -> messages.Committed:
        """Announce a file: if it is submitted soon, the moment of the announcement counts. Safe to repeat."""
        request = encode_json(messages.Announcement(sha256, size))
        reply = self._call("commit", _json(request), query={"user": user}, assignment=assignment)
        return _value(reply, messages.Committed)

    def submissions(self, assignment: str, which: str = "latest") -> list[messages.SubmissionInfo]:
        """`which` is "latest", "on-time" or "counts". A server that knows only the latest answers with that.

        Facts that the server does not send are 0 (`timemodified`), -1 (`size`) and "" (`sha256`).
        """
        missing = {"timemodified": 0, "size": -1, "sha256": ""}
        query = {"which": which} if which != "latest" else None
        reply = self._call("submissions", query=query, assignment=assignment)
        return [_value(entry, messages.SubmissionInfo, **missing) for entry in _list(reply)]

    def submitted_file(self, info: messages.SubmissionInfo, target: BinaryIO) -> None:
        """Write one submission to `target`. Raises VerificationFailed as `release_file` does."""
        size = info.size if info.size >= 0 else None
        self._download(info.filename, info.url, target, size, info.sha256 or None)

    def receipts(self, assignment: str, user: str) -> list[messages.ReceiptInfo]:
        reply = self._call("receipts", query={"user": user}, assignment=assignment)
        return [_value(entry, messages.ReceiptInfo) for entry in _list(reply)]

    def all_receipts(self, user: str) -> list[messages.ReceiptInfo]:
        return [_value(entry, messages.ReceiptInfo) for entry in _list(self._call("all_receipts", user=user))]

    def version(self, info: messages.ReceiptInfo, target: BinaryIO) -> None:
        """Write the submission of a receipt to `target`. Raises VerificationFailed as `release_file` does."""
        self._download(info.version, info.url, target, info.size, info.sha256)

    def chain_head(self) -> messages.ChainHead:
        return _value(self._call("chain_head"), messages.ChainHead)

    def signing_keys(self) -> messages.KeySet:
        return _value(self._call("signing_keys"), messages.KeySet)

    def grades(self, assignment: str) -> tuple[GradeEntry, ...]:
        """The stored grades. Raises NotFound or MethodNotAllowed if the server does not have this endpoint."""
        listed = [_value(entry, messages.GradeInfo) for entry in _list(self._call("grades", assignment=assignment))]
        return tuple(GradeEntry(each.fields) for each in listed)

    def gradebook(self, assignment: str) -> messages.GradebookInfo:
        """Everybody's results. Raises NotFound if the server does not have this endpoint."""
        return _value(self._call("gradebook", assignment=assignment), messages.GradebookInfo)

    def upload_grades(self, assignment: str, grades: Iterable[GradeEntry]) -> messages.GradesStored:
        entries = [entry.fields for entry in grades]
        request = msgspec.json.encode({"grades": entries, "workflow_state": ""})
        reply = self._call("upload_grades", _json(request), assignment=assignment)
        return _value(reply, messages.GradesStored, received=len(entries))

    def status(self, assignment: str, user: str) -> messages.Status:
        missing = {"graded": False, "grade": None, "feedback": "", "feedback_available": False}
        reply = self._call("status", query={"user": user}, assignment=assignment)
        return _value(reply, messages.Status, **missing)

    def grading_queue(self) -> messages.QueueInfo:
        return _value(self._call("grading_queue"), messages.QueueInfo)

    def result(self, assignment: str, user: str) -> messages.GradingInfo:
        reply = self._call("result", query={"user": user}, assignment=assignment)
        return _value(reply, messages.GradingInfo)

    def upload_feedback(self, assignment: str, pages: Mapping[str, bytes]) -> messages.FeedbackStored:
        """Send `pages`, HTML by file name (`<user>.html`), in as many requests as their size needs."""
        stored: list[str] = []
        for batch in _batches(pages):
            reply = self._call("upload_feedback", partial(_pages, batch), assignment=assignment)
            stored += _value(reply, messages.FeedbackStored, files=list(batch)).files
        return messages.FeedbackStored(stored)

    def feedback(self, assignment: str, user: str) -> bytes:
        """The HTML of a person's feedback page."""
        return self._call("feedback", assignment=assignment, user=user)

    def ask_extension(self, assignment: str, user: str, until: str, reason: str = "") -> messages.ExtensionInfo:
        request = encode_json(messages.ExtensionRequest(until, reason))
        reply = self._call("ask_extension", _json(request), query={"user": user}, assignment=assignment)
        return _value(reply, messages.ExtensionInfo)

    def extensions(self) -> list[messages.ExtensionInfo]:
        return [_value(entry, messages.ExtensionInfo) for entry in _list(self._call("extensions"))]

    def change_extensions(self, changes: Iterable[messages.ExtensionChange]) -> list[messages.ExtensionInfo]:
        """Grant, decline or withdraw; all changes or none. Not safe to repeat: an extension can be withdrawn once."""
        request = encode_json(messages.ExtensionChanges(list(changes)))
        reply = self._call("change_extensions", _json(request), repeatable=False)
        return [_value(entry, messages.ExtensionInfo) for entry in _list(reply)]

    def roster(self) -> list[messages.RosterEntry]:
        return [_value(entry, messages.RosterEntry) for entry in _list(self._call("roster"))]

    def add_people(
        self, people: Iterable[messages.NewPerson], update: bool = False, remove: Iterable[str] = ()
    ) -> list[messages.RosterEntry]:
        """Not safe to repeat: codes are returned once. If the response is lost, `reset` makes new ones.

        With `update`, people who are on the roster get the given details; people to `remove` are removed.
        """
        request = encode_json(messages.NewPeople(list(people), update, list(remove)))
        reply = self._call("add_people", _json(request), repeatable=False)
        return [_value(entry, messages.RosterEntry) for entry in _list(reply)]

    def reset(self, user: str) -> messages.RosterEntry:
        return _value(self._call("reset", user=user), messages.RosterEntry)

    def set_role(self, user: str, role: Role) -> messages.RosterEntry:
        reply = self._call("set_role", _json(encode_json(messages.NewRole(role))), user=user)
        return _value(reply, messages.RosterEntry)

    def rename(self, user: str, name: str) -> messages.RosterEntry:
        return _value(self._call("rename", _json(encode_json(messages.NewName(name))), user=user), messages.RosterEntry)

    def reset_everybody(self) -> list[messages.RosterEntry]:
        """Not safe to repeat: codes are returned once, and each call makes new ones."""
        reply = self._call("reset_everybody", _json(encode_json(messages.NewCodes(True))), repeatable=False)
        return [_value(entry, messages.RosterEntry) for entry in _list(reply)]

    def remove(self, user: str) -> messages.RosterEntry:
        return _value(self._call("remove", user=user), messages.RosterEntry)

    def events(self) -> Iterator[messages.EventInfo]:
        """The audit log, newest first. Pages are requested as the caller reads on.

        A server without pages answers each request with the same lines; then the first page is all. Raises
        NetworkFailure after MAX_EVENTS.
        """
        before: list[object] = []
        told = 0
        for number in count(1):
            page = _list(self._call("events", query={"page": str(number)}))
            if not page or page == before:
                return
            told += len(page)
            if told > MAX_EVENTS:
                raise NetworkFailure(f"the server's audit log has more than {MAX_EVENTS} events")
            yield from (_value(entry, messages.EventInfo) for entry in page)
            before = page

    def login_link(self) -> messages.LoginLink:
        """A link that logs you in to the course's pages in a browser, once."""
        return _value(self._call("login_link"), messages.LoginLink)

    def configuration(self) -> str:
        """A mograder.toml for a student of this server."""
        return self._call("configuration").decode("utf-8", "replace")

    def authority(self) -> str:
        """The certificate (PEM) of the server's own authority. Compare its fingerprint before you trust it."""
        return self._call("authority").decode("ascii", "replace")

    # requests

    def _call(
        self,
        name: str,
        body: Body = dict,
        query: Mapping[str, str] | None = None,
        repeatable: bool = True,
        **values: str,
    ) -> bytes:
        """Send a request to the endpoint `name`; returns the body of the reply."""
        row = BY_NAME[name]
        url = httpx2.URL(self.url + build_path(row, values), params=query)

        def read(response: httpx2.Response) -> bytes:
            return read_body(self._connection.pieces(response), MAX_REPLY)

        reply = self._connection.send(row.method, url, body, read, repeatable=repeatable)
        if not isinstance(row.reply, Content) and not reply.lstrip().startswith((b"{", b"[")):
            raise NetworkFailure(f"{self.url} does not look like a mograder server: check the address")
        return reply

    def _download(
        self,
        name: str,
        address: str,
        target: BinaryIO,
        size: int | None,
        sha256: str | None,
        progress: Progress | None = None,
    ) -> None:
        limit = MAX_FILE if size is None else size

        def read(response: httpx2.Response) -> None:
            target.seek(0)
            target.truncate()
            digest, length = hashlib.sha256(), 0
            expected = size if size is not None else announced_length(response)
            for chunk in self._connection.pieces(response):
                length += len(chunk)
                if length > limit:
                    raise VerificationFailed(f"{printable(name)!r} is longer than the {limit} bytes it should have")
                self.disk_budget.take(len(chunk), target)
                digest.update(chunk)
                target.write(chunk)
                if progress:
                    progress(length, expected)
            if (size is not None and length != size) or (sha256 and digest.hexdigest() != sha256.lower()):
                raise VerificationFailed(f"{printable(name)!r} is not the file that the server lists: try again")

        self._connection.send("GET", self._connection.locate(name, address), dict, read, download=True)


def _chunks(file: BinaryIO, size: int, progress: Progress | None) -> Iterator[bytes]:
    """Exactly the announced `size` bytes. Raises RequestTimeout if the file has become shorter meanwhile."""
    sent = 0
    while sent < size:
        chunk = file.read(min(CHUNK, size - sent))
        if not chunk:
            raise RequestTimeout("the file became shorter while it was sent: submit again")
        yield chunk
        sent += len(chunk)
        if progress:
            progress(sent, size)


def _batches(pages: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    batch: dict[str, bytes] = {}
    for name, page in pages.items():
        if batch and sum(map(len, batch.values())) + len(page) > FEEDBACK_BATCH:
            yield batch
            batch = {}
        batch[name] = page
    if batch:
        yield batch


def _pages(batch: Mapping[str, bytes]) -> dict[str, Any]:
    return {"files": [("files", (name, page, "text/html")) for name, page in batch.items()]}


def _json(body: bytes) -> Body:
    return lambda: {"content": body, "headers": {"Content-Type": "application/json"}}


def known(value: messages.Maybe[Answer]) -> Answer | None:
    """The value of an optional key, None if the server left it out."""
    return None if isinstance(value, UnsetType) else value


# reading replies, which may have fewer keys than those of our server


def _document(body: bytes) -> Any:
    """The value of a JSON body. Raises NetworkFailure if it is not JSON, or (unparsed) may have too many values."""
    try:
        return decode_json(body, max_values=MAX_VALUES)
    except TooLarge as error:
        raise NetworkFailure(f"the server's answer {error.message}") from None
    except BadRequest:
        raise NetworkFailure("the answer is not JSON: is this a mograder server? check the address") from None


def _list(body: bytes) -> list[Any]:
    entries = _document(body)
    if not isinstance(entries, list):
        raise NetworkFailure("the answer is not a list: is this a mograder server? check the address")
    return entries


def _value(reply: bytes | object, kind: type[Answer], **missing: object) -> Answer:
    """`reply` as a `kind`. `missing` replaces nulls and absent keys; numbers become texts where `kind` has texts."""
    document = _document(reply) if isinstance(reply, bytes) else reply
    if not isinstance(document, dict):
        raise NetworkFailure("the answer is not an object: is this a mograder server? check the address")
    # Names are subclasses of str, which msgspec does not accept.
    plain = {key: str(value) if isinstance(value, str) else value for key, value in missing.items()}
    filled = plain | {key: value for key, value in document.items() if value is not None}
    for key, hint in kind.__annotations__.items():
        value = filled.get(key)
        if hint.startswith("str") and isinstance(value, int | float) and not isinstance(value, bool):
            filled[key] = str(value)
    try:
        return msgspec.convert(filled, kind, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise NetworkFailure(f"the server's answer cannot be understood: {printable(str(error))}") from None


def _assignment(entry: object) -> messages.AssignmentInfo:
    """One entry of a listing, which an instructor may have written by hand.

    Times that are 0 or not numbers are dropped. So are files without a name; files without an address get an empty
    `url` and cannot be fetched.
    """
    if not isinstance(entry, dict):
        return _value(entry, messages.AssignmentInfo)
    files = entry.get("files")
    clean = {key: entry[key] for key in ("name", "title", "max_size", "accepts", "points") if key in entry}
    clean["id"] = entry.get("name") if entry.get("id") is None else entry["id"]
    clean |= {key: entry[key] for key in ("grace", "late", "days_late", "penalty", "expected") if key in entry}
    if isinstance(entry.get("per_hour"), int):
        clean["per_hour"] = entry["per_hour"]
    for key in ("opens", "duedate", "closes"):
        moment = entry.get(key)
        if isinstance(moment, int | float) and moment > 0:
            clean[key] = int(moment)
    clean["files"] = [
        _value(file, messages.ReleaseFileInfo, url="")
        for file in (files if isinstance(files, list) else [])
        if isinstance(file, dict) and file.get("filename")
    ]
    return _value(clean, messages.AssignmentInfo)
