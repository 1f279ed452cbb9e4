"""Building blocks of tests: a clock that is set by hand, a course over a real folder, a server in its own process."""

from __future__ import annotations

import hashlib
import hmac
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FrameType

import httpx2

from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR, AssignmentName, Username
from mograder.domain.receipts import NewSubmission, Signer, issue_receipt
from mograder.domain.store import Store
from mograder.domain.submissions import Accepted, Upload
from mograder.domain.tokens import sign
from mograder.signing import Ed25519Signer, new_private_key
from mograder.store.folder.authority import AUTHORITY
from mograder.store.folder.layout import Folders
from mograder.store.folder.store import FolderStore
from tests import prefork

CODE = "swordfish"
NOON = 1_773_144_000_000_000
"""2026-03-10T12:00:00Z, in Unix microseconds."""
SECOND = 1_000_000
HW1 = AssignmentName("hw1")
ALICE, BOB = Username("alice"), Username("bob")
NOTEBOOK = b"import marimo\n"
PATIENCE = 90
"""Seconds after which a test gives up. Generous, because a busy machine is slow."""


class Clock:
    """Returns `now`, in Unix microseconds."""

    def __init__(self, now: int = NOON) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def make_course_folder(parent: Path, *assignments: str) -> Path:
    """Make a course in which each assignment has one released file of the same name. Returns its served root."""
    root = parent / "course" / "release"
    for name in assignments or ("hw1",):
        files = root / name / "files"
        files.mkdir(parents=True)
        (files / f"{name}.py").write_bytes(NOTEBOOK)
    return root


def open_store(root: Path) -> FolderStore:
    return FolderStore(Folders.of(root))


def open_course(root: Path, clock: Clock) -> Course:
    store = open_store(root)
    return Course(store, Ed25519Signer(store.keys.signing_key(new_private_key)), clock, CODE)


def token_of(course: Course, name: str) -> str:
    """A valid token of any user; the instructor's is that of `__instructor__`."""
    return sign(course.store.keys.secrets()[0], Username(name))


def filled(upload: Upload, content: bytes) -> Upload:
    upload.write(content)
    upload.finish()
    return upload


def submit_work(
    store: Store, signer: Signer, user: Username, content: bytes, received: int = NOON,
    assignment: AssignmentName = HW1,
) -> Accepted:  # fmt: skip
    """Submit `content` to the store as a course does."""
    upload = filled(store.submissions.upload(), content)
    try:
        ready = NewSubmission(user, assignment, user, received, upload)
        return store.submissions.accept(ready, issue_receipt(ready, signer, "course")).result()
    finally:
        upload.discard()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def until(true: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait until another thread or process has made a condition true."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "the condition did not become true"
        time.sleep(0.01)


@contextmanager
def compared_in_constant_time() -> Iterator[list[object]]:
    """One item for each comparison in constant time that this thread makes in the block."""
    compared: list[object] = []

    def see(_: FrameType, event: str, function: object) -> None:
        if event == "c_call" and function is hmac.compare_digest:
            compared.append(function)

    sys.setprofile(see)
    try:
        yield compared
    finally:
        sys.setprofile(None)


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# a server in its own process


HELD: deque[socket.socket] = deque()
"""Sockets bound to the ports that `free_port` has returned, so that no other process gets such a port."""


def free_port() -> int:
    probe = socket.socket()
    if sys.platform == "linux":  # a server may listen there as well if both set this option
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    port = int(probe.getsockname()[1])
    HELD.append(probe)
    while len(HELD) > (50 if sys.platform == "linux" else 0):
        HELD.popleft().close()
    return port


def environment() -> dict[str, str]:
    """The environment without the variables that are settings of mograder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOGRADER_") and name != "PORT"}
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error"}


@dataclass(frozen=True)
class Running:
    """A running server. `root` is the folder it serves."""

    process: Process
    port: int
    root: Path
    scheme: str = "http"
    said: str = ""  # printed at its start

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def submitted(self) -> Path:
        return self.root.parent / "submitted"

    @cached_property
    def client(self) -> httpx2.Client:
        return httpx2.Client(
            base_url=self.url, timeout=PATIENCE, verify=self.trust if self.scheme == "https" else False
        )

    @property
    def trust(self) -> ssl.SSLContext:
        """A TLS context that trusts only the course's own authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.root / AUTHORITY)
        return context

    def workers(self) -> set[int]:
        """The server's child processes (Linux)."""
        pid = self.process.pid
        return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def token(self, name: str) -> str:
        return sign((self.root / ".mograder-secret").read_text().strip(), Username(name))

    def bearer(self, name: str = INSTRUCTOR) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(name)}"}

    def submit(self, name: str, content: bytes, assignment: str = "hw1") -> httpx2.Response:
        return self.client.post(
            f"/assignments/{assignment}/submit", params={"user": name}, content=content, headers=self.bearer(name)
        )

    def connect(self) -> socket.socket:
        """A connection to the server, with TLS if the server speaks HTTPS."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        return self.trust.wrap_socket(connection, server_hostname="127.0.0.1") if self.scheme == "https" else connection

    def stop(self) -> int:
        """Ask the server to stop. Returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


Process = prefork.Process | subprocess.Popen[str]
SERVE = ("-m", "mograder", "serve")
"""Arguments of a new interpreter that runs a server."""

STRICT = "from mograder.web import throttle as t; t.SHORTEST_PAUSE, t.MINUTE = t.LONGEST_PAUSE, t.HOUR"
"""Runs before a server: it counts wrong guesses for so long that a slow machine makes no difference."""


@contextmanager
def running(
    root: Path, *words: str, under: tuple[str, ...] = (), program: tuple[str, ...] = (), first: str = "",
    port: int | None = None,
) -> Iterator[Running]:  # fmt: skip
    """Run `mograder serve` on `root`, started by `serving`, and kill it at the end in any case."""
    words = (str(root), "--enrollment-code", CODE, *words)
    scheme = "https" if any(word.startswith("--tls") for word in words) else "http"
    with serving(*words, under=under, program=program, first=first, port=port) as (process, port, said):
        server = Running(process, port, root, scheme, said)
        with server.client:
            yield server


@contextmanager
def serving(
    *words: str, under: tuple[str, ...] = (), program: tuple[str, ...] = (), first: str = "",
    port: int | None = None,
) -> Iterator[tuple[Process, int, str]]:  # fmt: skip
    """Run `mograder serve` with these arguments. Yields the process, its port, and what it printed at its start.

    The process is forked (see prefork) and runs the program `first` before, unless it runs `under` another program or
    `program` replaces it.
    """
    port = port or free_port()
    words = ("-p", str(port), *words)
    if under or program:
        command = [*under, sys.executable, *(program or SERVE), *words]
        process: Process = subprocess.Popen(
            command, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    else:
        process = prefork.start(["serve", *words], environment(), first)
    try:
        assert process.stdout is not None
        seen = []
        for line in process.stdout:
            seen.append(line)
            if "Ctrl-C" in line:
                break
        else:
            raise AssertionError("the server did not start: " + "".join(seen))
        yield process, port, "".join(seen)
    finally:
        process.kill()
        process.communicate()
