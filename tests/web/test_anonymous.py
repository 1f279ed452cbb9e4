"""Anonymous requests take little work however large the course is, counted in calls and not in time."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from mograder.domain.access import COURSE_INSTRUCTOR, Allow
from mograder.domain.course import Course
from mograder.domain.roster import Person
from mograder.signing import Ed25519Signer, new_private_key
from mograder.web.pages.routes import VIEWS
from mograder.wire.endpoints import ENDPOINTS
from tests.parts import CODE, Clock, make_course_folder, open_store
from tests.web.in_process import Web

LOOKS = {"stat", "lstat", "scandir", "listdir", "open", "readlink"}
ASSIGNMENTS, PEOPLE = 60, 400
REQUESTS = [
    *[(row.method, row.path, "*/*") for row in ENDPOINTS if row.allow is Allow.ANYONE],
    *[(view.method, view.path, "text/html") for view in VIEWS if view.allow is Allow.ANYONE],
    *[("GET", path, "text/html") for path in ("/nothing", "/my/hw1", "/board", "/people")],
]  # fmt: skip
FORMS = {"user": "mallory", "code": "wrong", "token": "mallory:" + "0" * 64, "ticket": "wrong"}


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Counts calls of functions and accesses to the disk of all threads in the block."""
    counts: Counter[str] = Counter()

    def see(_: FrameType, event: str, function: object) -> None:
        if event in ("call", "c_call"):
            counts["calls"] += 1
        if event == "c_call" and getattr(function, "__name__", "") in LOOKS:
            counts["looks"] += 1

    threading.setprofile(see)
    sys.setprofile(see)
    try:
        yield counts
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def open_web(parent: Path, assignments: int, people: int, code: str) -> Web:
    root = make_course_folder(parent, *[f"hw{number}" for number in range(assignments)])
    table = '[[assignments]]\nname = "hw{}"\ndue = 2026-03-09\n'
    (root.parent / "mograder.toml").write_text("".join(map(table.format, range(assignments))))
    store = open_store(root)
    course = Course(store, Ed25519Signer(store.keys.signing_key(new_private_key)), Clock(), code)
    if people:
        found = course.roster.add(COURSE_INSTRUCTOR, [Person.parse(f"s{number}") for number in range(people)])
        for account, personal in found:
            course.accounts.register(account.username, personal)
    return Web(course, authority="a certificate")


def cost(web: Web, method: str, path: str, accept: str) -> Counter[str]:
    """Cost of the second of two such requests, which have different Host fields."""
    path = path.replace("{tag}", "x").replace("{name}", "style.css")
    ours = {"Origin": "http://two", "Sec-Fetch-Site": "same-origin"} if method == "POST" else {}
    extra = {"data": FORMS} if method == "POST" and accept == "text/html" else {}
    costs = []
    for host in ("one", "two"):
        with counted() as counts:
            web(method, path, None, headers={"Accept": accept, "Host": host, **ours}, **extra)
        costs.append(counts)
    return costs[1]


@pytest.fixture(scope="module", params=[CODE, ""], ids=["with a code", "without a code"])
def small_and_large(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Web, Web]]:
    with counted():  # so that new threads of the servers are counted, too
        small = open_web(tmp_path_factory.mktemp("small"), 1, 0, request.param)
        large = open_web(tmp_path_factory.mktemp("large"), ASSIGNMENTS, PEOPLE, request.param)
    yield small, large
    for web in (small, large):
        web.course.close()


@pytest.mark.parametrize(("method", "path", "accept"), REQUESTS)
def test_an_anonymous_request_does_not_cost_more_in_a_large_course(
    small_and_large: tuple[Web, Web], method: str, path: str, accept: str
) -> None:
    small, large = (cost(web, method, path, accept) for web in small_and_large)
    assert large["calls"] < 1.5 * small["calls"] + 15 * ASSIGNMENTS, (small, large)
    assert large["calls"] < 6000
    assert large["looks"] <= small["looks"] + 3 * ASSIGNMENTS, (small, large)
