"""Cached answers of running servers equal those of a freshly started one, after any change on either server or by hand;
in a folder and in a database.

Two servers share the course; after each step, all answers of both are compared with a computation from nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any

import httpx2
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from mograder.domain.access import COURSE_INSTRUCTOR, Actor, Role
from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.errors import NotFound
from mograder.domain.extensions import Change, Decision
from mograder.domain.names import INSTRUCTOR, AssignmentName, Username
from mograder.domain.receipts import latest_filename
from mograder.domain.release import Download
from mograder.domain.roster import Person
from mograder.domain.tokens import sign
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.layout import Folders
from mograder.store.postgres.courses import PostgresCourses, Publication
from mograder.store.postgres.rows import PLAN
from mograder.store.publication import read_publication
from mograder.web.api import Api
from tests.parts import ALICE, BOB, NOON, SECOND, Clock, filled, make_course_folder, open_course, token_of
from tests.postgres import new_course

CARL = Username("carl")
USERS, ASSIGNMENTS = (ALICE, BOB, CARL), (AssignmentName("hw1"), AssignmentName("hw2"))
PATHS = [
    "/assignments",
    *(f"/assignments/{name}/submissions{which}" for name in ASSIGNMENTS for which in ("", "?which=counts")),
    *(f"/assignments/{name}/status?user={user}" for name in ASSIGNMENTS for user in USERS),
]

servers, people, assignments = st.integers(0, 1), st.sampled_from(USERS), st.sampled_from(ASSIGNMENTS)
letters = st.sampled_from("abc")
hours = st.integers(-2, 3)


class Server:
    """An open course and its application; `answers` maps each request to its answer."""

    def __init__(self, course: Course) -> None:
        self.course = course
        self.api = Api(course)

    def answers(self) -> dict[str, Any]:
        async def ask() -> list[Any]:
            transport = httpx2.ASGITransport(self.api)  # type: ignore[arg-type]
            async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
                asks = [("/assignments", ALICE), *((path, INSTRUCTOR) for path in PATHS)]
                secret, again = self.course.store.keys.secrets()[0], self.course.accounts.generation(ALICE)
                tokens = {INSTRUCTOR: token_of(self.course, INSTRUCTOR), ALICE: sign(secret, ALICE, again)}
                return [
                    ((path, who), (await client.get(path, headers={"Authorization": f"Bearer {tokens[who]}"})).text)
                    for path, who in asks
                ]

        return {**dict(asyncio.run(ask())), "board": self.api.board()}


class ServedCourse(RuleBasedStateMachine):
    """Each rule makes one change to a course on two servers; `open` opens it for another server."""

    @initialize()
    def begin(self) -> None:
        self.after = contextlib.ExitStack()
        self.root = make_course_folder(Path(self.after.enter_context(tempfile.TemporaryDirectory())), *ASSIGNMENTS)
        self.prepare()
        self.write_plan("latest", 0)
        self.servers = [Server(self.open(number)) for number in range(2)]
        for each in self.servers:
            self.after.callback(each.course.close)

    def prepare(self) -> None:
        """Create the course from the folder `root`."""

    def open(self, number: int) -> Course:
        raise NotImplementedError

    def put_plan(self, text: str) -> None:
        raise NotImplementedError

    def course(self, server: int) -> Course:
        return self.servers[server].course

    @rule(server=servers, user=people, name=assignments, letter=letters, hour=hours)
    def submit(self, server: int, user: Username, name: AssignmentName, letter: str, hour: int) -> None:
        course = self.course(server)
        body = filled(course.submissions.upload(), letter.encode())
        task = course.release.assignment(COURSE_INSTRUCTOR, name)
        course.submissions.submit(Actor(user, Role.STUDENT), task, user, body, NOON + hour * 3600 * SECOND)
        body.discard()

    @rule(server=servers, user=people, name=assignments, decision=st.sampled_from((Decision.GRANT, Decision.WITHDRAW)))
    def extend(self, server: int, user: Username, name: AssignmentName, decision: Decision) -> None:
        course = self.course(server)
        if not any(each.username == user for each in course.store.accounts.all()):
            course.roster.add(COURSE_INSTRUCTOR, [Person.parse(user)])
        held = course.extensions.of(course.release.assignment(COURSE_INSTRUCTOR, name), user)
        if decision is Decision.GRANT or (held is not None and held.until is not None):
            change = Change(course.release.assignment(COURSE_INSTRUCTOR, name), user, decision, "+1h")
            course.extensions.decide(COURSE_INSTRUCTOR, [change])

    @rule(server=servers, user=people, name=assignments, grade=st.sampled_from("123"))
    def mark(self, server: int, user: Username, name: AssignmentName, grade: str) -> None:
        course = self.course(server)
        entry = {"username": user, "grade": grade, "workflow_state": "released"}
        course.grades.upload(COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, name), [entry])
        course.grades.upload_feedback(
            COURSE_INSTRUCTOR, course.release.assignment(COURSE_INSTRUCTOR, name), {user: grade.encode()}
        )

    @rule(rule=st.sampled_from(("latest", "on-time")), hour=hours)
    def write_plan(self, rule: str, hour: int) -> None:
        due = f"2026-03-10T{12 + hour}:00:00"
        self.put_plan(
            f"counts = '{rule}'\n" + "".join(f"[[assignments]]\nname = '{name}'\ndue = {due}\n" for name in ASSIGNMENTS)
        )

    @rule(server=servers, user=people, name=assignments)
    def download(self, server: int, user: Username, name: AssignmentName) -> None:
        self.course(server).release.note_downloads([Download(Actor(user, Role.STUDENT), name, f"{name}.py", NOON)])

    @rule(server=servers, user=people)
    def erase(self, server: int, user: Username) -> None:
        with contextlib.suppress(NotFound):
            self.course(server).erasure.erase(COURSE_INSTRUCTOR, user)

    @rule(server=servers, user=people)
    def remove(self, server: int, user: Username) -> None:
        with contextlib.suppress(NotFound):
            self.course(server).roster.remove(COURSE_INSTRUCTOR, user)

    @invariant()
    def both_answer_like_a_fresh_server(self) -> None:
        fresh = Server(self.open(2))
        try:
            wanted = fresh.answers()
        finally:
            fresh.course.close()
        for each in self.servers:
            assert each.answers() == wanted

    def teardown(self) -> None:
        self.after.close()


class ServedFolder(ServedCourse):
    """A course folder, which is also changed by hand."""

    def open(self, number: int) -> Course:
        return open_course(self.root, Clock(NOON))

    def put_plan(self, text: str) -> None:
        (self.root.parent / "mograder.toml").write_text(text)

    @rule(user=people, name=assignments, letter=letters)
    def put_by_hand(self, user: Username, name: AssignmentName, letter: str) -> None:
        path = self.root.parent / "submitted" / name / latest_filename(user)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(letter)

    @rule(user=people, name=assignments)
    def remove_by_hand(self, user: Username, name: AssignmentName) -> None:
        folder = self.root.parent / "submitted" / name
        for path in [*folder.glob(f"{user}_*.py")][-1:] or [folder / latest_filename(user)]:
            path.unlink(missing_ok=True)

    @rule(user=people, name=assignments, grade=st.sampled_from("123"))
    def mark_by_hand(self, user: Username, name: AssignmentName, grade: str) -> None:
        table = [{"username": user, "grade": grade, "workflow_state": "released"}]
        (self.root / name / "grades.json").write_text(json.dumps(table))


class ServedDatabase(ServedCourse):
    """A course in a database, each server with its own connections; publishing replaces the settings."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def prepare(self) -> None:
        self.courses = [PostgresCourses(self.url) for _ in range(3)]
        for each in self.courses:
            self.after.callback(each.close)
        self.name = new_course(self.courses[0], Folders.of(self.root))

    def open(self, number: int) -> Course:
        store = self.courses[number].open(self.name)
        return Course(store, Ed25519Signer(store.keys.signing_key(new_private_key)), Clock(NOON))

    def put_plan(self, text: str) -> None:
        publication = Publication({PLAN: text}, read_publication(Folders.of(self.root)).files)
        self.courses[0].publish(self.name, publication, Event(NOON, "test", "publish", self.name))


LIVING = settings(max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TestTwoServersOfACourseThatLives = ServedFolder.TestCase
TestTwoServersOfACourseThatLives.settings = LIVING


def test_two_servers_on_a_database_always_answer_as_a_freshly_started_one(postgres_url: str) -> None:
    run_state_machine_as_test(lambda: ServedDatabase(postgres_url), settings=settings(LIVING, max_examples=3))


def test_every_kind_of_change_in_a_database_shows_at_the_other_server(postgres_url: str) -> None:
    served, hw1 = ServedDatabase(postgres_url), ASSIGNMENTS[0]
    served.begin()
    for change in (
        lambda: served.submit(0, ALICE, hw1, "a", 0),
        lambda: served.write_plan("on-time", 2),
        lambda: served.extend(1, ALICE, hw1, Decision.GRANT),
        lambda: served.submit(1, ALICE, hw1, "b", 3),
        lambda: served.mark(0, ALICE, hw1, "2"),
        lambda: served.extend(0, ALICE, hw1, Decision.WITHDRAW),
        lambda: served.download(1, BOB, hw1),
        lambda: served.remove(0, ALICE),
        lambda: served.erase(1, ALICE),
    ):
        change()
        served.both_answer_like_a_fresh_server()
    served.teardown()
