"""Grading beside serving: does it slow the rush, how soon is a first result there, how many a minute are graded?"""
# ruff: noqa: S603  (it runs programs)

from __future__ import annotations

import contextlib
import csv
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from autograding import autograde, grader_memory, make_course
from cases import Figures, Size, ask, expect, get, hurry
from servers import OURS, Server, environment, serving
from styles import Submission, class_of, release_text, source_text

from mograder.domain.course import Course
from mograder.domain.names import AssignmentName
from mograder.factory import open_existing
from mograder.rehearsal.load import Answer, Ask
from mograder.wire.codec import decode_json
from mograder.wire.messages import GradingInfo

HW1 = AssignmentName("hw1")
PATIENCE = 600.0


def graded_course(folder: Path) -> Path:
    """A course whose hw1 has tests; the folder to serve."""
    for place, text in (("release/hw1/files/hw1.py", release_text()), ("source/hw1/hw1.py", source_text())):
        path = folder / "course" / place
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return folder / "course" / "release"


@contextlib.contextmanager
def opened(place: Path | str) -> Iterator[Course]:
    course = open_existing(place)
    try:
        yield course
    finally:
        course.store.close()


def until(true: Callable[[], bool], what: str) -> float:
    """Seconds until it is true."""
    began = time.monotonic()
    while not true():
        expect(time.monotonic() - began < PATIENCE, f"{what}: not after {PATIENCE:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began


def hand_in(
    server: Server, students: Mapping[int, Submission], at_once: int, path: str = "",
    token: Callable[[str], str] | None = None,
) -> list[Answer]:  # fmt: skip
    """Each of these students submits once, to the course below `path`; all must be accepted."""
    asks = []
    for number, each in students.items():
        user = f"student{number:03}"
        body = f"{each.text}\n# {user}\n".encode()
        target = f"{path}/assignments/hw1/submit?user={user}"
        asks.append(Ask("POST", target, (token or server.token)(user), body))
    answers = ask(server, asks, at_once)
    refused = [each for each in answers if not each.ok]
    expect(not refused, f"a submission was refused: {refused[:1]}")
    return answers


def rush(folder: Path, size: Size) -> Figures:
    """The rush of everybody with a worker that grades meanwhile, and without one; `graded` so many during it."""
    students = class_of(size.students)
    figures: Figures = {}
    for workers in (0, 1):
        root = graded_course(folder / str(workers))
        with serving(OURS, root, more=("--grading-workers", str(workers))) as server, opened(root) as course:
            if workers:
                until(lambda c=course: HW1 in c.store.jobs.announced(), "a worker")  # type: ignore[misc]
                hand_in(server, dict(enumerate(students[:4])), 4)
                until(lambda c=course: len(c.store.jobs.results(HW1)) == 4, "results")  # type: ignore[misc]
            else:
                hand_in(server, dict(enumerate(students[:4])), 4)
            answers = hand_in(server, dict(enumerate(students)), size.connections)
            measured = hurry(answers)
            name = "with" if workers else "without"
            figures |= {name: measured["rate"], f"p99 {name}": measured["p99"]}
            figures["graded"] = float(len(course.store.jobs.results(HW1)))
    return figures


def first_result(folder: Path, size: Size) -> Figures:
    """Seconds from a submission's answer to its result, one person after the other, on a server that is idle."""
    root, times = graded_course(folder), []
    with serving(OURS, root, more=("--grading-workers", "1")) as server:
        with opened(root) as course:
            until(lambda: HW1 in course.store.jobs.announced(), "a worker")
        for number, each in enumerate(class_of(size.results)):
            user = f"student{number:03}"
            sent = Ask("POST", f"/assignments/hw1/submit?user={user}", server.token(user), each.text.encode())
            expect(ask(server, [sent])[0].ok, "a submission was refused")

            def graded(user: str = user) -> bool:
                answer = get(server, f"/assignments/hw1/result?user={user}", server.token(user))
                return decode_json(answer.body, GradingInfo).state == "graded"

            times.append(until(graded, "a result"))
    return {"median": statistics.median(times), "p95": sorted(times)[int(0.95 * len(times))], "most": max(times)}


def backlog(folder: Path, size: Size) -> Figures:
    """Submissions a minute where all wait already: `autograde`, workers on a folder, and two on PostgreSQL."""
    students = class_of(size.students)
    figures: Figures = {}
    for jobs in (1, 2):
        place = folder / f"autograde{jobs}"
        marks = make_course(place, students)
        words = [*OURS.program, "autograde", "hw1", "-j", str(jobs), "--csv", str(marks)]
        began = time.monotonic()
        subprocess.run(words, cwd=place, env=environment(place), stdout=subprocess.DEVNULL, check=True)
        figures[f"autograde -j {jobs}"] = 60 * len(students) / (time.monotonic() - began)
        points = [float(row["auto_mark"]) for row in csv.DictReader(marks.open(newline=""))]
        expect(points == [each.points for each in students], "autograde: wrong points")
    for count in (1, 2):
        root = graded_course(folder / f"workers{count}")
        with serving(OURS, root, more=("--grading-workers", "0")) as server:
            hand_in(server, dict(enumerate(students)), size.connections)
            figures[f"folder, {count} workers"] = _drained(str(root.parent), count, folder, len(students))
    found = on_postgres(folder / "postgres", students, size)
    return figures | found


def _drained(place: str, workers: int, home: Path, students: int) -> float:
    """Submissions a minute that so many processes grade until nothing waits, their start included."""
    words = [*OURS.program, "worker", place, "--drain"]
    began = time.monotonic()
    running = [
        subprocess.Popen(words, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(workers)
    ]
    codes = [each.wait(PATIENCE) for each in running]
    wall = time.monotonic() - began
    with opened(place) as course:
        results = course.store.jobs.results(HW1)
        expect(len(results) == students, f"{len(results)} results of {students} submissions, exit codes {codes}")
    return 60 * students / wall


def on_postgres(folder: Path, students: list[Submission], size: Size) -> Figures:
    """Two servers that have taken a half each, and a worker beside each; nothing where there is no PostgreSQL."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    try:
        from tests.postgres import fresh_database, new_course, running_server
    except ImportError as error:
        print(f"  left out: PostgreSQL ({error})")
        return {}
    from mograder.domain.names import Username
    from mograder.domain.tokens import sign
    from mograder.store.folder.layout import Folders
    from mograder.store.postgres.courses import PostgresCourses

    root = graded_course(folder)
    (root.parent / "mograder.toml").write_text("[server]\nmax_per_hour = 100000\nmax_people = 100000\n")
    with running_server() as database:
        url = fresh_database(database)
        shelf = PostgresCourses(url)
        name = new_course(shelf, Folders.of(root))
        secret = shelf.open(name).keys.secrets()[0]
        shelf.close()
        with contextlib.ExitStack() as stack:
            servers = [stack.enter_context(serving(OURS, root, store=url)) for _ in range(2)]
            for number, server in enumerate(servers):
                half = {place: each for place, each in enumerate(students) if place % 2 == number}
                hand_in(server, half, size.connections, f"/c/{name}", lambda user: sign(secret, Username(user)))
            return {"PostgreSQL, 2 servers": _drained(f"{url}#{name}", 2, folder, len(students))}


CASES: Mapping[str, Callable[[Path, Size], Figures]] = {
    "grader memory": grader_memory, "graded rush": rush, "first result": first_result, "backlog": backlog,
}  # fmt: skip
BESIDE = {"autograde": autograde}
