"""The contestants: each a server in a process of its own, on a course folder of its own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mograder.domain.names import INSTRUCTOR, Username
from mograder.domain.tokens import sign

ASSIGNMENTS = 20
SMALL, LARGE = 20_000, 5_000_000  # bytes


@dataclass(frozen=True)
class Contestant:
    """A mograder that can be run."""

    name: str
    program: list[str]


OURS = Contestant("ours", [str(Path(sys.executable).with_name("mograder"))])


def published() -> Contestant | None:
    """The published one, None when it is not there."""
    program = os.environ.get("MOGRADER_PUBLISHED", "")
    return Contestant("published", [program]) if program and Path(program).exists() else None


def environment(home: Path) -> dict[str, str]:
    # Where Python is told to keep no bytecode, what pip has compiled would start faster than what stands here.
    others = ("PORT", "PYTHONDONTWRITEBYTECODE")
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("MOGRADER_") and name not in others
    }
    places = {name: str(home) for name in ("HOME", "XDG_CONFIG_HOME")}
    return {**kept, **places, "NO_COLOR": "1", "MARIMO_SKIP_UPDATE_CHECK": "1"}


def content(size: int, seed: object) -> bytes:
    """`size` bytes that are the same for the same seed, and that nothing compresses."""
    return hashlib.shake_256(repr(seed).encode()).digest(size)


def make_course(folder: Path, assignments: int = ASSIGNMENTS) -> Path:
    """A course with three files an assignment; the folder to serve."""
    root = folder / "course" / "release"
    for number in range(1, assignments + 1):
        files = root / f"hw{number}" / "files"
        files.mkdir(parents=True)
        for name in ("notebook.py", "helpers.py", "data.csv"):
            (files / name).write_bytes(content(SMALL, (number, name)))
    (root / "hw1" / "files" / "large.bin").write_bytes(content(LARGE, "large"))
    return root


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    process: subprocess.Popen[bytes]
    port: int
    root: Path
    seconds_to_start: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def submissions(self, assignment: str) -> Path:
        """The folder where submissions stand: the published server keeps them beside the released files."""
        ours = self.root.parent / "submitted" / assignment
        return ours if ours.is_dir() else self.root / assignment

    def token(self, user: str = INSTRUCTOR) -> str:
        return sign((self.root / ".mograder-secret").read_text().strip(), Username(user))

    def peak_memory(self) -> int:
        """Bytes that the server and its children have held at most."""
        return sum(_peak(pid) for pid in _family(self.process.pid))


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _peak(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return connection.recv(12).endswith(b"200")
    return False


@contextlib.contextmanager
def serving(
    contestant: Contestant, root: Path, under: tuple[str, ...] = (), more: tuple[str, ...] = (), store: str = ""
) -> Iterator[Server]:
    """The contestant on `root`, run by the program `under` if given; it is gone at the end.

    `more` goes to `serve`; `store` is the database whose courses are served instead.
    """
    port = free_port()
    place = ["--store", store] if store else [str(root), "--enrollment-code", "swordfish"]
    words = [*under, *contestant.program, "serve", *place, "-p", str(port), *more]
    began = time.perf_counter()
    if contestant is OURS:  # whose defaults bound what one person sends in an hour, and who may register
        (root.parent / "mograder.toml").write_text("[server]\nmax_per_hour = 100000\nmax_people = 100000\n")
    process = subprocess.Popen(  # noqa: S603
        words, env=environment(root.parent), cwd=root.parent, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not _answers(port):
            if process.poll() is not None:
                raise RuntimeError(f"{contestant.name} did not start: exit {process.returncode}")
            time.sleep(0.002)
        yield Server(process, port, root, time.perf_counter() - began)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


NGINX = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; etag on; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} reuseport; root {folder}/www; default_type application/octet-stream; }}
}}
"""


@contextlib.contextmanager
def nginx(folder: Path, files: dict[str, bytes]) -> Iterator[str | None]:
    """nginx with one worker on static `files`; its URL, None where there is no nginx."""
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if program is None:
        yield None
        return
    for name, body in files.items():
        path = folder / "www" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    port = free_port()
    # World-readable: started as root, its worker is nobody.
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port))
    process = subprocess.Popen([program, "-c", str(configuration)], stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        for _ in range(500):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
                break
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def scratch(parent: Path | None) -> Iterator[Path]:
    """A fresh folder. It is removed at the end of all: ext4 is slow in a folder where thousands were deleted."""
    folder = Path(tempfile.mkdtemp(prefix="mograder-benchmark-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
