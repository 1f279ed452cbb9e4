"""The protocol from the other side: one short method an endpoint, driven by `wire.ENDPOINTS`.

The law: the token is sent to the server it belongs to and to nobody else, and nothing is read without a limit.
"""

from __future__ import annotations

import hashlib
import math
import re
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar
from urllib.parse import quote

import httpx2
import msgspec
import stamina
from msgspec import UnsetType

from mograder import __version__, wire
from mograder.domain.errors import (
    MethodNotAllowed,
    MograderError,
    NetworkFailure,
    RequestTimeout,
    Temporary,
    Unreadable,
    Usage,
    VerificationFailed,
    error_for,
)
from mograder.domain.grades import GradeEntry
from mograder.domain.names import printable

CHUNK = 256 * wire.KIB
MAX_REPLY = 64 * wire.MIB  # bytes of a JSON or HTML answer
MAX_ERROR = 64 * wire.KIB  # bytes of an error answer that are read
MAX_FILE = 2048 * wire.MIB  # bytes of one downloaded file
FEEDBACK_BATCH = 16 * wire.MIB  # bytes of feedback pages in one request
MAX_REDIRECTS = 5
UNQUOTED = "/%?=&:@+,;!$'()*"  # what may stand in a listed path as it is
PASSING = frozenset({429, 502, 503, 504})  # statuses that another try may cure

Progress = Callable[[int, int | None], None]
"""Told how many bytes of how many (None: unknown) have gone over. A new try starts from 0 again."""
Body = Callable[[], dict[str, Any]]
"""Makes the keywords of a request that carry its body, afresh for every try."""
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Patience:
    """How long a failing request is tried again. All times are seconds.

    `total` bounds all tries of one request: 0 is one try, and a server that asks for a longer wait is not waited
    for.
    """

    attempts: int = 8
    total: float = 60.0
    first_wait: float = 0.5
    longest_wait: float = 15.0


