"""The warm process in a sandbox: has marimo and the notebook's imports loaded, and is forked for each submission.

It never reads a submission or a test itself (each child reads its own from a connection made for it), so nothing of one
is left in the memory of the next. Between two answer processes it ends every process in the sandbox and empties its
folders. Invariant: kill(-1) is only called in a process namespace of its own.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import stat
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import answers, checks, seccomp
from .frames import Channel

_END = 10.0  # seconds that processes may take to end after they were killed
_LOOK = 0.1  # seconds between two looks at the memory of a child


def main(descriptor: int, configuration: str) -> None:
    """Serves until the other end of the control socket is closed."""
    config = json.loads(configuration)
    control = socket.socket(fileno=descriptor)
    _settle(config)
    _preload(config["modules"])
    gc.collect()
    gc.freeze()
    server = Server(control, config)
    server.tell({"ready": sys.version.split()[0]})
    server.serve()


def _settle(config: dict[str, Any]) -> None:
    """Gives up every right that is not needed, for good."""
    if config["user"] is not None:  # started by root: a user of the sandbox's own, whose processes can be counted
        os.chown(config["work"], config["user"], config["user"])
        os.setgroups([])
        os.setresgid(config["user"], config["user"], config["user"])
        os.setresuid(config["user"], config["user"], config["user"])
    seccomp.deny_inspection()
    seccomp.restrict()
    os.umask(0o077)
    os.chdir(config["work"])
    with contextlib.suppress(OSError):  # when memory runs out these go first, not the server of the course
        Path("/proc/self/oom_score_adj").write_text("900")


def _preload(modules: list[str]) -> None:
    warnings.simplefilter("ignore")
    importlib.import_module("marimo")
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException:  # noqa: BLE001, S112 - a cell that needs it says so
            continue
    marimo: Any = sys.modules.get("marimo")
    if marimo is not None:  # what marimo loads at first use
        marimo.callout(marimo.md("$x$"), kind="success")
        marimo.ui.slider(1, 2)


class Server:
    """Forks one child at a time for each request."""

    def __init__(self, control: socket.socket, config: dict[str, Any]) -> None:
        self._control = control
        self._config = config
        self._contained = bool(config["contained"]) and os.getpid() < 50
        self._child: int | None = None
        self._handle: int | None = None
        self._over = False
        self._private = _private(os.getpid())  # what every child begins with, shared with this process

    def tell(self, document: dict[str, Any]) -> None:
        self._control.sendall(json.dumps(document).encode() + b"\n")

    def serve(self) -> None:
        while True:
            watched = [self._control.fileno(), *([] if self._handle is None else [self._handle])]
            ready, _, _ = select.select(watched, [], [], _LOOK if self._child else None)
            if self._handle is not None and self._handle in ready:
                self._ended()
            if self._control.fileno() in ready and not self._command():
                self._end()
                return
            if self._child is not None:
                self._look()

    def _command(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, 1, 4)
        if not message:
            return False
        if message == b"r":
            self._run(descriptors)
        elif message == b"p":
            self.tell({"here": True})
        elif message == b"k":
            self._end()
            self.tell({"clean": self._clean()})
        return True

    def _run(self, descriptors: list[int]) -> None:
        self._lay_out()
        pid = os.fork()
        if not pid:
            self._in_child(descriptors)
        for each in descriptors:
            os.close(each)
        self._child, self._handle, self._over = pid, os.pidfd_open(pid), False

    def _in_child(self, descriptors: list[int]) -> None:
        code = 1
        try:
            self._control.close()
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for each in (0, 1, 2):
                os.dup2(null, each)
            sys.path.insert(0, self._config["work"])  # for modules beside the notebook
            limit = self._config["frame_mb"] << 20
            channels = [Channel(socket.socket(fileno=each), limit) for each in descriptors]
            if self._config["role"] == "answers":
                answers.run(channels[0])
            else:
                checks.run(channels[0], channels[1])
            code = 0
        finally:
            os._exit(code)

    def _look(self) -> None:
        """Ends the child when all processes together use more memory than is allowed."""
        if not self._contained or self._over:
            return
        pages = sum(max(0, _private(each) - self._private) for each in _others())
        if pages * os.sysconf("SC_PAGE_SIZE") > (self._config["memory_mb"] + 128) << 20:
            self._over = True
            self._kill()

    def _kill(self) -> None:
        if self._contained and self._config["role"] == "answers":
            with contextlib.suppress(OSError):
                os.kill(-1, signal.SIGKILL)
        elif self._child is not None:
            with contextlib.suppress(OSError):
                os.killpg(self._child, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.kill(self._child, signal.SIGKILL)

    def _ended(self) -> None:
        """Report how the child ended."""
        if self._child is None or self._handle is None:
            return
        _, status, usage = os.wait4(self._child, 0)
        os.close(self._handle)
        self._child = self._handle = None
        number = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        cpu = round(usage.ru_utime + usage.ru_stime, 4)
        self.tell({"ended": number, "memory": self._over, "cpu": cpu})

    def _end(self) -> None:
        self._kill()
        if self._child is not None:
            self._ended()
        if self._contained and self._config["role"] == "answers":
            with contextlib.suppress(OSError):
                os.kill(-1, signal.SIGKILL)
        deadline = time.monotonic() + _END
        while time.monotonic() < deadline and self._contained and list(_others()):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, os.WNOHANG)
            time.sleep(0.001)

    def _lay_out(self) -> None:
        """Put the assignment's files beside the notebook, as links: the files themselves cannot be written."""
        data, work = Path(self._config["data"]), Path(self._config["work"])
        for folder, _, names in os.walk(data):
            target = work / Path(folder).relative_to(data)
            target.mkdir(exist_ok=True)
            for name in names:
                (target / name).symlink_to(Path(folder) / name)

    def _clean(self) -> bool:
        """Empties the folders that a submission can write to. False when something cannot be removed."""
        for folder in self._config["scratch"]:
            for entry in os.scandir(folder):
                if any(Path(each).is_relative_to(entry.path) for each in self._config["keep"]):
                    continue  # the environment itself is there
                try:
                    if entry.is_dir(follow_symlinks=False):
                        _unlock(entry.path)
                        shutil.rmtree(entry.path)
                    else:
                        Path(entry.path).unlink()
                except (OSError, RecursionError):
                    return False
        return True


def _others() -> Iterator[int]:
    """The processes in this sandbox besides its first one and this one."""
    return (int(each) for each in os.listdir("/proc") if each.isdigit() and int(each) not in (1, os.getpid()))


def _private(process: int) -> int:
    """Pages in memory that belong to no file; 0 when the process is gone."""
    try:
        resident, shared = Path(f"/proc/{process}/statm").read_text().split()[1:3]
    except (OSError, ValueError):
        return 0
    return int(resident) - int(shared)


def _unlock(folder: str) -> None:
    """Makes folders without permissions removable."""
    Path(folder).chmod(stat.S_IRWXU)
    for path, names, _ in os.walk(folder):
        for name in names:
            inner = Path(path, name)
            if not inner.is_symlink():
                inner.chmod(stat.S_IRWXU)
