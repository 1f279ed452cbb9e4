"""Two servers on one folder: no submission and no grade is lost, and nobody reads an incomplete table of grades."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from mograder.config import utc_now
from mograder.store.folder import doctor
from mograder.store.folder.layout import Folders
from mograder.store.shared.findings import Severity
from tests.parts import PATIENCE, Running, running, sha256, until

ROUNDS = 25


def test_two_servers_on_one_folder_lose_nothing_even_if_one_is_killed(course_folder: Path) -> None:
    table = course_folder / "hw1" / "grades.json"
    versions: dict[str, str] = {}
    graded: dict[str, str] = {}
    tables: list[int] = []
    over = threading.Event()

    def people_submit(server: Running, name: str) -> None:
        for number in range(ROUNDS):
            content = f"{name} {number}".encode()
            reply = server.submit(name, content)
            assert reply.status_code == 200, reply.text
            versions[reply.json()["version"]] = sha256(content)

    def a_tutor_grades(server: Running, tutor: str) -> None:
        for number in range(ROUNDS):
            grades = [{"username": f"{tutor}{number}", "grade": str(number)}, {"username": "all", tutor: number}]
            reply = server.client.post("/assignments/hw1/grades", json=grades, headers=server.bearer())
            assert reply.status_code == 200, reply.text
            graded[f"{tutor}{number}"] = str(number)

    def somebody_reads(server: Running) -> None:
        while not over.is_set():
            with contextlib.suppress(FileNotFoundError):
                tables.append(len(json.loads(table.read_bytes())))
            reply = server.client.get("/assignments/hw1/status?user=all", headers=server.bearer())
            assert reply.status_code == 200, reply.text

    with running(course_folder) as first, running(course_folder) as second, running(course_folder) as victim:
        with ThreadPoolExecutor(8) as pool:
            reading = pool.submit(somebody_reads, first)
            doing = [pool.submit(a_tutor_grades, first, "t"), pool.submit(a_tutor_grades, second, "u")]
            doing += [pool.submit(people_submit, server, "alice") for server in (first, second)]
            doing += [pool.submit(people_submit, server, "bob") for server in (first, second)]
            dying = pool.submit(until_killed, people_submit, victim)
            until(lambda: any(version.startswith("carol") for version in list(versions)))
            victim.kill()
            for each in doing:
                each.result()
            dying.result()
            over.set()
            reading.result()
        assert tables == sorted(tables)
        stored = {each["username"]: each for each in json.loads(table.read_bytes())}
        assert {name: stored[name]["grade"] for name in graded} == graded
        assert (stored["all"]["t"], stored["all"]["u"]) == (ROUNDS - 1, ROUNDS - 1)
        for server in (first, second):
            for version, digest in versions.items():
                reply = server.client.get(f"/assignments/hw1/submissions/{version}", headers=server.bearer())
                assert sha256(reply.content) == digest
            assert server.stop() == 0
    found = doctor.check(Folders.of(course_folder), utc_now())
    assert [each for each in found if each.severity is not Severity.NOTE] == []


def until_killed(work: Callable[[Running, str], None], server: Running) -> None:
    with contextlib.suppress(httpx2.TransportError):
        work(server, "carol")


def test_simultaneous_uploads_of_one_feedback_page_store_one_of_them_whole(
    course_folder: Path,
) -> None:
    sizes = {"a": 100_000, "b": 300_000, "c": 400_000, "d": 200_000}
    pages = {letter: letter.encode() * size for letter, size in sizes.items()}
    over, looked = threading.Event(), threading.Barrier(3)

    def upload(server: Running, letter: str) -> None:
        files = [("files", (f"{name}.html", pages[letter], "text/html")) for name in ("alice", "bob")]
        for _ in range(8):
            reply = server.client.post("/assignments/hw1/feedback", files=files, headers=server.bearer())
            assert reply.status_code == 200, reply.text

    def read(server: Running) -> set[bytes]:
        with httpx2.Client(base_url=server.url, timeout=PATIENCE, headers=server.bearer("alice")) as client:

            def look() -> bytes:
                return client.get("/assignments/hw1/feedback/alice").raise_for_status().content

            seen = {look()}
            looked.wait(PATIENCE)
            while not over.is_set():
                seen.add(look())
            return {*seen, look()}

    with running(course_folder) as first, running(course_folder) as second:
        upload(first, "a")
        with ThreadPoolExecutor(6) as pool:
            reading = [pool.submit(read, server) for server in (first, second)]
            looked.wait(PATIENCE)
            doing = [
                pool.submit(upload, server, letter) for server, letter in ((first, "b"), (second, "c"), (first, "d"))
            ]
            try:
                for each in doing:
                    each.result()
            finally:
                over.set()
            seen = set.union(*(each.result() for each in reading))
        assert seen <= {*pages.values()}
        assert len(seen) > 1
        folder = course_folder / "hw1" / "feedback"
        assert {path.name for path in folder.iterdir()} == {"alice.html", "bob.html"}
        last = (folder / "alice.html").read_bytes()
        assert last in pages.values()
        assert (folder / "bob.html").read_bytes() == last  # all pages of one upload are written together
        assert first.stop() == second.stop() == 0
