"""Takes a submission: one function for the API, the student's page and the instructor's page.

Invariant: an upload is discarded exactly once it is of no more use: when receiving it fails, or when the store has
accepted or refused it. No caller has to.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass

from mograder.domain.access import Actor
from mograder.domain.assignments import Assignment
from mograder.domain.course import Course
from mograder.domain.errors import ChecksumMismatch
from mograder.domain.names import Username
from mograder.domain.submissions import Accepted, Upload
from mograder.web.body import Body, is_multipart
from mograder.web.threads import StoreThreads, result_of
from mograder.wire.endpoints import CHECKSUM_HEADER

MULTIPART_EXTRA = 64 * 1024
"""Bytes that a multipart form may have around the file."""


@dataclass(frozen=True)
class IncomingSubmission:
    """A submission whose bytes are still to be read from `body`. `received` is Unix microseconds."""

    actor: Actor
    assignment: Assignment
    user: Username
    body: Body
    received: int


async def take_submission(course: Course, threads: StoreThreads, incoming: IncomingSubmission) -> Accepted:
    """Read the submission's bytes and keep them. The time limits of the body apply.

    Raises Closed before anything is read; ChecksumMismatch where the header X-Content-SHA256 announces other bytes;
    and what `Course.begin` and `Body.chunks` raise.
    """
    actor, assignment, user = incoming.actor, incoming.assignment, incoming.user
    await threads.read(lambda: course.submissions.check_open(actor, assignment, user, incoming.received))
    upload = course.submissions.upload()
    try:
        filename = await _receive(incoming.body, course.admission.limit_for(assignment), upload)
        announced = await threads.read(lambda: course.commitments.of(assignment, user))
    except BaseException:
        upload.discard()
        raise

    def begin() -> Future[Accepted]:
        try:
            upload.finish()
            _check_sum(incoming.body, upload)
            accepted = course.submissions.begin(actor, assignment, user, upload, incoming.received, filename, announced)
        except BaseException:
            upload.discard()
            raise
        accepted.add_done_callback(lambda _: upload.discard())
        return accepted

    if threads.is_remote or upload.is_large or announced:
        return await threads.run(lambda: begin().result())
    return await result_of(begin())


async def _receive(body: Body, limit: int, upload: Upload) -> str:
    """Read at most `limit` bytes into `upload`; the name that the sender gives the file, "" for a raw body."""
    if is_multipart(body.headers):
        from mograder.web import multipart  # our own client sends no forms: the parser is loaded when it is needed

        return await multipart.read_single_file(body.headers, body.chunks(limit + MULTIPART_EXTRA), upload)
    async for chunk in body.chunks(limit):
        upload.write(chunk)
    return ""


def _check_sum(body: Body, upload: Upload) -> None:
    announced = body.headers.get(CHECKSUM_HEADER.lower())
    if announced is not None and announced.lower() != upload.sha256:
        raise ChecksumMismatch(f"the bytes that came have the SHA-256 {upload.sha256}, not {announced[:64]!r}")