def normalise_url(text: str) -> str:
    """A server's address as logins are kept under: lower-case scheme and host, no default port, no slash at the end.

    Raises Usage unless it is an http or https URL without credentials, query and fragment.
    """
    try:
        url = httpx2.URL(text.strip())
    except (httpx2.InvalidURL, UnicodeError):
        raise Usage(f"not a URL: {printable(text)!r}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise Usage(f"expected a URL such as https://course.example.org, not {printable(text)!r}")
    if url.userinfo or url.query or url.fragment:
        raise Usage("give the server's URL without user name, password, '?' and '#'")
    return str(httpx2.URL(str(url))).rstrip("/")  # the default port goes only once the scheme is in lower case


class Client:
    """A person's connection to one server. May be used from many threads."""

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        patience: Patience | None = None,
        on_wait: Callable[[str], None] | None = None,
        timeout: float = 60.0,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """`on_wait` is told why a request will be tried again. `timeout` is the longest silence in seconds."""
        self.url = normalise_url(url)
        self.patience = patience or Patience()
        self._origin = httpx2.URL(self.url).origin
        self._token = token
        self._on_wait = on_wait or (lambda _reason: None)
        self._retry = stamina.RetryingCaller(
            attempts=self.patience.attempts,
            timeout=None,  # `total` is watched where a server's own wish is known
            wait_initial=self.patience.first_wait,
            wait_max=self.patience.longest_wait,
            wait_jitter=self.patience.first_wait,
        )
        # No compression: what is counted against a limit is what came over the wire.
        headers = {"User-Agent": f"mograder/{__version__}", "Accept-Encoding": "identity"}
        self._http = httpx2.Client(
            headers=headers, verify=verify, timeout=httpx2.Timeout(timeout, connect=min(timeout, 10.0), pool=None)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # one method an endpoint

    def health(self) -> wire.Health:
        return _value(self._call("health"), wire.Health)

    def register(self, user: str, enrollment_code: str) -> wire.Registered:
        """Not safe to repeat, as a bound name is refused: tried again only when the request cannot have arrived."""
        request = wire.encode_json(wire.Register(user, enrollment_code))
        reply = self._call("register", _json(request), repeatable=False)
        return _value(reply, wire.Registered, user=user)

    def assignments(self) -> list[wire.AssignmentInfo]:
        return [_assignment(entry) for entry in _list(self._call("assignments"))]

    def hand_out(self, file: wire.HandOutFile, target: BinaryIO, progress: Progress | None = None) -> None:
        """Writes the file to `target`. Raises VerificationFailed unless it has the size and checksum of the listing.

        A file that lives on another host is fetched without the token.
        """
        self._download(file.filename, file.url, target, known(file.size), known(file.sha256), progress)

    def submit(self, assignment: str, user: str, path: Path, progress: Progress | None = None) -> wire.Submitted:
        """Hands in the file at `path`. Safe to repeat: identical bytes get the same receipt.

        A server that gives no receipt leaves `receipt` empty, `attempt` 0 and `received` 0. Raises
        VerificationFailed when the server received other bytes than were sent.
        """
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            headers = {
                "Content-Type": wire.Content.FILE.value,
                "Content-Length": str(size),
                wire.CHECKSUM_HEADER: sha256,
            }

            def body() -> dict[str, Any]:
                file.seek(0)
                return {"content": _chunks(file, size, progress), "headers": headers}

            reply = self._call("submit", body, query={"user": user}, assignment=assignment)
        known = {"user": user, "assignment": assignment, "size": size, "sha256": sha256}
        missing = {"filename": f"{user}.py", "version": "", "attempt": 0, "received": 0, "receipt": ""}
        submitted = _value(reply, wire.Submitted, **known, **missing)
        if submitted.sha256 != sha256:
            raise VerificationFailed(
                f"the server received other bytes than {path.name} has: sent {sha256}, "
                f"received {submitted.sha256}. hand in again"
            )
        return submitted

    def submissions(self, assignment: str) -> list[wire.SubmissionInfo]:
        """A server that does not tell leaves `timemodified` 0, `size` -1 and `sha256` empty."""
        missing = {"timemodified": 0, "size": -1, "sha256": ""}
        reply = self._call("submissions", assignment=assignment)
        return [_value(entry, wire.SubmissionInfo, **missing) for entry in _list(reply)]

    def submitted_file(self, info: wire.SubmissionInfo, target: BinaryIO, progress: Progress | None = None) -> None:
        """Writes one hand-in to `target`. Raises VerificationFailed as `hand_out` does."""
        size = info.size if info.size >= 0 else None
        self._download(info.filename, info.url, target, size, info.sha256 or None, progress)

    def upload_grades(
        self, assignment: str, grades: Iterable[GradeEntry], workflow_state: str = ""
    ) -> wire.GradesStored:
        entries = [entry.fields for entry in grades]
        request = msgspec.json.encode({"grades": entries, "workflow_state": workflow_state})
        reply = self._call("upload_grades", _json(request), assignment=assignment)
        return _value(reply, wire.GradesStored, received=len(entries))

    def status(self, assignment: str, user: str) -> wire.Status:
        missing = {"graded": False, "grade": None, "feedback": "", "feedback_available": False}
        reply = self._call("status", query={"user": user}, assignment=assignment)
        return _value(reply, wire.Status, **missing)

    def upload_feedback(self, assignment: str, pages: Mapping[str, bytes]) -> wire.FeedbackStored:
        """Sends `pages`, HTML by file name (`<user>.html`), in as many requests as their size asks for."""
        stored: list[str] = []
        for batch in _batches(pages):
            reply = self._call("upload_feedback", partial(_pages, batch), assignment=assignment)
            stored += _value(reply, wire.FeedbackStored, files=list(batch)).files
        return wire.FeedbackStored(stored)

    def feedback(self, assignment: str, user: str) -> bytes:
        """The HTML page."""
        return self._call("feedback", assignment=assignment, user=user)

    def configuration(self) -> str:
        """A mograder.toml for a student of this server."""
        return self._call("configuration").decode("utf-8", "replace")

    # the trip

    def _call(
        self,
        name: str,
        body: Body = dict,
        query: Mapping[str, str] | None = None,
        repeatable: bool = True,
        **values: str,
    ) -> bytes:
        """The answer's body."""
        row = wire.BY_NAME[name]
        url = httpx2.URL(self.url + wire.build_path(row, values), params=query)

        def read(response: httpx2.Response) -> bytes:
            return _read(response, MAX_REPLY)

        return self._exchange(row.method, url, body, read, repeatable=repeatable)

    def _download(
        self,
        name: str,
        address: str,
        target: BinaryIO,
        size: int | None,
        sha256: str | None,
        progress: Progress | None,
    ) -> None:
        limit = MAX_FILE if size is None else size

        def read(response: httpx2.Response) -> None:
            target.seek(0)
            target.truncate()
            digest, length = hashlib.sha256(), 0
            expected = size if size is not None else _length(response)
            for chunk in response.iter_raw(CHUNK):
                length += len(chunk)
                if length > limit:
                    raise VerificationFailed(f"{printable(name)!r} is longer than the {limit} bytes it should have")
                digest.update(chunk)
                target.write(chunk)
                if progress:
                    progress(length, expected)
            if (size is not None and length != size) or (sha256 and digest.hexdigest() != sha256.lower()):
                raise VerificationFailed(f"{printable(name)!r} is not the file that the server lists: try again")

        self._exchange("GET", self._locate(name, address), dict, read, download=True)

    def _locate(self, name: str, address: str) -> httpx2.URL:
        """Where a listed file is: absolute URLs as they are, all else below this server."""
        try:
            if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", address):
                url = httpx2.URL(address)
                if url.scheme in ("http", "https") and url.host:
                    return url
            else:
                # The published server quotes nothing. The slash: "@evil.example" would make our host a user name.
                return httpx2.URL(f"{self.url}/{quote(address.lstrip('/'), safe=UNQUOTED)}")
        except (httpx2.InvalidURL, UnicodeError):
            pass
        raise VerificationFailed(f"{printable(name)!r} has an address that cannot be fetched: {printable(address)!r}")

    def _exchange(
        self,
        method: str,
        url: httpx2.URL,
        body: Body,
        read: Callable[[httpx2.Response], Answer],
        *,
        repeatable: bool = True,
        download: bool = False,
    ) -> Answer:
        ends = time.monotonic() + self.patience.total
        tries = count(1)

        def worth_another_try(error: Exception) -> bool | float:
            if not isinstance(error, _Passing) or not (repeatable or error.not_arrived):
                return False
            if next(tries) >= self.patience.attempts or time.monotonic() + (error.wait or 0) >= ends:
                return False
            self._on_wait(f"{error.reason}; trying again")
            return True if error.wait is None else error.wait

        try:
            return self._retry(worth_another_try, self._once, method, url, body, read, download)
        except _Passing as passing:
            raise passing.reason from None

    def _once(
        self,
        method: str,
        url: httpx2.URL,
        body: Body,
        read: Callable[[httpx2.Response], Answer],
        download: bool,
    ) -> Answer:
        """One try, with its redirects."""
        trusted = True
        for _ in range(MAX_REDIRECTS + 1):
            trusted = trusted and url.origin == self._origin
            request = self._http.build_request(method, url, **body())
            if trusted and self._token:
                request.headers["Authorization"] = f"Bearer {self._token}"
            try:
                response = self._http.send(request, stream=True)
            except httpx2.TransportError as error:
                raise self._unreachable(url, error) from error
            except (httpx2.InvalidURL, ValueError) as error:
                raise NetworkFailure(f"cannot ask {printable(str(url))}: {error}") from error
            try:
                if response.is_redirect:
                    url = self._redirected(method, url, response, download)
                    continue
                if not response.is_success:
                    raise _refusal(response)
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise NetworkFailure("the server compressed its answer without being asked to")
                return read(response)
            except httpx2.TransportError as error:
                raise self._unreachable(url, error) from error
            finally:
                response.close()
        raise NetworkFailure(f"{self.url} redirects in a circle")

    def _redirected(self, method: str, url: httpx2.URL, response: httpx2.Response, download: bool) -> httpx2.URL:
        """Where to go on. Only downloads may leave the server, without the token and never from https to http."""
        try:
            target = url.join(response.headers["Location"])
        except (httpx2.InvalidURL, UnicodeError):
            raise NetworkFailure(f"{self.url} redirects to something that is no URL") from None
        place = printable(f"{target.scheme}://{target.netloc.decode('ascii', 'replace')}")
        if url.scheme == "http" and target.scheme == "https" and target.host == url.host:
            raise NetworkFailure(f"{self.url} redirects to https: use --url {place}")
        if target.scheme not in ("http", "https") or (url.scheme, target.scheme) == ("https", "http"):
            raise NetworkFailure(f"{self.url} redirects to {place}: refused")
        if target.origin != url.origin and not download:
            raise NetworkFailure(
                f"{self.url} redirects to another server, {place}: refused, your token stays here. "
                f"use --url {place} if you trust it"
            )
        if method != "GET":
            raise NetworkFailure(f"{self.url} redirects to {printable(str(target))}: use that server's own URL")
        return target

    def _unreachable(self, url: httpx2.URL, error: httpx2.TransportError) -> Exception:
        why = printable(str(error) or type(error).__name__, 300)
        if isinstance(error, httpx2.TimeoutException):
            failure = NetworkFailure(f"no answer from {url.scheme}://{url.netloc.decode('ascii')} in time")
        else:
            failure = NetworkFailure(f"cannot reach {url.scheme}://{url.netloc.decode('ascii')}: {why}")
        if isinstance(error, httpx2.UnsupportedProtocol | httpx2.ProxyError) or _is_certificate(error):
            return failure
        return _Passing(failure, not_arrived=isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout))


class _Passing(Exception):
    """A failure that another try may cure, after `wait` seconds if the server said so."""

    def __init__(self, reason: MograderError, wait: float | None = None, not_arrived: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.not_arrived = not_arrived


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _refusal(response: httpx2.Response) -> Exception:
    """The error that an answer of 4xx or 5xx stands for."""
    status, code, message = response.status_code, None, ""
    try:
        problem = msgspec.json.decode(_read(response, MAX_ERROR))
        code, message = problem.get("code"), problem.get("error")
    except (msgspec.DecodeError, AttributeError, RecursionError, UnicodeError, NetworkFailure):
        pass  # a proxy's page: the status must do
    if not isinstance(message, str) or not message:
        message = f"the server answered {status} ({response.reason_phrase or 'no reason given'})"
    message, wait = printable(message, 1000), _retry_after(response)
    kind = error_for(code, status)
    error: MograderError
    if issubclass(kind, Unreadable):
        error = kind(message, place="")
    elif issubclass(kind, Temporary):
        error = kind(message, retry_after=int(wait or 0))
    elif issubclass(kind, MethodNotAllowed):
        error = kind(message, allow="")
    else:
        error = kind(message)
    if status in PASSING:
        # 429 and 503 are said before anything was done; a gateway's 502 and 504 may come after.
        return _Passing(error, wait, not_arrived=status in (429, 503))
    return error


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds from now, or None. A date is not worth its clock troubles: the usual back-off does."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def _length(response: httpx2.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdecimal() else None


def _read(response: httpx2.Response, limit: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_raw(CHUNK):
        body += chunk
        if len(body) > limit:
            raise NetworkFailure(f"the server's answer is longer than {limit} bytes")
    return bytes(body)


def _chunks(file: BinaryIO, size: int, progress: Progress | None) -> Iterator[bytes]:
    """Exactly `size` bytes, what was announced. A file that shrank meanwhile ends in an error, not in a hang."""
    sent = 0
    while sent < size:
        chunk = file.read(min(CHUNK, size - sent))
        if not chunk:
            raise RequestTimeout("the file became shorter while it was sent: hand in again")
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


def known(value: wire.Maybe[Answer]) -> Answer | None:
    """The value of a key that a server may leave out; None where it did."""
    return None if isinstance(value, UnsetType) else value


# reading what servers answer, which may have fewer keys than ours


def _document(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise NetworkFailure("the answer is not JSON: is this the URL of a mograder server?") from None


def _list(body: bytes) -> list[Any]:
    entries = _document(body)
    if not isinstance(entries, list):
        raise NetworkFailure("the answer is not a list: is this the URL of a mograder server?")
    return entries


def _value(reply: bytes | object, kind: type[Answer], **missing: object) -> Answer:
    """`reply` as a `kind`: nulls and absent keys from `missing`, numbers where texts should be made texts."""
    document = _document(reply) if isinstance(reply, bytes) else reply
    if not isinstance(document, dict):
        raise NetworkFailure("the answer is not an object: is this the URL of a mograder server?")
    filled = missing | {key: value for key, value in document.items() if value is not None}
    for field in fields(kind):  # type: ignore[arg-type]
        value = filled.get(field.name)
        if str(field.type).startswith("str") and isinstance(value, int | float) and not isinstance(value, bool):
            filled[field.name] = str(value)
    try:
        return msgspec.convert(filled, kind, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        raise NetworkFailure(f"the server's answer cannot be understood: {printable(str(error))}") from None


def _assignment(entry: object) -> wire.AssignmentInfo:
    """One entry of a listing, which a lecturer may have written by hand: a due date of 0 is none, what is no time is
    no due date, and a file that has no name or no address cannot be fetched and is passed over."""
    if not isinstance(entry, dict):
        return _value(entry, wire.AssignmentInfo)
    files = entry.get("files")
    clean = {key: entry[key] for key in ("name", "title", "max_size", "accepts", "points") if key in entry}
    clean["id"] = entry.get("name") if entry.get("id") is None else entry["id"]
    for key in ("opens", "duedate", "closes"):
        moment = entry.get(key)
        if isinstance(moment, int | float) and moment > 0:
            clean[key] = int(moment)
    clean["files"] = [
        _value(file, wire.HandOutFile)
        for file in (files if isinstance(files, list) else [])
        if isinstance(file, dict) and file.get("filename") and file.get("url")
    ]
    return _value(clean, wire.AssignmentInfo)
