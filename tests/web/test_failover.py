"""Several servers on one database while the database restarts or fails over to its replica, or servers are killed.

Nothing acknowledged is lost, nothing is stored twice, and no server has to be restarted.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from mograder.client.client import Client
from mograder.client.connection import RetryPolicy
from mograder.domain.errors import MograderError
from mograder.domain.names import CourseName, FileName, Username
from mograder.domain.receipts import Receipt
from mograder.domain.tokens import sign
from mograder.store.folder.layout import Folders
from mograder.store.postgres.courses import PostgresCourses
from tests.parts import HW1, PATIENCE, make_course_folder, serving
from tests.postgres import Server, fresh_database, new_course, servers

PEOPLE = [Username(f"s{number}") for number in range(6)]


@dataclass
class Rush:
    """People who submit without a pause, always something new, to any server that answers."""

    urls: list[str]
    tokens: dict[Username, str]
    folder: Path
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _more: threading.Condition = field(default_factory=threading.Condition)

    def _submission(self, user: Username) -> None:
        turns = itertools.cycle([*self.urls[PEOPLE.index(user) % len(self.urls) :], *self.urls])
        for number in itertools.count():
            content = f"{user} {number} ".encode() * (100_000 if number == 3 else 20)
            path = self.folder / f"{user}.py"
            path.write_bytes(content)
            while not self._stop.is_set():
                try:
                    with Client(next(turns), self.tokens[user], patience=RetryPolicy(total=1)) as client:
                        receipt = client.submit(HW1, user, path).receipt
                except MograderError:
                    continue  # the next server
                with self._more:
                    self.acknowledged[receipt] = content
                    self._more.notify_all()
                break
            if self._stop.is_set():
                return

    def wait_for_more(self, count: int) -> None:
        with self._more:
            goal = len(self.acknowledged) + count
            assert self._more.wait_for(lambda: len(self.acknowledged) >= goal, timeout=PATIENCE)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        with ThreadPoolExecutor(len(PEOPLE)) as threads:
            writers = [threads.submit(self._submission, user) for user in PEOPLE]
            try:
                yield
            finally:
                self._stop.set()
        for writer in writers:
            writer.result()


@dataclass
class Deployment:
    """Three servers on one database with one course."""

    database: str
    course: CourseName
    urls: list[str]
    processes: list[subprocess.Popen[str]]
    rush: Rush

    def assert_all_there(self) -> None:
        courses = PostgresCourses(self.database)
        store = courses.open(self.course)
        kept = list(store.submissions.receipts())
        assert_unbroken(kept)
        texts = {each.text for each in kept}
        assert set(self.rush.acknowledged) <= texts
        for receipt in kept:
            if receipt.text in self.rush.acknowledged:
                found = store.submissions.file(HW1, FileName(receipt.submission.filename))
                assert found is not None
                assert found.read() == self.rush.acknowledged[receipt.text]
        # All submissions of a person differ, so equal contents would mean a duplicate.
        assert len({each.submission.sha256 for each in kept}) == len(kept)
        courses.close()


def assert_unbroken(receipts: list[Receipt]) -> None:
    before = ""
    for number, receipt in enumerate(receipts, 1):
        assert (receipt.number, receipt.previous) == (number, before)
        before = receipt.hash


@contextmanager
def deployed(url: str, folder: Path) -> Iterator[Deployment]:
    courses = PostgresCourses(url)
    name = new_course(courses, Folders.of(make_course_folder(folder)))
    secret = courses.open(name).keys.secrets()[0]
    courses.close()
    with ExitStack() as stack:
        started = [stack.enter_context(serving("--store", url)) for _ in range(3)]
        urls = [f"http://127.0.0.1:{port}/c/{name}" for _, port, _ in started]
        rush = Rush(urls, {user: sign(secret, user) for user in PEOPLE}, folder)
        yield Deployment(url, name, urls, [process for process, _, _ in started], rush)


def test_a_failover_to_the_replica_loses_no_acknowledged_submission(tmp_path: Path) -> None:
    with servers("primary", "replica") as (primary, replica):
        primary.make()
        primary.start()
        replica.make_replica_of(primary)
        replica.start()
        # From here on a commit is acknowledged only after the replica has it.
        primary.set_now(synchronous_standby_names="replica")
        primary.wait_for_replica("replica")
        url = fresh_database(primary)
        both = url.replace(primary.address, f"{primary.address},{replica.address}")
        with deployed(f"{both}?target_session_attrs=read-write", tmp_path) as deployment:
            rush = deployment.rush
            with rush.going_on():
                rush.wait_for_more(30)
                primary.kill()
                replica.promote()
                rush.wait_for_more(30)
            deployment.assert_all_there()


def test_a_restart_of_the_database_is_answered_503_and_servers_recover_by_themselves(tmp_path: Path) -> None:
    with servers("primary") as (primary,):
        primary.make()
        primary.start()
        with deployed(fresh_database(primary), tmp_path) as deployment:
            rush = deployment.rush
            with rush.going_on():
                rush.wait_for_more(20)
                primary.kill()
                token = {"Authorization": f"Bearer {rush.tokens[PEOPLE[0]]}"}
                for url in rush.urls:
                    answer = httpx2.get(f"{url}/assignments", headers=token, timeout=PATIENCE)
                    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
                    assert int(answer.headers["retry-after"]) > 0
                    page = httpx2.get(f"{url}/login", headers={"Accept": "text/html"}, timeout=PATIENCE)
                    assert (page.status_code, page.headers["retry-after"]) == (503, answer.headers["retry-after"])
                    assert "database is away: try again" in page.text
                primary.start()
                rush.wait_for_more(20)
                primary.stop()
                primary.start()
                rush.wait_for_more(20)
            deployment.assert_all_there()


def test_killed_servers_leave_nothing_half_written(tmp_path: Path, postgres_server: Server) -> None:
    with deployed(fresh_database(postgres_server), tmp_path) as deployment:
        rush = deployment.rush
        with rush.going_on():
            rush.wait_for_more(20)
            port = httpx2.URL(rush.urls[0]).port
            assert port is not None
            with socket.create_connection(("127.0.0.1", port)) as half:
                half.sendall(
                    f"POST /c/{deployment.course}/assignments/hw1/submit?user=s0 HTTP/1.1\r\nHost: localhost\r\n"
                    f"Authorization: Bearer {rush.tokens[PEOPLE[0]]}\r\nContent-Length: 3000000\r\n\r\n".encode()
                    + b"half" * 500_000
                )
                for process in deployment.processes[:2]:
                    process.kill()
                    rush.wait_for_more(20)
        deployment.assert_all_there()
