"""What a receipt says and how receipts chain: one chain a course, each holding the hash of the one before."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mograder.domain import deadlines
from mograder.domain.allowance import Allowance, Usage
from mograder.domain.names import HISTORY_STEM, AssignmentName, Username, is_history, one_line, printable


@dataclass(frozen=True)
class Submission:
    """One accepted submission.

    `received` is the moment that counts, in Unix microseconds: when the request arrived, or when its checksum was
    announced, and then `arrived` is when the file itself came. `attempt` counts from 1 for each person and assignment;
    `by` is who sent it (an instructor may submit for a student); `sha256` is lower-case hex. `late` is what held at
    `received`, by the time `due` (None: there was none) that applied to the person; None where a receipt of an
    earlier version does not say. `name` is what the sender called the file, "" where nobody said.
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
    name: str = ""

    @property
    def came(self) -> int:
        """When the file itself came, in Unix microseconds."""
        return self.received if self.arrived is None else self.arrived

    @property
    def stem(self) -> str:
        """The file name without its ending; no two versions of an assignment have the same."""
        return stem_of(self.filename)

    @property
    def ending(self) -> str:
        """The file ending with its dot, lower case."""
        return self.filename.removeprefix(self.stem)

    @property
    def shown_name(self) -> str:
        """What a person calls it: the name that its sender gave the file, else that of the version."""
        return self.name or self.filename


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

    def sign(self, claims: Mapping[str, object], kind: str = "") -> str:
        """A compact JWS over `claims`, a statement of this kind, "" for a receipt."""
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
    `filename` is a free name for the version, dated by `received`; `usage` is what the person has sent so far;
    `moments` gives when the person's submissions for the assignment came within the last hour.
    """

    number: int
    previous: str
    latest: Receipt | None
    filename: str
    usage: Usage = field(default_factory=Usage)
    moments: Callable[[], Sequence[int]] = tuple


class Body(Protocol):
    """The bytes of a submission, all there and counted, in memory or on disk."""

    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...


@dataclass(frozen=True)
class NewSubmission:
    """A submission before it is accepted; moments, `late`, `due` and `name` as in `Submission`."""

    username: Username
    assignment: AssignmentName
    by: Username
    received: int
    body: Body
    late: bool = False
    due: int | None = None
    arrived: int | None = None
    name: str = ""

    @property
    def ending(self) -> str:
        """The ending that its version gets."""
        return version_ending(self.name)

    @property
    def came(self) -> int:
        """When the file itself came, in Unix microseconds."""
        return self.received if self.arrived is None else self.arrived


Issue = Callable[[ChainPosition], Receipt]
"""Decides inside the store's critical section: returns the receipt to append, or `position.latest` to keep nothing."""


def issue_receipt(new: NewSubmission, signer: Signer, course: str, allowance: Allowance | None = None) -> Issue:
    """The rule of acceptance: identical to the latest gives the latest's receipt, all else is a new submission.

    The same bytes in time after the same bytes late are new: an instructor has submitted them, or time was given.
    What is issued raises TooManySubmissions for a new submission beyond the `allowance`, if there is one.
    """

    def issue(position: ChainPosition) -> Receipt:
        latest = position.latest
        same = latest is not None and latest.submission.sha256 == new.body.sha256
        if latest is not None and same and (new.late or not latest.submission.late):
            return latest
        attempt = latest.submission.attempt + 1 if latest else 1
        if allowance is not None:
            allowance.check(position.usage, attempt, new.body.size, new.came, position.moments)
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
            name=new.name,
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
    if submission.name:
        stated["name"] = submission.name
    return stated


USUAL_ENDING = ".py"
"""The ending of what has none, or none that is kept."""

_ENDING = re.compile(r".*(?P<ending>\.[a-z0-9]{1,12})", re.ASCII | re.IGNORECASE | re.DOTALL)

LONGEST_NAME = 200
"""Characters of the name that a sender gives a file."""


def sent_name(text: str) -> str:
    """What a sender calls a file, without the folders around it, NFC, and fit to be shown; "" for nothing."""
    return printable(one_line(unicodedata.normalize("NFC", re.split(r"[/\\]", text)[-1])), LONGEST_NAME)


def version_ending(name: str) -> str:
    """The ending, lower case with its dot, that a version of a file called `name` gets."""
    found = _ENDING.fullmatch(name)
    return found["ending"].lower() if found else USUAL_ENDING


def stem_of(filename: str) -> str:
    return filename.rpartition(".")[0]


def version_filename(username: Username, received: int, ending: str = USUAL_ENDING) -> str:
    """`<user>_<YYYYmmddTHHMMSS><ending>` for `received` (Unix microseconds), whether it is free or not."""
    return f"{username}_{deadlines.stamp(received)}{ending}"


def version_owner(filename: str) -> str:
    """Whose dated version a file name is (alice_20260310T200800.pdf), "" if it is none."""
    dated = HISTORY_STEM.fullmatch(stem_of(filename))
    kept = dated is not None and version_ending(filename) == filename.removeprefix(dated[0])
    return dated["user"] if dated and kept else ""


def free_filename(
    username: Username, received: int, ending: str, taken: Callable[[str], bool], last: Callable[[], str]
) -> str:
    """The name of a version dated `received` (Unix microseconds); where it is taken, the second after the last name.

    `taken` says whether a version has this name but for the ending. `last` gives the greatest name among the person's
    versions for the assignment. It is asked for once at most, so that the number of looks does not grow with the
    number of versions; only files laid there by hand are stepped over.
    """
    filename = version_filename(username, received, ending)
    if not taken(filename):
        return filename
    if greatest := last():
        received = max(received, deadlines.of_stamp(stem_of(greatest)[len(username) + 1 :]))
    while taken(filename):
        received += deadlines.SECOND
        filename = version_filename(username, received, ending)
    return filename


def latest_filename(username: Username, ending: str = USUAL_ENDING) -> str:
    """The name of somebody's latest version; in a course folder it is `<user>.py` whatever the version's ending."""
    return f"{username}{ending}"


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
