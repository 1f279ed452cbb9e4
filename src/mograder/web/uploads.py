"""Takes a submission: one function for the API, the student's page and the instructor's page.

Invariant: an upload is discarded when receiving it fails, or when the store has accepted or refused it. Callers need
not discard it.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from urllib.parse import unquote

from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment
from mograder.domain.course import Course
from mograder.domain.errors import ChecksumMismatch, Unconfirmed
from mograder.domain.names import Username
from mograder.domain.submissions import Accepted, Ready, Upload
from mograder.web.body import Body, is_multipart
from mograder.web.threads import StoreThreads, result_of
from mograder.wire.endpoints import CHECKSUM_HEADER, FILENAME_HEADER

MULTIPART_EXTRA = 64 * 1024
"""Bytes that a multipart form may have around the file."""

LONGEST_HEADER = 4000
"""Characters of the header that names a file, percent-encoded."""


PAGE_EXTRA = 1024 * 1024
"""Bytes that the form of a page may have around its files, of which there may be many."""


@dataclass(frozen=True)
class IncomingSubmission:
    """A submission whose bytes are still to be read from `body`. `received` is Unix microseconds.

    One `from_page` may have several files, and the person must confirm doubts unless the form says "sure".
    """

    actor: Actor
    assignment: Assignment
    user: Username
    body: Body
    received: int
    from_page: bool = False


@dataclass(frozen=True)
class Sent:
    """What the sender says: the `name` of what is kept, the `names` of the files, and whether the person is `sure`."""

    name: str
    names: tuple[str, ...]
    sure: bool = True


async def take_submission(course: Course, threads: StoreThreads, incoming: IncomingSubmission) -> Accepted:
    """Read the submission's bytes and keep them. The time limits of the body apply. The caller has refreshed `threads`.

    Raises Closed before anything is read; ChecksumMismatch if the header X-Content-SHA256 announces other bytes;
    Unconfirmed if a person on a page should confirm first; and what `Submissions.begin` and `Body.chunks` raise.
    """
    actor, assignment, user = incoming.actor, incoming.assignment, incoming.user
    await threads.recall(lambda: course.submissions.check_open(actor, assignment, user, incoming.received))
    upload = course.submissions.upload()
    try:
        sent = await _receive(incoming, course.admission.limit_for(assignment), upload, threads)
        announced = await threads.announced(assignment.name, user)

        def prepare() -> Ready:
            upload.finish()
            _check_sum(incoming.body, upload)
            if not sent.sure and actor.username == user:
                _ask(course, incoming, sent, upload)
            return course.submissions.ready(actor, assignment, user, upload, incoming.received, sent.name, announced)

        ready = await (threads.run if upload.is_large else threads.recall)(prepare)
    except BaseException:
        upload.discard()
        raise

    def begin() -> Future[Accepted]:
        try:
            accepted = course.submissions.begin(ready)
        except BaseException:
            upload.discard()
            raise
        accepted.add_done_callback(lambda _: upload.discard())
        return accepted

    if upload.is_large or announced:
        return await threads.run(lambda: begin().result())
    return await result_of(begin())


def _ask(course: Course, incoming: IncomingSubmission, sent: Sent, upload: Upload) -> None:
    questions = course.submissions.doubts(
        incoming.assignment, incoming.user, sent.names, upload.sha256, incoming.received
    )
    if questions:
        raise Unconfirmed(f"nothing was submitted yet: {'; '.join(questions)}", *questions)


async def _receive(incoming: IncomingSubmission, limit: int, upload: Upload, threads: StoreThreads) -> Sent:
    """Read at most `limit` bytes into `upload`."""
    body = incoming.body
    if is_multipart(body.headers):
        from mograder.web import multipart  # our own client sends no forms: the parser is loaded when it is needed

        if incoming.from_page:
            form = multipart.read_submission(
                body.headers, body.chunks(limit + PAGE_EXTRA), upload, incoming.assignment.name, threads.run
            )
            name, names, sure = await form
            return Sent(name, names, sure)
        name = await multipart.read_single_file(body.headers, body.chunks(limit + MULTIPART_EXTRA), upload)
        return Sent(name, (name,))
    async for chunk in body.chunks(limit):
        upload.write(chunk)
    name = unquote(body.headers.get(FILENAME_HEADER.lower(), "")[:LONGEST_HEADER], errors="replace")
    return Sent(name, (name,))


def _check_sum(body: Body, upload: Upload) -> None:
    announced = body.headers.get(CHECKSUM_HEADER.lower())
    if announced is not None and announced.lower() != upload.sha256:
        raise ChecksumMismatch(f"the bytes that arrived have the SHA-256 {upload.sha256}, not {announced[:64]!r}")
