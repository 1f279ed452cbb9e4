"""The outer end of a warm process: starts it in its sandbox, has it fork a child, ends the child, and restarts it.

Invariant: from inside it reads only short lines of JSON that the warm process itself writes, never a submission.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from msgspec import Struct

from mograder.grading.environment import Environment
from mograder.grading.limits import Limits
from mograder.grading.sandbox import DATA, INSIDE, SCRATCH, VARIABLES, WORK, DataFile, Sandbox, user_of

_START = 120.0  # seconds for marimo and the notebook's libraries to be imported, on a busy machine
_END = 20.0
_MAIN = (
    "import sys; sys.path.insert(0, sys.argv[1]); from inside import server; server.main(int(sys.argv[2]), sys.argv[3])"
)


class WarmFailed(Exception):
    """The process could not be started, or is gone: our failure, not a student's."""


class Ended(Struct, frozen=True):
    """How a child ended: exit code, or a signal as a negative number; `memory` says that it used too much memory."""

    code: int
    memory: bool
    cpu_seconds: float


class Setup(Struct, frozen=True):
    """The parameters of a warm process."""

    role: str  # "answers" or "checks"
    environment: Environment
    sandbox: Sandbox | None
    files: tuple[DataFile, ...]
    modules: tuple[str, ...]
    limits: Limits
    slot: int


class Warm:
    """One warm process. `start_in` starts it in a thread that outlives the process."""

    def __init__(
        self, setup: Setup, start_in: Callable[[Callable[[], subprocess.Popen[bytes]]], subprocess.Popen[bytes]]
    ) -> None:
        self._setup = setup
        self._start_in = start_in
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._buffer = b""
        self._log: IO[bytes] | None = None
        self._folder: str | None = None
        self._ready = False
        self._ended: Ended | None = None  # reported while another answer was awaited

    def start(self) -> None:
        """Start the process, without waiting until it is ready."""
        if self._process is not None:
            return
        ours, theirs = socket.socketpair()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        words = self._words(theirs.fileno())
        variables = VARIABLES if self._setup.sandbox is None else {}
        log = self._log

        def popen() -> subprocess.Popen[bytes]:
            return subprocess.Popen(  # noqa: S603 - our own words
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(theirs.fileno(),), env=variables,
                start_new_session=True, cwd=self._folder or "/",
            )  # fmt: skip

        try:
            self._process = self._start_in(popen)
        except OSError as error:
            raise WarmFailed(f"the sandbox cannot be started: {error}") from None
        finally:
            theirs.close()
        self._control, self._buffer, self._ready, self._ended = ours, b"", False, None

    def run(self, *others: int) -> socket.socket:
        """Have a child forked, and return our end of a connection to it. It also gets the file descriptors `others`.

        Raises WarmFailed.
        """
        self.start()
        assert self._control is not None
        if not self._ready:
            self._await("ready", _START, "it did not start in time")
            self._ready = True
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [b"r"], [theirs.fileno(), *others])
            except OSError as error:
                ours.close()
                self._fail(str(error))
        return ours

    @property
    def contained(self) -> bool:
        """Whether it runs in a sandbox."""
        return self._setup.sandbox is not None

    @property
    def control(self) -> socket.socket:
        assert self._control is not None
        return self._control

    def ended(self) -> Ended | None:
        """How the child ended, if the warm process has said so. Raises WarmFailed when it is gone itself."""
        while self._ended is None and (line := self._line(0.0)) is not None:
            self._ended = _ended(line)
        ended, self._ended = self._ended, None
        return ended

    def ping(self) -> None:
        """Returns when the warm process has answered. Raises WarmFailed when it is gone, or does not answer in time."""
        try:
            self.control.sendall(b"p")
        except OSError as error:
            self._fail(str(error))
        self._await("here", _END, "it does not answer")

    def finish(self) -> Ended | None:
        """End the child and all its processes, and clean up. A warm process that cannot be cleaned up is stopped."""
        if self._process is None or self._control is None:
            return None
        try:
            self._control.sendall(b"k")
            ended, self._ended = self._ended, None
            until = time.monotonic() + _END
            while (left := until - time.monotonic()) > 0:
                line = self._line(left)
                if line is not None:
                    ended = _ended(line) or ended
                if line is not None and "clean" in line:
                    if line["clean"] is not True:
                        self.stop()
                    return ended
        except (OSError, WarmFailed):
            pass
        self.stop()
        return None

    def stop(self) -> None:
        """End the warm process. Safe to call twice."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process.wait()
        if self._log is not None:
            self._log.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._process = self._control = self._log = self._folder = None

    def _await(self, key: str, seconds: float, problem: str) -> None:
        """Read lines up to the one with `key`. Raises WarmFailed with the `problem` when it does not come in time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            line = self._line(left)
            if line is not None and key in line:
                return
            if line is not None:
                self._ended = _ended(line) or self._ended
        self._fail(problem)

    def _line(self, seconds: float) -> dict[str, Any] | None:
        """The next line from inside; None when there is none in time. Raises WarmFailed at the end."""
        control = self.control
        until = time.monotonic() + seconds
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([control], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                return None
            try:
                chunk = control.recv(4096)
            except ConnectionError:
                chunk = b""
            if not chunk:
                self._fail("it ended")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        document = json.loads(line)
        return document if isinstance(document, dict) else {}

    def _fail(self, why: str) -> None:
        text = ""
        if self._log is not None:
            self._log.seek(0)
            text = self._log.read(1 << 16).decode(errors="replace").strip()[-1_000:]
        self.stop()
        raise WarmFailed(f"the {self._setup.role} process: {why}" + (f": {text}" if text else ""))

    def _words(self, descriptor: int) -> list[str]:
        setup = self._setup
        config: dict[str, Any] = {
            "role": setup.role, "modules": setup.modules, "memory_mb": setup.limits.memory_mb,
            "frame_mb": setup.limits.frame_mb, "contained": setup.sandbox is not None, "work": WORK, "data": DATA,
            "scratch": SCRATCH, "keep": setup.environment.folders, "user": None,
        }  # fmt: skip
        python = ["-s", "-P", "-B", "-c", _MAIN]
        if setup.sandbox is not None:
            if setup.sandbox.privileged:
                config["user"] = user_of(setup.slot)
            inside = [*python, INSIDE, str(descriptor), json.dumps(config)]
            return setup.sandbox.command(setup.environment, setup.files, max(setup.limits.file_mb, 16), inside)
        self._folder = tempfile.mkdtemp(prefix="mograder-grading-")
        work, data = Path(self._folder, "work"), Path(self._folder, "data")
        work.mkdir()
        data.mkdir()
        for file in setup.files:
            (data / file.name).parent.mkdir(parents=True, exist_ok=True)
            (data / file.name).symlink_to(file.path)
        config |= {"work": str(work), "data": str(data), "scratch": [str(work)], "keep": []}
        return [setup.environment.python, *python, str(Path(__file__).parent), str(descriptor), json.dumps(config)]


def _ended(line: dict[str, Any]) -> Ended | None:
    """What a line says of a child's end; None when it says something else."""
    return Ended(int(line["ended"]), bool(line["memory"]), float(line["cpu"])) if "ended" in line else None
