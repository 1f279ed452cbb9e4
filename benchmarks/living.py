"""A course that lives: what its server says while submissions come in, right after them, and the more there are.

Here lists and states are asked of people who have submitted and were graded, files for the first time by each student,
and submissions come as forms, as browsers and the published client send them.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlencode

from cases import Figures, Size, ask, expect, get, hurry, submission, wrk
from servers import ASSIGNMENTS, OURS, SMALL, Contestant, Server, content, make_course, serving

from mograder.domain.names import INSTRUCTOR
from mograder.rehearsal.load import Answer, Ask, rate

COMING = 20
"""Submissions a second that come in for another assignment while a course lives."""

OTHER = f"hw{ASSIGNMENTS}"


def _students(size: Size) -> list[str]:
    return [f"student{number:03}" for number in range(size.students)]


def _hand_in(server: Server, asks: list[Ask], at_once: int = 16) -> None:
    refused = [each.ask for each in ask(server, asks, at_once) if not each.ok]
    # The published server does not answer all of many at once: what it left out is sent again, a few at a time.
    left = [each for each in ask(server, refused, 4) if not each.ok]
    expect(not left, f"{len(left)} submissions were refused, the first with {left[:1] and left[0].status}")


@contextlib.contextmanager
def _coming(server: Server, users: list[str]) -> Iterator[None]:
    """`COMING` submissions a second for `OTHER`, one after the other, until the end; each must be accepted."""
    over, refused = threading.Event(), list[Answer]()

    def go_on() -> None:
        for number in itertools.count():
            began = time.monotonic()
            user = users[number % len(users)]
            refused.extend(each for each in ask(server, [submission(server, user, number, OTHER)]) if not each.ok)
            if over.wait(max(0.0, 1 / COMING - (time.monotonic() - began))):
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    expect(not refused, f"a submission was refused: {refused[:1]}")


def living(contestant: Contestant, folder: Path, size: Size, wanted: Callable[[str], bool]) -> dict[str, Figures]:
    """Answers a second, `quiet` and while submissions come in (`live`), of one course in which everybody has submitted
    three times and is graded.
    """
    figures: dict[str, Figures] = {}
    root, students = make_course(folder), _students(size)
    with serving(contestant, root) as server:
        for version in range(3):
            _hand_in(server, [submission(server, user, version) for user in students])
        _grade(server, students)
        cases: dict[str, tuple[list[str], list[str]]] = {
            "live status": (students, [f"/assignments/hw1/status?user={user}" for user in students]),
            "live list": (students, ["/assignments"] * len(students)),
            "live submissions": ([INSTRUCTOR], ["/assignments/hw1/submissions"]),
        }
        for case, (users, paths) in cases.items():
            if wanted(case):
                tokens = map(server.token, users)
                asks = list(zip(paths, tokens, strict=True))
                ask(server, [Ask("GET", path, token) for path, token in asks], 16)  # a first look is a case of its own
                quiet = wrk(folder, server.url, asks, size.seconds)
                with _coming(server, students):
                    figures[case] = {"quiet": quiet, "live": wrk(folder, server.url, asks, size.seconds)}
    return figures


def _grade(server: Server, students: list[str]) -> None:
    grades = [{"username": user, "grade": str(number)} for number, user in enumerate(students)]
    body = json.dumps({"grades": grades, "workflow_state": ""}).encode()
    path = "/assignments/hw1/grades"
    sent = ask(server, [Ask("POST", path, server.token(), body, {"Content-Type": "application/json"})])
    expect(sent[0].ok, f"{path}: {sent[0]}")


def first_look(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """After a rush, everybody looks at their state, once, over a new connection each; and then once more (`again`)."""
    root, students = make_course(folder), _students(size)
    with serving(contestant, root) as server:
        _hand_in(server, [submission(server, user, 0) for user in students], size.connections)
        asks = [Ask("GET", f"/assignments/hw1/status?user={user}", server.token(user)) for user in students]
        rates = []
        for _ in range(2):
            answers = ask(server, asks, 32)
            expect(all(json.loads(each.body)["status"] == "submitted" for each in answers), "a submission is not seen")
            rates.append(rate(answers))
        return {"rate": rates[0], "again": rates[1]}


def first_files(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """Every student downloads files of several assignments for the first time, over new connections; then `again`."""
    root, students = make_course(folder), _students(size)
    with serving(contestant, root) as server:
        asks = [
            Ask("GET", f"/assignments/hw{(number + step) % ASSIGNMENTS + 1}/files/notebook.py", server.token(user))
            for step in range(4) for number, user in enumerate(students)
        ]  # fmt: skip
        rates = []
        for _ in range(2):
            answers = ask(server, asks, 32)
            expect(all(each.ok and len(each.body) == SMALL for each in answers), "a file is not what was released")
            rates.append(rate(answers))
        return {"rate": rates[0], "again": rates[1]}


BOUNDARY = "mograder-benchmark-4a1c"


def _as_form(raw: Ask) -> Ask:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="notebook.py"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = head.encode() + raw.body + f"\r\n--{BOUNDARY}--\r\n".encode()
    fields = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    return Ask("POST", raw.path, raw.token, body, fields, raw.kind, raw.user)


def forms(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """A rush of forms (`rate`, `p50`, `p99`). Ours then takes rushes of forms and of raw bodies in turn, from the same
    students: the medians are `form` and `raw`.
    """
    root, students = make_course(folder, 1), _students(size)
    with serving(contestant, root) as server:
        early = [submission(server, "early", version) for version in range(2)]
        _hand_in(server, [early[0], _as_form(early[1])])  # what is loaded for the first form is there
        sent = ask(server, [_as_form(submission(server, user, 1)) for user in students], size.connections)
        for answer in sent:
            latest = server.submissions("hw1") / f"{answer.ask.user}.py"
            kept = content(SMALL, (answer.ask.user, 1))
            expect(not answer.ok or latest.read_bytes() == kept, f"{latest} is not what the form held")
        figures = hurry(sent)
        if contestant is OURS:
            rates: dict[str, list[float]] = {"raw": [], "form": []}
            for version, kind in enumerate(("raw", "form", "form", "raw", "raw", "form"), 2):
                asks = [submission(server, user, version) for user in students]
                asks = list(map(_as_form, asks)) if kind == "form" else asks
                rates[kind].append(rate(ask(server, asks, size.connections)))
            figures |= {kind: statistics.median(found) for kind, found in rates.items()}
        return figures


def growth(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """Seconds that the list of submissions takes right after one more, by how many there were before: the median."""
    root, students = make_course(folder, 1), _students(size)
    figures: Figures = {}
    with serving(contestant, root) as server:
        versions = itertools.count()
        made = 0
        for before in size.history:
            while made < before:
                version = next(versions)
                _hand_in(server, [submission(server, user, version) for user in students], size.connections)
                made += len(students)
            figures[f"{before}"] = _after_one_more(
                server, lambda: get(server, "/assignments/hw1/submissions").ok, students[0], size, next(versions)
            )
    return figures


def _after_one_more(server: Server, look: Callable[[], bool], user: str, size: Size, version: int) -> float:
    """The median of the seconds that `look` takes right after another submission of `user`."""
    times = []
    for number in range(size.looks):
        _hand_in(server, [submission(server, user, 1_000_000 + version * 1000 + number)])
        began = time.perf_counter()
        expect(look(), "a list was refused")
        times.append(time.perf_counter() - began)
    return sorted(times)[len(times) // 2]


def board(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """Seconds that a page of the board takes, of `size.people` by 20 assignments: after a submission, and `quiet`,
    when nothing has changed. Ours alone: the published server has no such page.
    """
    root = make_course(folder)
    people = [f"person{number:04}" for number in range(size.people)]
    with serving(contestant, root) as server:
        for name in ("hw1", "hw2"):
            _hand_in(server, [submission(server, user, 0, name) for user in people], size.connections)
        cookie = _log_in(server)

        def look() -> bool:
            connection = http.client.HTTPConnection(*server.address, timeout=60)
            connection.request("GET", "/board", headers={"Cookie": cookie})
            with contextlib.closing(connection):
                answer = connection.getresponse()
                return answer.status == 200 and b"of:person0000" in answer.read()

        expect(look(), "the board was refused")
        after = _after_one_more(server, look, people[0], size, 1)
        times = []
        for _ in range(size.looks):
            began = time.perf_counter()
            look()
            times.append(time.perf_counter() - began)
        return {"after": after, "quiet": sorted(times)[len(times) // 2]}


def _log_in(server: Server) -> str:
    """The cookie of an instructor's browser."""
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    fields = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Origin": server.url,
        "Sec-Fetch-Site": "same-origin",
    }
    with contextlib.closing(connection):
        connection.request("POST", "/login", urlencode({"token": server.token()}), fields)
        answer = connection.getresponse()
        answer.read()
        cookie = answer.getheader("Set-Cookie")
    expect(cookie is not None, f"the login was answered {answer.status}")
    return str(cookie).partition(";")[0]


LIVING = ("live status", "live list", "live submissions")
CASES: Mapping[str, Callable[[Contestant, Path, Size], Figures]] = {
    "first look": first_look, "first files": first_files, "forms": forms, "growth": growth, "board": board,
}  # fmt: skip
OURS_ALONE = ("growth", "board")
"""Cases that the published server cannot do, or not within minutes."""


def contestants_of(case: str, contestants: list[Contestant]) -> list[Contestant]:
    return [each for each in contestants if each is OURS or case not in OURS_ALONE]
