"""Runs `mograder` in a process of its own without the start of an interpreter: it is forked from a preloaded process.

An interpreter that loads the server takes 0.6 s, and hundreds of tests start one. A forked process is the same program
with the same arguments, environment, folder and descriptors; it is the child of another process, which reports its
exit code. This file is also the program of that process, so it imports nothing of the tests.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

LOADED = (
    "cryptography.x509", "mograder.cli.serve", "mograder.cli.serve_many", "mograder.cli.grading_workers",
    "mograder.factory", "mograder.store.folder.courses", "mograder.web", "mograder.web.multi_course",
    "mograder.web.pages.routes", "mograder.web.serving.proxies", "mograder.web.serving.server",
    "mograder.web.serving.workers", "uvloop",
)  # fmt: skip
"""Most modules that a server imports; it imports the others itself."""


class Process:
    """A started `mograder`, with what tests use of `subprocess.Popen`."""

    def __init__(self, status: socket.socket, stdout: IO[str] | None = None) -> None:
        self._status = status
        self._lock = threading.Lock()
        self.stdout = stdout
        self.returncode: int | None = None
        self.pid = int(self._status.recv(32))

    def poll(self) -> int | None:
        return self._wait(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal. Raises TimeoutExpired after `timeout` seconds."""
        code = self._wait(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("mograder", timeout or 0)
        return code

    def _wait(self, seconds: float | None) -> int | None:
        """May be called by several threads at once: each waits on its own descriptor."""
        with self._lock:
            if self.returncode is not None:
                return self.returncode
            status = self._status.dup()
        with status:
            ended = select.select([status], [], [], seconds)[0]
        with self._lock:
            if ended and self.returncode is None:
                with self._status:
                    self.returncode = int(self._status.recv(32))
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Does nothing if the process has ended already, which may not have been reported yet."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def communicate(self) -> tuple[str, None]:
        """Read the remaining output, and wait for the end."""
        assert self.stdout is not None
        said = "" if self.stdout.closed else self.stdout.read()
        self.stdout.close()
        self.wait()
        return said, None


def start(words: list[str], env: dict[str, str], first: str = "") -> Process | subprocess.Popen[str]:
    """Start `mograder` with these arguments; its output and its errors come through one pipe.

    Working folder and umask are those of the caller. The program `first` runs before, in the same process.
    """
    if sys.platform != "linux":
        return subprocess.Popen(
            [sys.executable, "-c", f"{first}\nfrom mograder.cli import main\nmain()", *words], env=env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    reading, writing = os.pipe()
    status = _ask(words, env, writing, writing, first)
    os.close(writing)
    return Process(status, open(reading, encoding="utf-8"))


def run(words: list[str], env: dict[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
    """Run `mograder` with these arguments, like subprocess.run. Raises TimeoutExpired after `timeout` seconds."""
    if sys.platform != "linux":
        return subprocess.run(
            [sys.executable, "-m", "mograder", *words], env=env, text=True, capture_output=True, timeout=timeout
        )
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        process = Process(_ask(words, env, out.fileno(), err.fileno()))
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
        for file in (out, err):
            file.seek(0)
        return subprocess.CompletedProcess(words, code, out.read(), err.read())


def _ask(words: list[str], env: dict[str, str], out: int, err: int, first: str = "") -> socket.socket:
    """Request a fork. The new process reports its PID, and later its exit code."""
    status, reports = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    os.umask(mask := os.umask(0))
    asked = {"words": words, "env": env, "folder": str(Path.cwd()), "mask": mask, "first": first}
    with reports:
        socket.send_fds(_loaded(), [json.dumps(asked).encode()], [out, err, reports.fileno()])
    return status


@functools.cache
def _loaded() -> socket.socket:
    """The socket of the preloaded process that forks; it ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    env = {name: value for name, value in os.environ.items() if not name.startswith("MOGRADER_")}
    process = subprocess.Popen(
        [sys.executable, "-P", __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
        env={**env, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


# the preloaded process that forks


def _fork_on_request(asking: socket.socket) -> dict[str, Any] | None:
    """Fork for each request until the socket is closed, then return None. In a forked process: return its request."""
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reports: dict[int, int] = {}
    while True:
        ready = select.select([asking, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            _report(reports)
        if asking not in ready:
            continue
        request, descriptors, _, _ = socket.recv_fds(asking, 1 << 20, 3)
        if not request:
            return None
        out, err, report = descriptors
        child = os.fork()
        if child:
            os.close(out)
            os.close(err)
            reports[child] = report
            os.write(report, b"%d" % child)
            continue
        for descriptor in (woken, wakes, report, *reports.values()):
            os.close(descriptor)
        asked: dict[str, Any] = json.loads(request)
        _become(asked, out, err)
        return asked


def _report(reports: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if child == 0:
                return
            report = reports.pop(child)
            with suppress(BrokenPipeError):
                os.write(report, b"%d" % os.waitstatus_to_exitcode(status))
            os.close(report)


def _become(asked: dict[str, Any], out: int, err: int) -> None:
    """Reset the state of this process to that of a new one."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.close(out)
    os.close(err)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(
        io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True
    )
    os.environ.clear()
    os.environ.update(asked["env"])
    time.tzset()
    os.umask(asked["mask"])
    os.chdir(asked["folder"])
    sys.argv = ["mograder", *asked["words"]]


def _load() -> None:
    for name in LOADED:
        importlib.import_module(name)
    from mograder.web.pages.page import _templates, assets

    assets()
    for name in _templates().list_templates(["html"]):
        _templates().get_template(name)  # compiles the templates, which would take the first page 0.1 s


if __name__ == "__main__":
    _load()
    with socket.socket(fileno=int(sys.argv[1])) as _asking:
        _asked = _fork_on_request(_asking)
    if _asked is not None:
        exec(_asked["first"], {})
        from mograder.cli import main

        main()
