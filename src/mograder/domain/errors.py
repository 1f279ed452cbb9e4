"""All errors, each with a code, an HTTP status and an exit code of the command line.

The message is for the person who can fix it: in lower case, with the value, and with what to do.
"""

from __future__ import annotations

from typing import ClassVar


class MograderError(Exception):
    """An expected failure. `details` are extra keys of the JSON answer, beside "error" and "code"."""

    code: ClassVar[str] = "failed"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """HTTP header fields that go with the answer."""
        return ()


class Usage(MograderError):
    """The arguments of a command are wrong; never sent by a server."""

    code, status, exit_code = "usage", 400, 2


class NothingToCheck(MograderError):
    """The notebook to validate has no check; never sent by a server."""

    code, status, exit_code = "nothing_to_check", 400, 8


class BadRequest(MograderError):
    """The request cannot be understood, or lacks something; the message says what."""

    code, status = "bad_request", 400


class BadName(BadRequest, ValueError):
    """A text from outside is not a valid name."""

    code = "bad_name"


class ChecksumMismatch(BadRequest):
    """The received bytes do not have the announced checksum."""

    code, exit_code = "checksum_mismatch", 7


class Unauthenticated(MograderError):
    """The token is missing, malformed, wrong or revoked."""

    code, status, exit_code = "unauthenticated", 401, 3

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("WWW-Authenticate", "Bearer"),)


class Forbidden(MograderError):
    """The token is valid, but this person may not do this."""

    code, status, exit_code = "forbidden", 403, 3


class WrongCode(Forbidden):
    """The enrollment code or personal code is missing or wrong."""

    code = "wrong_code"


class RegistrationOff(Forbidden):
    """The course has no enrollment code: only people on the roster can join."""

    code, exit_code = "registration_off", 5


class RegistrationFull(Forbidden):
    """The course has as many people as its enrollment code may add."""

    code, exit_code = "registration_full", 5


class Closed(MograderError):
    """The assignment does not take submissions now."""

    code, status, exit_code = "closed", 403, 5


class NotFound(MograderError):
    """There is nothing at this address (yet)."""

    code, status, exit_code = "not_found", 404, 4


class NotOpen(NotFound):
    """The assignment has not opened yet; the message says when it opens. A hidden assignment is `not_found`."""

    code, exit_code = "not_open", 5


class MethodNotAllowed(MograderError):
    """The address exists, but not for this method."""

    code, status = "method_not_allowed", 405

    def __init__(self, message: str, allow: str) -> None:
        super().__init__(message)
        self.allow = allow

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("Allow", self.allow),)


class RequestTimeout(MograderError):
    """The request's body took too long to arrive."""

    code, status, exit_code = "request_timeout", 408, 6


class NameTaken(MograderError):
    """The name of a person or course is taken."""

    code, status, exit_code = "name_taken", 409, 5


class ChangedMeanwhile(MograderError):
    """Somebody else has changed the value since this person read it; nothing was stored."""

    code, status, exit_code = "changed", 409, 5


class Unconfirmed(MograderError):
    """The person must confirm the action; `questions` say what to consider first."""

    code, status, exit_code = "unconfirmed", 409, 5

    def __init__(self, message: str, *questions: str) -> None:
        super().__init__(message)
        self.questions = questions


class LengthRequired(MograderError):
    """The request has a body but no `Content-Length`."""

    code, status = "length_required", 411


class TooLarge(MograderError):
    """The body is larger than the endpoint, the course or the assignment allows."""

    code, status, exit_code = "too_large", 413, 5


class WrongType(MograderError):
    """The assignment does not accept this type of file."""

    code, status, exit_code = "wrong_type", 415, 5


class HeadersTooLarge(MograderError):
    """The headers of the request are too large."""

    code, status = "headers_too_large", 431


class Temporary(MograderError):
    """The request cannot be answered now; try again after `retry_after` seconds."""

    code, status, exit_code = "unavailable", 503, 6

    def __init__(self, message: str, retry_after: int = 5, **details: object) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("Retry-After", str(self.retry_after)),)


class Throttled(Temporary):
    """Too many wrong codes or tokens came from this address, or for this name."""

    code, status, exit_code = "too_many_failures", 429, 5


class TooManySubmissions(Temporary):
    """The person has submitted as much as the course allows; earlier submissions stay."""

    code, status, exit_code = "too_many_submissions", 429, 5


class StorageFull(Temporary):
    """The server's disk is full; nothing was stored."""

    code, status = "storage_full", 507


class Unreadable(Temporary):
    """A file of the course exists but cannot be parsed; it is never overwritten.

    `place` names file and line, for people who may see it (instructors and readers of the server's log).
    """

    code, status, exit_code = "unreadable", 503, 1

    def __init__(self, message: str, place: str) -> None:
        super().__init__(message, retry_after=60)
        self.place = place


class NetworkFailure(MograderError):
    """The server could not be reached, or did not answer; raised only by the client."""

    code, status, exit_code = "network", 503, 6


class VerificationFailed(MograderError):
    """Received bytes differ from what was expected, or a signature is wrong; never sent by a server."""

    code, status, exit_code = "verification_failed", 502, 7


def _family(base: type[MograderError]) -> list[type[MograderError]]:
    return [base] + [error for child in base.__subclasses__() for error in _family(child)]


_BY_CODE = {error.code: error for error in _family(MograderError)}
# The published server sends no codes: only the status is known.
_BY_STATUS: dict[int, type[MograderError]] = {
    400: BadRequest, 401: Unauthenticated, 403: Forbidden, 404: NotFound, 408: RequestTimeout,
    409: NameTaken, 411: LengthRequired, 413: TooLarge, 415: WrongType, 429: Throttled,
    431: HeadersTooLarge, 503: Temporary, 507: StorageFull,
}  # fmt: skip


def reason_of(error: Exception) -> str:
    """What went wrong, in one line; an unexpected error with its type."""
    return error.message if isinstance(error, MograderError) else f"{type(error).__name__}: {error}"


def error_for(code: object, status: int) -> type[MograderError]:
    """The error class of an answer with this "code" (or none) and HTTP status.

    A known code that does not fit the status is ignored.
    """
    by_code = _BY_CODE.get(code) if isinstance(code, str) else None
    if by_code is not None and by_code.status == status:
        return by_code
    return _BY_STATUS.get(status, MograderError)
