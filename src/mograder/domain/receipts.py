"""Receipts, and the chain that they form in a course: each holds the hash of the one before."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct, field

from mograder.domain import deadlines
from mograder.domain.allowance import Allowance, Usage
from mograder.domain.names import HISTORY_STEM, AssignmentName, Username, is_history, one_line, printable


class Submission(Struct, frozen=True):
    """One accepted submission.

    `received` is the moment that counts, in Unix microseconds: when the request arrived, or when its checksum was
    announced; in that case `arrived` is when the file itself arrived. `attempt` counts from 1 for each person and
    assignment; `by` is the sender (an instructor may submit for a student); `sha256` is lower-case hex. `late` says
    whether `received` was after the time `due` (None: no due time) that applied to the person; it is None in receipts
    of earlier versions. `name` is the sender's name of the file, "" if unknown.
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
        """When the file itself arrived, in Unix microseconds."""
        return self.received if self.arrived is None else self.arrived

    @property
    def stem(self) -> str:
        """The file name without its ending. It is unique among the versions of an assignment."""
        return stem_of(self.filename)

    @property
    def ending(self) -> str:
        """The file ending with its dot, lower case."""
        return self.filename.removeprefix(self.stem)

    @property
    def shown_name(self) -> str:
        """The name to show to people: the sender's name of the file, else that of the version."""
        return self.name or self.filename


class LatestFile(Struct, frozen=True):
    """A person's latest submission as it is in the course now, perhaps edited by hand. `modified`: Unix seconds."""

    username: Username
    filename: str
    size: int
    modified: float
    sha256: str  # "" if the bytes cannot be read


class Receipt(Struct, frozen=True):
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


class Head(Struct, frozen=True):
    """The head of the chain: number and hash of its last link; 0 and "" for an empty chain."""

    number: int = 0
    hash: str = ""


def chain_hash(text: str) -> str:
    """The SHA-256 of a receipt's text in lower-case hex, which is `previous` in the next receipt."""
    return hashlib.sha256(text.encode("ascii")).hexdigest()


class Signer(Protocol):
    """Signs statements with the course's key, and verifies them."""

    def sign(self, claims: Mapping[str, object], kind: str = "") -> str:
        """A compact JWS over `claims`; `kind` is the kind of statement, "" for a receipt."""
        ...

    def verify(self, text: str, kind: str = "") -> Mapping[str, object]:
        """The claims of a statement of this kind ("" for a receipt).

        Raises VerificationFailed unless this signer, also with an earlier key, signed them.
        """
        ...

    def public_keys(self) -> tuple[Mapping[str, str], ...]:
        """The keys that verify, as JWKs: the present one, then earlier ones."""
        ...


class ChainPosition(Struct, frozen=True):
    """A position in the chain, and the facts of that moment that decide about a submission.

    `number` and `previous` are those of the next receipt. `latest` is the last receipt of the same person and
    assignment; `filename` is a free name for the version, dated by `received`; `usage` is what the person has sent so
    far; `moments` returns when the person's submissions for the assignment arrived within the last hour.
    """

    number: int
    previous: str
    latest: Receipt | None
    filename: str
    usage: Usage = field(default_factory=Usage)
    moments: Callable[[], Sequence[int]] = tuple


class Body(Protocol):
    """The bytes of a submission, complete, in memory or on disk. `sha256` is lower-case hex."""

    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...


class NewSubmission(Struct, frozen=True):
    """A submission before it is accepted; fields as in `Submission`."""

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
        """The file ending of its version."""
        return version_ending(self.name)

    @property
    def came(self) -> int:
        """When the file itself arrived, in Unix microseconds."""
        return self.received if self.arrived is None else self.arrived


Issue = Callable[[ChainPosition], Receipt]
"""Decides about a submission inside the store's transaction: returns the receipt to append, or `position.latest` to
store nothing."""


def issue_receipt(new: NewSubmission, signer: Signer, course: str, allowance: Allowance | None = None) -> Issue:
    """The rule of acceptance: the bytes of the latest submission get its receipt, all others are a new submission.

    The same bytes are a new submission if they are on time and the latest was late: an instructor has submitted them,
    or granted an extension. The returned function raises TooManySubmissions for a new submission beyond `allowance`.
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
    """The claims of a receipt, as JSON values; unknown facts are left out."""
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
"""The ending of versions whose file has no (plain) ending."""

_ENDING = re.compile(r".*(?P<ending>\.[a-z0-9]{1,12})", re.ASCII | re.IGNORECASE | re.DOTALL)

LONGEST_NAME = 200
"""Characters of the name that a sender gives a file."""


def sent_name(text: str) -> str:
    """The sender's name of a file, without folders, in NFC and safe to show; "" for none."""
    return printable(one_line(unicodedata.normalize("NFC", re.split(r"[/\\]", text)[-1])), LONGEST_NAME)


def version_ending(name: str) -> str:
    """The ending of a version of the file `name`, in lower case with its dot."""
    found = _ENDING.fullmatch(name)
    return found["ending"].lower() if found else USUAL_ENDING


def stem_of(filename: str) -> str:
    return filename.rpartition(".")[0]


def version_filename(username: Username, received: int, ending: str = USUAL_ENDING) -> str:
    """`<user>_<YYYYmmddTHHMMSS><ending>` for `received` (Unix microseconds), free or not."""
    return f"{username}_{deadlines.stamp(received)}{ending}"


def version_owner(filename: str) -> str:
    """The person of a dated version's file name (alice_20260310T200800.pdf), "" for other names."""
    dated = HISTORY_STEM.fullmatch(stem_of(filename))
    kept = dated is not None and version_ending(filename) == filename.removeprefix(dated[0])
    return dated["user"] if dated and kept else ""


def free_filename(
    username: Username, received: int, ending: str, taken: Callable[[str], bool], last: Callable[[], str]
) -> str:
    """The name of a version dated `received` (Unix microseconds); if it is taken, one dated after the last version.

    `taken` says whether a version has this name, whatever its ending. `last` returns the greatest name of the person's
    versions for the assignment; it is called once at most, so that the search does not grow with their number: only
    files that were put there by hand are tried one by one.
    """
    filename = version_filename(username, received, ending)
    if not taken(filename):
        return filename
    if greatest := last():
        received = max(received, deadlines.of_stamp(stem_of(greatest)[len(username) + 1 :]))
    while True:
        received += deadlines.SECOND
        filename = version_filename(username, received, ending)
        if not taken(filename):
            return filename


def latest_filename(username: Username, ending: str = USUAL_ENDING) -> str:
    """The file name of a person's latest version; in a course folder it is `<user>.py` whatever its ending."""
    return f"{username}{ending}"


def owner(filename: str) -> Username | None:
    """The person whose latest submission a file name (<user>.py) stands for, None for all other names."""
    stem, dot, ending = filename.rpartition(".")
    if not dot or ending != "py" or is_history(stem):
        return None
    try:
        name = Username.parse(stem)
    except ValueError:
        return None
    return name if name == stem else None
