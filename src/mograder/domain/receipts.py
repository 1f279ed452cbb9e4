"""What a receipt says and how receipts chain: one chain a course, each holding the hash of the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from mograder.domain import deadlines
from mograder.domain.allowance import Allowance, Usage
from mograder.domain.names import AssignmentName, Username, is_history


@dataclass(frozen=True)
class Submission:
    """One accepted submission.

    `received` is the moment that counts, in Unix microseconds: when the request arrived, or when its checksum was
    announced, and then `arrived` is when the file itself came. `attempt` counts from 1 for each person and assignment;
    `by` is who sent it (an instructor may submit for a student); `sha256` is lower-case hex. `late` is what held at
    `received`, by the time `due` (None: there was none) that applied to the person; None where a receipt of an
    earlier version does not say.
    """

    username: Username
    assignment: AssignmentName
    attempt: int
    filename: str
    sha256: str
    size: int
    received: int
    by: Username
    late: bool | None = None
    due: int | None = None
    arrived: int | None = None


@dataclass(frozen=True)
class LatestFile:
    """The latest submission of one person as it stands in the course now, a hand edit included."""

    username: Username
    filename: str
    size: int
    modified: float
    sha256: str  # "" when the bytes cannot be read


@dataclass(frozen=True)
class Receipt:
    """A signed statement that a submission was accepted. `number` is its place in the chain, from 1.

    `previous` is the `chain_hash` of the receipt before it, "" for the first. `text` is the compact JWS.
    """

    number: int
    previous: str
    submission: Submission
    text: str

    @property
    def hash(self) -> str:
        return chain_hash(self.text)


@dataclass(frozen=True)
class Head:
    """The last place of the chain: its number, and the hash that the next receipt will hold. 0 and "" if empty."""

    number: int = 0
    hash: str = ""


def chain_hash(text: str) -> str:
    """SHA-256 of a receipt's text, lower-case hex: what the next receipt holds as `previous`."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class Signer(Protocol):
    """Signs statements, and knows its own signature."""

    def sign(self, claims: Mapping[str, object]) -> str:
        """A compact JWS over `claims`."""
        ...

    def verify(self, text: str, kind: str = "") -> Mapping[str, object]:
        """The claims of a statement of this kind, "" for a receipt.

        Raises VerificationFailed unless this signer signed them.
        """
        ...

    def public_keys(self) -> tuple[Mapping[str, str], ...]:
        """The keys that verify, as JWKs: the one that signs now, then earlier ones."""
        ...


@dataclass(frozen=True)
class ChainPosition:
    """What holds at the moment when a submission gets its place in the chain.

    `latest` is the last receipt of the same person and assignment; `number` and `previous` belong to the place;
    `filename` is a free name for the version, dated by `received`; `usage` is what the person has sent so far.
    """

    number: int
    previous: str
    latest: Receipt | None
    filename: str
    usage: Usage = field(default_factory=Usage)


class Body(Protocol):
    """The bytes of a submission, all there and counted, in memory or on disk."""

    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True)
class NewSubmission:
    """A submission before it is accepted; moments, `late` and `due` as in `Submission`."""

    username: Username
    assignment: AssignmentName
    by: Username
    received: int
    body: Body
    late: bool = False
    due: int | None = None
    arrived: int | None = None

    @property
    def came(self) -> int:
        """When the file itself came, in Unix microseconds."""
        return self.received if self.arrived is None else self.arrived


Issue = Callable[[ChainPosition], Receipt]
"""Decides inside the store's critical section: returns the receipt to append, or `position.latest` to keep nothing."""


def issue_receipt(new: NewSubmission, signer: Signer, course: str, allowance: Allowance | None = None) -> Issue:
    """The rule of acceptance: identical to the latest gives the latest's receipt, all else is a new attempt.

    The same bytes in time after the same bytes late are new: an instructor has handed them in, or time was given.
    What is issued raises TooManySubmissions for a new attempt beyond the `allowance`, if there is one.
    """

    def issue(position: ChainPosition) -> Receipt:
        latest = position.latest
        same = latest is not None and latest.submission.sha256 == new.body.sha256
        if latest is not None and same and (new.late or not latest.submission.late):
            return latest
        attempt = latest.submission.attempt + 1 if latest else 1
        if allowance is not None:
            allowance.check(position.usage, attempt, new.body.size, new.came)
        submission = Submission(
            username=new.username,
            assignment=new.assignment,
            attempt=attempt,
            filename=position.filename,
            sha256=new.body.sha256,
            size=new.body.size,
            received=new.received,
            by=new.by,
            late=new.late,
            due=new.due,
            arrived=new.arrived,
        )
        text = signer.sign(claims(submission, position.number, position.previous, course))
        return Receipt(position.number, position.previous, submission, text)

    return issue


def claims(submission: Submission, number: int, previous: str, course: str) -> dict[str, object]:
    """What a receipt states, as JSON: nothing that the submission does not know."""
    stated: dict[str, object] = {
        "course": course,
        "number": number,
        "previous": previous,
        "user": submission.username,
        "assignment": submission.assignment,
        "attempt": submission.attempt,
        "filename": submission.filename,
        "sha256": submission.sha256,
        "size": submission.size,
        "received": deadlines.iso(submission.received),
        "by": submission.by,
    }
    if submission.late is not None:
        stated |= {"late": submission.late, "due": None if submission.due is None else deadlines.iso(submission.due)}
    if submission.arrived is not None:
        stated["arrived"] = deadlines.iso(submission.arrived)
    return stated


def version_filename(username: Username, received: int) -> str:
    """`<user>_<YYYYmmddTHHMMSS>.py` for `received` (Unix microseconds), whether it is free or not."""
    return f"{username}_{deadlines.stamp(received)}.py"


def free_filename(username: Username, received: int, taken: Callable[[str], bool], last: Callable[[], str]) -> str:
    """The name of a version dated `received` (Unix microseconds); where it is taken, the second after the last name.

    `last` gives the greatest name among the person's versions for the assignment. It is asked for once at most, so
    that the number of looks does not grow with the number of versions; only files laid there by hand are stepped over.
    """
    filename = version_filename(username, received)
    if not taken(filename):
        return filename
    if greatest := last():
        received = max(received, deadlines.of_stamp(greatest[len(username) + 1 : -len(".py")]))
    while taken(filename):
        received += deadlines.SECOND
        filename = version_filename(username, received)
    return filename


def latest_filename(username: Username) -> str:
    """The name under which the latest version always stands."""
    return f"{username}.py"


def owner(filename: str) -> Username | None:
    """Whose latest submission a file in a submitted folder is; None for history, hidden and foreign files."""
    stem, dot, ending = filename.rpartition(".")
    if not dot or ending != "py" or is_history(stem):
        return None
    try:
        name = Username.parse(stem)
    except ValueError:
        return None
    return name if name == stem else None
