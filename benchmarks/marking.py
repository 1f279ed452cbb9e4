"""How long the pages of marking take with a large course: the next to mark, the list, the release of everybody.

    python benchmarks/marking.py [--students 600]

Makes a course folder with 8 questions, 3 graders and a mark for every second question, and asks its application in this
process, so that no network is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
from msgspec.structs import replace

from mograder.config import utc_now
from mograder.domain.access import COURSE_INSTRUCTOR, Role
from mograder.domain.course import Course
from mograder.domain.marking import Entry, GivenMark, Kind
from mograder.domain.names import AssignmentName, Username
from mograder.domain.receipts import NewSubmission, issue_receipt
from mograder.domain.roster import Person
from mograder.domain.tokens import sign
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.layout import Folders
from mograder.store.folder.store import FolderStore
from mograder.web import create_app

QUESTIONS, GRADERS, TIMES = 8, ("grace", "guy", "gina"), 20
HW1 = AssignmentName("hw1")
PLAN = '[[assignments]]\nname = "hw1"\n' + "".join(
    f'[[assignments.questions]]\nkey = "Q{number}"\npoints = 10\n' for number in range(1, QUESTIONS + 1)
)


def make_course(folder: Path, students: int) -> Course:
    """A course in which every second question of everybody is marked."""
    files = folder / "release" / "hw1" / "files"
    files.mkdir(parents=True)
    (files / "hw1.py").write_text("import marimo\n")
    (folder / "mograder.toml").write_text(PLAN)
    store = FolderStore(Folders.of(folder / "release"))
    signer = Ed25519Signer(store.keys.signing_key(new_private_key))
    course = Course(store, signer, utc_now)
    names = [Username(f"student{number:04}") for number in range(students)]
    course.roster.add(COURSE_INSTRUCTOR, [Person(each, f"Name of {each}") for each in names])
    course.roster.add(COURSE_INSTRUCTOR, [Person(Username(each), "", Role.GRADER) for each in GRADERS])
    for each in names:
        upload = course.submissions.upload()
        upload.write(f"# {each}\n".encode() * 200)
        upload.finish()
        ready = NewSubmission(each, HW1, each, utc_now(), upload)
        store.submissions.accept(ready, issue_receipt(ready, signer, "course")).result()
        upload.discard()
    store.marking.write(HW1, [
        Entry(HW1, Kind.MARK, user, f"Q{number}", 1, utc_now(), GRADERS[number % 3],
              GivenMark(at % 11, (), "see page 2", 1, at + 1).text_form)
        for at, user in enumerate(names) for number in range(1, QUESTIONS + 1, 2)
    ])  # fmt: skip
    return course


def give_the_rest(course: Course) -> None:
    """Mark what is left, so that everybody can be released."""
    current = {(each.username, each.key): each for each in course.store.marking.current(HW1, (Kind.MARK,))}
    left = [
        replace(each, key=f"Q{number}") for (_, key), each in current.items() for number in range(2, QUESTIONS + 1, 2)
        if key == "Q1" and (each.username, f"Q{number}") not in current
    ]  # fmt: skip
    course.store.marking.write(HW1, left)


async def measure(course: Course) -> None:
    app = create_app(course)
    token = sign(course.store.keys.secrets()[0], Username("__instructor__"))
    ours = {"Origin": "http://test", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test", timeout=60) as client:
        await client.post("/login", data={"token": token}, headers=ours)

        async def ask(path: str, follow: bool = False) -> None:
            (await client.get(path, headers={"Accept": "text/html"}, follow_redirects=follow)).raise_for_status()

        async def save(number: int) -> None:
            form = {"question": "Q2", "points": str(number % 10), "version": str(number)}
            path = "/marking/hw1/people/student0001/mark"
            (await client.post(path, data=form, headers={**ours, "Accept": "application/json"})).raise_for_status()

        for name, work in (
            ("next to mark, with its page", lambda _: ask("/marking/hw1/next?after=student0300", True)),
            ("saving a mark", save),
            ("the list of who there is to mark", lambda _: ask("/marking/hw1")),
            ("the preview of a release", lambda _: ask("/marking/hw1/release")),
            ("statistics", lambda _: ask("/marking/hw1/statistics")),
        ):
            await report(name, work)


async def report(name: str, work: Callable[[int], object]) -> None:
    taken, processor = [], time.process_time()
    for number in range(TIMES):
        begun = time.perf_counter()
        await work(number)  # type: ignore[misc]
        taken.append(time.perf_counter() - begun)
    used = (time.process_time() - processor) / TIMES
    print(f"{name}: {1000 * statistics.median(taken):.0f} ms (median of {TIMES}), {1000 * used:.0f} ms of processor")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--students", type=int, default=600)
    students = parser.parse_args().students
    with tempfile.TemporaryDirectory() as folder:
        course = make_course(Path(folder) / "course", students)
        try:
            asyncio.run(measure(course))
            give_the_rest(course)
            task = course.release.assignment(COURSE_INSTRUCTOR, "hw1")
            begun = time.perf_counter()
            released = course.mark_release.release(COURSE_INSTRUCTOR, task)
            print(f"releasing {len(released.writes)} marks: {1000 * (time.perf_counter() - begun):.0f} ms")
        finally:
            course.close()


if __name__ == "__main__":
    main()
