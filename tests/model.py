"""A simple model of what a store promises: lists and dictionaries, written independently of the stores."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from mograder.domain.access import Account
from mograder.domain.audit import Event
from mograder.domain.commitments import Commitment
from mograder.domain.errors import NameTaken
from mograder.domain.extensions import Extension
from mograder.domain.grades import GradeEntry
from mograder.domain.marking import Entry, GradesChange, Kind
from mograder.domain.names import AssignmentName, FileName, Username
from mograder.domain.receipts import Signer
from mograder.domain.rules import RuleChange
from mograder.domain.store import Store
from tests.parts import ALICE, BOB, HW1, NOON, sha256, submit_work

HW2 = AssignmentName("hw2")
USERS = (ALICE, BOB, Username("Alice"))
FAR = 4_000_000_000_000_000
"""A time in the next century, in Unix microseconds."""


@dataclass(frozen=True)
class KeptSubmission:
    user: str
    assignment: str
    attempt: int
    filename: str
    content: bytes
    received: int


@dataclass
class Model:
    """The content of a course."""

    submissions: list[KeptSubmission] = field(default_factory=list)
    grades: dict[str, dict[str, dict[str, object]]] = field(default_factory=dict)
    pages: dict[tuple[str, str], bytes] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    extensions: dict[tuple[str, str], Extension] = field(default_factory=dict)
    commits: dict[str, tuple[Commitment, ...]] = field(default_factory=dict)
    points: dict[str, int] = field(default_factory=dict)
    marking: dict[tuple[str, str], str] = field(default_factory=dict)

    def copy(self) -> Model:
        return copy.deepcopy(self)

    def of(self, user: str, assignment: str) -> list[KeptSubmission]:
        return [each for each in self.submissions if (each.user, each.assignment) == (user, assignment)]

    def contents(self) -> dict[str, Any]:
        """Everything that a store can be asked for; the value of one key changes atomically."""
        pairs = {(each.user, each.assignment): each for each in self.submissions}
        return {
            "submissions": {
                "chain": [
                    (number, each.user, each.assignment, each.attempt, each.filename, each.received)
                    for number, each in enumerate(self.submissions, 1)
                ],
                "versions": {(each.assignment, each.filename): sha256(each.content) for each in self.submissions},
                "latest": {(assignment, user): sha256(each.content) for (user, assignment), each in pairs.items()},
            },
            **{f"grades of {name}": list(self.grades.get(name, {}).values()) for name in (HW1, HW2)},
            **{f"page of {user} in {HW1}": self.pages.get((HW1, user)) for user in USERS},
            "accounts": sorted(self.accounts.values(), key=lambda each: each.username),
            "secrets": list(dict.fromkeys(self.secrets)),
            "extensions": [self.extensions[key] for key in sorted(self.extensions)],
            **{f"commits of {user}": self.commits.get(user, ()) for user in USERS},
            **{f"points of {name}": self.points.get(name) for name in (HW1, HW2)},
            "marking": sorted(self.marking.items()),
        }


def read_contents(store: Store, signer: Signer) -> dict[str, Any]:
    """The same contents of a store; checks its chain of receipts and every byte."""
    receipts, before = list(store.submissions.receipts()), ""
    versions = {}
    for number, receipt in enumerate(receipts, 1):
        assert (receipt.number, receipt.previous) == (number, before), "the chain is broken"
        assert signer.verify(receipt.text)["sha256"] == receipt.submission.sha256
        before = receipt.hash
        kept = receipt.submission
        found = store.submissions.file(kept.assignment, FileName(kept.filename))
        assert found is not None, f"{kept.filename} is gone"
        versions[kept.assignment, kept.filename] = sha256(found.read())
    latest = {}
    for name in (HW1, HW2):
        for each in store.submissions.latest_files(name):
            found = store.submissions.file(name, FileName(each.filename))
            assert found is not None
            assert sha256(found.read()) == each.sha256
            latest[name, each.username] = each.sha256
    pages = {user: store.grades.feedback(HW1, user) for user in USERS}
    return {
        "submissions": {
            "chain": [
                (each.number, each.submission.username, each.submission.assignment, each.submission.attempt,
                 each.submission.filename, each.submission.received)
                for each in receipts
            ],
            "versions": versions,
            "latest": latest,
        },
        **{f"grades of {name}": [dict(each.fields) for each in store.grades.of(name)] for name in (HW1, HW2)},
        **{f"page of {user} in {HW1}": page.read() if page else None for user, page in pages.items()},
        "accounts": store.accounts.all(),
        "secrets": list(dict.fromkeys(store.keys.secrets())),
        "extensions": store.extensions.find(),
        **{f"commits of {user}": store.commitments.of(HW1, user) for user in USERS},
        **{f"points of {each.name}": each.rules.points for each in store.release.assignments()},
        "marking": sorted(((each.kind.value, each.username), each.content) for each in store.marking.current(HW1)),
    }  # fmt: skip


@dataclass(frozen=True)
class Write:
    """One write to a course: `do` writes to a store (and raises its errors), `model` to a model."""

    name: str
    do: Callable[[Store, Signer], object]
    model: Callable[[Model], object]

    def __repr__(self) -> str:
        return self.name


def submitting(user: Username, content: bytes, received: int = NOON, assignment: AssignmentName = HW1) -> Write:
    def on_model(model: Model) -> None:
        earlier = model.of(user, assignment)
        if earlier and earlier[-1].content == content:
            return
        taken, moment = {each.filename for each in earlier}, datetime.fromtimestamp(received // 1_000_000, UTC)
        name = f"{user}_{{:%Y%m%dT%H%M%S}}.py".format
        if (filename := name(moment)) in taken:
            newest = datetime.strptime(max(taken), f"{user}_%Y%m%dT%H%M%S.py").replace(tzinfo=UTC)
            filename = name(newest + timedelta(seconds=1))
        model.submissions.append(KeptSubmission(user, assignment, len(earlier) + 1, filename, content, received))

    what = f"submission of {user} in {assignment}, {len(content)} bytes {hashlib.sha256(content).hexdigest()[:4]}"
    return Write(
        f"{what}, at {received}",
        lambda store, signer: submit_work(store, signer, user, content, received, assignment),
        on_model,
    )


def grading(grades: Mapping[str, str], assignment: AssignmentName = HW1) -> Write:
    entries = tuple(GradeEntry({"username": user, "grade": grade}) for user, grade in grades.items())

    def on_model(model: Model) -> None:
        kept = model.grades.setdefault(assignment, {})
        for user, grade in grades.items():
            kept[user] = {**kept.get(user, {}), "username": user, "grade": grade}

    event = Event(NOON, "ta", "grades", assignment)
    return Write(f"grades {dict(grades)}", lambda store, _: store.grades.merge(assignment, entries, event), on_model)


def explaining(pages: Mapping[Username, bytes]) -> Write:
    event = Event(NOON, "ta", "feedback", HW1)
    return Write(
        f"feedback for {', '.join(pages)}",
        lambda store, _: store.grades.put_feedback(HW1, dict(pages), event),
        lambda model: model.pages.update({(HW1, user): page for user, page in pages.items()}),
    )


def registering(user: Username, name: str = "") -> Write:
    """Register a name, again or for the first time; a name that differs only in case is taken."""

    def change(held: Account | None) -> Account:
        if held is not None and held.username != user:
            raise NameTaken("taken")
        return replace(held or Account(user, created=NOON), name=name, bound=True)

    def on_model(model: Model) -> None:
        account = change(model.accounts.get(user.lower()))
        model.accounts[user.lower()] = account

    event = Event(NOON, user, "register", user)
    return Write(f"registration of {user}", lambda store, _: store.accounts.change(user, change, event), on_model)


def extending(*users: Username) -> Write:
    """Extend all of them in one step."""
    given = [Extension(HW1, user, FAR, "granted", reason="ill") for user in users]
    event = Event(NOON, "ta", "extend", HW1)
    return Write(
        f"more time for {', '.join(users)}",
        lambda store, _: store.extensions.change(
            [(HW1, each.username, lambda _held, each=each: each, event) for each in given]  # type: ignore[misc]
        ),
        lambda model: model.extensions.update({(HW1, each.username): each for each in given}),
    )


def announcing(user: Username, number: int) -> Write:
    """Announce one more file."""
    commit = Commitment(HW1, user, f"{number:064}", number, NOON + number)

    def added(held: tuple[Commitment, ...]) -> tuple[Commitment, ...]:
        return held if commit in held else (*held, commit)

    return Write(
        f"commit {number} of {user}",
        lambda store, _: store.commitments.change(HW1, user, added),
        lambda model: model.commits.update({user: added(model.commits.get(user, ()))}),
    )


def rotating(secret: str) -> Write:
    event = Event(NOON, "ta", "rotate", "secret")
    return Write(
        f"secret {secret}",
        lambda store, _: store.keys.change_secret(secret, FAR, event),
        lambda model: model.secrets.insert(0, secret),
    )


def planning(points: int, assignment: AssignmentName = HW1) -> Write:
    changes = [RuleChange("points", "", str(points), points)]
    event = Event(NOON, "ta", "rules", assignment)
    return Write(
        f"{points} points for {assignment}",
        lambda store, _: store.config.change_rules(assignment, changes, store.config.version(), event),
        lambda model: model.points.update({assignment: points}),
    )


def releasing(marks: Mapping[str, str]) -> Write:
    """Release marks together with their grades, unless they are released already."""
    event = Event(NOON, "ta", "release marks", HW1)
    granted = grading(marks)

    def do(store: Store, _: Signer) -> None:
        version, held = store.grades.version(HW1), {each.username: each for each in store.marking.current(HW1)}
        entries = [
            Entry(HW1, Kind.RELEASE, user, "", (held[user].version if user in held else 0) + 1, NOON, "ta", mark)
            for user, mark in marks.items()
            if user not in held or held[user].content != mark
        ]
        grades = tuple(GradeEntry({"username": user, "grade": mark}) for user, mark in marks.items())
        if entries:
            store.marking.write(HW1, entries, [event], GradesChange(grades, version))

    def on_model(model: Model) -> None:
        granted.model(model)
        model.marking.update({(Kind.RELEASE.value, user): mark for user, mark in marks.items()})

    return Write(f"release {dict(marks)}", do, on_model)
